//! The simulated world: one thread, virtual time, and a seed that decides everything else.
//!
//! A [`Sim`] holds any number of machines (nodes), each with a disk, joined by a network. Tasks of
//! all nodes share one executor; which ready task runs next, how long every operation takes and
//! which faults strike come from the seed, so the same seed gives the same run, checked by
//! [`Sim::trace_hash`]. Computing takes no time; time passes when nobody can run.

pub(crate) mod disk;
pub(crate) mod mesh;
pub(crate) mod net;
pub(crate) mod task;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

pub use disk::{CrashPlan, DiskFaults, DiskOp, Latency, SimDisk};
pub use net::{LinkFaults, SimNet};

use crate::chunk::{MemoryKind, Pool};
use crate::lag::LagHistogram;
use crate::random::Rng;
use crate::world::Kind;
use crate::{Nanos, ShardContext, ShardId, StopHandle};

/// A simulation. Cheap to clone; not `Send`.
#[derive(Clone)]
pub struct Sim(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) executor: task::Executor,
    pub(crate) net: SimNet,
    seed: u64,
    nodes: RefCell<BTreeMap<NodeId, Node>>,
    random: RefCell<Rng>,
    pool: Rc<Pool>,
    wall_origin_ms: Cell<i64>,
}

/// A simulated machine's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeId(pub u16);

#[derive(Clone)]
struct Node {
    disk: SimDisk,
    stop: Arc<Stop>,
}

/// Whether a node was told to stop, and who waits for it. `Send`, as the real one.
#[derive(Default)]
pub(crate) struct Stop {
    told: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Stop {
    pub(crate) fn tell(&self) {
        self.told.store(true, Ordering::Relaxed);
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }
    fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }
    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One shard of one simulated machine.
#[derive(Clone)]
pub(crate) struct World(Rc<Shard>);

struct Shard {
    sim: Sim,
    node: NodeId,
    shard: ShardId,
    disk: SimDisk,
    stop: Arc<Stop>,
    lag: LagHistogram,
}

/// Why a simulation ended before its first task did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// No task is ready and no timer runs; these tasks wait, named by where they were spawned.
    Deadlock(Vec<String>),
    /// Tasks kept waking each other without time passing; these were ready.
    Livelock(Vec<String>),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadlock(tasks) => {
                write!(f, "no task is ready and no timer runs; waiting: {}", tasks.join(", "))
            }
            Self::Livelock(tasks) => {
                write!(f, "time stands still; ready: {}", tasks.join(", "))
            }
        }
    }
}
impl std::error::Error for Stuck {}

/// Independent streams of randomness, so that one more packet does not change the disk's faults.
pub(crate) mod salt {
    pub(crate) const SCHEDULE: u64 = 1;
    pub(crate) const WORLD: u64 = 2;
    pub(crate) const DISK: u64 = 3;
    pub(crate) const NET: u64 = 4;
    pub(crate) const CRASH: u64 = 5;
}

