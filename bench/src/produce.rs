//! Producers: records leave when they are due, whatever became of those before.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use client::Dialect;
use runtime::sync::Notify;
use runtime::{Nanos, Sender, TaskClass, World};

use crate::packer::Packer;
use crate::payload::KEY_BYTES;
use crate::recorder::Shared as Stream;
use crate::round::Round;
use crate::template::{Batch, Label, Mint, Wait};
use crate::wire::{self, Frames, Line, Outgoing, Writer};
use crate::{BenchError, ProducePlan};

/// Requests handed to the kernel with one call at most.
const GATHER_MAX: usize = 16;

/// How long records that were due before the end may still be sent after it.
const GRACE: Duration = Duration::from_secs(1);

/// A producer: takes records up when they are due and gives their batches to the lanes.
pub(crate) struct Producer {
    pub(crate) plan: Rc<ProducePlan>,
    pub(crate) dialect: Dialect,
    pub(crate) round: Rc<Round>,
    pub(crate) stream: Stream,
    pub(crate) packer: Packer,
    pub(crate) mint: Mint,
    /// Producer id and epoch; -1 without idempotence.
    pub(crate) identity: (i64, i16),
    /// Which lane leads to each partition's leader.
    pub(crate) lane_of: Vec<usize>,
}

/// One connection of a producer, to the broker that leads some of its partitions.
struct Lane {
    addr: SocketAddr,
    ready: RefCell<VecDeque<Batch>>,
    unanswered: RefCell<VecDeque<Sent>>,
    /// Something is ready, or was answered, or nothing more will come.
    wake: Notify,
    is_closed: Cell<bool>,
}

/// A request without an answer yet.
struct Sent {
    correlation: u64,
    waits: Vec<Wait>,
    records: u64,
}

/// What a producer and its lanes share.
struct Shared {
    plan: Rc<ProducePlan>,
    dialect: Dialect,
    round: Rc<Round>,
    stream: Stream,
    world: World,
    /// There is room for more batches.
    room: Notify,
}

impl Producer {
    /// Starts the producer's tasks; the round ends when all of them have.
    pub(crate) fn start(self, world: &World, lines: Vec<(SocketAddr, Line)>) {
        let shared = Rc::new(Shared {
            plan: Rc::clone(&self.plan),
            dialect: self.dialect,
            round: Rc::clone(&self.round),
            stream: Rc::clone(&self.stream),
            world: world.clone(),
            room: Notify::new(),
        });
        let mut lanes = Vec::with_capacity(lines.len());
        for (addr, line) in lines {
            let lane = Rc::new(Lane {
                addr,
                ready: RefCell::default(),
                unanswered: RefCell::default(),
                wake: Notify::new(),
                is_closed: Cell::new(false),
            });
            let Line { sender, frames, writer } = line;
            shared.round.producing.begin();
            let send = send_all(Rc::clone(&shared), Rc::clone(&lane), (sender, writer));
            world.spawn(TaskClass::Serve, send);
            if shared.plan.acks != 0 {
                shared.round.producing.begin();
                let receive = receive_all(Rc::clone(&shared), Rc::clone(&lane), frames);
                world.spawn(TaskClass::Serve, receive);
            }
            lanes.push(lane);
        }
        shared.round.producing.begin();
        world.spawn(TaskClass::Serve, self.run(shared, lanes));
    }

    async fn run(mut self, shared: Rc<Shared>, lanes: Vec<Rc<Lane>>) {
        if let Err(error) = self.pack_all(&shared, &lanes).await {
            shared.round.fail(error);
        }
        for lane in &lanes {
            lane.is_closed.set(true);
            lane.wake.notify_one();
        }
        shared.round.producing.finish();
    }

    async fn pack_all(&mut self, shared: &Shared, lanes: &[Rc<Lane>]) -> Result<(), BenchError> {
        let world = &shared.world;
        let end = self.round.window.end;
        let mut closed = Vec::new();
        let mut sequences = vec![0u32; self.lane_of.len()];
        while !self.round.is_stopped() {
            let room_made = shared.room.notified();
            let now = world.now();
            let room = lanes.iter().map(|lane| self.room(lane)).sum();
            let next = self.packer.fill(now, room, &mut closed);
            let is_last = now >= end && (!self.packer.is_behind() || now >= end + GRACE);
            if is_last {
                self.packer.flush(&mut closed);
            }
            let now_ms = if closed.is_empty() { 0 } else { world.wall_ms() };
            for (partition, draft) in closed.drain(..) {
                let sequence = &mut sequences[partition as usize];
                let label = Label { now_ms, producer: self.label(*sequence) };
                *sequence = sequence.wrapping_add(draft.records) & 0x7fff_ffff;
                let batch = self.mint.batch(partition, draft, label)?;
                let lane = &lanes[self.lane_of[partition as usize]];
                lane.ready.borrow_mut().push_back(batch);
                lane.wake.notify_one();
            }
            if is_last {
                break;
            }
            let last = if now < end { end } else { end + GRACE };
            let wait = next.unwrap_or(last).min(last).since(now);
            // That the time came is as good as a wake-up.
            let _elapsed = world.timeout(wait, room_made).await.is_err();
        }
        let now = world.now();
        let mut stream = self.stream.borrow_mut();
        for due in self.packer.missed() {
            stream.waited(due, now, 1);
            self.round.unsent.add(1);
        }
        Ok(())
    }

