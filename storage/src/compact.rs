//! Compaction: of each key the newest record stays (`docs/format.md` 5.3).
//!
//! ```text
//! plan ──▶ scan ──▶ keys ──▶ scan ──▶ thin ──▶ output ──▶ swap
//! which    dirty    newest   all      what     a new      one journal entry,
//! log      records  offsets  segments stays    segment    then the old files go
//! ```
//! A pass goes from the log's start up to what it read keys from. Every group of neighbouring
//! segments is swapped for itself, in order; a crash in between leaves some swapped and others not,
//! and the next pass begins anew. Readers of an old segment go on with the file they have open.

mod keys;
mod output;
mod plan;
mod scan;

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use protocol::batch::thin::Remains;
use protocol::batch::{CheckedBatch, Compression, RawBatch};

use crate::config::CompactionConfig;
use crate::error::{Fenced, ReadError};
use crate::journal::entry::Entry;
use crate::log::Log;
use crate::log::state::SegmentState;
use crate::segment::SegmentName;
use crate::segment::walk::Placed;
use crate::store::round::Depth;
use crate::store::{Inner, count};
use keys::{KeyMap, KeyMapFull};
use output::Output;
use plan::Backlog;
use scan::Pace;

/// What compaction does, and has to do as of the last look.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// There is a pass. Two at a time would write the same files.
    running: Cell<bool>,
    /// Bytes that can be compacted, over all logs.
    pub(crate) bytes: Cell<u64>,
    /// The largest share of a log that is not compacted, in millionths.
    pub(crate) ratio_max: Cell<u64>,
}

/// Held while a pass runs.
struct Running<'a>(&'a Cell<bool>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Why a pass ended before its end. Nothing is lost by that.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The log or its segments changed, or the store ends: later.
    Changed,
    /// No room on the disk: later.
    Full,
    /// What is to be compacted cannot be read: not before the next start.
    Unreadable(ReadError),
    /// The new segment would be larger than a segment can be, or one batch has more keys than there
    /// is memory for.
    TooLarge,
    /// The disk failed.
    Failed(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull => Self::Full,
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            io::ErrorKind::Interrupted => Self::Changed,
            _ => Self::Failed(error),
        }
    }
}

impl From<ReadError> for Stopped {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Deleted => Self::Changed,
            ReadError::OutOfRange { .. } | ReadError::Lost(_) | ReadError::Io(_) => {
                Self::Unreadable(error)
            }
        }
    }
}

/// A pass over one log.
struct Pass<'a> {
    store: &'a Rc<Inner>,
    log: &'a Log,
    keys: KeyMap,
    /// Up to here the map knows the newest offset of each key; what lies beyond stays as it is. A
    /// tombstone there must not go: what it deletes would not go with it.
    upto: i64,
    settings: CompactionConfig,
    now_ms: i64,
    /// The last offsets of producers that are remembered.
    producers: Vec<i64>,
    /// A batch was met that cannot be looked into. What is deleted in it stays deleted only while
    /// the tombstones behind it stay.
    opaque: bool,
    pace: Pace,
}

impl Inner {
    /// See [`crate::Store::compact`].
    pub(crate) async fn compact(self: &Rc<Self>, now_ms: i64) -> Result<bool, Fenced> {
        if self.refuses() {
            return Err(Fenced);
        }
        if self.compaction.running.replace(true) {
            return Ok(false);
        }
        let _running = Running(&self.compaction.running);
        let Some((log, backlog)) = self.most_urgent(now_ms).await else { return Ok(false) };
        let started = self.world.now();
        let outcome = self.compact_log(&log, &backlog, now_ms).await;
        let partition = log.partition();
        match outcome {
            // What happens to files that are being removed is of no interest.
            Err(_) if log.is_going() => {}
            Ok(upto) => {
                count(&self.counters.compactions, 1);
                let took = self.world.now().since(started);
                tracing::debug!(%partition, from = backlog.from, upto, ?took, "compacted");
                return Ok(true);
            }
            Err(Stopped::Changed) => {}
            Err(Stopped::Full) => tracing::warn!(%partition, "no room to compact"),
            Err(Stopped::Unreadable(error)) => {
                tracing::error!(%partition, %error, "cannot be read, so it is not compacted");
                log.set_uncompactable();
            }
            Err(Stopped::TooLarge) => {
                tracing::error!(%partition, "too large a segment, or too many keys, to compact it");
                log.set_uncompactable();
            }
            Err(Stopped::Failed(error)) => self.fence("compact a segment", error),
        }
        if self.refuses() { Err(Fenced) } else { Ok(false) }
    }

