//! The machine: disks, sockets, clocks, shards and the mesh between them, real or simulated.
//!
//! The only crate that names glommio. Everything above it is written against [`World`] and runs
//! unchanged on io_uring and in a simulation that a seed decides. `docs/runtime.md` tells how each
//! known fault of glommio is walled off here.

mod chunk;
mod disk;
mod lag;
mod map;
mod mesh;
mod net;
mod random;
mod real;
mod shard;
pub mod sim;
pub mod sync;
mod time;
mod world;

pub use chunk::{
    BLOCK_BYTES, Chunk, ChunkFull, ChunkSlice, PoolStats, ReadBlock, round_up_to_block,
};
pub use disk::{DirectoryLock, Disk, File, FileSystem, OpenOptions};
pub use lag::LoopLag;
pub use map::{Map, Set};
pub use mesh::{Mesh, MeshBuilder, MeshFull};
pub use net::{Closer, ListenOptions, Listener, PortClaim, Receiver, Sender, Stream};
pub use real::machine::{MachineUnfit, check_machine, raise_open_files};
pub use shard::{ShardContext, ShardsConfig, StopHandle, block_on, cpu_count, run_shards};
pub use time::Nanos;
pub use world::{BlockingPanicked, Elapsed, ShardId, TaskClass, World};
