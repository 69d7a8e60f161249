//! The order a broker starts in, and the reverse.
//!
//! Start: the machine is fit, the ports are free, the directory is ours; every shard opens its
//! store; shard 0 reads the metadata and hands out partitions; every shard listens; `ready`.
//! Stop: nobody accepts or reads any more; what is owed is answered; stores close.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use runtime::{
    ListenOptions, Listener, MeshBuilder, PortClaim, ShardContext, ShardId, ShardsConfig,
    TaskClass, World, run_shards,
};
use storage::{Store, StoreConfig};

use crate::admin;
use crate::config::BrokerConfig;
use crate::connection::census::Census;
use crate::connection::registry::Registry;
use crate::connection::{self, Dialect};
use crate::controller::Controller;
use crate::decide::{finalize_features, register};
use crate::directory;
use crate::settings;
use crate::shard::{Mail, Parts, Shard};
use crate::view::Node;

/// How long answers that are owed may take to leave when the broker stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How often silent connections are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often old segments are looked for.
const TICK_EVERY: Duration = Duration::from_secs(5);
/// Mail that may wait for one shard; far more than the requests its peers may have under way.
const MAIL_MAX: usize = 1 << 20;
/// Memory for bytes that only the journal has, at the least.
const UNFLUSHED_MIN: u64 = 4 << 20;
/// TCP probes a silent peer after this time, so that a dead one is noticed.
const KEEPALIVE: Duration = Duration::from_secs(120);

/// Why a broker did not start, in one line for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is in use, or the address is not this machine's.
    #[error("cannot listen for {what}: {error}")]
    Port { what: &'static str, error: io::Error },
    /// The machine lacks something the broker needs.
    #[error("{0}")]
    Machine(String),
    /// The data directory cannot be used.
    #[error("data directory {}: {reason}", dir.display())]
    Directory { dir: PathBuf, reason: String },
    /// A broker-wide setting is unknown or has a value that it cannot have.
    #[error("{0}")]
    Settings(String),
    /// A shard could not start.
    #[error("{0}")]
    Shard(String),
}

/// Where a broker serves.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Kafka clients.
    pub kafka: SocketAddr,
    /// Native clients.
    pub native: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
    /// The cluster's id.
    pub cluster_id: String,
    /// Shards, one per core.
    pub shards: usize,
}

/// What the shards of one broker share while they start. Nothing here is on the data path.
struct Common {
    config: BrokerConfig,
    serving: Serving,
    connections: Arc<Census>,
    mesh: MeshBuilder<Mail>,
    on_ready: Box<dyn Fn(&Serving) + Send + Sync>,
    directory_id: [u8; 16],
    /// Segment files that may be open, over all shards.
    open_files: usize,
    /// A shard could not start; it takes no mail and sends none.
    failed: AtomicBool,
    /// Keep the ports ours while shards listen on them.
    _claims: [PortClaim; 3],
}

/// Runs a broker until it is told to stop (SIGTERM, SIGINT). `on_ready` is called once, when
/// clients can connect.
///
/// # Errors
/// The broker could not start; nothing was changed that a later start would not understand.
pub fn run(
    config: BrokerConfig,
    on_ready: impl Fn(&Serving) + Send + Sync + 'static,
) -> Result<(), StartError> {
    settings::check(&config.kafka_settings).map_err(StartError::Settings)?;
    let claim = |what: &'static str, addr| {
        PortClaim::new(addr).map_err(|error| StartError::Port { what, error })
    };
    let claims = [
        claim("Kafka clients", config.kafka)?,
        claim("native clients", config.native)?,
        claim("the admin port", config.admin)?,
    ];
    runtime::check_machine().map_err(|error| StartError::Machine(error.to_string()))?;
    let directory = directory::take(&config)?;
    let shards = ShardsConfig {
        shards: config.shards,
        pin: config.shards > 1,
        name: "corelog".into(),
        ..ShardsConfig::default()
    };
    let serving = Serving {
        kafka: claims[0].addr(),
        native: claims[1].addr(),
        admin: claims[2].addr(),
        cluster_id: directory.manifest.identity.cluster.clone(),
        shards: config.shards,
    };
    let mut config = config;
    settings::complete(&mut config, &serving);
    let common = Arc::new(Common {
        serving,
        connections: Arc::new(Census::new()),
        mesh: MeshBuilder::new(config.shards, MAIL_MAX),
        on_ready: Box::new(on_ready),
        directory_id: directory.manifest.directory,
        open_files: runtime::raise_open_files() / 2,
        failed: AtomicBool::new(false),
        _claims: claims,
        config,
    });
    let outcomes = run_shards(&shards, move |context| {
        let common = Arc::clone(&common);
        async move {
            let stop = context.stop.clone();
            let outcome = shard_main(context, &common).await;
            if outcome.is_err() {
                common.failed.store(true, Ordering::Relaxed);
                // The others must not wait for a shard that will never come.
                stop.stop();
            }
            outcome
        }
    });
    let outcomes = outcomes.map_err(|error| StartError::Machine(error.to_string()))?;
    match outcomes.into_iter().find_map(Result::err) {
        Some(reason) => Err(StartError::Shard(reason)),
        None => Ok(()),
    }
}

