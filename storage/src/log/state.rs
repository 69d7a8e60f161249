//! Everything a log is, apart from the bytes in memory: what a checkpoint records, what replay
//! rebuilds, what an append changes. The same functions run when a batch is appended and when it
//! is replayed, so that both come to the same state.

use std::collections::VecDeque;
use std::ops::Range;

use protocol::batch::{BatchHeader, HEADER_BYTES, NO_PRODUCER};
use protocol::crc::{crc32c, crc32c_append};
use protocol::ids::TopicPartition;

use crate::checksum::{JOIN_FROM_BYTES, join};
use crate::log::epochs::Epochs;
use crate::log::producers::{ProducedBatch, Producers, Stamp};
use crate::segment::SegmentName;
use crate::segment::index::IndexEntry;
use crate::segment::walk::next_offset;

/// What becomes of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Live,
    /// Its files are being removed.
    Deleting,
    /// Its directory is being moved to `.stray`.
    Straying,
}

/// The state of one log.
///
/// `log_start <= end`; segments are in order, the last one is active; the others are sealed.
#[derive(Debug, Clone)]
pub(crate) struct LogState {
    pub(crate) id: u32,
    pub(crate) partition: TopicPartition,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) log_start: i64,
    pub(crate) end: i64,
    pub(crate) high_watermark: i64,
    /// The newest leader epoch it knows of, -1 if none.
    pub(crate) epoch: i32,
    pub(crate) epochs: Epochs,
    /// Below it each key stood at most once when compaction last came by.
    pub(crate) cleaned: i64,
    /// Offsets that are lost or unreadable here, in order.
    pub(crate) quarantined: Vec<Range<i64>>,
    pub(crate) segments: VecDeque<SegmentState>,
    pub(crate) producers: Producers,
}

/// The state of one segment. Positions and lengths are bytes from the start of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentState {
    pub(crate) base: i64,
    /// How often compaction wrote it anew; with the base it names the file. Above 0 all of it is in
    /// its files, synced, and offsets may be missing.
    pub(crate) generation: u32,
    /// The offset after its last batch.
    pub(crate) end: i64,
    /// Where its last batch ends.
    pub(crate) length: u32,
    /// Everything below is in the file, synced. A multiple of the block.
    pub(crate) flushed: u32,
    /// -1: none.
    pub(crate) max_timestamp: i64,
    /// Base offset of the batch that has it.
    pub(crate) max_timestamp_offset: i64,
    pub(crate) created_ms: i64,
    /// Pages in its index file.
    pub(crate) pages: u32,
    /// The largest timestamp in regions that those pages cover.
    pub(crate) paged_timestamp: i64,
    /// The regions not yet in the index file. The last one of the active segment is open.
    pub(crate) pending: Vec<IndexEntry>,
}

impl SegmentState {
    pub(crate) const fn new(base: i64, created_ms: i64) -> Self {
        Self {
            base,
            generation: 0,
            end: base,
            length: 0,
            flushed: 0,
            max_timestamp: -1,
            max_timestamp_offset: -1,
            created_ms,
            pages: 0,
            paged_timestamp: -1,
            pending: Vec::new(),
        }
    }

    /// Which files are its.
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName { base: self.base, generation: self.generation }
    }

    /// Where the next batch goes, unless padding was decided meanwhile: right behind the last one,
    /// or on the next block if the last block is already written.
    pub(crate) fn append_position(&self) -> u32 {
        self.length.max(self.flushed)
    }

    /// Where the region at `pending[at]` ends.
    pub(crate) fn pending_end(&self, at: usize) -> u32 {
        self.pending.get(at + 1).map_or(self.length, |next| next.position - next.gap)
    }
}

/// A batch that goes, or went, to its place.
pub(crate) struct Placement<'a> {
    /// As stored: base offset and epoch are stamped.
    pub(crate) header: &'a BatchHeader,
    pub(crate) position: u32,
    pub(crate) bytes: u32,
    /// When it was appended, in milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// Log bytes between index entries.
    pub(crate) index_interval: u32,
}

/// Continues a region's checksum over a batch, given the checksum so far.
pub(crate) fn crc_over_pieces(
    crc: u32,
    header: &[u8; HEADER_BYTES],
    records: &[u8],
    batch_crc: u32,
) -> u32 {
    if HEADER_BYTES + records.len() < JOIN_FROM_BYTES {
        return crc32c_append(crc32c_append(crc, header), records);
    }
    crc_from_header(crc, header, (HEADER_BYTES + records.len()) as u32, batch_crc)
}

/// The same without the records: the batch's own checksum covers all but its first 21 bytes.
pub(crate) fn crc_from_header(crc: u32, header: &[u8], batch_bytes: u32, batch_crc: u32) -> u32 {
    let front = protocol::batch::CRC_COVERS_FROM;
    let whole = join(crc32c(&header[..front]), batch_crc, batch_bytes - front as u32);
    if crc == 0 { whole } else { join(crc, whole, batch_bytes) }
}

impl LogState {
    pub(crate) fn new(id: u32, partition: TopicPartition, epoch: i32, first: i64) -> Self {
        Self {
            id,
            partition,
            lifecycle: Lifecycle::Live,
            log_start: first,
            end: first,
            high_watermark: first,
            epoch,
            epochs: Epochs::default(),
            cleaned: first,
            quarantined: Vec::new(),
            segments: VecDeque::new(),
            producers: Producers::default(),
        }
    }

