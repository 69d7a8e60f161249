//! Reading: whole batches, as stored, from memory without waiting or else from disk.

use std::ops::Range;

use protocol::batch::compress::decompress;
use protocol::batch::records::Records;
use protocol::batch::{CheckedBatch, Compression, HEADER_BYTES, RawBatch};
use protocol::offset::Offset;
use runtime::ReadBlock;

use crate::error::ReadError;
use crate::log::disk::Regions;
use crate::log::state::SegmentState;
use crate::log::tail::Part;
use crate::log::{Log, offset};
use crate::segment::index::IndexEntry;
use crate::segment::walk::{Walk, header_at, next_offset};

/// How much to read.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    /// Bytes, at most, of whole batches.
    pub max_bytes: usize,
    /// Read below this offset only: the high watermark, or the log end for replicas.
    pub end: Offset,
    /// Hand out the first batch even if it alone is larger (KIP-74).
    pub at_least_one: bool,
}

/// Batches, as they lie in the log.
#[derive(Debug, Default)]
pub struct ReadOutcome {
    /// Wire bytes, to be sent one after the other.
    pub slices: Vec<ReadBlock>,
    /// Bytes in all slices.
    pub bytes: usize,
    /// Where reading goes on; what was asked for if nothing was read.
    pub next: Offset,
}

/// A record's place in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The record's.
    pub offset: Offset,
}

/// Which bytes of a segment answer a read.
pub(crate) struct Selection {
    pub(crate) ranges: Vec<Range<u32>>,
    pub(crate) bytes: usize,
    pub(crate) next: i64,
}

/// What is being looked for, clipped to what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) from: i64,
    pub(crate) end: i64,
    pub(crate) max_bytes: usize,
    pub(crate) at_least_one: bool,
}

/// Where batches may be looked for: index entries and headers.
pub(crate) trait Source {
    fn entries(&self) -> usize;
    fn entry(&self, at: usize) -> IndexEntry;
    /// A copy of the header at a position.
    fn header(&self, position: u32) -> Option<[u8; HEADER_BYTES]>;
}

/// Finds the batches that answer a read between two positions. `None`: the first of them does not
/// lie below `until`.
pub(crate) fn select(
    source: &impl Source,
    base: i64,
    wanted: &Wanted,
    until: u32,
) -> Option<Selection> {
    let offset_of = |at: usize| base + i64::from(source.entry(at).relative);
    if source.entries() == 0 {
        return None;
    }
    // Compaction may have removed what lay before the first entry.
    let first = last_before(source.entries(), |at| offset_of(at) <= wanted.from).unwrap_or(0);
    let header = |position| {
        let bytes = source.header(position)?;
        let (header, size) = header_at(&bytes, position, 0)?;
        Some((next_offset(header), size as u32))
    };
    // The batch that holds the offset, or the first one after it.
    let mut at = first;
    let mut position = source.entry(first).position;
    let (mut next, mut size) = header(position)?;
    while next <= wanted.from {
        position += size;
        if at + 1 < source.entries()
            && source.entry(at + 1).position - source.entry(at + 1).gap <= position
        {
            at += 1;
            position = source.entry(at).position;
        }
        if position >= until {
            return None;
        }
        (next, size) = header(position)?;
    }
    let mut found = Selection { ranges: Vec::new(), bytes: 0, next: wanted.from };
    let mut start = position;
    let fits = |bytes: usize| bytes <= wanted.max_bytes;
    if position + size > until {
        return None;
    }
    if next > wanted.end || !fits(size as usize) && !wanted.at_least_one {
        return Some(found);
    }
    loop {
        found.bytes += size as usize;
        found.next = next;
        position += size;
        // Skip whole regions while they fit.
        while at + 1 < source.entries() {
            let entry = source.entry(at + 1);
            let region_end = entry.position - entry.gap;
            let skipped = region_end.checked_sub(position).map(|it| it as usize);
            let Some(skipped) = skipped else { break };
            let wanted_all = offset_of(at + 1) <= wanted.end && fits(found.bytes + skipped);
            if !wanted_all || region_end > until {
                break;
            }
            at += 1;
            if skipped > 0 {
                found.next = offset_of(at);
                found.bytes += skipped;
            }
            if entry.gap > 0 {
                found.ranges.push(start..region_end);
                start = entry.position;
            }
            position = entry.position;
        }
        if position >= until {
            break;
        }
        let Some((its_next, its_size)) = header(position) else { break };
        if its_next > wanted.end || !fits(found.bytes + its_size as usize) {
            break;
        }
        if position + its_size > until {
            break;
        }
        (next, size) = (its_next, its_size);
    }
    if position > start {
        found.ranges.push(start..position);
    }
    Some(found)
}

/// The last index for which `before` holds, if it holds for the first.
fn last_before(count: usize, before: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.checked_sub(1)
}

/// A segment's part in memory.
struct InMemory<'a> {
    part: &'a Part,
    segment: &'a SegmentState,
}

impl Source for InMemory<'_> {
    fn entries(&self) -> usize {
        self.part.index.len() + self.segment.pending.len()
    }
    fn entry(&self, at: usize) -> IndexEntry {
        match at.checked_sub(self.part.index.len()) {
            None => self.part.index[at],
            Some(at) => self.segment.pending[at],
        }
    }
    fn header(&self, position: u32) -> Option<[u8; HEADER_BYTES]> {
        let mut header = [0; HEADER_BYTES];
        self.part.copy(position, &mut header)?;
        Some(header)
    }
}