impl Sim {
    /// A simulation that `seed` decides: one node with an empty disk and no faults, until changed.
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(Inner {
            executor: task::Executor::new(seed),
            net: SimNet::new(seed),
            seed,
            nodes: RefCell::default(),
            random: RefCell::new(Rng::new(seed, salt::WORLD)),
            pool: Pool::new(MemoryKind::Heap, 64 << 20),
            wall_origin_ms: Cell::new(1_700_000_000_000),
        }))
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Runs the future, on node 0, until it ends; then every other task is dropped where it
    /// stands. May be called again: time, disks and faults go on.
    pub fn run<R: Future>(
        &self,
        start: impl FnOnce(crate::World) -> R,
    ) -> Result<R::Output, Stuck> {
        let first = start(self.world(NodeId(0)));
        self.0.executor.run(first)
    }

    /// Runs one future per shard of node 0, as [`crate::run_shards`] does; their values in order.
    pub fn run_shards<R, T>(
        &self,
        shards: usize,
        start: impl Fn(ShardContext) -> R,
    ) -> Result<Vec<T>, Stuck>
    where
        R: Future<Output = T> + 'static,
        T: 'static,
    {
        let contexts = (0..shards).map(|index| {
            let shard = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
            let world = self.shard_world(NodeId(0), shard);
            let stop = StopHandle::sim(self.node(NodeId(0)).stop);
            ShardContext { world, shard, shards, stop }
        });
        let ended: Vec<_> = contexts
            .map(|context| {
                let (sender, receiver) = crate::sync::oneshot();
                let world = context.world.clone();
                let task = start(context);
                world.spawn(crate::TaskClass::Serve, async move {
                    // Nobody listening means that the simulation ended.
                    drop(sender.send(task.await));
                });
                receiver
            })
            .collect();
        self.0.executor.run(async move {
            let mut values = Vec::with_capacity(ended.len());
            for value in ended {
                values.push(value.await.expect("a shard's task sends before it ends"));
            }
            values
        })
    }

    /// A handle to a node's first shard.
    pub fn world(&self, node: NodeId) -> crate::World {
        self.shard_world(node, ShardId(0))
    }

    /// A handle to one shard of a node.
    pub fn shard_world(&self, node: NodeId, shard: ShardId) -> crate::World {
        let Node { disk, stop } = self.node(node);
        let sim = self.clone();
        let lag = LagHistogram::default();
        crate::World(Kind::Sim(World(Rc::new(Shard { sim, node, shard, disk, stop, lag }))))
    }

    /// A node's disk.
    pub fn disk(&self, node: NodeId) -> SimDisk {
        self.node(node).disk
    }

    /// Puts another disk into a node, an image after a crash for instance. Handles made before
    /// keep the old one.
    pub fn set_disk(&self, node: NodeId, disk: SimDisk) {
        self.node(node);
        if let Some(node) = self.0.nodes.borrow_mut().get_mut(&node) {
            node.disk = disk;
        }
    }

    /// The network between the nodes, and its faults.
    pub fn net(&self) -> &SimNet {
        &self.0.net
    }

    /// Ends a node's process: its tasks are dropped where they stand, its connections break, its
    /// ports are free. Its disk keeps what the page cache and the device have; use
    /// [`SimDisk::kill`] or [`SimDisk::crash`] for what the next process finds.
    pub fn kill(&self, node: NodeId) {
        self.0.executor.drop_tasks(node);
        self.0.net.break_node(node);
        if let Some(node) = self.0.nodes.borrow_mut().get_mut(&node) {
            node.stop = Arc::default();
        }
    }

    /// Tells a node's shards to stop, as SIGTERM does.
    pub fn stop(&self, node: NodeId) {
        self.node(node).stop.tell();
    }

    /// Virtual time.
    pub fn now(&self) -> Nanos {
        self.0.executor.now()
    }

    /// Sets the wall clock; it runs on with virtual time from here.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        let passed = self.now().get() / 1_000_000;
        self.0.wall_origin_ms.set(wall_ms - i64::try_from(passed).unwrap_or(i64::MAX));
    }

    /// A hash over which task ran when: equal for equal seeds, or something is not decided by the
    /// seed.
    pub fn trace_hash(&self) -> u64 {
        self.0.executor.trace_hash()
    }

    fn node(&self, node: NodeId) -> Node {
        let mut nodes = self.0.nodes.borrow_mut();
        let found = nodes.entry(node).or_insert_with(|| {
            let seed = self.0.seed ^ u64::from(node.0).rotate_left(32);
            Node { disk: SimDisk::new(seed), stop: Arc::default() }
        });
        found.clone()
    }
}

impl World {
    pub(crate) fn now(&self) -> Nanos {
        self.0.sim.now()
    }
    pub(crate) fn wall_ms(&self) -> i64 {
        let passed = i64::try_from(self.now().get() / 1_000_000).unwrap_or(i64::MAX);
        self.0.sim.0.wall_origin_ms.get().saturating_add(passed)
    }
    pub(crate) fn random(&self) -> u64 {
        self.0.sim.0.random.borrow_mut().next()
    }
    pub(crate) fn executor(&self) -> &task::Executor {
        &self.0.sim.0.executor
    }
    pub(crate) fn net(&self) -> &SimNet {
        &self.0.sim.0.net
    }
    pub(crate) fn node(&self) -> NodeId {
        self.0.node
    }
    pub(crate) fn shard(&self) -> ShardId {
        self.0.shard
    }
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.0.sim.0.pool
    }
    pub(crate) fn disk(&self) -> &SimDisk {
        &self.0.disk
    }
    pub(crate) fn lag(&self) -> &LagHistogram {
        &self.0.lag
    }
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stop.is_told()
    }
    pub(crate) async fn stopping(&self) {
        poll_fn(|context| {
            if self.is_stopping() {
                return Poll::Ready(());
            }
            let mut waiting = self.0.stop.waiting();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.executor().sleep_until(self.now() + duration).await;
    }

    /// A round of a real reactor takes some microseconds, so time passes here too: a loop that
    /// waits for the machine by taking turns ends.
    pub(crate) async fn turn(&self) {
        let micros = 1 + self.executor().draw(20);
        self.sleep(Duration::from_micros(micros)).await;
    }

    /// Runs the work at once, after the time it took to reach a thread.
    pub(crate) async fn blocking<T>(&self, work: impl FnOnce() -> T) -> std::thread::Result<T> {
        let micros = 10 + self.executor().draw(200);
        self.sleep(Duration::from_micros(micros)).await;
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
    }
}
