//! Reading from segments: regions are found through index pages, read whole, and verified before
//! anybody sees a byte of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use protocol::batch::{HEADER_BYTES, RawBatch};
use protocol::crc::crc32c;
use protocol::offset::Offset;
use runtime::{OpenOptions, ReadBlock};

use crate::error::ReadError;
use crate::journal::entry::Entry;
use crate::limits::{INDEX_PAGE_ENTRIES_WANTED, PAGE_BYTES, round_up};
use crate::log::read::{ReadLimit, ReadOutcome, Source, Wanted, select};
use crate::log::state::{Placement, SegmentState};
use crate::log::{Log, offset};
use crate::segment::index::{BadIndex, Identity, IndexEntry, IndexPage};
use crate::segment::walk::{batch_bytes, header_at, next_offset};
use crate::store::files::FileKey;
use crate::store::{Inner, Rule, count};

/// Consecutive regions of a segment, read and verified.
pub(crate) struct Regions {
    pub(crate) log: u32,
    pub(crate) base: i64,
    /// Where the first one starts.
    pub(crate) start: u32,
    /// Where the last one ends.
    pub(crate) end: u32,
    /// The offset after the last one.
    pub(crate) end_offset: i64,
    pub(crate) entries: Vec<IndexEntry>,
    pub(crate) block: ReadBlock,
}

impl Source for Regions {
    fn entries(&self) -> usize {
        self.entries.len()
    }
    fn entry(&self, at: usize) -> IndexEntry {
        self.entries[at]
    }
    fn header(&self, position: u32) -> Option<[u8; HEADER_BYTES]> {
        let from = position.checked_sub(self.start)? as usize;
        self.block.get(from..)?.first_chunk::<HEADER_BYTES>().copied()
    }
}

/// What was read lately: the blocks that readers go on from, and index pages.
#[derive(Default)]
pub(crate) struct ReadCache {
    regions: RefCell<VecDeque<Rc<Regions>>>,
    pages: RefCell<VecDeque<(u32, Rc<IndexPage>)>>,
}

/// Blocks of regions kept: one for each reader that is catching up, as long as there are few.
const REGIONS_KEPT: usize = 16;
/// Index pages kept.
const PAGES_KEPT: usize = 256;

impl ReadCache {
    fn regions(&self, log: u32, base: i64, from: i64) -> Option<Rc<Regions>> {
        let mut kept = self.regions.borrow_mut();
        let at = kept.iter().position(|it| {
            let first = it.entries.first().map_or(0, |entry| i64::from(entry.relative));
            it.log == log && it.base == base && (base + first..it.end_offset).contains(&from)
        })?;
        let found = kept.remove(at)?;
        kept.push_back(found.clone());
        Some(found)
    }

    fn keep_regions(&self, regions: &Rc<Regions>) {
        let mut kept = self.regions.borrow_mut();
        kept.push_back(regions.clone());
        if kept.len() > REGIONS_KEPT {
            kept.pop_front();
        }
    }

    fn page(&self, log: u32, base: i64, number: u32) -> Option<Rc<IndexPage>> {
        let mut kept = self.pages.borrow_mut();
        let same = |it: &(u32, Rc<IndexPage>)| {
            it.0 == log && it.1.identity.base == base && it.1.number == number
        };
        // The newest are looked for most.
        let at = kept.iter().rposition(same)?;
        let found = kept.remove(at)?;
        kept.push_back(found.clone());
        Some(found.1)
    }

    fn keep_page(&self, log: u32, page: &Rc<IndexPage>) {
        let mut kept = self.pages.borrow_mut();
        kept.push_back((log, page.clone()));
        if kept.len() > PAGES_KEPT {
            kept.pop_front();
        }
    }

    /// Forgets what is known of a log.
    pub(crate) fn forget(&self, log: u32) {
        self.regions.borrow_mut().retain(|it| it.log != log);
        self.pages.borrow_mut().retain(|it| it.0 != log);
    }
}

/// Index entries to choose regions from.
struct Choice {
    entries: Vec<IndexEntry>,
    end_position: u32,
    end_offset: i64,
}

impl Choice {
    fn region_end(&self, at: usize) -> u32 {
        self.entries.get(at + 1).map_or(self.end_position, |next| next.position - next.gap)
    }
    fn region_end_offset(&self, at: usize, base: i64) -> i64 {
        self.entries.get(at + 1).map_or(self.end_offset, |next| base + i64::from(next.relative))
    }
}

