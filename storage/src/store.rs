//! A shard's store: its journal, and the logs it owns.
//!
//! ```text
//! Log::append ──▶ gathers ──▶ writer ──▶ ring file (O_DSYNC) ──▶ durable, tickets wake
//!     │            (store/gather)  └──▶ segment, the direct way
//!     └─▶ chunks ──▶ flusher ──▶ segment + index, synced ──▶ checkpoint, superblock ──▶ ring file free
//! ```

pub(crate) mod background;
mod durable;
pub(crate) mod files;
pub(crate) mod flush;
pub(crate) mod gather;
mod init;
mod open;
mod prepare;
mod replay;
mod report;
pub(crate) mod ring;
pub(crate) mod round;
mod save;
mod stats;
mod writer;

pub use report::{DamagedRange, RecoveryReport, Rule};
pub use stats::StoreStats;
pub(crate) use stats::add as count;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::rc::Rc;

use protocol::epoch::LeaderEpoch;
use protocol::ids::TopicPartition;
use protocol::offset::Offset;
use runtime::sync::{Notify, Semaphore};
use runtime::{Disk, World};

use crate::config::{LogConfig, StoreConfig};
use crate::error::{FenceReason, Fenced, OpenError, StoreError};
use crate::journal::entry::Entry;
use crate::journal::superblock::Superblock;
use crate::log::Log;
use crate::log::state::{Lifecycle, LogState};
use crate::store::durable::Flying;
use crate::store::files::{OpenFiles, Paths};
use crate::store::gather::Gathers;
use crate::store::ring::Ring;
use crate::store::stats::Counters;

/// A place in a shard's journal. Tickets are totally ordered per shard: what waits for the largest
/// waits for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(pub(crate) u64);

/// One shard's journal and logs. Clones share it. Belongs to one shard.
#[derive(Clone)]
pub struct Store(pub(crate) Rc<Inner>);

/// A chunk that may leave memory: log, segment base, where it starts.
pub(crate) type CachedChunk = (u32, i64, u32);

pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) disk: Disk,
    pub(crate) config: StoreConfig,
    pub(crate) paths: Paths,
    pub(crate) logs: RefCell<BTreeMap<TopicPartition, Log>>,
    /// Also those being deleted.
    pub(crate) by_id: RefCell<BTreeMap<u32, Log>>,
    /// Partitions whose files are being removed.
    pub(crate) going: RefCell<BTreeSet<TopicPartition>>,
    pub(crate) next_log: Cell<u32>,
    pub(crate) gathers: RefCell<Gathers>,
    /// Groups being written, in order.
    pub(crate) flight: RefCell<VecDeque<Flying>>,
    pub(crate) ring: RefCell<Ring>,
    pub(crate) superblock: RefCell<Superblock>,
    /// Of those who write it, one at a time.
    pub(crate) superblock_turn: Semaphore,
    pub(crate) incarnation: Cell<u32>,
    /// Every group up to this sequence is durable.
    pub(crate) durable_sequence: Cell<u64>,
    /// Every group that ends here or before is durable.
    pub(crate) durable_position: Cell<u64>,
    /// Tasks that wait for a ticket, in order of tickets.
    pub(crate) waiting: RefCell<VecDeque<(u64, Vec<std::task::Waker>)>>,
    /// A checkpoint waits for groups below this: they may use the last free file.
    pub(crate) reserved_below: Cell<u64>,
    pub(crate) fence: RefCell<Option<FenceReason>>,
    /// Bytes in memory and journal only.
    pub(crate) unflushed: Cell<u64>,
    /// Capacity of all chunks of logs.
    pub(crate) cached: Cell<u64>,
    pub(crate) cache_order: RefCell<VecDeque<CachedChunk>>,
    /// Logs with bytes that are not flushed, by the ring generation of the oldest.
    pub(crate) dirty: RefCell<BTreeSet<(u64, u32)>>,
    pub(crate) files: OpenFiles,
    pub(crate) topic_dirs: RefCell<BTreeSet<[u8; 16]>>,
    pub(crate) reads: crate::log::disk::ReadCache,
    /// The file system had no room at the last attempt.
    pub(crate) disk_full: Cell<bool>,
    /// Everything is to be flushed and checkpointed.
    pub(crate) release_all: Cell<bool>,
    pub(crate) producers: Cell<usize>,
    pub(crate) compaction: crate::compact::Progress,
    pub(crate) closing: Cell<bool>,
    /// Background tasks end.
    pub(crate) stopped: Cell<bool>,
    pub(crate) growing: Cell<bool>,
    pub(crate) marker_due: Cell<bool>,
    pub(crate) last_group_said_something: Cell<bool>,
    pub(crate) wake_writer: Notify,
    pub(crate) wake_flusher: Notify,
    /// Room in memory, in the ring, or a group came back.
    pub(crate) room: Notify,
    pub(crate) landed: Notify,
    pub(crate) released: Notify,
    /// Rules applied since the start.
    pub(crate) rules: Cell<[u32; Rule::ALL.len()]>,
    pub(crate) counters: Counters,
}

