//! What a store did.

use std::cell::Cell;

use crate::store::Inner;

/// Counts since the store was opened, in bytes unless they say otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Of batches appended.
    pub appended_bytes: u64,
    /// Batches appended.
    pub batches: u64,
    /// Groups written.
    pub groups: u64,
    /// Written to the ring.
    pub journal_bytes: u64,
    /// Of the ring's bytes, those that it held already in files to be released.
    pub repeated_bytes: u64,
    /// Written to segments, the direct way included.
    pub segment_bytes: u64,
    /// Written to segments the direct way.
    pub direct_bytes: u64,
    /// Written to index files.
    pub index_bytes: u64,
    /// Written as checkpoints and superblocks.
    pub checkpoint_bytes: u64,
    /// Syncs asked for besides the ring's synchronous writes.
    pub syncs: u64,
    /// Checkpoints taken.
    pub checkpoints: u64,
    /// Read from segments.
    pub read_bytes: u64,
    /// Passes of compaction over a log.
    pub compactions: u64,
    /// Read by compaction: all segments, and those that are not compacted yet once more.
    pub compact_in_bytes: u64,
    /// Written by compaction.
    pub compact_out_bytes: u64,
    /// That can be compacted, as of the last look.
    pub compact_waiting_bytes: u64,
    /// The largest share of a log that is not compacted, as of the last look, in millionths.
    pub compact_dirty_millionths: u64,
    /// In memory and journal only, now.
    pub unflushed_bytes: u64,
    /// Memory of all chunks of logs, now.
    pub cached_bytes: u64,
    /// Files of the ring, now.
    pub ring_files: u64,
    /// Time groups took from submission to durable, in nanoseconds, all together.
    pub group_nanos: u64,
    /// Groups that waited for a ring file to be released.
    pub ring_stalls: u64,
}

/// The counts, in cells.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) appended_bytes: Cell<u64>,
    pub(crate) batches: Cell<u64>,
    pub(crate) groups: Cell<u64>,
    pub(crate) journal_bytes: Cell<u64>,
    pub(crate) repeated_bytes: Cell<u64>,
    pub(crate) segment_bytes: Cell<u64>,
    pub(crate) direct_bytes: Cell<u64>,
    pub(crate) index_bytes: Cell<u64>,
    pub(crate) checkpoint_bytes: Cell<u64>,
    pub(crate) syncs: Cell<u64>,
    pub(crate) checkpoints: Cell<u64>,
    pub(crate) read_bytes: Cell<u64>,
    pub(crate) compactions: Cell<u64>,
    pub(crate) compact_in_bytes: Cell<u64>,
    pub(crate) compact_out_bytes: Cell<u64>,
    pub(crate) group_nanos: Cell<u64>,
    pub(crate) ring_stalls: Cell<u64>,
}

/// Adds to a count.
pub(crate) fn add(cell: &Cell<u64>, value: u64) {
    cell.set(cell.get().wrapping_add(value));
}

impl Inner {
    pub(crate) fn stats(&self) -> StoreStats {
        let it = &self.counters;
        StoreStats {
            appended_bytes: it.appended_bytes.get(),
            batches: it.batches.get(),
            groups: it.groups.get(),
            journal_bytes: it.journal_bytes.get(),
            repeated_bytes: it.repeated_bytes.get(),
            segment_bytes: it.segment_bytes.get(),
            direct_bytes: it.direct_bytes.get(),
            index_bytes: it.index_bytes.get(),
            checkpoint_bytes: it.checkpoint_bytes.get(),
            syncs: it.syncs.get(),
            checkpoints: it.checkpoints.get(),
            read_bytes: it.read_bytes.get(),
            compactions: it.compactions.get(),
            compact_in_bytes: it.compact_in_bytes.get(),
            compact_out_bytes: it.compact_out_bytes.get(),
            compact_waiting_bytes: self.compaction.bytes.get(),
            compact_dirty_millionths: self.compaction.ratio_max.get(),
            unflushed_bytes: self.unflushed.get(),
            cached_bytes: self.cached.get(),
            ring_files: self.ring.borrow().slots() as u64,
            group_nanos: it.group_nanos.get(),
            ring_stalls: it.ring_stalls.get(),
        }
    }
}