/// One shard's life.
async fn shard_main(context: ShardContext, common: &Common) -> Result<(), String> {
    let world = context.world.clone();
    let mesh = common.mesh.clone().join(&world).await;
    let (store, report) = Store::open(world.clone(), store_config(&context, common))
        .await
        .map_err(|error| error.to_string())?;
    let damaged = !report.lost.is_empty() || report.lost_groups.is_some();
    let shard = Shard::new(Parts {
        damaged,
        id: context.shard,
        count: context.shards,
        mesh,
        config: Rc::new(common.config.clone()),
        node: Rc::new(node(common)),
        registry: Registry::new(Arc::clone(&common.connections)),
        world: world.clone(),
        store,
    });
    world.spawn(TaskClass::Serve, Rc::clone(&shard).serve_mail());
    if context.shard == ShardId(0) {
        match unless_stopping(&world, start_broker(&shard, common)).await {
            Some(Ok(())) => {}
            Some(Err(reason)) => return Err(reason),
            // Another shard has failed and says why.
            None => return Ok(()),
        }
    }
    world.stopping().await;
    shard.stop_serving().await;
    if !common.failed.load(Ordering::Relaxed) {
        // One that was stopped while it started says nothing.
        if world.timeout(DRAIN_MAX, shard.others_drained()).await.is_err() {
            tracing::warn!(shard = %shard.id, "another shard did not say that it is done");
        }
    }
    if shard.store.close().await.is_err() {
        tracing::warn!(shard = %shard.id, "stopped with a fenced store; the next start recovers");
    }
    Ok(())
}

/// What a shard's store may use: its share of the broker's memory.
fn store_config(context: &ShardContext, common: &Common) -> StoreConfig {
    let share = common.config.memory_bytes / context.shards as u64;
    let ours = StoreConfig::new(&common.config.dir, context.shard);
    let journal_bytes = common.config.journal_bytes;
    // More than half of a lap can hardly be waiting for its segments.
    let unflushed_bytes = (share / 2).min(journal_bytes / 2).max(UNFLUSHED_MIN);
    StoreConfig {
        journal_bytes,
        // What waits for its segments is in the cache already; the rest is for groups and reads.
        cache_bytes: share - share / 8,
        unflushed_bytes,
        request_bytes: common.config.limits.request_max_bytes.into(),
        compaction_bytes: settings::compaction_bytes(&common.config.kafka_settings)
            .map_or(ours.compaction_bytes, |bytes| bytes / context.shards as u64),
        open_files_max: common.open_files / context.shards,
        ..ours
    }
}

/// What `work` gives, or nothing if the broker is told to stop first.
async fn unless_stopping<T>(world: &World, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut stopping = pin!(world.stopping());
    poll_fn(|context| {
        if let Poll::Ready(value) = work.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        stopping.as_mut().poll(context).map(|()| None)
    })
    .await
}

fn node(common: &Common) -> Node {
    let serving = &common.serving;
    let told = |given: &Option<(String, u16)>, addr: SocketAddr| {
        given.clone().unwrap_or_else(|| (reachable(addr), addr.port()))
    };
    Node {
        cluster_id: serving.cluster_id.clone(),
        broker_id: common.config.broker_id,
        kafka: told(&common.config.advertise, serving.kafka),
        native: told(&common.config.advertise_native, serving.native),
        rack: common.config.rack.clone(),
    }
}

/// A host that clients on this machine can connect to; an address of all interfaces is not one.
fn reachable(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() { "localhost".to_owned() } else { addr.ip().to_string() }
}

