//! One client's connection: frames in, answers out, in order.
//!
//! Two tasks serve it. The *reader* takes frames off the socket and handles them one after the
//! other; a produce only gets its offsets there and is queued, still waiting for the disk, so that
//! the next request can begin, and so is a commit of offsets. The *writer* sends answers in the order of their requests, as many
//! as are ready with one system call. A connection that owes too much is not read further, and so
//! the peer's own TCP window holds it back.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

use bytes::Bytes;
use protocol::frame;
use runtime::sync::Notify;
use runtime::{Nanos, Receiver, Sender, Stream, TaskClass};

use crate::answer::Answer;
use crate::metrics::{Count, Stage};
use crate::pending::Pending;
use crate::shard::Shard;
use crate::{kafka, native};
use intake::{Front, Intake};

pub(crate) mod census;
mod intake;
pub(crate) mod registry;

/// Answers sent with one system call at most, and their bytes.
const GATHER_ANSWERS: usize = 64;
const GATHER_BYTES: usize = 1 << 20;

/// The protocol a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Kafka,
    Native,
}

/// What the reader and the writer of a connection share.
pub(crate) struct Connection {
    pub(crate) shard: Rc<Shard>,
    pub(crate) peer: SocketAddr,
    dialect: Dialect,
    owed: RefCell<VecDeque<Owed>>,
    owed_bytes: Cell<usize>,
    /// How many of them are commits of offsets.
    commits: Cell<usize>,
    /// Something was queued, sent or closed.
    changed: Notify,
    reading: Cell<bool>,
    sending: Cell<bool>,
    pulse: registry::Pulse,
    /// Whether a native peer has said who it is.
    pub(crate) greeted: Cell<bool>,
}

/// An answer that is not sent yet, perhaps not even known.
struct Owed {
    pending: Pending,
    stage: Stage,
    arrived: Nanos,
    bytes: usize,
}

/// An answer on its way out, and what is counted once it is gone.
struct Sent {
    answer: Answer,
    stage: Stage,
    arrived: Nanos,
    bytes: usize,
    is_commit: bool,
}

