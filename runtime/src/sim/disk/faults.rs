//! What a simulated device does wrong, and how fast it is.

use std::time::Duration;

/// What can be done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskOp {
    /// `File::read_at`, `Disk::read_to_end`.
    Read,
    /// `File::write_chunk`, `File::zero`, the write in `Disk::replace`.
    Write,
    /// `File::sync`, `Disk::sync_dir`, the syncs in `Disk::replace`.
    Sync,
    /// `File::allocate`.
    Allocate,
    /// Opening, creating, renaming, removing, listing, truncating.
    Name,
}

/// How long operations take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// At least this.
    pub least: Duration,
    /// Plus up to this, evenly.
    pub spread: Duration,
}

impl Latency {
    /// No time at all: the operation is done within the call.
    pub const NONE: Self = Self { least: Duration::ZERO, spread: Duration::ZERO };

    const fn micros(least: u64, spread: u64) -> Self {
        Self { least: Duration::from_micros(least), spread: Duration::from_micros(spread) }
    }
}

/// What the device does wrong, and how fast it is. Chances are per operation, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskFaults {
    /// Only files whose path contains this; all if empty.
    pub only: String,
    /// A read fails.
    pub read_error: f64,
    /// A read returns a block's earlier version.
    pub read_old: f64,
    /// A read returns one bit flipped; the disk still has it right.
    pub read_flip: f64,
    /// A write fails; how much of it landed is open.
    pub write_error: f64,
    /// A write stops short of its end for want of space, although there is some.
    pub write_short: f64,
    /// A write succeeds at another place in the same file.
    pub write_misdirected: f64,
    /// A sync fails; what it would have covered is lost, and the next sync succeeds.
    pub sync_error: f64,
    /// Syncs and synchronous writes return Ok and do nothing: a device that lies.
    pub sync_lies: bool,
    /// The device's size; unbounded if `None`.
    pub capacity_bytes: Option<u64>,
    /// Time of reads.
    pub read: Latency,
    /// Time of writes.
    pub write: Latency,
    /// Time of syncs, and on top of a synchronous write.
    pub sync: Latency,
    /// Time of everything else.
    pub name: Latency,
    /// An operation takes `outlier_time` longer.
    pub outlier: f64,
    /// See `outlier`.
    pub outlier_time: Duration,
    /// After so many operations in all the power is cut: nothing completes any more
    /// ([`SimDisk::halted`](super::SimDisk::halted)).
    pub halt_after_ops: Option<u64>,
}

impl Default for DiskFaults {
    /// A healthy NVMe device.
    fn default() -> Self {
        Self {
            only: String::new(),
            read_error: 0.0,
            read_old: 0.0,
            read_flip: 0.0,
            write_error: 0.0,
            write_short: 0.0,
            write_misdirected: 0.0,
            sync_error: 0.0,
            sync_lies: false,
            capacity_bytes: None,
            read: Latency::micros(60, 60),
            write: Latency::micros(20, 60),
            sync: Latency::micros(30, 200),
            name: Latency::micros(20, 100),
            outlier: 0.0,
            outlier_time: Duration::from_secs(60),
            halt_after_ops: None,
        }
    }
}

impl DiskFaults {
    /// A healthy device that takes no time: for tests that make many images.
    pub fn instant() -> Self {
        let none = Latency::NONE;
        Self { read: none, write: none, sync: none, name: none, ..Self::default() }
    }
}

/// How a power cut treats unsynced sectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrashPlan {
    /// The chance that a sector of a torn write has the new bytes. (A quarter of the writes are
    /// lost whole, a quarter survive whole.)
    pub survive: f64,
    /// The chance that an unsynced sector is garbage.
    pub garbage: f64,
}
