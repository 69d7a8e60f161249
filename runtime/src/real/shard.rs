//! glommio executors.
#![expect(unsafe_code, reason = "the CPUs this process may use")]

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};

use super::signal::{Signals, Stopper};
use super::watchdog::Watch;
use super::{World, task};
use crate::world::Kind;
use crate::{ShardContext, ShardId, ShardsConfig, StopHandle};

/// Requests a ring takes at a time. The kernel keeps polls in a table whose size follows from this and
/// searches it for whatever is cancelled, every timer included: at 10,000 idle connections a ring of
/// 1,024 spends a third of its CPU on that, and from 4,096 on the table is as large as it gets.
const RING_DEPTH: usize = 4096;
const BLOCKING_THREADS: usize = 2;

pub(crate) fn run<F, R, T>(config: &ShardsConfig, start: F) -> io::Result<Vec<T>>
where
    F: Fn(ShardContext) -> R + Send + Sync + 'static,
    R: Future<Output = T> + 'static,
    T: Send + 'static,
{
    super::machine::check_machine()?;
    super::machine::refuse_huge_pages();
    let shards = config.shards.clamp(1, usize::from(u16::MAX));
    let stop = Stopper::new(shards)?;
    // Before the threads start, so that they inherit the mask.
    let _signals = if config.signals { Some(Signals::catch(stop.clone())?) } else { None };
    let cpus = cpus();
    let pin = config.pin && shards <= cpus.len();
    let start = Arc::new(start);
    let mut running = Vec::with_capacity(shards);
    for shard in ShardId::all(shards) {
        let cpu = cpus.get(shard.index()).filter(|_| pin);
        let placement = cpu.map_or(Placement::Unbound, |&cpu| Placement::Fixed(cpu));
        let (start, stop_all, config_there) = (start.clone(), stop.clone(), config.clone());
        let (started, has_started) = std::sync::mpsc::channel();
        let run = move || {
            // From before the first turn on, which W1 can strike as well.
            let watch = Watch::begin();
            let beats = watch.beats();
            let executor = builder(placement, &config_there).make()?;
            executor.run(async move {
                started.send(()).expect("the starter waits for this");
                let _on_panic = StopOnPanic(stop_all.clone());
                let world = World::new(shard, config_there.free_bytes_max, beats);
                stop_all.watch(shard.index(), &world)?;
                let context = ShardContext {
                    world: crate::World(Kind::Real(world.clone())),
                    shard,
                    shards,
                    stop: StopHandle::real(stop_all.clone()),
                };
                Ok::<T, io::Error>(task::counted(&world, start(context)).await)
            })
        };
        let spawned = std::thread::Builder::new()
            .name(format!("{}-{}", config.name, shard.index()))
            .spawn(run);
        // An executor that cannot be set up drops its start without a word. The shards before it
        // are told to stop, but not waited for: they may be waiting for this one.
        let spawned = spawned.and_then(|handle| match has_started.recv() {
            Ok(()) => Ok(handle),
            Err(_dropped) => {
                let ended = joined(handle).err();
                Err(ended.unwrap_or_else(|| io::Error::other("a shard ended before it started")))
            }
        });
        match spawned {
            Ok(handle) => running.push(handle),
            Err(error) => {
                stop.stop();
                return Err(error);
            }
        }
    }
    let ended: Vec<_> = running.into_iter().map(joined).collect();
    ended.into_iter().collect()
}

fn joined<T>(shard: JoinHandle<io::Result<T>>) -> io::Result<T> {
    shard.join().unwrap_or_else(|_panic| Err(io::Error::other("a shard panicked")))
}

/// A shard that panics in a build that unwinds takes the others with it.
struct StopOnPanic(Stopper);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

pub(crate) fn block_on<R: Future>(start: impl FnOnce(crate::World) -> R) -> io::Result<R::Output> {
    super::machine::check_machine()?;
    let config = ShardsConfig { io_memory_bytes: 1 << 20, ..ShardsConfig::default() };
    let watch = Watch::begin();
    let executor = builder(Placement::Unbound, &config).make()?;
    Ok(executor.run(async {
        let world = World::new(ShardId(0), config.free_bytes_max, watch.beats());
        let handle = crate::World(Kind::Real(world.clone()));
        task::counted(&world, start(handle)).await
    }))
}

fn builder(placement: Placement, config: &ShardsConfig) -> LocalExecutorBuilder {
    let builder = LocalExecutorBuilder::new(placement)
        .preempt_timer(task::PREEMPT)
        .ring_depth(RING_DEPTH)
        .io_memory(config.io_memory_bytes)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS));
    if config.spin > Duration::ZERO { builder.spin_before_park(config.spin) } else { builder }
}

/// The CPUs this process may use.
pub(crate) fn cpus() -> Vec<usize> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: writes at most the size of the set; all-zero is a valid, empty set.
    let set = unsafe {
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr());
        set.assume_init()
    };
    let allowed = |cpu: &usize| {
        // SAFETY: reads the set below its size.
        unsafe { libc::CPU_ISSET(*cpu, &set) }
    };
    (0..8 * size_of::<libc::cpu_set_t>()).filter(allowed).collect()
}
