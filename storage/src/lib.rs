//! A core's journal and its partitions' logs on disk.
//!
//! ```text
//! DataDir   which directory this is, and that nobody else uses it
//! Store     a shard's journal and the logs it owns: create, durable, tick, close
//! Log       one partition: append, read, offset_for_time, trim
//! ```
//! A log promises: the order of appends is fixed when [`Log::append`] returns; what a durable
//! ticket covers survives a power cut; bytes that fail their checksum are never handed out; damage
//! is reported with its offsets and never skipped or joined over. `docs/format.md` describes every
//! byte on disk.

mod bytes;
mod checkpoint;
mod checksum;
mod compact;
mod config;
mod error;
mod journal;
pub mod limits;
mod log;
mod manifest;
mod mutation;
mod segment;
mod store;

pub use config::{CompactionConfig, Identity, LogConfig, StoreConfig, TimestampType, Tuning};
pub use error::{AppendError, FenceReason, Fenced, OpenError, ReadError, StoreError};
pub use log::{
    AppendContext, Appended, KnownProducer, Log, Origin, ReadLimit, ReadOutcome, TimestampedOffset,
};
pub use manifest::{DataDir, Manifest, Swept};
pub use store::{DamagedRange, RecoveryReport, Rule, Store, StoreStats, Ticket};