impl From<&IndexPage> for Choice {
    fn from(page: &IndexPage) -> Self {
        Self {
            entries: page.entries.clone(),
            end_position: page.end_position,
            end_offset: page.end_offset,
        }
    }
}

impl Log {
    /// Reads from disk what memory does not hold.
    pub(crate) async fn read_disk(
        &self,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<ReadOutcome, ReadError> {
        self.check_files().await?;
        loop {
            let Some((wanted, at)) = self.clip(from, &limit)? else {
                return Ok(ReadOutcome { next: from, ..ReadOutcome::default() });
            };
            let base = self.with_state(|state| state.segments.get(at).map(|it| it.base));
            let Some(base) = base else { continue };
            let Some(regions) = self.regions(base, wanted.from, wanted.max_bytes).await? else {
                continue;
            };
            return Ok(answer(&regions, &wanted));
        }
    }

    /// The regions of a segment from the one that holds `from` on: at least one, about
    /// `bytes_wanted`. `None`: the segment changed meanwhile.
    async fn regions(
        &self,
        base: i64,
        from: i64,
        bytes_wanted: usize,
    ) -> Result<Option<Rc<Regions>>, ReadError> {
        let store = self.0.store.upgrade().ok_or(ReadError::Deleted)?;
        let cached = store.reads.regions(self.0.id, base, from);
        if let Some(regions) = &cached {
            // Regions at the end may have grown since.
            let whole = self.with_state(|state| {
                state.segment(base).is_some_and(|it| it.end == regions.end_offset)
            });
            if whole || regions.end_offset > from {
                return Ok(cached);
            }
        }
        let Some(choice) = self.choose(&store, base, from).await? else { return Ok(None) };
        let first = choice.entries.partition_point(|it| base + i64::from(it.relative) <= from);
        let Some(first) = first.checked_sub(1) else { return Ok(None) };
        let bytes_wanted = bytes_wanted.max(store.config.tuning.read_ahead_bytes);
        let start = choice.entries[first].position;
        let mut last = first;
        while last + 1 < choice.entries.len()
            && (choice.region_end(last + 1) - start) as usize <= bytes_wanted
        {
            last += 1;
        }
        let end = choice.region_end(last);
        let block = self.load(&store, base, start..end).await?;
        let mut regions = Regions {
            log: self.0.id,
            base,
            start,
            end,
            end_offset: choice.region_end_offset(last, base),
            entries: choice.entries[first..=last].to_vec(),
            block,
        };
        if let Some(damaged) = first_damaged(&regions, &choice, first) {
            let entry = choice.entries[damaged];
            let lost = base + i64::from(entry.relative)..choice.region_end_offset(damaged, base);
            if !self.unchanged(base, &entry) {
                return Ok(None);
            }
            if self.with_state(|state| state.quarantined_at(lost.start)).is_none() {
                self.lose(&store, lost.clone(), Rule::R4);
            }
            if damaged == first {
                return Err(ReadError::Lost(lost));
            }
            // What lies before the damage is good.
            regions.end = choice.region_end(damaged - 1);
            regions.end_offset = lost.start;
            regions.entries.truncate(damaged - first);
            regions.block = regions.block.slice(0..(regions.end - start) as usize);
        }
        let regions = Rc::new(regions);
        store.reads.keep_regions(&regions);
        Ok(Some(regions))
    }

    /// Whether a region that was read is still what the state says: the open one may have grown
    /// while it was read.
    fn unchanged(&self, base: i64, entry: &IndexEntry) -> bool {
        self.with_state(|state| {
            state.segment(base).is_some_and(|segment| {
                let pending = segment.pending.iter().find(|it| it.position == entry.position);
                pending.is_none_or(|it| it == entry)
            })
        })
    }

    /// For a look-up by time: the regions from `from` on that may hold it.
    pub(crate) async fn regions_for_time(
        &self,
        base: i64,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<Rc<Regions>>, ReadError> {
        self.check_files().await?;
        let store = self.0.store.upgrade().ok_or(ReadError::Deleted)?;
        let mut from = from;
        loop {
            let segment = self.with_state(|state| {
                state.segment(base).map(|it| (it.end, it.pages, it.paged_timestamp))
            });
            let Some((end, pages, paged_timestamp)) = segment else { return Ok(None) };
            if from >= end {
                return Ok(None);
            }
            if pages > 0 && paged_timestamp >= timestamp {
                // The first page whose timestamps reach that far.
                let (mut low, mut high) = (0, pages - 1);
                while low < high {
                    let middle = low + (high - low) / 2;
                    let page = self.page(&store, base, middle).await?;
                    let Some(page) = page else { return Ok(None) };
                    if page.max_timestamp >= timestamp { high = middle } else { low = middle + 1 }
                }
                let Some(page) = self.page(&store, base, low).await? else { return Ok(None) };
                let first = page.entries.first().map_or(0, |it| i64::from(it.relative));
                from = from.max(base + first);
            }
            let Some(choice) = self.choose(&store, base, from).await? else { return Ok(None) };
            let at = |entry: &IndexEntry| base + i64::from(entry.relative);
            let first = choice.entries.partition_point(|it| at(it) <= from).saturating_sub(1);
            let hit = choice.entries[first..].iter().find(|it| it.max_timestamp >= timestamp);
            match hit {
                Some(hit) => return self.regions(base, at(hit).max(from), 1).await,
                None => from = choice.end_offset,
            }
        }
    }

    /// The index entries around an offset. `None`: the segment is gone.
    async fn choose(
        &self,
        store: &Rc<Inner>,
        base: i64,
        from: i64,
    ) -> Result<Option<Choice>, ReadError> {
        let pending = self.with_state(|state| {
            let segment = state.segment(base)?;
            let first = segment.pending.first();
            let here = first.is_some_and(|it| base + i64::from(it.relative) <= from);
            Some((here || segment.pages == 0).then(|| Choice {
                entries: segment.pending.clone(),
                end_position: segment.length,
                end_offset: segment.end,
            }))
        });
        let Some(pending) = pending else { return Ok(None) };
        if pending.is_some() {
            return Ok(pending);
        }
        Ok(self.find_page(store, base, from).await?.map(|page| Choice::from(&*page)))
    }

    /// The last page that starts at or before an offset.
    async fn find_page(
        &self,
        store: &Rc<Inner>,
        base: i64,
        from: i64,
    ) -> Result<Option<Rc<IndexPage>>, ReadError> {
        let pages = self.with_state(|state| state.segment(base).map_or(0, |it| it.pages));
        let (mut low, mut high) = (0, pages);
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(page) = self.page(store, base, middle).await? else { return Ok(None) };
            let first = page.entries.first().map_or(0, |it| base + i64::from(it.relative));
            if first <= from {
                low = middle + 1;
                if from < page.end_offset {
                    return Ok(Some(page));
                }
                found = Some(page);
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    /// An index page; if it is damaged the segment's index is made anew. `None`: the segment or
    /// its index changed meanwhile.
    async fn page(
        &self,
        store: &Rc<Inner>,
        base: i64,
        number: u32,
    ) -> Result<Option<Rc<IndexPage>>, ReadError> {
        if let Some(page) = store.reads.page(self.0.id, base, number) {
            return Ok(Some(page));
        }
        let partition = self.partition();
        let identity =
            Identity { topic: partition.topic.get(), partition: partition.index.get(), base };
        let bytes = match store.index_file(self, base, false).await {
            Ok(file) => file.read_at(u64::from(number) * PAGE_BYTES as u64, PAGE_BYTES).await,
            Err(error) => Err(error),
        };
        let page = match bytes {
            Ok(bytes) => IndexPage::decode(&bytes, &identity, number),
            Err(_) => Err(BadIndex::Damaged),
        };
        let length = self.with_state(|state| state.segment(base).map(|it| it.length));
        let Some(length) = length else { return Ok(None) };
        let page =
            page.and_then(
                |page| {
                    if page.end_position > length { Err(BadIndex::Wrong) } else { Ok(page) }
                },
            );
        match page {
            Ok(page) => {
                let page = Rc::new(page);
                store.reads.keep_page(self.0.id, &page);
                Ok(Some(page))
            }
            Err(bad) => {
                let rule = match bad {
                    BadIndex::Damaged => Rule::R7,
                    BadIndex::Wrong => Rule::R8,
                    BadIndex::Foreign => Rule::R16,
                };
                tracing::warn!(%partition, base, number, ?bad, "index page rebuilt");
                store.hit(rule);
                self.rebuild_index(store, base).await?;
                Ok(None)
            }
        }
    }

    /// Bytes of a segment: from disk, and from memory where the disk does not have them yet.
    async fn load(
        &self,
        store: &Rc<Inner>,
        base: i64,
        range: Range<u32>,
    ) -> Result<ReadBlock, ReadError> {
        let flushed = self.with_part(base, |part| part.flushed).unwrap_or(u32::MAX);
        if range.end <= flushed {
            return self.load_from_disk(store, base, range).await;
        }
        let short = |_full| ReadError::Io(io::ErrorKind::UnexpectedEof);
        let chunk = store.world.chunk((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let from_memory = self.with_part(base, |part| {
                let until = part.held_until(at)?.min(range.end);
                part.bytes(at..until).try_for_each(|bytes| chunk.push(bytes).map(|_| ())).ok()?;
                Some(until)
            });
            if let Some(until) = from_memory.flatten() {
                at = until;
                continue;
            }
            let held = self.with_part(base, |part| part.held_after(at)).flatten();
            let until = held.unwrap_or(range.end).min(range.end);
            let block = self.load_from_disk(store, base, at..until).await?;
            chunk.push(&block).map_err(short)?;
            at = until;
        }
        Ok(chunk.slice(0..chunk.len()).into())
    }

    async fn load_from_disk(
        &self,
        store: &Rc<Inner>,
        base: i64,
        range: Range<u32>,
    ) -> Result<ReadBlock, ReadError> {
        let file = store.read_file(self, base).await.map_err(io_error)?;
        let count_wanted = (range.end - range.start) as usize;
        let block = file.read_at(u64::from(range.start), count_wanted).await.map_err(io_error)?;
        count(&store.counters.read_bytes, block.len() as u64);
        Ok(block)
    }

    /// Marks offsets as lost, here and in the journal.
    pub(crate) fn lose(&self, store: &Inner, lost: Range<i64>, rule: Rule) {
        tracing::error!(partition = %self.partition(), first = lost.start, next = lost.end, "offsets are lost");
        store.hit(rule);
        self.with_state_mut(|state| state.quarantine(lost.clone()));
        if !store.refuses() {
            let entry = Entry::Quarantine { log: self.0.id, first: lost.start, next: lost.end };
            store.say(self, &entry);
        }
    }

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
        let file = store.index_file(self, base, true).await.map_err(io_error)?;
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
        store.sync(&file).await.map_err(|error| {
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
                position = round_up(position + 1).min(until);
                continue;
            };
            let header =
                protocol::batch::BatchHeader::peek(batch).expect("a checked batch has one");
            let base_offset = header.base_offset();
            if base_offset > next {
                self.lose(store, next..base_offset, Rule::R4);
                state.end = base_offset;
            }
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
        if state.end < end_offset {
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

struct Scanned {
    entries: Vec<IndexEntry>,
    end: u32,
    end_offset: i64,
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn io_error(error: io::Error) -> ReadError {
    ReadError::Io(error.kind())
}

/// The first region whose checksum does not hold, as an index into the choice.
fn first_damaged(regions: &Regions, choice: &Choice, first: usize) -> Option<usize> {
    (0..regions.entries.len()).map(|at| first + at).find(|&at| {
        let entry = &choice.entries[at];
        let range = (entry.position - regions.start) as usize
            ..(choice.region_end(at) - regions.start) as usize;
        regions.block.get(range).is_none_or(|bytes| crc32c(bytes) != entry.crc)
    })
}

fn answer(regions: &Regions, wanted: &Wanted) -> ReadOutcome {
    let Some(found) = select(regions, regions.base, wanted, regions.end) else {
        return ReadOutcome { next: offset(wanted.from), ..ReadOutcome::default() };
    };
    let within = |range: Range<u32>| {
        (range.start - regions.start) as usize..(range.end - regions.start) as usize
    };
    let slices = found.ranges.into_iter().map(|range| regions.block.slice(within(range))).collect();
    ReadOutcome { slices, bytes: found.bytes, next: offset(found.next) }
}

impl Inner {
    /// A segment's file, for reading.
    pub(crate) async fn read_file(&self, log: &Log, base: i64) -> io::Result<Rc<runtime::File>> {
        let key = FileKey { log: log.id(), base, index: false };
        if let Some(file) = self.files.get(key) {
            return Ok(file);
        }
        let path = self.paths.segment(log.partition(), base);
        let options = OpenOptions { create: false, write: true, synchronous: false };
        let file = self.disk.open(path, options).await?;
        Ok(self.files.put(key, file))
    }
}
