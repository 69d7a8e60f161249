//! The segment that compaction writes: batches back to back, an index beside them, all of it synced
//! before anybody hears of it.

use std::io;
use std::rc::Rc;

use protocol::batch::BatchHeader;
use protocol::crc::crc32c_append;
use runtime::{Chunk, File, OpenOptions};

use crate::limits::{INDEX_PAGE_ENTRIES, PAGE_BYTES, SEGMENT_BYTES_MAX, round_up};
use crate::log::Log;
use crate::log::state::{LogState, Placement, SegmentState};
use crate::segment::SegmentName;
use crate::segment::index::{Identity, IndexPage};
use crate::store::{Inner, count};

/// Bytes written at a time: few enough that a write of the journal behind one does not wait long.
const WRITE_BYTES: usize = 64 << 10;

/// A segment in the making.
pub(crate) struct Output {
    store: Rc<Inner>,
    log: Log,
    name: SegmentName,
    file: File,
    chunk: Chunk,
    /// Where the chunk's bytes go.
    position: u32,
    /// A log of this segment alone, which keeps its index as appending does.
    state: LogState,
    index_interval: u32,
}

impl Output {
    /// Makes the segment's files, with room for `bytes_max`. `created_ms` is the age of what it is
    /// made from.
    pub(crate) async fn create(
        store: &Rc<Inner>,
        log: &Log,
        name: SegmentName,
        bytes_max: u64,
        created_ms: i64,
    ) -> io::Result<Self> {
        let path = store.paths.log_of(log.partition(), name);
        // What a pass that was given up may have left.
        store.remove_file(&path).await;
        store.remove_file(&store.paths.index_of(log.partition(), name)).await;
        let options = OpenOptions { create: true, write: true, synchronous: false };
        let file = store.disk.open(&path, options).await?;
        file.allocate(bytes_max).await?;
        let mut state = LogState::new(0, log.partition(), -1, name.base);
        state.roll(name.base, created_ms);
        Ok(Self {
            store: store.clone(),
            log: log.clone(),
            name,
            file,
            chunk: store.world.chunk(WRITE_BYTES),
            position: 0,
            state,
            index_interval: log.config().index_interval_bytes,
        })
    }

    /// Adds a batch. Returns whether bytes went to the disk.
    pub(crate) async fn put(&mut self, batch: &[u8]) -> io::Result<bool> {
        let position = u64::from(self.position) + self.chunk.len() as u64;
        if position + batch.len() as u64 > u64::from(SEGMENT_BYTES_MAX) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let header = BatchHeader::peek(batch).ok_or(io::ErrorKind::InvalidData)?;
        let placement = Placement {
            header,
            position: position as u32,
            bytes: batch.len() as u32,
            now_ms: 0,
            index_interval: self.index_interval,
        };
        self.state.place(&placement, |crc| crc32c_append(crc, batch));
        let mut rest = batch;
        let mut wrote = false;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.chunk.room().min(rest.len()));
            self.chunk.push(now).map_err(|_full| io::ErrorKind::OutOfMemory)?;
            rest = later;
            if self.chunk.room() == 0 {
                self.write().await?;
                wrote = true;
            }
        }
        Ok(wrote)
    }

    async fn write(&mut self) -> io::Result<()> {
        let bytes = self.chunk.len();
        self.file.write_chunk(&self.chunk, 0..bytes, u64::from(self.position)).await?;
        count(&self.store.counters.compact_out_bytes, bytes as u64);
        self.position += bytes as u32;
        self.chunk = self.store.world.chunk(WRITE_BYTES);
        Ok(())
    }

    /// Writes the rest and the index, and syncs both and their names.
    pub(crate) async fn finish(mut self) -> io::Result<SegmentState> {
        self.chunk.pad_to_block();
        if !self.chunk.is_empty() {
            self.write().await?;
        }
        let mut segment = self.state.segments.pop_back().ok_or(io::ErrorKind::InvalidData)?;
        debug_assert_eq!(self.position, round_up(segment.length));
        self.file.truncate(u64::from(self.position)).await?;
        self.store.sync(&self.file).await?;
        self.file.close().await?;
        let partition = self.log.partition();
        let pages = pages(&mut segment, partition.topic.get(), partition.index.get());
        let path = self.store.paths.index_of(partition, self.name);
        let options = OpenOptions { create: true, write: true, synchronous: false };
        let index = self.store.disk.open(path, options).await?;
        for (number, page) in pages.iter().enumerate() {
            let chunk = self.store.world.chunk(PAGE_BYTES);
            chunk.push(page).map_err(|_full| io::ErrorKind::OutOfMemory)?;
            index.write_chunk(&chunk, 0..PAGE_BYTES, (number * PAGE_BYTES) as u64).await?;
            self.store.world.turn_if_needed().await;
        }
        self.store.sync(&index).await?;
        index.close().await?;
        self.store.disk.sync_dir(self.store.paths.partition(partition)).await?;
        segment.generation = self.name.generation;
        segment.flushed = round_up(segment.length);
        Ok(segment)
    }
}

/// The index pages of a segment, which has no regions pending afterwards.
fn pages(segment: &mut SegmentState, topic: [u8; 16], partition: i32) -> Vec<Vec<u8>> {
    let identity = Identity { topic, partition, base: segment.base };
    let regions = std::mem::take(&mut segment.pending);
    let mut pages = Vec::with_capacity(regions.len().div_ceil(INDEX_PAGE_ENTRIES));
    for entries in regions.chunks(INDEX_PAGE_ENTRIES) {
        let largest = entries.iter().map(|it| it.max_timestamp).max().unwrap_or(-1);
        segment.paged_timestamp = segment.paged_timestamp.max(largest);
        let next = regions.get((pages.len() + 1) * INDEX_PAGE_ENTRIES);
        let page = IndexPage {
            identity,
            number: pages.len() as u32,
            entries: entries.to_vec(),
            end_position: next.map_or(segment.length, |it| it.position - it.gap),
            end_offset: next.map_or(segment.end, |it| segment.base + i64::from(it.relative)),
            max_timestamp: segment.paged_timestamp,
        };
        pages.push(page.encode());
    }
    segment.pages = pages.len() as u32;
    pages
}
