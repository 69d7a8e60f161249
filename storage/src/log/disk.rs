//! Reading from segments: regions are found through index pages, read whole, and verified before
//! anybody sees a byte of them.

mod cache;

use std::io;
use std::ops::Range;
use std::rc::Rc;

use protocol::crc::crc32c;
use protocol::offset::Offset;
use runtime::{OpenOptions, ReadBlock};

pub(crate) use cache::{ReadCache, Regions};

use crate::error::ReadError;
use crate::journal::entry::Entry;
use crate::limits::PAGE_BYTES;
use crate::log::read::{ReadLimit, ReadOutcome, Wanted, select};
use crate::log::{Log, offset};
use crate::segment::SegmentName;
use crate::segment::index::{BadIndex, Identity, IndexEntry, IndexPage};
use crate::store::files::FileKey;
use crate::store::{Inner, Rule, count};

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
        let mut from = from;
        loop {
            let Some((wanted, at)) = self.clip(from, &limit)? else {
                return Ok(ReadOutcome { next: from, ..ReadOutcome::default() });
            };
            let base = self.with_state(|state| state.segments.get(at).map(|it| it.base));
            let Some(base) = base else { continue };
            let Some(regions) = self.regions(base, wanted.from, wanted.max_bytes).await? else {
                continue;
            };
            match answer(&regions, &wanted) {
                Some(outcome) => return Ok(outcome),
                // What compaction removed.
                None => from = offset(regions.end_offset),
            }
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
        let bytes_wanted = bytes_wanted.max(store.config.tuning.read_ahead_bytes);
        let Some(name) = self.segment_name(base) else { return Ok(None) };
        let found = self.verified_regions(name, from, bytes_wanted).await?;
        if let Some(regions) = &found {
            store.reads.keep_regions(regions);
        }
        Ok(found)
    }

    /// The same from disk, and not kept for others. `None`: the segment is not `name` any more.
    pub(crate) async fn verified_regions(
        &self,
        name: SegmentName,
        from: i64,
        bytes_wanted: usize,
    ) -> Result<Option<Rc<Regions>>, ReadError> {
        let store = self.0.store.upgrade().ok_or(ReadError::Deleted)?;
        let base = name.base;
        let Some(choice) = self.choose(&store, base, from).await? else { return Ok(None) };
        // Compaction may have removed what lay before the first entry.
        let first = choice.entries.partition_point(|it| base + i64::from(it.relative) <= from);
        let first = first.saturating_sub(1);
        if choice.entries.is_empty() || self.segment_name(base) != Some(name) {
            return Ok(None);
        }
        let start = choice.entries[first].position;
        let mut last = first;
        while last + 1 < choice.entries.len()
            && (choice.region_end(last + 1) - start) as usize <= bytes_wanted
        {
            last += 1;
        }
        let end = choice.region_end(last);
        let block = self.load(&store, base, start..end).await;
        if self.segment_name(base) != Some(name) {
            return Ok(None);
        }
        let block = block?;
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
            // Of a region with a loss in it that is known, what lies before may be in memory yet.
            let known = self.with_state(|state| state.lost_before(from)).unwrap_or(base);
            let lost = (base + i64::from(entry.relative)).max(known)
                ..choice.region_end_offset(damaged, base);
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
        Ok(Some(Rc::new(regions)))
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

    /// The last page that starts at or before an offset, or the first one.
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
                if middle == 0 {
                    // Compaction removed what lay before it.
                    found = Some(page);
                }
            }
        }
        Ok(found)
    }

    /// An index page; if it is damaged the segment's index is made anew. `None`: the segment or
    /// its index changed meanwhile.
    pub(crate) async fn page(
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
        let Some(name) = self.segment_name(base) else { return Ok(None) };
        let bytes = match store.file_of(self, name, true).await {
            Ok(file) => file.read_at(u64::from(number) * PAGE_BYTES as u64, PAGE_BYTES).await,
            Err(error) => Err(error),
        };
        if self.segment_name(base) != Some(name) {
            return Ok(None);
        }
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
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(crate) fn io_error(error: io::Error) -> ReadError {
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

/// `None`: no batch in there reaches that far.
fn answer(regions: &Regions, wanted: &Wanted) -> Option<ReadOutcome> {
    let found = select(regions, regions.base, wanted, regions.end)?;
    let within = |range: Range<u32>| {
        (range.start - regions.start) as usize..(range.end - regions.start) as usize
    };
    let slices = found.ranges.into_iter().map(|range| regions.block.slice(within(range))).collect();
    Some(ReadOutcome { slices, bytes: found.bytes, next: offset(found.next) })
}

impl Inner {
    /// A segment's file, for reading.
    pub(crate) async fn read_file(&self, log: &Log, base: i64) -> io::Result<Rc<runtime::File>> {
        let name = log.segment_name(base).ok_or(io::ErrorKind::NotFound)?;
        self.file_of(log, name, false).await
    }

    /// A file of a segment, or its index.
    pub(crate) async fn file_of(
        &self,
        log: &Log,
        name: SegmentName,
        index: bool,
    ) -> io::Result<Rc<runtime::File>> {
        let key = FileKey { log: log.id(), base: name.base, index };
        if let Some(file) = self.files.get(key) {
            return Ok(file);
        }
        let partition = log.partition();
        let path = if index {
            self.paths.index_of(partition, name)
        } else {
            self.paths.log_of(partition, name)
        };
        let options = OpenOptions { create: false, write: true, synchronous: false };
        let file = self.disk.open(path, options).await?;
        if log.segment_name(name.base) != Some(name) {
            // Kept, it would be taken for a file of the one that took its place.
            return Ok(Rc::new(file));
        }
        Ok(self.files.put(key, file))
    }

    /// The index file of a segment that exists, made if it is missing.
    pub(crate) async fn make_index(
        &self,
        log: &Log,
        name: SegmentName,
    ) -> io::Result<Rc<runtime::File>> {
        if name.generation == 0 {
            return Ok(self.index_file(log, name.base, true).await?.0);
        }
        let path = self.paths.index_of(log.partition(), name);
        let options = OpenOptions { create: true, write: true, synchronous: false };
        drop(self.disk.open(path, options).await?);
        self.disk.sync_dir(self.paths.partition(log.partition())).await?;
        self.file_of(log, name, true).await
    }
}