    /// How many batches more a lane may be given. At a fixed rate only as many as can leave at once: the others go on
    /// filling, as in every client. At full speed some are kept ready.
    fn room(&self, lane: &Lane) -> usize {
        let requests = match self.plan.rate {
            0 => 2,
            _ => (self.plan.in_flight as usize).saturating_sub(lane.unanswered.borrow().len()),
        };
        let batches = requests * self.plan.request_batches as usize;
        batches.saturating_sub(lane.ready.borrow().len())
    }

    fn label(&self, sequence: u32) -> (i64, i16, i32) {
        let (id, epoch) = self.identity;
        if id < 0 { (-1, -1, -1) } else { (id, epoch, sequence.cast_signed()) }
    }
}

async fn send_all(shared: Rc<Shared>, lane: Rc<Lane>, (mut sender, mut writer): (Sender, Writer)) {
    let mut out = Outgoing::default();
    let mut unheard = Vec::new();
    while !shared.round.is_stopped() {
        let room = (shared.plan.in_flight as usize).saturating_sub(lane.unanswered.borrow().len());
        for _ in 0..room.min(GATHER_MAX) {
            let batches = lane.next_request(shared.plan.request_batches as usize);
            if batches.is_empty() {
                break;
            }
            match writer.produce(shared.plan.acks, &batches, &mut out) {
                Ok(correlation) => {
                    let records = batches.iter().map(|batch| u64::from(batch.records)).sum();
                    let waits = if shared.plan.rate == 0 {
                        // At full speed what waits for its turn was not due before it.
                        let due = shared.world.now();
                        let of_batch = |batch: &Batch| Wait { due, records: batch.records };
                        batches.iter().map(of_batch).collect()
                    } else {
                        batches.into_iter().flat_map(|batch| batch.waits).collect()
                    };
                    let sent = Sent { correlation, waits, records };
                    if shared.plan.acks == 0 {
                        unheard.push(sent);
                    } else {
                        lane.unanswered.borrow_mut().push_back(sent);
                    }
                }
                Err(error) => shared.round.fail(error),
            }
        }
        let mut slices = out.slices();
        if slices.is_empty() {
            if lane.is_done() {
                break;
            }
            lane.wake.notified().await;
            continue;
        }
        shared.room.notify_one();
        if let Err(error) = sender.send(&mut slices).await {
            shared.round.fail(BenchError::Connection { addr: lane.addr, error });
        }
        out.clear();
        for sent in unheard.drain(..) {
            shared.settle(&sent, shared.world.now());
        }
    }
    sender.shutdown(Shutdown::Both);
    shared.round.producing.finish();
}

async fn receive_all(shared: Rc<Shared>, lane: Rc<Lane>, mut frames: Frames) {
    loop {
        let answer = match frames.next().await {
            Ok(answer) => answer,
            Err(error) => {
                // The sending side shuts the connection down when it is done.
                if !lane.is_done() {
                    shared.round.fail(BenchError::Connection { addr: lane.addr, error });
                }
                break;
            }
        };
        let now = shared.world.now();
        let Some(sent) = lane.answered(answer.correlation) else {
            shared.round.fail(BenchError::Answer("an answer to no request".to_owned()));
            break;
        };
        if let Err(error) = wire::check_produced(shared.dialect, &answer.bytes) {
            shared.round.fail(error);
            break;
        }
        shared.settle(&sent, now);
        lane.wake.notify_one();
        shared.room.notify_one();
    }
    lane.wake.notify_one();
    shared.room.notify_one();
    // What was never answered waited at least until now.
    let now = shared.world.now();
    for sent in lane.unanswered.borrow_mut().drain(..) {
        shared.round.unanswered.add(sent.records);
        shared.wait_ended(&sent, now);
    }
    shared.round.producing.finish();
}

impl Shared {
    fn settle(&self, sent: &Sent, now: Nanos) {
        let key_bytes = if self.plan.keys > 0 { KEY_BYTES } else { 0 };
        let record_bytes = u64::from(self.plan.record_bytes) + key_bytes as u64;
        let mut stream = self.stream.borrow_mut();
        stream.answered(now, sent.records, sent.records * record_bytes);
        drop(stream);
        self.round.acknowledged.add(sent.records);
        self.wait_ended(sent, now);
    }

    fn wait_ended(&self, sent: &Sent, now: Nanos) {
        let mut stream = self.stream.borrow_mut();
        for wait in &sent.waits {
            stream.waited(wait.due, now, wait.records);
        }
    }
}

impl Lane {
    /// The first batches that fit one request: at most one of each partition.
    fn next_request(&self, batches_max: usize) -> Vec<Batch> {
        let mut ready = self.ready.borrow_mut();
        let mut batches: Vec<Batch> = Vec::new();
        while batches.len() < batches_max
            && let Some(next) = ready.front()
            && batches.iter().all(|batch| batch.partition != next.partition)
        {
            batches.extend(ready.pop_front());
        }
        batches
    }

    fn answered(&self, correlation: u64) -> Option<Sent> {
        let mut unanswered = self.unanswered.borrow_mut();
        let place = unanswered.iter().position(|sent| sent.correlation == correlation)?;
        unanswered.remove(place)
    }

    fn is_done(&self) -> bool {
        self.is_closed.get()
            && self.ready.borrow().is_empty()
            && self.unanswered.borrow().is_empty()
    }
}
