//! A run from its first connection to its last answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use runtime::sync::Notify;
use runtime::{Nanos, TaskClass, World};

use crate::consume::{self, Consumers};
use crate::hdr_log::HdrLog;
use crate::machine::{self, Load};
use crate::packer::{Pace, Packer, Share};
use crate::payload::Keys;
use crate::process::Usage;
use crate::produce::Producer;
use crate::recorder::{self, Stream, Window, histogram};
use crate::report::Outcome;
use crate::round::{Round, Tasks};
use crate::stage::{Reader, Seat, Stage};
use crate::template::Mint;
use crate::{BenchError, Plan, ProducePlan};

/// How long answers that are late are waited for after the end.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// From when the first record is due, so that every producer is there.
const HEAD_START: Duration = Duration::from_millis(20);
/// How often the client looks whether it gets to run.
const HEARTBEAT: Duration = Duration::from_millis(5);

/// Who is measured beside the client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watch {
    /// The broker's process. Without it, whoever listens at the first bootstrap address, if that is on this machine.
    pub broker_pid: Option<u32>,
}

/// How far a run is, told every second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Since the first record.
    pub gone: Duration,
    /// How long it will take.
    pub whole: Duration,
    /// Whether this is measured yet.
    pub is_warm: bool,
    /// Records in the last second.
    pub records_per_second: f64,
    /// Of the last second, in nanoseconds.
    pub p99: u64,
}

/// Carries the plan out and says what was measured. With `log`, latencies are written there second by second.
///
/// # Errors
/// The plan is impossible, a connection failed, or the broker refused something.
pub async fn run(
    world: &World,
    plan: &Plan,
    watch: Watch,
    log: Option<&mut HdrLog>,
    progress: impl FnMut(Progress),
) -> Result<Outcome, BenchError> {
    plan.check()?;
    let stage = Stage::set(world, plan).await?;
    let broker_pid = match watch.broker_pid {
        Some(pid) => Some(pid),
        None if stage.bootstrap.ip().is_loopback() => machine::listener(stage.bootstrap),
        None => None,
    };
    let run = plan.is_stamped().then(|| world.random());
    let mint =
        plan.produce.as_ref().map(|produce| Mint::new(produce, plan.seed, run)).transpose()?;
    // From here on the time runs.
    let mut play = Play::new(world, plan, broker_pid, log);
    play.begin(stage, mint, run);
    let measured = play.measure(progress).await?;
    play.end(measured).await
}

/// A run under way.
struct Play<'a> {
    world: World,
    plan: &'a Plan,
    broker_pid: Option<u32>,
    log: Option<&'a mut HdrLog>,
    /// When the first record is due.
    start: Nanos,
    round: Rc<Round>,
    produced: recorder::Shared,
    consumed: recorder::Shared,
    consumers: Option<Rc<Consumers>>,
    /// Consumers that wait for the measurement to begin.
    readers: Vec<Reader>,
    /// How late the client itself came.
    gaps: Rc<RefCell<Histogram<u64>>>,
    /// Up to when latencies were taken into points and log.
    told: Nanos,
}

/// What was used up to one moment.
struct Spent {
    broker: Option<Usage>,
    client: Usage,
    load: Load,
}

/// What came of the measurement, apart from the streams.
struct Measured {
    started_ms: i64,
    seconds: f64,
    before: Spent,
    after: Spent,
}

impl<'a> Play<'a> {
    fn new(
        world: &World,
        plan: &'a Plan,
        broker_pid: Option<u32>,
        log: Option<&'a mut HdrLog>,
    ) -> Self {
        let start = world.now() + HEAD_START;
        let from = start + plan.warm_up;
        let window = Window { from, end: from + plan.duration };
        let read = if plan.is_stamped() { "end-to-end" } else { "consume" };
        Self {
            world: world.clone(),
            plan,
            broker_pid,
            log,
            start,
            round: Rc::new(Round::new(window)),
            produced: recorder::shared("produce", window),
            consumed: recorder::shared(read, window),
            consumers: None,
            readers: Vec::new(),
            gaps: Rc::new(RefCell::new(histogram())),
            told: from,
        }
    }