impl Store {
    /// Opens a shard's store: recovers the journal, and is ready to append when it returns.
    ///
    /// The directory must have a manifest: see [`crate::DataDir::open`].
    ///
    /// # Errors
    /// The directory is not fit or the journal cannot be recovered. Nothing acknowledged is
    /// dropped to open it.
    pub async fn open(
        world: World,
        config: StoreConfig,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        open::open(world, config).await
    }

    /// Creates a log whose first offset is 0; durable when it returns.
    ///
    /// # Errors
    /// It exists, or the directory is fenced.
    pub async fn create(
        &self,
        partition: TopicPartition,
        config: LogConfig,
        epoch: LeaderEpoch,
    ) -> Result<Log, StoreError> {
        let log = self.create_soon(partition, config, epoch)?;
        self.durable(log.last_ticket()).await?;
        Ok(log)
    }

    /// Creates a log; it is durable when its [`Log::last_ticket`] is. For many at once.
    ///
    /// # Errors
    /// It exists, or the directory is fenced.
    pub fn create_soon(
        &self,
        partition: TopicPartition,
        config: LogConfig,
        epoch: LeaderEpoch,
    ) -> Result<Log, StoreError> {
        let inner = &self.0;
        if inner.refuses() {
            return Err(StoreError::Fenced);
        }
        let exists = inner.logs.borrow().contains_key(&partition)
            || inner.going.borrow().contains(&partition);
        if exists {
            return Err(StoreError::Exists);
        }
        let id = inner.next_log.get();
        inner.next_log.set(id + 1);
        let mut state = LogState::new(id, partition, epoch.get(), 0);
        state.epochs.note(epoch.get(), 0);
        let log = Log::new(inner, state, config);
        inner.logs.borrow_mut().insert(partition, log.clone());
        inner.by_id.borrow_mut().insert(id, log.clone());
        let entry = Entry::Create {
            log: id,
            topic: partition.topic.get(),
            partition: partition.index.get(),
            epoch: epoch.get(),
            first: 0,
        };
        inner.say(&log, &entry);
        Ok(log)
    }

    /// Deletes a log; it is gone for good when this returns, its files soon after.
    ///
    /// # Errors
    /// There is no such log, or the directory is fenced.
    pub async fn delete(&self, partition: TopicPartition) -> Result<(), StoreError> {
        self.remove(partition, false).await
    }

    /// Takes a log away but keeps its directory in `.stray`, for an operator to look at (R15).
    ///
    /// # Errors
    /// There is no such log, or the directory is fenced.
    pub async fn stray(&self, partition: TopicPartition) -> Result<(), StoreError> {
        self.remove(partition, true).await
    }

    async fn remove(&self, partition: TopicPartition, stray: bool) -> Result<(), StoreError> {
        let inner = &self.0;
        if inner.refuses() {
            return Err(StoreError::Fenced);
        }
        let log = inner.logs.borrow_mut().remove(&partition).ok_or(StoreError::NotFound)?;
        let lifecycle = if stray { Lifecycle::Straying } else { Lifecycle::Deleting };
        log.set_lifecycle(lifecycle);
        inner.going.borrow_mut().insert(partition);
        let ticket = inner.say(&log, &Entry::Delete { log: log.id(), stray });
        self.durable(ticket).await?;
        let (keeper, world) = (inner.clone(), inner.world.clone());
        world.spawn(runtime::TaskClass::Background, async move {
            keeper.remove_files(log).await;
        });
        Ok(())
    }

    /// The log of a partition.
    pub fn log(&self, partition: TopicPartition) -> Option<Log> {
        self.0.logs.borrow().get(&partition).cloned()
    }

    /// All logs, in order of their partitions.
    pub fn logs(&self) -> Vec<Log> {
        self.0.logs.borrow().values().cloned().collect()
    }

    /// Whether everything up to the ticket is durable.
    pub fn is_durable(&self, ticket: Ticket) -> bool {
        self.0.durable_sequence.get() >= ticket.0
    }

    /// Waits until everything up to the ticket is durable.
    ///
    /// # Errors
    /// The directory is fenced: whether it is durable is not known and never will be.
    pub async fn durable(&self, ticket: Ticket) -> Result<(), Fenced> {
        self.0.durable(ticket.0).await
    }

    /// The newest ticket given out.
    pub fn newest_ticket(&self) -> Ticket {
        Ticket(self.0.gathers.borrow().next_sequence - 1)
    }

    /// Why the store takes nothing more, if it does not.
    pub fn fenced(&self) -> Option<FenceReason> {
        self.0.fence.borrow().clone()
    }

