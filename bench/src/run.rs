//! A run from its first connection to its last answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use client::{Admin, ClientError, Cluster, ClusterConfig, NewTopic, OffsetQuery, TopicView};
use protocol::ErrorCode;
use runtime::sync::Notify;
use runtime::{Closer, TaskClass, World};

use crate::consume::{self, Consumers, Position};
use crate::machine::{self, Load};
use crate::packer::{Pace, Packer, Share};
use crate::payload::Keys;
use crate::process::Usage;
use crate::produce::Producer;
use crate::recorder::{self, Point, Window, histogram};
use crate::report::{HdrLog, Outcome};
use crate::round::Round;
use crate::template::Mint;
use crate::wire::{self, Line, Topic};
use crate::{BenchError, Plan};

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
#[derive(Debug, Clone, Copy)]
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
    let pid = match watch.broker_pid {
        Some(pid) => Some(pid),
        None if stage.bootstrap.ip().is_loopback() => machine::listener(stage.bootstrap),
        None => None,
    };
    stage.play(plan, pid, log, progress).await
}

/// A producer's place: a connection to each broker, its id and its epoch.
struct Seat {
    lines: Vec<(SocketAddr, Line)>,
    identity: (i64, i16),
}

/// The topic and the connections of a run.
struct Stage {
    world: World,
    /// Keeps the topic's description and the connection it came by.
    _cluster: Cluster,
    bootstrap: SocketAddr,
    producers: Vec<Seat>,
    consumers: Vec<(SocketAddr, Line, Vec<Position>)>,
    /// For each partition, which of a producer's connections leads to it.
    lane_of: Vec<usize>,
    closers: Vec<Closer>,
}

impl Stage {
    async fn set(world: &World, plan: &Plan) -> Result<Self, BenchError> {
        let config = ClusterConfig {
            bootstrap: plan.bootstrap.clone(),
            dialect: plan.protocol,
            client_id: "corelog-bench".to_owned(),
            ..ClusterConfig::default()
        };
        let cluster = Cluster::connect(world, config).await?;
        let view = topic(world, &cluster, plan).await?;
        let topic = Topic { name: view.name().to_owned(), id: view.id() };
        let first = plan.bootstrap.first().map(String::as_str).unwrap_or_default();
        let (lane_of, addrs) = leaders(world, &cluster, &view, plan).await?;
        let mut stage = Self {
            world: world.clone(),
            bootstrap: resolve(world, first, plan.protocol.default_port()).await?,
            _cluster: cluster.clone(),
            producers: Vec::new(),
            consumers: Vec::new(),
            lane_of,
            closers: Vec::new(),
        };
        let spoken = (plan.protocol, &topic);
        if let Some(produce) = &plan.produce {
            for _ in 0..produce.producers {
                let mut lines = stage.connect(&addrs, spoken).await?;
                let identity = match lines.first_mut() {
                    Some((_, line)) if produce.idempotent => line.init_producer().await?,
                    Some(_) | None => (-1, -1),
                };
                stage.producers.push(Seat { lines, identity });
            }
        }
        if let Some(consume) = &plan.consume {
            let admin = Admin::new(&cluster);
            for number in 0..consume.consumers {
                let mine = (0..plan.partitions).filter(|it| it % consume.consumers == number);
                let mut shares: BTreeMap<usize, Vec<Position>> = BTreeMap::new();
                for partition in mine {
                    let position = position(&admin, plan, partition).await?;
                    shares.entry(stage.lane_of[partition as usize]).or_default().push(position);
                }
                for (lane, positions) in shares {
                    let lines = stage.connect(&addrs[lane..=lane], spoken).await?;
                    let with = |(addr, line)| (addr, line, positions.clone());
                    stage.consumers.extend(lines.into_iter().map(with));
                }
            }
        }
        Ok(stage)
    }

    async fn connect(
        &mut self,
        addrs: &[SocketAddr],
        spoken: (client::Dialect, &Topic),
    ) -> Result<Vec<(SocketAddr, Line)>, BenchError> {
        let mut lines = Vec::with_capacity(addrs.len());
        for addr in addrs {
            let (line, closer) = wire::connect(&self.world, *addr, spoken).await?;
            self.closers.push(closer);
            lines.push((*addr, line));
        }
        Ok(lines)
    }