    /// The segment that appends go to.
    pub(crate) fn active(&self) -> Option<&SegmentState> {
        self.segments.back()
    }

    /// The segment with that base offset; usually the last.
    pub(crate) fn segment_mut(&mut self, base: i64) -> Option<&mut SegmentState> {
        self.segments.iter_mut().rev().find(|it| it.base == base)
    }

    pub(crate) fn segment(&self, base: i64) -> Option<&SegmentState> {
        self.segments.iter().rev().find(|it| it.base == base)
    }

    /// Which segment holds `offset`.
    pub(crate) fn segment_of(&self, offset: i64) -> Option<usize> {
        self.segments.partition_point(|it| it.base <= offset).checked_sub(1)
    }

    /// Bytes in all segments.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|it| u64::from(it.length)).sum()
    }

    /// Starts a new segment at the log's end; the one before is sealed.
    pub(crate) fn roll(&mut self, base: i64, created_ms: i64) {
        self.segments.push_back(SegmentState::new(base, created_ms));
    }

    /// Puts `segment` in the place of the segments that start in `bases`; returns what
    /// those were.
    pub(crate) fn swap(&mut self, bases: Range<i64>, segment: SegmentState) -> Vec<SegmentState> {
        let first = self.segments.partition_point(|it| it.base < bases.start);
        let next = self.segments.partition_point(|it| it.base < bases.end).max(first);
        let gone = self.segments.drain(first..next).collect();
        self.segments.insert(first, segment);
        gone
    }

    /// Takes note of a batch at its place in the active segment. `crc` continues a region's
    /// checksum over the batch. Returns whether its producer is new here.
    pub(crate) fn place(&mut self, placed: &Placement<'_>, crc: impl FnOnce(u32) -> u32) -> bool {
        let header = placed.header;
        let (base, next) = (header.base_offset(), next_offset(header));
        let segment = self.segments.back_mut().expect("a batch is placed in a segment");
        let gap = placed.position - segment.length;
        let timestamp = header.max_timestamp();
        let open = segment
            .pending
            .last_mut()
            .filter(|open| gap == 0 && segment.length - open.position < placed.index_interval);
        match open {
            Some(open) => {
                open.crc = crc(open.crc);
                open.max_timestamp = open.max_timestamp.max(timestamp);
            }
            None => segment.pending.push(IndexEntry {
                relative: u32::try_from(base - segment.base).unwrap_or(u32::MAX),
                position: placed.position,
                max_timestamp: timestamp,
                crc: crc(0),
                gap,
            }),
        }
        segment.length = placed.position + placed.bytes;
        segment.end = next;
        if timestamp > segment.max_timestamp {
            segment.max_timestamp = timestamp;
            segment.max_timestamp_offset = base;
        }
        self.end = next;
        self.epoch = self.epoch.max(header.leader_epoch());
        self.epochs.note(header.leader_epoch(), base);
        self.note_producer(header, base, next - 1, placed.now_ms)
    }

    fn note_producer(&mut self, header: &BatchHeader, base: i64, last: i64, now_ms: i64) -> bool {
        if header.producer_id() == NO_PRODUCER || header.base_sequence() < 0 {
            return false;
        }
        let first_sequence = header.base_sequence();
        let last_sequence =
            protocol::batch::sequence_plus(first_sequence, header.last_offset_delta());
        let stamp = Stamp {
            id: header.producer_id(),
            epoch: header.producer_epoch(),
            first_sequence,
            last_sequence,
        };
        let batch = ProducedBatch {
            first_sequence,
            last_sequence,
            base,
            last,
            timestamp: header.max_timestamp(),
        };
        self.producers.note(&stamp, batch, now_ms)
    }

    /// Marks offsets as lost; they are never given out again.
    pub(crate) fn quarantine(&mut self, lost: Range<i64>) {
        if lost.start >= lost.end {
            return;
        }
        let at = self.quarantined.partition_point(|it| it.end < lost.start);
        let overlapping = self.quarantined[at..].partition_point(|it| it.start <= lost.end);
        let merged = self.quarantined[at..at + overlapping]
            .iter()
            .fold(lost, |all, it| all.start.min(it.start)..all.end.max(it.end));
        self.quarantined.splice(at..at + overlapping, [merged]);
    }

    /// Where the last lost range ends that lies below an offset.
    pub(crate) fn lost_before(&self, offset: i64) -> Option<i64> {
        let at = self.quarantined.partition_point(|it| it.end <= offset);
        Some(self.quarantined.get(at.checked_sub(1)?)?.end)
    }

    /// The lost range that holds `offset`.
    pub(crate) fn quarantined_at(&self, offset: i64) -> Option<Range<i64>> {
        let at = self.quarantined.partition_point(|it| it.end <= offset);
        self.quarantined.get(at).filter(|it| it.start <= offset).cloned()
    }

    /// Raises the log start; returns whether it rose.
    pub(crate) fn trim(&mut self, to: i64) -> bool {
        if to <= self.log_start {
            return false;
        }
        self.log_start = to;
        self.high_watermark = self.high_watermark.max(to);
        self.epochs.trim(to);
        self.quarantined.retain(|it| it.end > to);
        true
    }
}

#[cfg(test)]
mod tests;
