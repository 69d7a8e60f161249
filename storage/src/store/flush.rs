//! From the journal to the segments: the flusher writes what the ring can no longer keep or memory
//! no longer hold, syncs it, and has a checkpoint taken before ring files are used again.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use runtime::File;

use crate::error::Fenced;
use crate::journal::entry::{BYTES_FIXED, Carriage, Run, put_bytes_front};
use crate::limits::{BLOCK_BYTES, ENTRY_HEADER_BYTES};
use crate::log::Log;
use crate::mutation;
use crate::store::Inner;
use crate::store::gather::PendingRun;
use crate::store::ring::Generation;
use crate::store::round::{Depth, ROUND_BYTES};
use crate::store::stats::add;

/// Logs flushed in one round.
const ROUND_LOGS: usize = 256;
/// Cached chunks looked at after an append while memory is short.
pub(crate) const EVICT_TRIES: usize = 16;

/// Of the ring's bytes that are released, one in so many may be repeated.
const REPEATED_SHARE: u64 = 4;

/// What there is to do.
enum Need {
    /// Ring files up to a generation.
    Release(Generation),
    /// Memory.
    Room,
    /// Everything, and a checkpoint.
    All,
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
            && !(ring.wants_growth(self.busy_logs()) && ring.free.len() > 1)
            && let Some(cut) = ring.cut()
        {
            return Some(Need::Release(cut));
        }
        let full = self.unflushed.get() > self.flush_from();
        (full || self.disk_full.get()).then_some(Need::Room)
    }

    /// Logs that share memory and ring.
    pub(crate) fn busy_logs(&self) -> usize {
        self.dirty.borrow().len()
    }

    /// Bytes in memory from which on the flusher writes: it keeps pace with the appends from there
    /// instead of waiting until it must write all there is at once. With as many logs as one likes
    /// each then gets its turn once in a lap of twice these bytes, which is why it is below half of
    /// a ring that will not grow.
    pub(crate) fn flush_from(&self) -> u64 {
        let memory = self.config.unflushed_bytes / 4 * 3;
        let ring = self.ring.borrow();
        if ring.may_grow(self.busy_logs()) { memory } else { memory.min(ring.bytes() / 8 * 3) }
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
                let mut depth = Depth::Blocks;
                let mut full = self.fullest(depth);
                if full.is_empty() {
                    // Memory is full of last blocks: then they go, too.
                    depth = Depth::Everything;
                    full = self.fullest(depth);
                }
                self.flush_logs(&full, depth).await?;
                if self.unflushed.get() > self.flush_from() {
                    // What is left is perhaps not placed in the ring yet.
                    self.world.turn_if_needed().await;
                    if full.is_empty() && self.unflushed.get() >= before {
                        self.world.turn().await;
                    }
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
        self.evict(usize::MAX);
        Ok(())
    }

    /// The logs with most bytes to write, enough of them for one round.
    fn fullest(&self, depth: Depth) -> Vec<Log> {
        let by_id = self.by_id.borrow();
        let dirty = self.dirty.borrow();
        let mut owing: Vec<(u32, &Log)> = dirty
            .iter()
            .filter_map(|(_, id)| by_id.get(id))
            .map(|log| (log.owed(matches!(depth, Depth::Blocks)), log))
            .filter(|(bytes, _)| *bytes > 0)
            .collect();
        let excess = self.unflushed.get().saturating_sub(self.flush_from());
        let wanted = u64::from(ROUND_BYTES).min(excess + self.config.unflushed_bytes / 16);
        owing.sort_unstable_by_key(|(bytes, log)| (std::cmp::Reverse(*bytes), log.id()));
        let mut bytes = 0;
        let enough = |it: &&(u32, &Log)| {
            let more = bytes < wanted;
            bytes += u64::from(it.0);
            more
        };
        owing.iter().take(ROUND_LOGS).take_while(enough).map(|(_, log)| (*log).clone()).collect()
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
        let mut logs: Vec<Log> = {
            let by_id = self.by_id.borrow();
            ids.iter().filter_map(|id| by_id.get(id).cloned()).collect()
        };
        if let Depth::Below(cut) = depth {
            // More than a share of what is released must not come back at once.
            let mut room = self.ring.borrow().bytes_below(cut) / REPEATED_SHARE;
            logs.retain(|log| !self.repeat(log, cut, &mut room));
        }
        while !logs.is_empty() {
            let mut bytes = 0;
            let fits = |log: &&Log| {
                let fits = bytes < ROUND_BYTES;
                bytes = log.owed(false).saturating_add(bytes);
                fits
            };
            let count = logs.iter().take(ROUND_LOGS).take_while(fits).count();
            let round: Vec<Log> = logs.drain(..count).collect();
            self.flush_logs(&round, depth).await?;
            if self.ends() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.world.turn_if_needed().await;
        }
        Ok(())
    }

    /// Repeats a log's last few bytes in the journal, if that is all it owes below generation `cut`:
    /// that is less than a block of its segment, and no sync of its own.
    fn repeat(&self, log: &Log, cut: u64, room: &mut u64) -> bool {
        if *room < u64::from(BLOCK_BYTES) || log.is_going() || log.is_flushing() {
            return false;
        }
        let Some((segment, from, bytes)) = log.repeat(cut) else { return false };
        *room -= bytes.len() as u64;
        let end = log.log_end_offset().get();
        let run = Run { log: log.id(), segment, first: end, next: end };
        let mut entry = Vec::with_capacity(ENTRY_HEADER_BYTES + BYTES_FIXED + bytes.len());
        put_bytes_front(&mut entry, &run, from, Carriage::Repeated, bytes.len());
        entry.extend_from_slice(&bytes);
        add(&self.counters.repeated_bytes, bytes.len() as u64);
        let pending = PendingRun { log: log.clone(), run, from, to: from + bytes.len() as u32 };
        let group_bytes = self.config.tuning.group_bytes;
        let sequence = self.gathers.borrow_mut().add_repeated(group_bytes, pending, entry);
        log.said(sequence);
        self.wake_writer.notify_one();
        true
    }

    /// A write to a segment is synced.
    pub(crate) fn piece_landed(&self, log: &Log, base: i64, range: &Range<u32>) {
        let risen = log.landed(base, range);
        self.sub_unflushed(risen);
        self.update_dirty(log);
        self.landed.notify_all();
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

    /// Syncs files and directories side by side; after an error nothing is ever synced again.
    pub(crate) async fn sync_all(&self, files: &[Rc<File>], dirs: Vec<PathBuf>) -> io::Result<()> {
        if files.is_empty() && dirs.is_empty() {
            return Ok(());
        }
        add(&self.counters.syncs, (files.len() + dirs.len()) as u64);
        if mutation::on(3) && self.disk.sync_all(files, dirs.clone()).await.is_err() {
            return self.disk.sync_all(files, dirs).await;
        }
        self.disk.sync_all(files, dirs).await
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

    /// Lets go of the oldest chunks while there are too many, looking at so many at most.
    pub(crate) fn evict(&self, tries_max: usize) {
        let mut tries = self.cache_order.borrow().len().min(tries_max);
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