/// What handling a frame came to.
pub(crate) enum Handled {
    /// An answer is owed; `stage` is the histogram that times it.
    Owe(Pending, Stage),
    /// The request has no answer (produce with acks=0).
    Silent,
    /// The peer does not keep to the protocol, for this reason.
    Close(&'static str),
}

/// Serves a connection until the peer leaves, breaks the protocol or the broker stops.
pub(crate) async fn serve(shard: Rc<Shard>, stream: Stream, dialect: Dialect) {
    let Some(pulse) = shard.registry.enter(&shard, &stream) else {
        shard.metrics.add(Count::Refused, 1);
        stream.shutdown(Shutdown::Both);
        return;
    };
    shard.metrics.add(Count::Accepted, 1);
    let peer = stream.peer_addr();
    let (receiver, sender) = stream.split();
    let connection = Rc::new(Connection {
        peer,
        dialect,
        owed: RefCell::new(VecDeque::new()),
        owed_bytes: Cell::new(0),
        commits: Cell::new(0),
        changed: Notify::new(),
        reading: Cell::new(true),
        sending: Cell::new(true),
        pulse,
        greeted: Cell::new(false),
        shard: Rc::clone(&shard),
    });

    let writer = Rc::clone(&connection);
    shard.world.spawn(TaskClass::Serve, async move { writer.write_all(sender).await });
    connection.read_all(receiver).await;
}

impl Connection {
    async fn read_all(self: Rc<Self>, mut receiver: Receiver) {
        let mut intake = Intake::new();
        let reason = loop {
            if let Err(reason) = self.take_frames(&mut intake).await {
                break reason;
            }
            if !self.sending.get() || self.shard.is_stopping() {
                break String::new();
            }
            match intake.read(&self.shard.world, &mut receiver).await {
                Ok(0) => break String::new(),
                Ok(count) => self.shard.metrics.add(Count::BytesReceived, count as u64),
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "connection lost");
                    break String::new();
                }
            }
            self.pulse.beat(self.shard.world.now());
        };
        if !reason.is_empty() {
            self.shard.metrics.add(Count::BadFrame, 1);
            tracing::info!(peer = %self.peer, reason, "connection closed");
        }
        self.reading.set(false);
        self.changed.notify_all();
    }

    /// Handles every whole frame, then makes room for the rest of the next one.
    async fn take_frames(self: &Rc<Self>, intake: &mut Intake) -> Result<(), String> {
        loop {
            match intake.take(|bytes| self.frame_bytes(bytes))? {
                Front::Frame(frame) => {
                    self.pulse.frame_ended();
                    self.handle(frame).await?;
                    self.wait_for_room().await;
                }
                Front::Part { have, total } => {
                    self.pulse.frame_grew(self.shard.world.now(), have, total);
                    intake.make_room(total, &self.shard.request_memory).await;
                    return Ok(());
                }
                Front::Empty => {
                    self.pulse.frame_ended();
                    intake.make_room(0, &self.shard.request_memory).await;
                    return Ok(());
                }
            }
        }
    }

    /// The whole length of the frame at the front of the buffer, prefix included.
    fn frame_bytes(&self, buffer: &[u8]) -> Result<Option<usize>, String> {
        let max_bytes = self.shard.config.limits.request_max_bytes;
        match self.dialect {
            Dialect::Kafka => {
                let Some((prefix, _)) = buffer.split_first_chunk() else { return Ok(None) };
                frame::request_bytes(*prefix, max_bytes as usize)
                    .map(|bytes| Some(frame::PREFIX_BYTES + bytes))
                    .map_err(|error| error.to_string())
            }
            Dialect::Native => native::frame_bytes(self, buffer),
        }
    }

    async fn handle(self: &Rc<Self>, frame: Bytes) -> Result<(), String> {
        let arrived = self.shard.world.now();
        let handled = match self.dialect {
            Dialect::Kafka => {
                kafka::handle(self, frame.slice(frame::PREFIX_BYTES..), arrived).await
            }
            Dialect::Native => native::handle(self, frame, arrived).await,
        };
        self.shard.metrics.add(Count::Requests, 1);
        match handled {
            Handled::Owe(pending, stage) => self.owe(pending, stage, arrived),
            Handled::Silent => {}
            Handled::Close(reason) => return Err(reason.to_owned()),
        }
        Ok(())
    }

    fn owe(&self, pending: Pending, stage: Stage, arrived: Nanos) {
        let bytes = pending.bytes();
        if matches!(pending, Pending::Later(_)) {
            self.commits.set(self.commits.get() + 1);
        }
        self.owed_bytes.set(self.owed_bytes.get() + bytes);
        self.owed.borrow_mut().push_back(Owed { pending, stage, arrived, bytes });
        self.changed.notify_all();
    }

    /// Waits while the connection owes more than it may.
    async fn wait_for_room(&self) {
        let limits = &self.shard.config.limits;
        while self.sending.get()
            && (self.owed.borrow().len() >= limits.connection_in_flight_max
                || self.owed_bytes.get() >= limits.connection_pending_bytes)
        {
            self.changed.notified().await;
        }
    }

    /// Waits until every commit that was asked for here is answered.
    pub(crate) async fn wait_for_commits(&self) {
        while self.sending.get() && self.commits.get() > 0 {
            self.changed.notified().await;
        }
    }

    async fn write_all(self: Rc<Self>, mut sender: Sender) {
        let mut ready = Vec::with_capacity(GATHER_ANSWERS);
        while let Some(owed) = self.next_owed().await {
            self.gather(owed, &mut ready).await;
            let sent = Answer::send_all(&mut sender, ready.iter().map(|sent| &sent.answer)).await;
            match sent {
                Ok(count) => self.shard.metrics.add(Count::BytesSent, count as u64),
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "connection lost");
                    break;
                }
            }
            self.settled(&mut ready);
        }
        self.sending.set(false);
        self.owed.borrow_mut().clear();
        self.changed.notify_all();
        sender.shutdown(Shutdown::Both);
    }

    /// The oldest unanswered request, or none once the reader has left and all is answered.
    async fn next_owed(&self) -> Option<Owed> {
        loop {
            if let Some(owed) = self.owed.borrow_mut().pop_front() {
                return Some(owed);
            }
            if !self.reading.get() {
                return None;
            }
            self.changed.notified().await;
        }
    }

    /// Waits for the first answer and takes those behind it that are ready as well.
    async fn gather(&self, first: Owed, ready: &mut Vec<Sent>) {
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(owed) = next.take() {
            let Owed { pending, stage, arrived, bytes: owed_bytes } = owed;
            let is_commit = matches!(pending, Pending::Later(_));
            let answer = pending.settle(&self.shard).await;
            bytes += answer.bytes();
            ready.push(Sent { answer, stage, arrived, bytes: owed_bytes, is_commit });
            if ready.len() < GATHER_ANSWERS && bytes < GATHER_BYTES {
                let mut queue = self.owed.borrow_mut();
                if queue.front_mut().is_some_and(|owed| owed.pending.is_ready(&self.shard)) {
                    next = queue.pop_front();
                }
            }
        }
    }

    /// Counts what was sent and lets the reader go on.
    fn settled(&self, ready: &mut Vec<Sent>) {
        let now = self.shard.world.now();
        for sent in ready.drain(..) {
            self.shard.metrics.time(sent.stage, now.since(sent.arrived));
            self.owed_bytes.set(self.owed_bytes.get() - sent.bytes);
            self.commits.set(self.commits.get() - usize::from(sent.is_commit));
        }
        self.pulse.beat(now);
        self.changed.notify_all();
    }
}