impl Log {
    /// Reads whole batches from `from` on, from one segment: from memory without waiting if they
    /// are there, else from disk, where every region's checksum is verified first.
    ///
    /// The first batch may begin below `from`: consumers skip those records.
    ///
    /// # Errors
    /// See [`ReadError`]. Damaged bytes are never handed out.
    pub async fn read(&self, from: Offset, limit: ReadLimit) -> Result<ReadOutcome, ReadError> {
        if let Some(outcome) = self.try_read(from, limit)? {
            return Ok(outcome);
        }
        self.read_disk(from, limit).await
    }

    /// Reads from memory; `None` if that takes the disk.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn try_read(
        &self,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Option<ReadOutcome>, ReadError> {
        let Some((wanted, at)) = self.clip(from, &limit)? else {
            return Ok(Some(ReadOutcome { next: from, ..ReadOutcome::default() }));
        };
        let state = self.0.state.borrow();
        let segment = &state.segments[at];
        let parts = self.0.parts.borrow();
        let Some(part) = parts.iter().rev().find(|part| part.base == segment.base) else {
            return Ok(None);
        };
        let source = InMemory { part, segment };
        let first = last_before(source.entries(), |at| {
            segment.base + i64::from(source.entry(at).relative) <= wanted.from
        });
        let until = first.and_then(|at| part.held_until(source.entry(at).position));
        let Some(until) = until else { return Ok(None) };
        let until = until.min(segment.length);
        let Some(found) = select(&source, segment.base, &wanted, until) else { return Ok(None) };
        let slices = found.ranges.into_iter().flat_map(|range| part.slices(range));
        let slices = slices.map(ReadBlock::from).collect();
        Ok(Some(ReadOutcome { slices, bytes: found.bytes, next: offset(found.next) }))
    }

    /// Clips a read to what there is and finds its segment; `None` if there is nothing to read.
    pub(crate) fn clip(
        &self,
        from: Offset,
        limit: &ReadLimit,
    ) -> Result<Option<(Wanted, usize)>, ReadError> {
        let state = self.0.state.borrow();
        if state.lifecycle != crate::log::state::Lifecycle::Live {
            return Err(ReadError::Deleted);
        }
        let from = from.get();
        if from < state.log_start || from > state.end {
            return Err(ReadError::OutOfRange {
                start: offset(state.log_start),
                end: offset(state.end),
            });
        }
        if let Some(lost) = state.quarantined_at(from) {
            return Err(ReadError::Lost(from..lost.end));
        }
        let damage = state.quarantined.partition_point(|it| it.end <= from);
        let damage = state.quarantined.get(damage).map_or(i64::MAX, |it| it.start);
        let end = limit.end.get().min(state.end).min(damage);
        if from >= end {
            return Ok(None);
        }
        // What lies before the first segment was removed.
        let mut at = state.segment_of(from).unwrap_or(0);
        if state.segments[at].end <= from {
            at += 1;
        }
        let Some(segment) = state.segments.get(at) else { return Ok(None) };
        let from = from.max(segment.base);
        let (max_bytes, at_least_one) = (limit.max_bytes, limit.at_least_one);
        Ok(Some((Wanted { from, end, max_bytes, at_least_one }, at)))
    }

    /// The first record at or after the log start whose timestamp is at least `timestamp`
    /// (ListOffsets by time).
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn offset_for_time(
        &self,
        timestamp: i64,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let mut from = self.log_start_offset().get();
        loop {
            let base = self.with_state(|state| {
                let later = state.segments.iter().filter(|it| it.end > from);
                later.filter(|it| it.max_timestamp >= timestamp).map(|it| it.base).next()
            });
            let Some(base) = base else { return Ok(None) };
            let mut at = from.max(base);
            while let Some(regions) = self.regions_for_time(base, at, timestamp).await? {
                if let Some(found) = regions.find_time(timestamp, from) {
                    return Ok(Some(found));
                }
                at = regions.end_offset;
            }
            let end = self.with_state(|state| state.segment(base).map(|it| it.end));
            from = end.unwrap_or(base + 1).max(from + 1);
        }
    }
}

impl Regions {
    /// The first record in time among those at or above `from`.
    fn find_time(&self, timestamp: i64, from: i64) -> Option<TimestampedOffset> {
        let mut next = 0;
        for entry in &self.entries {
            if entry.max_timestamp < timestamp {
                continue;
            }
            let start = (entry.position - self.start) as usize;
            for placed in Walk::new(&self.block[start..], entry.position, next) {
                next = placed.next_offset();
                if placed.header.max_timestamp() < timestamp || next <= from {
                    continue;
                }
                let Ok(batch) = RawBatch(placed.bytes).check() else { continue };
                if let Some(found) = first_in_time(&batch, timestamp, from) {
                    return Some(found);
                }
            }
        }
        None
    }
}

/// Bytes that a batch may unpack to when a look-up by time must see its records.
const UNPACKED_MAX: usize = 64 << 20;

/// The first record of a batch at or after a time and offset.
fn first_in_time(batch: &CheckedBatch<'_>, timestamp: i64, from: i64) -> Option<TimestampedOffset> {
    let whole = |timestamp| {
        let offset = offset(batch.base_offset().get().max(from));
        Some(TimestampedOffset { timestamp, offset })
    };
    if batch.is_log_append_time() {
        return whole(batch.max_timestamp());
    }
    let unpacked;
    let mut records = match batch.compression() {
        Compression::None => batch.records(),
        codec => {
            match decompress(codec, batch.record_bytes(), UNPACKED_MAX) {
                Ok(bytes) => unpacked = bytes,
                Err(_) => return whole(batch.max_timestamp()),
            }
            Records::new(batch.header(), &unpacked)
        }
    };
    records.find_map(|record| {
        let record = record.ok()?;
        let (at, when) = (record.offset, record.timestamp);
        (when >= timestamp && at >= from)
            .then(|| TimestampedOffset { timestamp: when, offset: offset(at) })
    })
}
