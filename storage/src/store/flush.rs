//! From the journal to the segments: the flusher writes what the ring can no longer keep or memory
//! no longer hold, syncs it, and has a checkpoint taken before ring files are used again.

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use runtime::{File, OpenOptions, TaskClass};

use crate::error::Fenced;
use crate::limits::{
    BLOCK_BYTES, INDEX_PAGE_ENTRIES, INDEX_PAGE_ENTRIES_WANTED, INDEX_PAGE_SPAN_WANTED, PAGE_BYTES,
    round_down,
};
use crate::log::Log;
use crate::log::tail::Piece;
use crate::mutation;
use crate::segment::index::{Identity, IndexPage};
use crate::store::Inner;
use crate::store::files::FileKey;
use crate::store::ring::Generation;
use crate::store::stats::add;
use crate::store::writer::{all, unless_short};

/// Logs flushed side by side.
const FLUSH_WIDTH: usize = 16;

/// What there is to do.
enum Need {
    /// Ring files up to a generation.
    Release(Generation),
    /// Memory.
    Room,
    /// Everything, and a checkpoint.
    All,
}

/// Which bytes of a log must go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth {
    /// Whole blocks.
    Blocks,
    /// And the last block, padded, if the ring carries its first byte below this generation.
    Below(u64),
    /// And the last block.
    Everything,
}