    /// Starts everybody.
    fn begin(&mut self, stage: Stage, mint: Option<Mint>, run: Option<u64>) {
        self.round.close_at_end(stage.closers);
        self.consumers = self.plan.consume.as_ref().map(|consume| {
            Rc::new(Consumers {
                plan: Rc::new(consume.clone()),
                dialect: self.plan.protocol,
                round: Rc::clone(&self.round),
                stream: Rc::clone(&self.consumed),
                world: self.world.clone(),
                run,
                seen: Cell::new(0),
                progress: Notify::new(),
                is_over: Cell::new(false),
            })
        });
        self.readers = stage.readers;
        // Those who follow a load are there before it.
        if self.plan.is_stamped() {
            self.start_readers();
        }
        if let (Some(produce), Some(mint)) = (&self.plan.produce, mint) {
            self.start_producers(produce, stage.producers, (&stage.lane_of, mint));
        }
        let (world, round) = (self.world.clone(), Rc::clone(&self.round));
        self.world.spawn(TaskClass::Serve, heartbeat(world, round, Rc::clone(&self.gaps)));
    }

    fn start_readers(&mut self) {
        let Some(consumers) = &self.consumers else { return };
        for reader in self.readers.drain(..) {
            consume::start(consumers, (reader.addr, reader.line), reader.positions);
        }
    }

    fn start_producers(
        &self,
        produce: &ProducePlan,
        seats: Vec<Seat>,
        (lane_of, mint): (&[usize], Mint),
    ) {
        let (plan, partitions) = (Rc::new(produce.clone()), self.plan.partitions);
        let keys = (produce.keys > 0).then(|| {
            let keys = (produce.keys, produce.key_distribution);
            Rc::new(Keys::new(keys, partitions, self.plan.seed))
        });
        for (Seat { lines, identity }, number) in seats.into_iter().zip(0u32..) {
            let pace = match produce.rate {
                0 => Pace::Full,
                rate => Pace::Fixed { rate, number, of: produce.producers },
            };
            let first = u64::from(number) * u64::from(partitions) / u64::from(produce.producers);
            let share = Share {
                pace,
                start: self.start,
                end: self.round.window.end,
                partitions,
                first_partition: u32::try_from(first).unwrap_or(0),
                batch_records: mint.batch_records(),
                linger: produce.linger,
            };
            let producer = Producer {
                plan: Rc::clone(&plan),
                dialect: self.plan.protocol,
                round: Rc::clone(&self.round),
                stream: Rc::clone(&self.produced),
                packer: Packer::new(share, keys.clone()),
                mint: mint.clone(),
                identity,
                lane_of: lane_of.to_vec(),
            };
            producer.start(&self.world, lines);
        }
    }

    /// Measures until the time is over, or nothing is left to do.
    async fn measure(
        &mut self,
        mut progress: impl FnMut(Progress),
    ) -> Result<Measured, BenchError> {
        let window = self.round.window;
        let (started_ms, whole) = (self.world.wall_ms(), self.plan.warm_up + self.plan.duration);
        let idle = Progress { gone: Duration::ZERO, whole, ..Progress::default() };
        progress(idle);
        self.world.sleep_until(window.from).await;
        if let Some(log) = &mut self.log {
            log.begin(self.world.wall_ms())?;
        }
        let before = self.spent()?;
        // A backlog is read from the beginning of the measurement on.
        self.start_readers();
        loop {
            let is_over = self.is_over();
            let now = self.world.now();
            if is_over || now > self.told {
                self.tell(now)?;
                let main = if self.consumers.is_some() { &self.consumed } else { &self.produced };
                let gone = now.since(self.start);
                progress(match main.borrow().points.last() {
                    Some(point) => Progress {
                        gone,
                        whole,
                        is_warm: true,
                        records_per_second: point.records,
                        p99: point.p99,
                    },
                    None => Progress { gone, ..idle },
                });
            }
            if is_over || now >= window.end {
                break;
            }
            let second = (self.told + Duration::from_secs(1)).min(window.end);
            let ended = self.main_tasks().ended();
            // That the second is over is what mostly happens.
            let _elapsed = self.world.timeout(second.since(now), ended).await.is_err();
        }
        // A connection that broke tells more than a process that is gone.
        if let Some(error) = self.round.take_failure() {
            return Err(error);
        }
        let seconds = self.world.now().since(window.from).min(self.plan.duration).as_secs_f64();
        Ok(Measured { started_ms, seconds, before, after: self.spent()? })
    }

