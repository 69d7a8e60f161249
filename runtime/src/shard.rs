//! Shards: one executor per core, started and stopped together.

use std::future::Future;
use std::io;
use std::time::Duration;

use crate::{ShardId, World, real, sim};

/// How to run shards.
#[derive(Clone, Debug)]
pub struct ShardsConfig {
    /// How many shards.
    pub shards: usize,
    /// Pin each shard to a CPU of its own (the first `shards` that this process may use). Without
    /// effect if there are fewer CPUs than shards.
    pub pin: bool,
    /// Thread names: `name-0`, `name-1`, ..
    pub name: String,
    /// SIGTERM and SIGINT stop the shards.
    pub signals: bool,
    /// Chunk memory kept for reuse, per shard.
    pub free_bytes_max: usize,
    /// Memory registered with the rings, per shard, for reads. It is pinned from the start.
    pub io_memory_bytes: usize,
    /// Keep looking for events this long before sleeping. Only for cores nobody else uses; needs
    /// `pin`.
    pub spin: Duration,
}

impl Default for ShardsConfig {
    fn default() -> Self {
        Self {
            shards: 1,
            pin: false,
            name: "shard".into(),
            signals: true,
            free_bytes_max: 64 << 20,
            io_memory_bytes: 2 << 20,
            spin: Duration::ZERO,
        }
    }
}

/// What a shard's first task gets.
pub struct ShardContext {
    /// The shard's machine.
    pub world: World,
    /// Which shard.
    pub shard: ShardId,
    /// How many there are.
    pub shards: usize,
    /// Stops them all.
    pub stop: StopHandle,
}

/// Tells every shard of a run to stop. May be cloned and sent anywhere.
#[derive(Clone)]
pub struct StopHandle(StopKind);

#[derive(Clone)]
enum StopKind {
    Real(real::signal::Stopper),
    Sim(std::sync::Arc<sim::Stop>),
}

impl StopHandle {
    pub(crate) fn real(stopper: real::signal::Stopper) -> Self {
        Self(StopKind::Real(stopper))
    }
    pub(crate) fn sim(stop: std::sync::Arc<sim::Stop>) -> Self {
        Self(StopKind::Sim(stop))
    }

    /// Tells them. Telling them again changes nothing.
    pub fn stop(&self) {
        match &self.0 {
            StopKind::Real(stopper) => stopper.stop(),
            StopKind::Sim(stop) => stop.tell(),
        }
    }
}

/// CPUs this process may use.
pub fn cpu_count() -> usize {
    real::shard::cpus().len().max(1)
}

/// Runs one executor per shard, each with the future that `start` makes for it, until all have
/// ended; returns their values in order. Fails if the machine is unfit, or if an executor cannot
/// start: shards that already run are then told to stop, and the process should end. Blocks the
/// calling thread.
pub fn run_shards<F, R, T>(config: &ShardsConfig, start: F) -> io::Result<Vec<T>>
where
    F: Fn(ShardContext) -> R + Send + Sync + 'static,
    R: Future<Output = T> + 'static,
    T: Send + 'static,
{
    real::shard::run(config, start)
}

/// Runs one shard on this thread until the future ends: tools, clients, tests. No pinning, no
/// signal handling.
pub fn block_on<R: Future>(start: impl FnOnce(World) -> R) -> io::Result<R::Output> {
    real::shard::block_on(start)
}