    /// Waits while more is in memory than there should be, or the file system is full. Whoever
    /// appends after this in the same turn, one request's batches, is not refused for want of room.
    ///
    /// # Errors
    /// The directory is fenced.
    pub async fn room(&self) -> Result<(), Fenced> {
        loop {
            let changed = self.0.room.notified();
            if self.0.refuses() {
                return Err(Fenced);
            }
            if self.0.has_room() {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Whether appends are refused because the file system is full, not because the disk is slower
    /// than they are.
    pub fn is_disk_full(&self) -> bool {
        self.0.disk_full.get()
    }

    /// Writes everything out, says that it did, and stops. The next start finds a clean mark.
    ///
    /// # Errors
    /// The directory is fenced; then the next start is an unclean one.
    pub async fn close(&self) -> Result<(), Fenced> {
        let inner = &self.0;
        inner.closing.set(true);
        inner.room.notify_all();
        let outcome = if inner.fence.borrow().is_some() {
            Err(Fenced)
        } else {
            let sequence = {
                let mut gathers = inner.gathers.borrow_mut();
                gathers.cut();
                let sequence = gathers.next_sequence;
                let mut entry = Vec::new();
                Entry::CleanShutdown { sequence }.encode(&mut entry);
                let given = gathers.add_entry(inner.config.tuning.group_bytes, entry);
                gathers.cut();
                given
            };
            inner.wake_writer.notify_one();
            inner.durable(sequence).await
        };
        inner.stop();
        outcome
    }

    /// How often each recovery rule was applied, at the start and since, in the order of
    /// [`Rule::ALL`].
    pub fn rules(&self) -> [u32; Rule::ALL.len()] {
        self.0.rules.get()
    }

    /// What the store did so far.
    pub fn stats(&self) -> StoreStats {
        self.0.stats()
    }

    /// The time passes: closes segments that are old, removes what retention lets go, forgets
    /// producers. Call it every few seconds; it hands over in between.
    ///
    /// # Errors
    /// The directory is fenced.
    pub async fn tick(&self, now_ms: i64) -> Result<(), Fenced> {
        self.0.tick(now_ms).await
    }

    /// Compacts the log that needs it most, if one does; returns whether one did. Call it again at
    /// once if so, and else after a while. It works in small pieces and rests while there are
    /// appends; run it as a background task. While one call runs, another one does nothing.
    ///
    /// # Errors
    /// The directory is fenced.
    pub async fn compact(&self, now_ms: i64) -> Result<bool, Fenced> {
        self.0.compact(now_ms).await
    }

    /// Writes all bytes to the segments and takes a checkpoint, as before a file of the ring is
    /// used again.
    ///
    /// # Errors
    /// The directory is fenced.
    pub async fn flush(&self) -> Result<(), Fenced> {
        self.0.flush_all().await
    }

    /// Where the high watermark of a log that is not replicated stands: its durable end. Provided
    /// for a log's state in checkpoints.
    pub fn note_high_watermark(&self, log: &Log, to: Offset) {
        log.note_high_watermark(to);
    }
}

impl Inner {
    /// Nothing more is taken.
    pub(crate) fn refuses(&self) -> bool {
        self.closing.get() || self.fence.borrow().is_some()
    }

    /// Whether appends need not wait.
    pub(crate) fn has_room(&self) -> bool {
        self.unflushed.get() < self.config.unflushed_bytes && !self.disk_full.get()
    }

    /// Whether an append is refused. Those who wait for room first go beyond the limit by what one
    /// of them brings; this is for those who cannot wait, and for a disk that lets nobody in.
    pub(crate) fn is_full(&self) -> bool {
        let limit = self.config.unflushed_bytes.saturating_add(self.config.request_bytes);
        self.unflushed.get() >= limit || self.disk_full.get()
    }

    /// Adds an entry for a log; returns its ticket.
    pub(crate) fn say(&self, log: &Log, entry: &Entry<'_>) -> Ticket {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        let sequence = self.gathers.borrow_mut().add_entry(self.config.tuning.group_bytes, bytes);
        log.said(sequence);
        self.wake_writer.notify_one();
        Ticket(sequence)
    }

    /// The disk failed: nothing more is believed of it, everybody who waits is told.
    pub(crate) fn fence(&self, what: &'static str, error: io::Error) {
        if self.fence.borrow().is_some() {
            return;
        }
        tracing::error!(%error, what, "log directory fenced");
        *self.fence.borrow_mut() = Some(FenceReason { what, error: Rc::new(error) });
        self.wake_everyone();
    }

    /// Background tasks end; whoever waits is woken.
    pub(crate) fn stop(&self) {
        self.stopped.set(true);
        self.wake_everyone();
    }

    /// Whether background tasks should end.
    pub(crate) fn ends(&self) -> bool {
        self.stopped.get() || self.fence.borrow().is_some()
    }

    fn wake_everyone(&self) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        for (_, wakers) in waiting {
            wakers.into_iter().for_each(std::task::Waker::wake);
        }
        self.wake_writer.notify_one();
        self.wake_flusher.notify_one();
        self.room.notify_all();
        self.landed.notify_all();
        self.released.notify_all();
        let logs: Vec<_> = self.by_id.borrow().values().cloned().collect();
        for log in logs {
            log.wake();
        }
    }

    pub(crate) fn sub_unflushed(&self, bytes: u32) {
        self.unflushed.set(self.unflushed.get().saturating_sub(u64::from(bytes)));
        if bytes > 0 && self.room.waiting() > 0 && self.has_room() {
            self.room.notify_all();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stopped.set(true);
    }
}

#[cfg(test)]
mod tests;
