//! The topic, its leaders and the connections of a run, all there before the first record is due.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use client::{Admin, ClientError, Cluster, ClusterConfig, NewTopic, OffsetQuery, TopicView};
use protocol::ErrorCode;
use runtime::{Closer, World};

use crate::consume::Position;
use crate::wire::{self, Line, Topic};
use crate::{BenchError, Plan};

/// How long a new topic may take until all its partitions are led, or a broker until it has producer ids.
const LEADERS_MAX: Duration = Duration::from_secs(30);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// A producer's place: a connection to each broker, its id and its epoch.
pub(crate) struct Seat {
    pub(crate) lines: Vec<(SocketAddr, Line)>,
    pub(crate) identity: (i64, i16),
}

/// A consumer's connection to one broker, and where it reads.
pub(crate) struct Reader {
    pub(crate) addr: SocketAddr,
    pub(crate) line: Line,
    pub(crate) positions: Vec<Position>,
}

/// The topic and the connections of a run.
pub(crate) struct Stage {
    world: World,
    /// Keeps the topic's description and the connection it came by.
    _cluster: Cluster,
    pub(crate) bootstrap: SocketAddr,
    pub(crate) producers: Vec<Seat>,
    pub(crate) readers: Vec<Reader>,
    /// For each partition, which of a producer's connections leads to it.
    pub(crate) lane_of: Vec<usize>,
    pub(crate) closers: Vec<Closer>,
}

impl Stage {
    /// Connects to everybody; creates the topic if the run produces.
    pub(crate) async fn set(world: &World, plan: &Plan) -> Result<Self, BenchError> {
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
            readers: Vec::new(),
            lane_of,
            closers: Vec::new(),
        };
        let spoken = (plan.protocol, &topic);
        if let Some(produce) = &plan.produce {
            for _ in 0..produce.producers {
                let mut lines = stage.connect(&addrs, spoken).await?;
                let identity = match lines.first_mut() {
                    Some((_, line)) if produce.idempotent => identity(world, line).await?,
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
                    let with = |(addr, line)| Reader { addr, line, positions: positions.clone() };
                    stage.readers.extend(lines.into_iter().map(with));
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
    let deadline = world.now() + LEADERS_MAX;
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
        world.sleep(PAUSE).await;
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

/// A producer's id and epoch; a broker that has just started may not have one yet.
async fn identity(world: &World, line: &mut Line) -> Result<(i64, i16), BenchError> {
    let deadline = world.now() + LEADERS_MAX;
    loop {
        match line.init_producer().await {
            Err(BenchError::Refused { code, .. }) if code.retriable() && world.now() < deadline => {
                world.sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
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