/// Runs until the store stops.
pub(crate) async fn run(inner: Rc<Inner>) {
    loop {
        let woken = inner.wake_flusher.notified();
        if inner.ends() {
            return;
        }
        let Some(need) = inner.flush_need() else {
            woken.await;
            continue;
        };
        match inner.flush_pass(need).await {
            Ok(()) => {
                if inner.disk_full.replace(false) {
                    inner.room.notify_all();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                if !inner.disk_full.replace(true) {
                    tracing::warn!(%error, "no room on the disk: appends are refused");
                }
                inner.world.sleep(Duration::from_millis(50)).await;
            }
            Err(error) => inner.fence("write a segment", error),
        }
    }
}

impl Inner {
    fn flush_need(&self) -> Option<Need> {
        if self.release_all.get() {
            return Some(Need::All);
        }
        let ring = self.ring.borrow();
        if ring.wants_release()
            && !(ring.wants_growth() && ring.free.len() > 1)
            && let Some(cut) = ring.cut()
        {
            return Some(Need::Release(cut));
        }
        let full = self.unflushed.get() > self.config.unflushed_bytes / 2;
        (full || self.disk_full.get()).then_some(Need::Room)
    }

    async fn flush_pass(self: &Rc<Self>, need: Need) -> io::Result<()> {
        match need {
            Need::Release(cut) => {
                self.flush_dirty(Some(cut.number), Depth::Below(cut.number)).await?;
                self.checkpoint(cut.first).await?;
                self.ring.borrow_mut().release(cut.number);
                self.released.notify_all();
            }
            Need::Room => {
                let before = self.unflushed.get();
                self.flush_dirty(None, Depth::Blocks).await?;
                let target = self.config.unflushed_bytes / 2;
                if self.unflushed.get() > target && self.unflushed.get() >= before {
                    self.flush_dirty(None, Depth::Everything).await?;
                }
                if self.unflushed.get() > target {
                    // What is left is not placed in the ring yet.
                    self.world.turn().await;
                }
                self.disk_full.set(false);
                self.room.notify_all();
            }
            Need::All => {
                // Taken before: what comes meanwhile lies in this generation or later.
                let anchor = self.ring.borrow().live.back().map(|it| (it.number, it.first));
                self.flush_dirty(None, Depth::Everything).await?;
                if let Some((number, first)) = anchor {
                    self.checkpoint(first).await?;
                    self.ring.borrow_mut().release(number);
                }
                self.release_all.set(false);
                self.released.notify_all();
            }
        }
        self.evict();
        Ok(())
    }

    /// Has everything flushed and a checkpoint taken.
    pub(crate) async fn flush_all(&self) -> Result<(), Fenced> {
        self.release_all.set(true);
        self.wake_flusher.notify_one();
        loop {
            let released = self.released.notified();
            if self.ends() {
                return Err(Fenced);
            }
            if !self.release_all.get() {
                return Ok(());
            }
            released.await;
        }
    }

    /// Flushes the logs whose oldest byte is in a generation below `cut`, or all dirty ones.
    async fn flush_dirty(self: &Rc<Self>, cut: Option<u64>, depth: Depth) -> io::Result<()> {
        let end = (cut.unwrap_or(u64::MAX), 0);
        let ids: Vec<u32> = self.dirty.borrow().range(..end).map(|(_, id)| *id).collect();
        for some in ids.chunks(FLUSH_WIDTH) {
            let logs: Vec<Log> = {
                let by_id = self.by_id.borrow();
                some.iter().filter_map(|id| by_id.get(id).cloned()).collect()
            };
            all(logs.into_iter().map(|log| self.flush_log(log, depth))).await?;
            if self.ends() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.world.turn_if_needed().await;
        }
        Ok(())
    }

    /// Writes what a log has in memory to its segments, as deep as asked.
    pub(crate) async fn flush_log(self: &Rc<Self>, log: Log, depth: Depth) -> io::Result<()> {
        let _busy = log.hold_files(self).await?;
        for base in log.unflushed_parts() {
            if log.is_going() {
                break;
            }
            self.flush_part(&log, base, depth).await?;
        }
        self.update_dirty(&log);
        log.drop_finished_parts(self);
        Ok(())
    }

    async fn flush_part(self: &Rc<Self>, log: &Log, base: i64, depth: Depth) -> io::Result<()> {
        let target = log.with_part(base, |part| {
            let last_block = round_down(part.append_at);
            let old = match depth {
                Depth::Blocks => false,
                Depth::Below(cut) => part.generation_of(last_block).is_some_and(|it| it < cut),
                Depth::Everything => true,
            };
            if part.sealed {
                return part.append_at;
            }
            if old && last_block < part.append_at && last_block >= part.flushed {
                let padding = part.pad();
                self.unflushed.set(self.unflushed.get() + u64::from(padding));
                return part.append_at;
            }
            last_block
        });
        let Some(target) = target else { return Ok(()) };
        self.prepare_segment(log, base, target).await?;
        let submitted =
            log.with_part(base, |part| (part.submitted < target).then(|| part.submit(target)));
        if let Some(Some((range, pieces))) = submitted {
            let file = self.segment_file(log, base).await?;
            let written = self.write_pieces(&file, &pieces).await;
            let synced = match written {
                Ok(()) => self.sync(&file).await,
                Err(error) => Err(error),
            };
            if let Err(error) = synced {
                // Still to be written: a full disk may heal, everything else fences.
                log.with_part(base, |part| part.withdraw(&range));
                return Err(error);
            }
            self.piece_landed(log, base, &range);
        }
        // Direct writes of older bytes may still be on their way.
        loop {
            let landed = self.landed.notified();
            let flushed = log.with_part(base, |part| part.flushed >= target);
            if flushed != Some(false) || log.is_going() {
                break;
            }
            if self.ends() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            landed.await;
        }
        self.write_pages(log, base).await
    }

    /// A write to a segment is synced.
    pub(crate) fn piece_landed(&self, log: &Log, base: i64, range: &Range<u32>) {
        let risen = log.landed(base, range);
        self.sub_unflushed(risen);
        self.update_dirty(log);
        self.landed.notify_all();
    }

    /// Writes pieces of memory to a segment, side by side.
    pub(crate) async fn write_pieces(&self, file: &File, pieces: &[Piece]) -> io::Result<()> {
        let bytes: usize = pieces.iter().map(|piece| piece.range.len()).sum();
        add(&self.counters.segment_bytes, bytes as u64);
        let writes = pieces.iter().map(|piece| async move {
            let position = u64::from(piece.position);
            unless_short(file.write_chunk(&piece.chunk, piece.range.clone(), position).await)
        });
        all(writes).await
    }

    /// Syncs a file; after an error nothing is ever synced again.
    pub(crate) async fn sync(&self, file: &File) -> io::Result<()> {
        add(&self.counters.syncs, 1);
        let outcome = file.sync().await;
        if mutation::on(3) && outcome.is_err() {
            return file.sync().await;
        }
        outcome
    }

    /// Keeps the list of logs that owe bytes to their segments.
    pub(crate) fn update_dirty(&self, log: &Log) {
        let oldest = log.oldest_generation().filter(|_| !log.is_going());
        let before = log.dirty_generation(oldest);
        if before == oldest {
            return;
        }
        let mut dirty = self.dirty.borrow_mut();
        if let Some(before) = before {
            dirty.remove(&(before, log.id()));
        }
        if let Some(oldest) = oldest {
            dirty.insert((oldest, log.id()));
        }
    }

    /// Notes which ring generation carries bytes of a log.
    pub(crate) fn mark(&self, log: &Log, base: i64, generation: u64, from: u32, to: u32) {
        log.with_part(base, |part| part.mark(generation, from, to));
        self.update_dirty(log);
    }

    /// The open file of a segment that was prepared.
    pub(crate) async fn segment_file(&self, log: &Log, base: i64) -> io::Result<Rc<File>> {
        let key = FileKey { log: log.id(), base, index: false };
        if let Some(file) = self.files.get(key) {
            return Ok(file);
        }
        let path = self.paths.segment(log.partition(), base);
        let options = OpenOptions { create: false, write: true, synchronous: false };
        let file = self.disk.open(path, options).await?;
        Ok(self.files.put(key, file))
    }

    /// Makes a segment's file, its name durable, with room for at least `upto` bytes.
    pub(crate) async fn prepare_segment(
        self: &Rc<Self>,
        log: &Log,
        base: i64,
        upto: u32,
    ) -> io::Result<()> {
        loop {
            let landed = self.landed.notified();
            let state = log.with_part(base, |part| {
                if part.allocated >= u64::from(upto) {
                    return None;
                }
                Some(std::mem::replace(&mut part.preparing, true))
            });
            match state.flatten() {
                None => return Ok(()),
                Some(false) => break,
                Some(true) => landed.await,
            }
            if self.ends() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        let outcome = self.allocate(log, base, upto).await;
        log.with_part(base, |part| part.preparing = false);
        self.landed.notify_all();
        outcome
    }

    async fn allocate(&self, log: &Log, base: i64, upto: u32) -> io::Result<()> {
        let (named, sealed) =
            log.with_part(base, |part| (part.named, part.sealed)).unwrap_or((true, false));
        let key = FileKey { log: log.id(), base, index: false };
        let path = self.paths.segment(log.partition(), base);
        let file = match self.files.get(key) {
            Some(file) => file,
            None => {
                if !named {
                    self.make_partition_dir(log).await?;
                }
                let options = OpenOptions { create: !named, write: true, synchronous: false };
                let file = self.disk.open(&path, options).await?;
                if !named && !mutation::on(15) {
                    self.disk.sync_dir(self.paths.partition(log.partition())).await?;
                }
                self.files.put(key, file)
            }
        };
        log.with_part(base, |part| part.named = true);
        let length = file.len().await?;
        let upto = u64::from(upto);
        let allocated = if length >= upto {
            length
        } else {
            // Ahead by as much as there is, within bounds: a slow log stays small.
            let ahead = if sealed { 0 } else { upto.min(self.config.tuning.allocate_bytes) };
            let wanted = (upto + ahead).next_multiple_of(u64::from(BLOCK_BYTES));
            file.allocate(wanted).await?;
            wanted
        };
        log.with_part(base, |part| part.allocated = allocated);
        Ok(())
    }

    async fn make_partition_dir(&self, log: &Log) -> io::Result<()> {
        let topic = log.partition().topic;
        let dir = self.paths.partition(log.partition());
        self.disk.create_dir_all(&dir).await?;
        if mutation::on(15) {
            return Ok(());
        }
        self.disk.sync_dir(self.paths.topic(topic)).await?;
        let known = self.topic_dirs.borrow().contains(&topic.get());
        if !known {
            self.disk.sync_dir(&self.paths.topics).await?;
            self.topic_dirs.borrow_mut().insert(topic.get());
        }
        Ok(())
    }

    /// Prepares a segment for the direct way, in the background.
    pub(crate) fn prepare_soon(self: &Rc<Self>, log: &Log, base: i64, upto: u32) {
        let busy = log.with_part(base, |part| part.preparing || part.sealed) != Some(false);
        if busy || self.disk_full.get() {
            return;
        }
        let (inner, log) = (self.clone(), log.clone());
        self.world.spawn(TaskClass::Serve, async move {
            let upto = upto.saturating_add(inner.config.tuning.direct_bytes);
            match inner.prepare_segment(&log, base, upto).await {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    inner.disk_full.set(true);
                    inner.wake_flusher.notify_one();
                }
                Err(error) if !inner.ends() && !log.is_going() => {
                    inner.fence("prepare a segment", error);
                }
                Ok(()) | Err(_) => {}
            }
        });
    }

    /// Writes index pages for regions whose bytes are in the segment.
    async fn write_pages(&self, log: &Log, base: i64) -> io::Result<()> {
        loop {
            let Some((page, count)) = self.next_page(log, base) else { return Ok(()) };
            let file = self.index_file(log, base, page.number == 0).await?;
            let chunk = self.world.chunk(PAGE_BYTES);
            chunk.push(&page.encode()).expect("a page fits");
            let position = u64::from(page.number) * PAGE_BYTES as u64;
            unless_short(file.write_chunk(&chunk, 0..PAGE_BYTES, position).await)?;
            add(&self.counters.index_bytes, PAGE_BYTES as u64);
            self.sync(&file).await?;
            log.page_written(base, page.number, count);
        }
    }

    fn next_page(&self, log: &Log, base: i64) -> Option<(IndexPage, usize)> {
        let flushed = log.with_part(base, |part| (part.flushed, part.sealed))?;
        let (flushed, sealed) = flushed;
        log.with_state(|state| {
            let partition = state.partition;
            let segment = state.segment(base)?;
            // The last region of the active segment may still grow.
            let closed =
                segment.pending.len() - usize::from(!sealed && !segment.pending.is_empty());
            let ready = (0..closed).take_while(|at| segment.pending_end(*at) <= flushed).count();
            let count = ready.min(INDEX_PAGE_ENTRIES);
            let end_position = segment.pending_end(count.checked_sub(1)?);
            let span = end_position - segment.pending.first()?.position;
            let wanted = count >= INDEX_PAGE_ENTRIES_WANTED || span >= INDEX_PAGE_SPAN_WANTED;
            if !wanted && !sealed {
                return None;
            }
            let end_offset = segment
                .pending
                .get(count)
                .map_or(segment.end, |next| segment.base + i64::from(next.relative));
            let identity =
                Identity { topic: partition.topic.get(), partition: partition.index.get(), base };
            let entries = segment.pending[..count].to_vec();
            let number = segment.pages;
            let largest = entries.iter().map(|it| it.max_timestamp).max().unwrap_or(-1);
            let max_timestamp = segment.paged_timestamp.max(largest);
            let page =
                IndexPage { identity, number, entries, end_position, end_offset, max_timestamp };
            Some((page, count))
        })
    }

    /// The open index file of a segment.
    pub(crate) async fn index_file(
        &self,
        log: &Log,
        base: i64,
        create: bool,
    ) -> io::Result<Rc<File>> {
        let key = FileKey { log: log.id(), base, index: true };
        if let Some(file) = self.files.get(key) {
            return Ok(file);
        }
        let path = self.paths.index(log.partition(), base);
        let options = OpenOptions { create, write: true, synchronous: false };
        let file = self.disk.open(path, options).await?;
        if create {
            self.disk.sync_dir(self.paths.partition(log.partition())).await?;
        }
        Ok(self.files.put(key, file))
    }

    /// Lets go of the oldest chunks while there are too many.
    pub(crate) fn evict(&self) {
        let mut tries = self.cache_order.borrow().len();
        while self.cached.get() > self.config.cache_bytes && tries > 0 {
            tries -= 1;
            let Some(item) = self.cache_order.borrow_mut().pop_front() else { return };
            let (id, base, start) = item;
            let log = self.by_id.borrow().get(&id).cloned();
            let Some(log) = log else { continue };
            match log.with_part(base, |part| part.evict(start)) {
                Some(Some(bytes)) => {
                    self.cached.set(self.cached.get().saturating_sub(bytes as u64));
                    log.drop_finished_parts(self);
                }
                Some(None) => self.cache_order.borrow_mut().push_back(item),
                None => {}
            }
        }
    }
}
