//! What a shard may ask of the machine, in the real world or a simulated one.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::chunk::{Chunk, PoolStats};
use crate::lag::LoopLag;
use crate::net::{ListenOptions, Listener, Stream};
use crate::{Disk, Nanos, real, sim};

/// A shard's handle to its machine. Cheap to clone, belongs to one shard, not `Send`.
#[derive(Clone)]
pub struct World(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Real(real::World),
    Sim(sim::World),
}

/// A shard's number, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The first `count` shards, in order.
    pub fn all(count: usize) -> impl Iterator<Item = Self> {
        (0..u16::try_from(count).unwrap_or(u16::MAX)).map(Self)
    }

    /// As an index into per-shard lists.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who goes first when a shard is busy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskClass {
    /// Someone waits for it.
    Serve,
    /// Retention, compaction, scrubbing: a tenth of the shard when it is busy.
    Background,
}

/// The time ran out first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}
impl std::error::Error for Elapsed {}
impl From<Elapsed> for io::Error {
    fn from(_: Elapsed) -> Self {
        io::ErrorKind::TimedOut.into()
    }
}

/// Work on a blocking thread panicked; the message, if it was text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockingPanicked(pub String);

impl fmt::Display for BlockingPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blocking work panicked: {}", self.0)
    }
}
impl std::error::Error for BlockingPanicked {}
impl From<BlockingPanicked> for io::Error {
    fn from(panic: BlockingPanicked) -> Self {
        Self::other(panic)
    }
}

impl World {
    /// Monotonic time.
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Kind::Real(_) => real::clock::now(),
            Kind::Sim(world) => world.now(),
        }
    }

    /// Milliseconds since 1970. For timestamps only, never for order: it may jump.
    pub fn wall_ms(&self) -> i64 {
        match &self.0 {
            Kind::Real(_) => real::clock::wall_ms(),
            Kind::Sim(world) => world.wall_ms(),
        }
    }

    /// Waits at least `duration`. Safe to drop.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::Real(world) => world.sleep(duration).await,
            Kind::Sim(world) => world.sleep(duration).await,
        }
    }

    /// Waits until `deadline` is reached. Safe to drop.
    pub async fn sleep_until(&self, deadline: Nanos) {
        self.sleep(deadline.since(self.now())).await;
    }

    /// Waits for `future` at most `duration`; when the time is up the future is dropped.
    pub async fn timeout<T>(
        &self,
        duration: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut future = pin!(future);
        let mut sleep = pin!(self.sleep(duration));
        poll_fn(|context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            sleep.as_mut().poll(context).map(|()| Err(Elapsed))
        })
        .await
    }

    /// Starts a task that lives by itself. It first runs later, never within this call, and ends
    /// by finishing: tell it to (a closed queue, a gate), for nothing can cancel it.
    #[track_caller]
    pub fn spawn(&self, class: TaskClass, task: impl Future<Output = ()> + 'static) {
        match &self.0 {
            Kind::Real(world) => world.spawn(class, task),
            Kind::Sim(world) => world.executor().spawn(world.node(), task),
        }
    }

    /// Hands over to the other tasks and to the machine: I/O is submitted and reaped before this
    /// returns. What every loop does that may run longer than 50 µs.
    pub async fn turn(&self) {
        match &self.0 {
            Kind::Real(world) => world.turn().await,
            Kind::Sim(world) => world.turn().await,
        }
    }

    /// Takes a turn if this task has run long enough that others wait. Nearly free otherwise.
    pub async fn turn_if_needed(&self) {
        let needed = match &self.0 {
            Kind::Real(world) => world.should_turn(),
            Kind::Sim(world) => world.executor().draw(8) == 0,
        };
        if needed {
            self.turn().await;
        }
    }

    /// Runs `work` on a thread where it may block or compute for long. It runs to its end even if
    /// this future is dropped.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BlockingPanicked> {
        let outcome = match &self.0 {
            Kind::Real(world) => world.blocking(work).await,
            Kind::Sim(world) => world.blocking(work).await,
        };
        outcome.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()));
            BlockingPanicked(text.unwrap_or_default())
        })
    }

    /// A number that nobody can guess from outside, but not a secret: seeded by the kernel or by
    /// the simulation.
    pub fn random(&self) -> u64 {
        match &self.0 {
            Kind::Real(world) => world.random(),
            Kind::Sim(world) => world.random(),
        }
    }

    /// Files.
    pub fn disk(&self) -> Disk {
        match &self.0 {
            Kind::Real(world) => Disk::real(world.clone()),
            Kind::Sim(world) => Disk::sim(world.clone()),
        }
    }

    /// Listens on `addr`.
    pub async fn listen(&self, addr: SocketAddr, options: ListenOptions) -> io::Result<Listener> {
        match &self.0 {
            Kind::Real(world) => {
                real::net::Listener::bind(world, addr, options).map(Listener::real)
            }
            Kind::Sim(world) => sim::net::Listener::bind(world, addr, options).map(Listener::sim),
        }
    }

    /// Connects to `addr`; the connection sends without delay (TCP_NODELAY). Bound it in time with
    /// [`World::timeout`].
    pub async fn connect(&self, addr: SocketAddr) -> io::Result<Stream> {
        match &self.0 {
            Kind::Real(_) => real::net::Stream::connect(addr).await.map(Stream::real),
            Kind::Sim(world) => sim::net::Stream::connect(world, addr).await.map(Stream::sim),
        }
    }

    /// Aligned memory for at least `capacity` bytes from the shard's recycled pool, in sizes of
    /// 4 KiB, 8 KiB, .. 4 MiB, and whole blocks above.
    pub fn chunk(&self, capacity: usize) -> Chunk {
        Chunk::new(self.pool(), capacity)
    }

    /// What the shard's memory pool holds and did.
    pub fn pool_stats(&self) -> PoolStats {
        self.pool().stats()
    }

    fn pool(&self) -> &std::rc::Rc<crate::chunk::Pool> {
        match &self.0 {
            Kind::Real(world) => &world.0.pool,
            Kind::Sim(world) => world.pool(),
        }
    }

    /// Which shard this is.
    pub fn shard(&self) -> ShardId {
        match &self.0 {
            Kind::Real(world) => world.0.shard,
            Kind::Sim(world) => world.shard(),
        }
    }

    /// Ends when the shard is told to stop (SIGTERM, SIGINT, or a [`crate::StopHandle`]).
    pub async fn stopping(&self) {
        match &self.0 {
            Kind::Real(world) => {
                while !world.0.stop.told.get() {
                    world.0.stop.changed.notified().await;
                }
            }
            Kind::Sim(world) => world.stopping().await,
        }
    }

    /// Whether the shard was told to stop.
    pub fn is_stopping(&self) -> bool {
        match &self.0 {
            Kind::Real(world) => world.0.stop.told.get(),
            Kind::Sim(world) => world.is_stopping(),
        }
    }

    /// How late the shard's heartbeat came so far.
    pub fn loop_lag(&self) -> LoopLag {
        match &self.0 {
            Kind::Real(world) => world.0.lag.summary(),
            Kind::Sim(world) => world.lag().summary(),
        }
    }
}
