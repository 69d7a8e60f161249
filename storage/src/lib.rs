//! A core's journal and its partitions' logs on disk.

mod bytes;
mod checkpoint;
mod checksum;
mod journal;
pub mod limits;
mod log;
mod mutation;
mod segment;

mod stub;
pub use stub::*;