    async fn play(
        self,
        plan: &Plan,
        pid: Option<u32>,
        mut log: Option<&mut HdrLog>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Outcome, BenchError> {
        let world = self.world.clone();
        let start = world.now() + HEAD_START;
        let from = start + plan.warm_up;
        let window = Window { from, end: from + plan.duration };
        let round = Rc::new(Round::new(window, self.closers));
        let produced = recorder::shared("produce", window);
        let consumed =
            recorder::shared(if plan.is_stamped() { "end-to-end" } else { "consume" }, window);
        let run = plan.is_stamped().then(|| world.random());

        let consumers = plan.consume.as_ref().map(|consume| {
            Rc::new(Consumers {
                plan: Rc::new(consume.clone()),
                dialect: plan.protocol,
                round: Rc::clone(&round),
                stream: Rc::clone(&consumed),
                world: world.clone(),
                run,
                seen: Cell::new(0),
                progress: Notify::new(),
                is_over: Cell::new(false),
            })
        });
        if let Some(produce) = &plan.produce {
            let shared = Rc::new(produce.clone());
            let keys = (produce.keys > 0).then(|| {
                let keys = (produce.keys, produce.key_distribution);
                Rc::new(Keys::new(keys, plan.partitions, plan.seed))
            });
            for (number, Seat { lines, identity }) in self.producers.into_iter().enumerate() {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                let mint = Mint::new(produce, plan.seed.wrapping_add(u64::from(number)), run)?;
                let pace = match produce.rate {
                    0 => Pace::Full,
                    rate => Pace::Fixed { rate, number, of: produce.producers },
                };
                let first = u64::from(number) * u64::from(plan.partitions);
                let share = Share {
                    pace,
                    start,
                    end: window.end,
                    partitions: plan.partitions,
                    first_partition: (first / u64::from(produce.producers)) as u32,
                    batch_records: mint.batch_records(),
                    linger: produce.linger,
                };
                let producer = Producer {
                    plan: Rc::clone(&shared),
                    dialect: plan.protocol,
                    round: Rc::clone(&round),
                    stream: Rc::clone(&produced),
                    packer: Packer::new(share, keys.clone()),
                    mint,
                    identity,
                    lane_of: self.lane_of.clone(),
                };
                producer.start(&world, lines);
            }
        }
        // Those who follow a load are there before it; a backlog is read from the beginning of the measurement on.
        let mut readers = Some(self.consumers);
        let mut read = || {
            let (Some(consumers), Some(readers)) = (&consumers, readers.take()) else { return };
            for (addr, line, positions) in readers {
                consume::start(consumers, (addr, line), positions);
            }
        };
        if plan.is_stamped() {
            read();
        }
        let gaps = Rc::new(RefCell::new(histogram()));
        let beats = heartbeat(world.clone(), Rc::clone(&round), Rc::clone(&gaps));
        world.spawn(TaskClass::Serve, beats);

        let (started_ms, began) = (world.wall_ms(), world.now());
        let whole = plan.warm_up + plan.duration;
        let mut tell = |is_warm, point: Option<Point>| {
            progress(Progress {
                gone: world.now().since(began),
                whole,
                is_warm,
                records_per_second: point.map_or(0.0, |point| point.records),
                p99: point.map_or(0, |point| point.p99),
            });
        };
        tell(false, None);
        world.sleep_until(from).await;
        let own = std::process::id();
        let (load, client, broker) = (Load::now(), Usage::of(own)?, usage(pid)?);
        read();
        let main = if plan.consume.is_some() { &consumed } else { &produced };
        let mut told = from;
        loop {
            let is_over = is_over(&round, plan);
            let now = world.now();
            if is_over || now > told {
                let span = now.since(told);
                let at = now.since(from);
                for stream in [&produced, &consumed] {
                    let mut stream = stream.borrow_mut();
                    if let Some(log) = log.as_deref_mut() {
                        log.write(stream.name, stream.interval(), (told.since(from), span))?;
                    }
                    // The last part of a second says nothing about a rate.
                    if span >= Duration::from_millis(500) {
                        stream.roll(at.as_secs_f64(), span);
                    } else {
                        stream.settle();
                    }
                }
                told = now;
                tell(true, main.borrow().points.last().copied());
            }
            if is_over || now >= window.end {
                break;
            }
            let second = (told + Duration::from_secs(1)).min(window.end);
            let ended = async {
                if plan.produce.is_some() {
                    round.producing.ended().await;
                } else {
                    round.consuming.ended().await;
                }
            };
            // That the second is over is what mostly happens.
            let _elapsed = world.timeout(second.since(now), ended).await.is_err();
        }
        let measured = world.now().since(from).min(plan.duration);
        let usages = (usage(pid)?, Usage::of(own)?, Load::now());

        drain(&world, &round, consumers.as_deref()).await;
        round.stop();
        if let Some(error) = round.take_failure() {
            return Err(error);
        }
        let unread = consumers
            .as_ref()
            .filter(|it| it.run.is_some())
            .map_or(0, |consumers| round.acknowledged.get().saturating_sub(consumers.seen.get()));
        let now = world.now();
        let finish = |stream: &recorder::Shared, log: Option<&mut HdrLog>| {
            let mut stream = stream.borrow_mut();
            if let Some(log) = log
                && !stream.interval().is_empty()
            {
                log.write(stream.name, stream.interval(), (told.since(from), now.since(told)))?;
            }
            stream.settle();
            Ok::<_, BenchError>(stream.clone())
        };
        let seconds = measured.as_secs_f64();
        Ok(Outcome {
            plan: plan.clone(),
            started_ms,
            seconds,
            produced: plan
                .produce
                .is_some()
                .then(|| finish(&produced, log.as_deref_mut()))
                .transpose()?,
            consumed: plan.consume.is_some().then(|| finish(&consumed, log)).transpose()?,
            broker: broker.zip(usages.0).map(|(before, after)| after.since(&before)),
            broker_pid: pid,
            client: usages.1.since(&client),
            client_gaps: gaps.borrow().clone(),
            pressure: load.until(&usages.2, seconds),
            unsent: round.unsent.get(),
            unanswered: round.unanswered.get(),
            unread,
        })
    }
}

/// Whether there is nothing more to measure.
fn is_over(round: &Round, plan: &Plan) -> bool {
    let tasks = if plan.produce.is_some() { &round.producing } else { &round.consuming };
    round.is_stopped() || tasks.have_ended()
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
async fn heartbeat(
    world: World,
    round: Rc<Round>,
    gaps: Rc<RefCell<hdrhistogram::Histogram<u64>>>,
) {
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

fn usage(pid: Option<u32>) -> Result<Option<Usage>, BenchError> {
    Ok(pid.map(Usage::of).transpose()?)
}

/// The topic with a leader for every partition; created first if the run produces.
async fn topic(world: &World, cluster: &Cluster, plan: &Plan) -> Result<Rc<TopicView>, BenchError> {
    let admin = Admin::new(cluster);
    if plan.produce.is_some() {
        let partitions = i32::try_from(plan.partitions).unwrap_or(i32::MAX);
        let new = NewTopic::named(&plan.topic).partitions(partitions);
        match admin.create_topic(&new).await {
            Ok(()) | Err(ClientError::Refused { code: ErrorCode::TopicAlreadyExists, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let deadline = world.now() + DRAIN_MAX;
    loop {
        let view = admin.describe_topic(&plan.topic).await;
        match view {
            Ok(view) if view.partitions.len() < plan.partitions as usize => {
                return Err(BenchError::Plan(format!(
                    "topic {:?} has {} partitions, not {}",
                    plan.topic,
                    view.partitions.len(),
                    plan.partitions
                )));
            }
            Ok(view) if view.partitions.iter().all(|partition| partition.leader.is_some()) => {
                return Ok(view);
            }
            Ok(_) if world.now() < deadline => {}
            Ok(_) => return Err(BenchError::Plan("some partitions have no leader".to_owned())),
            Err(ClientError::NoSuchTopic(_))
                if plan.produce.is_some() && world.now() < deadline => {}
            Err(error) => return Err(error.into()),
        }
        world.sleep(Duration::from_millis(50)).await;
    }
}

/// For each partition which broker leads it, and the brokers' addresses.
async fn leaders(
    world: &World,
    cluster: &Cluster,
    view: &TopicView,
    plan: &Plan,
) -> Result<(Vec<usize>, Vec<SocketAddr>), BenchError> {
    let mut places: BTreeMap<i32, usize> = BTreeMap::new();
    let mut lane_of = Vec::with_capacity(plan.partitions as usize);
    for partition in view.partitions.iter().take(plan.partitions as usize) {
        let next = places.len();
        lane_of.push(*places.entry(partition.leader.unwrap_or(-1)).or_insert(next));
    }
    let brokers = cluster.view().brokers;
    let mut addrs = vec![SocketAddr::from(([0, 0, 0, 0], 0)); places.len()];
    for (leader, place) in places {
        let broker = brokers.iter().find(|broker| broker.id == leader);
        let missing = || BenchError::Plan(format!("broker {leader} leads and is not listed"));
        let address = broker.ok_or_else(missing)?.address();
        addrs[place] = resolve(world, &address, plan.protocol.default_port()).await?;
    }
    Ok((lane_of, addrs))
}

async fn position(admin: &Admin, plan: &Plan, partition: u32) -> Result<Position, BenchError> {
    let index = i32::try_from(partition).unwrap_or(i32::MAX);
    let at = async |query| {
        let found = admin.list_offset(&plan.topic, index, query).await?;
        Ok::<_, ClientError>(found.offset.unwrap_or(0))
    };
    let end = at(OffsetQuery::Latest).await?;
    if plan.is_stamped() {
        return Ok(Position { partition, next: end, end: i64::MAX });
    }
    Ok(Position { partition, next: at(OffsetQuery::Earliest).await?, end })
}

async fn resolve(world: &World, address: &str, port: u16) -> Result<SocketAddr, BenchError> {
    if let Ok(addr) = address.parse() {
        return Ok(addr);
    }
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let text = if has_port { address.to_owned() } else { format!("{address}:{port}") };
    let wrong = |what: String| BenchError::Plan(format!("{address:?} has no address: {what}"));
    // The system's resolver blocks.
    let found = world
        .blocking(move || text.to_socket_addrs().map(Iterator::collect::<Vec<_>>))
        .await
        .map_err(|panic| wrong(panic.to_string()))?
        .map_err(|error| wrong(error.to_string()))?;
    found.first().copied().ok_or_else(|| wrong("none was found".to_owned()))
}
