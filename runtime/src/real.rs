//! The real world: glommio, the only place that names it.

pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod mesh;
pub(crate) mod net;
pub(crate) mod port;
pub(crate) mod shard;
pub(crate) mod signal;
pub(crate) mod task;
mod watchdog;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::chunk::{MemoryKind, Pool};
use crate::lag::LagHistogram;
use crate::sync::Notify;
use crate::{Set, ShardId};

/// One shard of the real world.
#[derive(Clone)]
pub(crate) struct World(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) shard: ShardId,
    pub(crate) pool: Rc<Pool>,
    pub(crate) queues: task::Queues,
    pub(crate) turns: task::Turns,
    pub(crate) heart: task::Heart,
    beats: watchdog::Beats,
    pub(crate) lag: LagHistogram,
    pub(crate) stop: Stop,
    random: Cell<u64>,
    /// Devices whose first file was opened (W2).
    pub(crate) primed: RefCell<Set<u64>>,
}

/// Whether this shard was told to stop.
#[derive(Default)]
pub(crate) struct Stop {
    pub(crate) told: Cell<bool>,
    pub(crate) changed: Notify,
}

impl World {
    /// Must run inside the shard's executor.
    pub(crate) fn new(shard: ShardId, free_bytes_max: usize, beats: watchdog::Beats) -> Self {
        let world = Self(Rc::new(Inner {
            shard,
            pool: Pool::new(MemoryKind::Dma, free_bytes_max),
            queues: task::Queues::new(),
            turns: task::Turns::new(),
            heart: task::Heart::default(),
            beats,
            lag: LagHistogram::default(),
            stop: Stop::default(),
            random: Cell::new(clock::entropy()),
            primed: RefCell::default(),
        }));
        task::start_heart(&world);
        world
    }

    /// SplitMix64, seeded by the kernel.
    pub(crate) fn random(&self) -> u64 {
        let mut state = self.0.random.get();
        let value = crate::random::split_mix(&mut state);
        self.0.random.set(state);
        value
    }
}
