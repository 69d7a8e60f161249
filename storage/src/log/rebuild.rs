//! What files and journal do not agree on: a segment's index made anew from its batches, and files
//! that are missing or short.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use protocol::batch::RawBatch;

use crate::error::ReadError;
use crate::limits::{INDEX_PAGE_ENTRIES_WANTED, PAGE_BYTES, round_up};
use crate::log::Log;
use crate::log::disk::io_error;
use crate::log::state::{Placement, SegmentState};
use crate::segment::index::{Identity, IndexEntry, IndexPage};
use crate::segment::walk::{batch_bytes, header_at, next_offset};
use crate::store::{Inner, Rule};

struct Scanned {
    entries: Vec<IndexEntry>,
    end: u32,
    end_offset: i64,
}

impl Log {
    /// Makes a segment's index anew from its batches, as far as its pages should reach.
    pub(crate) async fn rebuild_index(
        &self,
        store: &Rc<Inner>,
        base: i64,
    ) -> Result<(), ReadError> {
        let Some(_busy) = self.begin_flush() else {
            // The flusher adds pages just now.
            store.world.turn().await;
            return Ok(());
        };
        let segment = self.with_state(|state| state.segment(base).cloned());
        let Some(segment) = segment else { return Ok(()) };
        let paged_end = segment.pending.first().map_or(segment.length, |it| it.position - it.gap);
        let scanned = self.scan_segment(store, &segment, paged_end).await?;
        let mut entries = scanned.entries;
        let partition = self.partition();
        let identity =
            Identity { topic: partition.topic.get(), partition: partition.index.get(), base };
        let mut number = 0;
        let mut largest = -1;
        let file = store.make_index(self, segment.name()).await.map_err(io_error)?;
        while !entries.is_empty() {
            let some: Vec<_> =
                entries.drain(..entries.len().min(INDEX_PAGE_ENTRIES_WANTED)).collect();
            largest = some.iter().map(|it| it.max_timestamp).max().unwrap_or(-1).max(largest);
            let next = entries.first();
            let page = IndexPage {
                identity,
                number,
                end_position: next.map_or(scanned.end, |it| it.position - it.gap),
                end_offset: next.map_or(scanned.end_offset, |it| base + i64::from(it.relative)),
                max_timestamp: largest,
                entries: some,
            };
            let chunk = store.world.chunk(PAGE_BYTES);
            chunk.push(&page.encode()).expect("a page fits");
            let position = u64::from(number) * PAGE_BYTES as u64;
            let written = file.write_chunk(&chunk, 0..PAGE_BYTES, position).await;
            if let Err(error) = written {
                return Err(io_error(error));
            }
            number += 1;
        }
        let dir = store.paths.partition(partition);
        store.sync_all(&[file], vec![dir]).await.map_err(|error| {
            let kind = error.kind();
            store.fence("write an index", error);
            ReadError::Io(kind)
        })?;
        self.with_state_mut(|state| {
            if let Some(segment) = state.segment_mut(base) {
                segment.pages = number;
                segment.paged_timestamp = largest;
            }
        });
        store.reads.forget(self.0.id);
        Ok(())
    }

    /// Walks a segment's batches from its start; what does not hold is lost.
    async fn scan_segment(
        &self,
        store: &Rc<Inner>,
        segment: &SegmentState,
        until: u32,
    ) -> Result<Scanned, ReadError> {
        let mut state = self.with_state(|state| {
            let mut fresh = crate::log::state::LogState::new(0, state.partition, -1, segment.base);
            fresh.roll(segment.base, 0);
            fresh
        });
        let index_interval = self.0.config.borrow().index_interval_bytes;
        let file = store.read_file(self, segment.base).await.map_err(io_error)?;
        let mut position = 0;
        let mut missing = false;
        while position < until {
            let window = (until - position).min(1 << 20);
            let mut bytes =
                file.read_at(u64::from(position), window as usize).await.map_err(io_error)?;
            let next = state.end;
            if let Some((_, size)) = header_at(&bytes, position, next)
                && size > bytes.len()
                && size as u64 <= u64::from(until - position)
            {
                bytes = file.read_at(u64::from(position), size).await.map_err(io_error)?;
            }
            let placed = header_at(&bytes, position, next).and_then(|(_, size)| bytes.get(..size));
            let valid = placed.filter(|bytes| RawBatch(bytes).check().is_ok());
            let Some(batch) = valid else {
                // Padding, or damage: on to the next block.
                missing = true;
                position = round_up(position + 1).min(until);
                continue;
            };
            let header =
                protocol::batch::BatchHeader::peek(batch).expect("a checked batch has one");
            let base_offset = header.base_offset();
            if base_offset > next {
                // Compaction leaves gaps, but no padding.
                if segment.generation == 0 || missing {
                    self.lose(store, next..base_offset, Rule::R4);
                }
                state.end = base_offset;
            }
            missing = false;
            let placement = Placement {
                header,
                position,
                bytes: batch.len() as u32,
                now_ms: 0,
                index_interval,
            };
            state.place(&placement, |crc| protocol::crc::crc32c_append(crc, batch));
            position += batch_bytes(header).unwrap_or(batch.len()) as u32;
            debug_assert_eq!(state.end, next_offset(header));
            store.world.turn_if_needed().await;
        }
        let first_pending = segment.pending.first();
        let end_offset =
            first_pending.map_or(segment.end, |it| segment.base + i64::from(it.relative));
        if state.end < end_offset && (segment.generation == 0 || missing) {
            self.lose(store, state.end..end_offset, Rule::R4);
        }
        let scanned = state.segments.pop_back();
        let entries = scanned.as_ref().map_or(Vec::new(), |it| it.pending.clone());
        Ok(Scanned { entries, end: scanned.map_or(0, |it| it.length), end_offset })
    }

    /// Compares the files with what the journal says of them, once (R13, R14).
    pub(crate) async fn check_files(&self) -> Result<(), ReadError> {
        if self.0.checked.replace(true) {
            return Ok(());
        }
        let store = self.0.store.upgrade().ok_or(ReadError::Deleted)?;
        let segments: Vec<(i64, u32, Range<i64>)> = self.with_state(|state| {
            let flushed = state.segments.iter().filter(|it| it.flushed > 0);
            flushed.map(|it| (it.base, it.flushed.min(it.length), it.base..it.end)).collect()
        });
        for (base, least, offsets) in segments {
            let length = match store.read_file(self, base).await {
                Ok(file) => file.len().await.map_err(io_error)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(io_error(error)),
            };
            if length < u64::from(least) {
                let lost = self.offsets_beyond(&store, base, length, offsets).await;
                self.lose(&store, lost, Rule::R13);
            }
        }
        let _held = self.hold_files(&store).await.map_err(io_error)?;
        store.sweep_partition(self).await.map_err(io_error)
    }

    /// Which offsets of a segment lie beyond its file's end.
    async fn offsets_beyond(
        &self,
        store: &Rc<Inner>,
        base: i64,
        length: u64,
        all: Range<i64>,
    ) -> Range<i64> {
        let mut first = all.start;
        let pages = self.with_state(|state| state.segment(base).map_or(0, |it| it.pages));
        for number in 0..pages {
            let Ok(Some(page)) = self.page(store, base, number).await else { break };
            let whole = u64::from(page.end_position) <= length;
            if whole {
                first = page.end_offset;
                continue;
            }
            let entry = page.entries.iter().take_while(|it| u64::from(it.position) < length).last();
            first = entry.map_or(first, |it| base + i64::from(it.relative));
            break;
        }
        first..all.end
    }
}