    /// Takes the latencies up to `now` into the log and the points.
    fn tell(&mut self, now: Nanos) -> Result<(), BenchError> {
        let from = self.round.window.from;
        let span = now.since(self.told);
        for stream in [&self.produced, &self.consumed] {
            let mut stream = stream.borrow_mut();
            if let Some(log) = &mut self.log {
                log.write(stream.name, stream.interval(), (self.told.since(from), span))?;
            }
            // The last part of a second says nothing about a rate, nor does what comes after the end.
            if span >= Duration::from_millis(500) && self.told < self.round.window.end {
                stream.roll(now.since(from).as_secs_f64(), span);
            } else {
                stream.settle();
            }
        }
        self.told = now;
        Ok(())
    }

    /// Waits for what is late, and puts everything together.
    async fn end(mut self, measured: Measured) -> Result<Outcome, BenchError> {
        drain(&self.world, &self.round, self.consumers.as_deref()).await;
        self.round.stop();
        if let Some(error) = self.round.take_failure() {
            return Err(error);
        }
        self.tell(self.world.now())?;
        let Measured { started_ms, seconds, before, after } = measured;
        let stream = |stream: &recorder::Shared| -> Stream { stream.borrow().clone() };
        let unread = self.consumers.as_ref().filter(|consumers| consumers.run.is_some());
        let unread = unread.map_or(0, |consumers| {
            self.round.acknowledged.get().saturating_sub(consumers.seen.get())
        });
        Ok(Outcome {
            plan: self.plan.clone(),
            started_ms,
            seconds,
            produced: self.plan.produce.as_ref().map(|_| stream(&self.produced)),
            consumed: self.plan.consume.as_ref().map(|_| stream(&self.consumed)),
            broker: before.broker.zip(after.broker).map(|(before, after)| after.since(&before)),
            broker_pid: self.broker_pid,
            client: after.client.since(&before.client),
            client_gaps: self.gaps.borrow().clone(),
            pressure: before.load.until(&after.load, seconds),
            unsent: self.round.unsent.get(),
            unanswered: self.round.unanswered.get(),
            unread,
        })
    }

    /// Those whose end is the end of the run.
    fn main_tasks(&self) -> &Tasks {
        if self.plan.produce.is_some() { &self.round.producing } else { &self.round.consuming }
    }

    fn is_over(&self) -> bool {
        self.round.is_stopped() || self.main_tasks().have_ended()
    }

    fn spent(&self) -> Result<Spent, BenchError> {
        let of_broker = |pid| Usage::of(pid).map_err(|error| BenchError::Process { pid, error });
        Ok(Spent {
            broker: self.broker_pid.map(of_broker).transpose()?,
            client: Usage::of(std::process::id())?,
            load: Load::now(),
        })
    }
}

/// Waits for late answers, and for consumers to see what was acknowledged.
async fn drain(world: &World, round: &Round, consumers: Option<&Consumers>) {
    let deadline = world.now() + DRAIN_MAX;
    let all = async {
        round.producing.ended().await;
        if let Some(consumers) = consumers {
            while consumers.run.is_some()
                && consumers.seen.get() < round.acknowledged.get()
                && !round.is_stopped()
            {
                consumers.progress.notified().await;
            }
            consumers.is_over.set(true);
        }
    };
    if world.timeout(deadline.since(world.now()), all).await.is_err() {
        // The tasks note what was left unanswered when their connections end.
        round.stop();
        round.producing.ended().await;
    }
}

/// Notes how late the client itself comes, apart from any broker.
async fn heartbeat(world: World, round: Rc<Round>, gaps: Rc<RefCell<Histogram<u64>>>) {
    loop {
        let due = world.now() + HEARTBEAT;
        world.sleep_until(due).await;
        let now = world.now();
        if round.is_stopped() || now >= round.window.end {
            return;
        }
        if round.window.holds(due) {
            let late = u64::try_from(now.since(due).as_nanos()).unwrap_or(u64::MAX);
            gaps.borrow_mut().saturating_record(late);
        }
    }
}
