//! What can go wrong, per operation.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use crate::limits::FORMAT_VERSION;
use protocol::offset::Offset;

/// Why a store takes nothing more: its disk failed, or it was closed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {error}")]
pub struct FenceReason {
    /// What was being done.
    pub what: &'static str,
    /// What the device said. Never retried: after a failed sync a second one may succeed without
    /// the bytes.
    pub error: Rc<io::Error>,
}

/// The store is fenced; what was in doubt stays in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log directory is fenced")]
pub struct Fenced;

/// Why a batch was not appended. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// It does not follow the producer's last batch (KIP-98).
    #[error("out of order: sequence {got} where {expected} was expected")]
    OutOfOrderSequence {
        /// The sequence that would follow.
        expected: i32,
        /// The batch's first sequence.
        got: i32,
    },
    /// A newer epoch of the producer exists.
    #[error("the producer's epoch is fenced by {current}")]
    ProducerFenced {
        /// The newest epoch.
        current: i16,
    },
    /// Nothing is known of the producer, and this is not its first batch (KIP-360).
    #[error("unknown producer")]
    UnknownProducer,
    /// Larger than `max.message.bytes`.
    #[error("batch of {bytes} bytes, {bytes_max} allowed")]
    TooLarge {
        /// The batch.
        bytes: usize,
        /// The topic's limit.
        bytes_max: usize,
    },
    /// Outside `message.timestamp.before.max.ms` or `message.timestamp.after.max.ms`.
    #[error("timestamp {timestamp} is too far from now")]
    InvalidTimestamp {
        /// The offender, milliseconds since 1970.
        timestamp: i64,
    },
    /// The batch cannot stand in this log: a replica's batch that does not continue it.
    #[error("the batch does not continue the log")]
    InvalidRecord,
    /// The directory is fenced.
    #[error("the log directory is fenced")]
    Fenced,
    /// No room in memory, journal or file system; it may come back.
    #[error("no room for now")]
    Full,
    /// The log was deleted, or its store closed.
    #[error("the log is gone")]
    Deleted,
    /// The log is offline: damage that needs an operator.
    #[error("the log is offline")]
    Offline,
}

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Below the log start or beyond the end.
    #[error("offset out of range {start}..{end}")]
    OutOfRange {
        /// The first offset there is.
        start: Offset,
        /// The offset after the last.
        end: Offset,
    },
    /// These offsets, of those asked for, are lost or damaged here. Reading may go on at the end of
    /// the range.
    #[error("offsets {}..{} are lost", .0.start, .0.end)]
    Lost(Range<i64>),
    /// The device failed.
    #[error("read failed: {0}")]
    Io(io::ErrorKind),
    /// The log was deleted, or its store closed.
    #[error("the log is gone")]
    Deleted,
}

/// Why a log could not be created, deleted or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is there already.
    #[error("the log exists")]
    Exists,
    /// There is no such log.
    #[error("no such log")]
    NotFound,
    /// The directory is fenced.
    #[error("the log directory is fenced")]
    Fenced,
    /// An offset outside the log.
    #[error("offset out of range")]
    OutOfRange,
}

impl From<Fenced> for StoreError {
    fn from(_: Fenced) -> Self {
        Self::Fenced
    }
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The device failed.
    #[error("{what} {path}: {error}", path = path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// What the device said.
        error: io::Error,
    },
    /// Another process uses it.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// It belongs to another cluster or broker (R19).
    #[error("{what} is {found}, expected {expected}: this is another broker's directory")]
    WrongOwner {
        /// Which field.
        what: &'static str,
        /// What the manifest says.
        found: String,
        /// Who wants to use it.
        expected: String,
    },
    /// The manifest was put over another directory's, or the shard's files are another's (R19).
    #[error(
        "shard {0}'s journal is not of the directory that the manifest names: files of two \
             directories are mixed"
    )]
    Mixed(u32),
    /// Written by another release (R25).
    #[error(
        "format version {0} is of another release: this program reads version {FORMAT_VERSION}"
    )]
    Version(u32),
    /// The manifest is missing although there are data, or it is damaged (R19).
    #[error("the manifest is {0}: the directory is not to be trusted")]
    Manifest(&'static str),
    /// No copy of the superblock or of the checkpoint is intact, or the ring cannot be read (R6).
    #[error("{0}: the shard's journal cannot be recovered")]
    Journal(&'static str),
    /// A file of the ring that may have held groups is gone, or shorter than it was.
    #[error(
        "{} is {what}: what was in it only would be lost. Put it back; to go on without it, put {bytes} zero bytes there",
        path.display()
    )]
    Ring {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
        /// How long it was.
        bytes: u64,
    },
    /// A setting that cannot be.
    #[error("{0}")]
    Config(&'static str),
    /// The disk failed while the journal was opened for writing.
    #[error("{0}")]
    Fenced(FenceReason),
}