/// Shard 0: metadata first, then every shard listens, then `ready`.
async fn start_broker(shard: &Rc<Shard>, common: &Common) -> Result<(), String> {
    let controller = Controller::start(shard).await.map_err(|error| error.to_string())?;
    shard.install(controller);
    register(shard, common.directory_id).await.map_err(|refusal| refusal.to_string())?;
    finalize_features(shard).await.map_err(|refusal| refusal.to_string())?;
    for id in ShardId::all(shard.count()) {
        let (kafka, native) = (common.serving.kafka, common.serving.native);
        shard
            .on(id, move |there: Rc<Shard>| async move { there.listen(kafka, native).await })
            .await
            .map_err(|gone| gone.to_string())??;
    }
    shard.listen_admin(common.serving.admin).await?;
    (common.on_ready)(&common.serving);
    Ok(())
}

impl Shard {
    /// Accepts clients from here on.
    async fn listen(self: Rc<Self>, kafka: SocketAddr, native: SocketAddr) -> Result<(), String> {
        for (dialect, addr) in [(Dialect::Kafka, kafka), (Dialect::Native, native)] {
            let options =
                ListenOptions { shared: true, keepalive: Some(KEEPALIVE), ..Default::default() };
            let listener = self.world.listen(addr, options).await;
            let listener = Rc::new(listener.map_err(|error| error.to_string())?);
            self.listeners.borrow_mut().push(Rc::clone(&listener));
            self.world.spawn(TaskClass::Serve, accept_all(Rc::clone(&self), listener, dialect));
        }
        self.world.spawn(TaskClass::Background, sweep(Rc::clone(&self)));
        self.world.spawn(TaskClass::Background, compact(Rc::clone(&self)));
        Ok(())
    }

    async fn listen_admin(self: &Rc<Self>, addr: SocketAddr) -> Result<(), String> {
        let options = ListenOptions { shared: true, ..Default::default() };
        let listener = self.world.listen(addr, options).await.map_err(|error| error.to_string())?;
        let listener = Rc::new(listener);
        self.listeners.borrow_mut().push(Rc::clone(&listener));
        self.world.spawn(TaskClass::Serve, admin::serve(Rc::clone(self), listener));
        Ok(())
    }

    /// Answers what is owed and lets go of every connection.
    async fn stop_serving(self: &Rc<Self>) {
        self.stop();
        // Members that wait for others would keep their connections.
        self.groups.stop();
        for listener in self.listeners.borrow_mut().drain(..) {
            listener.close();
        }
        self.registry.stop_reading();
        if self.world.timeout(DRAIN_MAX, self.registry.emptied()).await.is_err() {
            tracing::warn!(shard = %self.id, left = self.registry.len(), "connections cut off");
            self.registry.close_all();
        }
    }
}

async fn accept_all(shard: Rc<Shard>, listener: Rc<Listener>, dialect: Dialect) {
    let mut second = shard.world.now();
    let mut accepted = 0;
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                continue;
            }
        };
        // So many per second and no more; the rest wait in the kernel's queue.
        accepted += 1;
        if accepted >= shard.config.limits.connections_per_second {
            let spent = shard.world.now().since(second);
            if let Some(left) = Duration::from_secs(1).checked_sub(spent) {
                shard.world.sleep(left).await;
            }
            second = shard.world.now();
            accepted = 0;
        }
        shard.world.spawn(TaskClass::Serve, connection::serve(Rc::clone(&shard), stream, dialect));
    }
}

/// Compacts the logs that need it, the one that needs it most first.
async fn compact(shard: Rc<Shard>) {
    while !shard.is_stopping() {
        match shard.store.compact(shard.world.wall_ms()).await {
            Ok(true) => {}
            Ok(false) => {
                let since = shard.world.now();
                while !shard.is_stopping() {
                    let rested = shard.world.now().since(since);
                    let left = settings::compaction_backoff(&shard).saturating_sub(rested);
                    if left.is_zero() {
                        break;
                    }
                    shard.world.sleep(left.min(SWEEP_EVERY)).await;
                }
            }
            // A fenced store has said why.
            Err(_) => return,
        }
    }
}

/// Once a second: silent connections go. Now and then: old segments go.
async fn sweep(shard: Rc<Shard>) {
    let mut ticked = shard.world.now();
    while !shard.is_stopping() {
        shard.world.sleep(SWEEP_EVERY).await;
        let now = shard.world.now();
        shard.registry.sweep(&shard, now);
        if now.since(ticked) >= TICK_EVERY {
            ticked = now;
            // A fenced store has said why, and has nothing left to tidy.
            if shard.store.tick(shard.world.wall_ms()).await.is_err() {
                return;
            }
        }
    }
}