    /// The log that needs a pass most, if one does.
    async fn most_urgent(self: &Rc<Self>, now_ms: i64) -> Option<(Log, Backlog)> {
        let logs: Vec<Log> = self.logs.borrow().values().cloned().collect();
        let (mut bytes, mut ratio_max) = (0, 0.0_f64);
        let mut found: Option<(Log, Backlog)> = None;
        for log in logs {
            self.world.turn_if_needed().await;
            let config = log.config();
            let Some(settings) = config.compaction else { continue };
            if log.is_going() || log.is_offline() || log.is_uncompactable() {
                continue;
            }
            let durable = log.durable_offset().get();
            let backlog = log.with_state(|state| plan::assess(state, durable, &config, now_ms));
            let Some(backlog) = backlog else { continue };
            bytes += backlog.dirty_bytes;
            ratio_max = ratio_max.max(backlog.ratio());
            let first = found.as_ref().is_none_or(|(_, it)| backlog.urgency(it).is_gt());
            if backlog.is_due(&settings) && first {
                found = Some((log, backlog));
            }
        }
        self.compaction.bytes.set(bytes);
        self.compaction.ratio_max.set((ratio_max * 1e6) as u64);
        found
    }

    /// One pass over a log; returns up to where it is compacted now.
    async fn compact_log(
        self: &Rc<Self>,
        log: &Log,
        backlog: &Backlog,
        now_ms: i64,
    ) -> Result<i64, Stopped> {
        log.check_files().await?;
        self.flush_logs(std::slice::from_ref(log), Depth::Blocks).await?;
        let config = log.config();
        let settings = config.compaction.ok_or(Stopped::Changed)?;
        let segments = log.segments_to_compact(backlog.until);
        // What is not flushed yet is for the next pass.
        let until = segments.last().map_or(0, |it| it.end).min(backlog.until);
        if until <= backlog.from {
            return Err(Stopped::Changed);
        }
        let dirty = (until - backlog.from).cast_unsigned();
        let seed = [self.world.random(), self.world.random()];
        let mut pass = Pass {
            store: self,
            log,
            keys: KeyMap::new(dirty, self.config.compaction_bytes, seed),
            upto: 0,
            settings,
            now_ms,
            producers: log.with_state(|state| state.producers.last_offsets()),
            opaque: false,
            pace: Pace::new(self),
        };
        let upto = pass.read_keys(&segments, backlog.from..until).await?;
        pass.upto = upto;
        let segments = segments.into_iter().filter(|it| it.base < upto).collect();
        for group in plan::groups(segments, config.segment_bytes) {
            let new = pass.write(&group).await?;
            self.swap(log, &group, new).await?;
        }
        let keys = pass.keys;
        // A large table is given back page by page.
        drop(self.world.blocking(move || drop(keys)).await);
        if log.is_going() || self.refuses() {
            return Err(Stopped::Changed);
        }
        log.with_state_mut(|state| state.cleaned = state.cleaned.max(upto));
        self.say(log, &Entry::Cleaned { log: log.id(), to: upto });
        Ok(upto)
    }

    /// Puts a new segment in the place of a group. When this returns the old files are gone.
    async fn swap(
        self: &Rc<Self>,
        log: &Log,
        group: &[SegmentState],
        new: SegmentState,
    ) -> Result<(), Stopped> {
        let held = log.hold_files(self).await?;
        let unchanged = group.iter().all(|old| log.segment_name(old.base) == Some(old.name()));
        let bases = bases(group);
        if !unchanged || log.is_going() || self.refuses() {
            log.set_making(None);
            self.remove_segment_files(log, &[new.name()]).await;
            return Err(Stopped::Changed);
        }
        let mut segment = Vec::new();
        crate::checkpoint::encode_segment(&mut segment, &new);
        let old = log.swap_segments(self, bases.clone(), new);
        let entry =
            Entry::Swap { log: log.id(), from: bases.start, to: bases.end, segment: &segment };
        let ticket = self.say(log, &entry);
        log.set_making(None);
        self.update_dirty(log);
        self.landed.notify_all();
        drop(held);
        // Before the entry is durable a crash goes back to the old segments.
        self.durable(ticket.0).await.map_err(|_fenced| Stopped::Changed)?;
        self.settled().await.map_err(|_fenced| Stopped::Changed)?;
        let names: Vec<SegmentName> = old.iter().map(SegmentState::name).collect();
        self.remove_segment_files(log, &names).await;
        Ok(())
    }
}

/// Where the segments of a group start.
fn bases(group: &[SegmentState]) -> Range<i64> {
    let first = group.first().map_or(0, |it| it.base);
    first..group.last().map_or(first, |it| it.base + 1)
}

impl Pass<'_> {
    /// Notes the newest offset of each key; returns up to which batch the map holds them all.
    async fn read_keys(
        &mut self,
        segments: &[SegmentState],
        dirty: Range<i64>,
    ) -> Result<i64, Stopped> {
        for segment in segments.iter().filter(|it| it.end > dirty.start) {
            let mut at = segment.base.max(dirty.start);
            while at < segment.end {
                let regions = scan::read(self.log, segment, at, &self.pace).await?;
                count(&self.store.counters.compact_in_bytes, regions.block.len() as u64);
                for placed in scan::batches(&regions) {
                    if placed.next_offset() <= at {
                        continue;
                    }
                    if self.note_keys(&placed, dirty.start).await.is_err() {
                        let upto = placed.header.base_offset();
                        let more = upto > dirty.start;
                        return if more { Ok(upto) } else { Err(Stopped::TooLarge) };
                    }
                    self.store.world.turn_if_needed().await;
                }
                at = regions.end_offset;
                self.pace.rest(self.store).await?;
            }
        }
        Ok(dirty.end)
    }

    /// Notes the keys of a batch from an offset on.
    async fn note_keys(&mut self, placed: &Placed<'_>, from: i64) -> Result<(), KeyMapFull> {
        let Ok(batch) = RawBatch(placed.bytes).check() else { return Ok(()) };
        if batch.is_control() || batch.record_count() == 0 {
            return Ok(());
        }
        let unpacked;
        let section = match batch.compression() {
            Compression::None => batch.record_bytes(),
            Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {
                // What cannot be looked into stays as it is.
                let Some(bytes) = scan::unpack(self.store, &batch).await else { return Ok(()) };
                unpacked = bytes;
                &unpacked
            }
        };
        let records = protocol::batch::records::Records::new(batch.header(), section);
        for record in records.map_while(Result::ok).filter(|it| it.offset >= from) {
            let Some(key) = record.key else { continue };
            self.keys.put(key, record.offset)?;
        }
        Ok(())
    }

    /// Writes what stays of a group as one new segment.
    async fn write(&mut self, group: &[SegmentState]) -> Result<SegmentState, Stopped> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Err(Stopped::Changed);
        };
        let generation = group.iter().map(|it| it.generation).max().unwrap_or(0) + 1;
        let name = SegmentName { base: first.base, generation };
        let bytes: u64 = group.iter().map(|it| u64::from(it.length)).sum();
        self.log.set_making(Some(name));
        let written = async {
            let mut output =
                Output::create(self.store, self.log, name, bytes, last.created_ms).await?;
            for segment in group {
                self.copy(segment, last.end, &mut output).await?;
            }
            Ok(output.finish().await?)
        };
        let written: Result<SegmentState, Stopped> = written.await;
        if written.is_err() {
            self.log.set_making(None);
            self.store.remove_segment_files(self.log, &[name]).await;
        }
        written
    }

    /// Copies what stays of a segment. The batch that ends at `group_end` stays, empty if need be: a
    /// reader gets past the segment with it.
    async fn copy(
        &mut self,
        segment: &SegmentState,
        group_end: i64,
        output: &mut Output,
    ) -> Result<(), Stopped> {
        let mut at = segment.base;
        while at < segment.end {
            let regions = scan::read(self.log, segment, at, &self.pace).await?;
            count(&self.store.counters.compact_in_bytes, regions.block.len() as u64);
            for placed in scan::batches(&regions) {
                let next = placed.next_offset();
                if next <= at {
                    continue;
                }
                let Ok(batch) = RawBatch(placed.bytes).check() else {
                    return Err(Stopped::Unreadable(ReadError::Lost(at..next)));
                };
                if let Some(bytes) = self.remains(&batch, next == group_end).await
                    && output.put(bytes.as_ref().map_or(placed.bytes, |it| it)).await?
                {
                    self.pace.rest(self.store).await?;
                }
                self.store.world.turn_if_needed().await;
            }
            at = regions.end_offset;
            self.pace.rest(self.store).await?;
        }
        Ok(())
    }

    /// What stays of a batch: `None` is nothing, `Some(None)` the batch as it is.
    async fn remains(&mut self, batch: &CheckedBatch<'_>, last: bool) -> Option<Option<Vec<u8>>> {
        if batch.is_control() || batch.base_offset().get() >= self.upto {
            return Some(None);
        }
        let last_offset = batch.base_offset().get() + i64::from(batch.offset_count()) - 1;
        let kept = last
            || batch.producer().is_some() && self.producers.binary_search(&last_offset).is_ok();
        if batch.record_count() == 0 {
            return kept.then_some(None);
        }
        let unpacked;
        let section = match batch.compression() {
            Compression::None => batch.record_bytes(),
            Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {
                let Some(bytes) = scan::unpack(self.store, batch).await else {
                    self.opaque = true;
                    return Some(None);
                };
                unpacked = bytes;
                &unpacked
            }
        };
        let expired =
            !self.opaque && batch.delete_horizon().is_some_and(|horizon| horizon <= self.now_ms);
        let horizon = self.now_ms.saturating_add(self.settings.delete_retention_ms);
        let thinned = batch.thin(section, horizon, |record| {
            let Some(key) = record.key else { return false };
            let newest = self.keys.get(key).is_none_or(|newest| record.offset >= newest);
            newest && (record.value.is_some() || !expired)
        });
        match thinned {
            // Records that cannot be read are nobody's to remove.
            Err(_) => {
                self.opaque = true;
                Some(None)
            }
            Ok(Remains::Untouched) => Some(None),
            Ok(Remains::Nothing) => kept.then(|| Some(batch.emptied().to_vec())),
            Ok(Remains::Some(thinned)) => match scan::pack(self.store, thinned).await {
                Some(packed) => Some(Some(packed)),
                None => Some(None),
            },
        }
    }
}
