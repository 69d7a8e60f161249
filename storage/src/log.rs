//! One partition's log: what it promises, and the handle to it.
//!
//! `log start <= durable <= end`; appends fix their order when they return and are durable when
//! their ticket is.

mod append;
pub(crate) mod disk;
pub(crate) mod epochs;
pub(crate) mod producers;
mod read;
mod rebuild;
mod retention;
pub(crate) mod state;
pub(crate) mod tail;

pub use append::{AppendContext, Appended, Origin};
pub use producers::KnownProducer;
pub use read::{ReadLimit, ReadOutcome, TimestampedOffset};

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::{Rc, Weak};

use protocol::epoch::LeaderEpoch;
use protocol::ids::TopicPartition;
use protocol::offset::Offset;
use runtime::sync::Notify;

use crate::config::LogConfig;
use crate::error::StoreError;
use crate::journal::entry::Entry;
use crate::limits::round_down;
use crate::log::state::{Lifecycle, LogState, SegmentState};
use crate::log::tail::Part;
use crate::segment::SegmentName;
use crate::store::{Inner, Ticket};

/// A handle to one log. Clones share it. Belongs to one shard.
#[derive(Clone)]
pub struct Log(Rc<Shared>);

struct Shared {
    store: Weak<Inner>,
    id: u32,
    partition: TopicPartition,
    config: RefCell<LogConfig>,
    state: RefCell<LogState>,
    parts: RefCell<VecDeque<Part>>,
    /// Bytes of the next chunk: it grows with the log's traffic.
    chunk_bytes: Cell<usize>,
    durable: Cell<i64>,
    last_ticket: Cell<u64>,
    /// Where the newest run waits: ticket and place in its gather.
    open_run: Cell<(u64, usize)>,
    dirty: Cell<Option<u64>>,
    flushing: Cell<bool>,
    /// Its files were compared with what the journal says of them.
    checked: Cell<bool>,
    /// Its directory is there, though perhaps not for ever yet.
    dir_made: Cell<bool>,
    /// Nobody may use it until an operator did something.
    offline: Cell<bool>,
    /// It cannot be read, so compaction leaves it alone.
    uncompactable: Cell<bool>,
    /// The segment that compaction writes just now.
    making: Cell<Option<SegmentName>>,
    on_durable: Notify,
}

/// Held while a log is being flushed.
pub(crate) struct Flushing(Log);

impl Drop for Flushing {
    fn drop(&mut self) {
        self.0.0.flushing.set(false);
        if let Some(store) = self.0.0.store.upgrade() {
            store.landed.notify_all();
        }
    }
}

impl Log {
    pub(crate) fn new(store: &Rc<Inner>, state: LogState, config: LogConfig) -> Self {
        let durable = state.end;
        Self(Rc::new(Shared {
            store: Rc::downgrade(store),
            id: state.id,
            partition: state.partition,
            config: RefCell::new(config),
            state: RefCell::new(state),
            parts: RefCell::default(),
            chunk_bytes: Cell::new(runtime::BLOCK_BYTES),
            durable: Cell::new(durable),
            last_ticket: Cell::new(0),
            open_run: Cell::new((0, 0)),
            dirty: Cell::new(None),
            flushing: Cell::new(false),
            checked: Cell::new(false),
            dir_made: Cell::new(false),
            offline: Cell::new(false),
            uncompactable: Cell::new(false),
            making: Cell::new(None),
            on_durable: Notify::new(),
        }))
    }

    /// Whose log it is.
    pub fn partition(&self) -> TopicPartition {
        self.0.partition
    }

    /// The first offset that can be read. Only rises.
    pub fn log_start_offset(&self) -> Offset {
        offset(self.0.state.borrow().log_start)
    }

    /// Below it everything has been compacted.
    pub fn cleaned_offset(&self) -> Offset {
        offset(self.0.state.borrow().cleaned)
    }

    /// The offset the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        offset(self.0.state.borrow().end)
    }

    /// Everything below survives a power cut here.
    pub fn durable_offset(&self) -> Offset {
        offset(self.0.durable.get())
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.0.state.borrow().size_bytes()
    }

    /// The newest leader epoch it knows of.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        LeaderEpoch::new(self.0.state.borrow().epoch)
    }

    /// The largest epoch not above `epoch` that wrote here, and the offset where it ended
    /// (OffsetForLeaderEpoch, KIP-101). `None`: nothing is known of it.
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let state = self.0.state.borrow();
        let (floor, end) = state.epochs.end_of(epoch.get(), state.end)?;
        Some((LeaderEpoch::new(floor)?, offset(end)))
    }

    /// The largest timestamp and the base offset of the batch that has it.
    pub fn max_timestamp(&self) -> Option<(i64, Offset)> {
        let state = self.0.state.borrow();
        let largest = state.segments.iter().max_by_key(|it| it.max_timestamp)?;
        (largest.max_timestamp >= 0)
            .then(|| (largest.max_timestamp, offset(largest.max_timestamp_offset)))
    }

    /// The idempotent producers it remembers, in the order of ids (DescribeProducers, KIP-664).
    pub fn producers(&self) -> Vec<KnownProducer> {
        self.0.state.borrow().producers.known()
    }

    /// Offsets that are lost or unreadable here.
    pub fn lost(&self) -> Vec<Range<i64>> {
        self.0.state.borrow().quarantined.clone()
    }

    /// Whether damage keeps it from being used (R12, R17).
    pub fn is_offline(&self) -> bool {
        self.0.offline.get()
    }

    /// Its settings.
    pub fn config(&self) -> LogConfig {
        self.0.config.borrow().clone()
    }

    /// Changes its settings, from the next append or pass on.
    pub fn configure(&self, config: LogConfig) {
        *self.0.config.borrow_mut() = config;
    }

    /// The newest ticket that concerns this log.
    pub fn last_ticket(&self) -> Ticket {
        Ticket(self.0.last_ticket.get())
    }

    /// Waits until the durable offset passes `offset`, or the log or its store ends.
    pub async fn on_durable(&self, offset: Offset) {
        loop {
            let woken = self.0.on_durable.notified();
            let ended = self.is_going() || self.0.store.upgrade().is_none_or(|it| it.ends());
            if self.0.durable.get() > offset.get() || ended {
                return;
            }
            woken.await;
        }
    }

    /// Starts a leader epoch at the log's end (KIP-101); nothing happens if it is not newer.
    ///
    /// # Errors
    /// The directory is fenced.
    pub fn start_epoch(&self, epoch: LeaderEpoch) -> Result<Ticket, StoreError> {
        let store = self.store()?;
        let start = {
            let mut state = self.0.state.borrow_mut();
            if epoch.get() <= state.epoch {
                return Ok(self.last_ticket());
            }
            state.epoch = epoch.get();
            let end = state.end;
            state.epochs.note(epoch.get(), end);
            end
        };
        let entry = Entry::EpochStart { log: self.0.id, epoch: epoch.get(), start };
        Ok(store.say(self, &entry))
    }

    /// Compares the log's newest epoch with the newest the cluster knows of. A log that is ahead
    /// comes from another cluster, or the cluster lost its metadata: it goes offline (R17). Returns
    /// whether it may be used.
    pub fn check_epoch(&self, newest: LeaderEpoch) -> bool {
        let fits = self.0.state.borrow().epoch <= newest.get();
        if !fits {
            if let Some(store) = self.0.store.upgrade() {
                store.hit(crate::Rule::R17);
            }
            tracing::error!(partition = %self.0.partition, "the log's epoch is ahead: offline");
            self.set_offline();
        }
        fits
    }

    /// Raises the log start (DeleteRecords, KIP-107): offsets below are gone. The ticket tells when
    /// that is durable; their segments go with the next [`crate::Store::tick`].
    ///
    /// # Errors
    /// Beyond the log's durable end, or the directory is fenced.
    pub fn trim(&self, to: Offset) -> Result<Ticket, StoreError> {
        let store = self.store()?;
        if to.get() > self.0.durable.get() {
            return Err(StoreError::OutOfRange);
        }
        if !self.0.state.borrow_mut().trim(to.get()) {
            return Ok(self.last_ticket());
        }
        Ok(store.say(self, &Entry::LogStart { log: self.0.id, to: to.get() }))
    }

    fn store(&self) -> Result<Rc<Inner>, StoreError> {
        let store = self.0.store.upgrade().ok_or(StoreError::Fenced)?;
        if store.refuses() {
            return Err(StoreError::Fenced);
        }
        if self.is_going() {
            return Err(StoreError::NotFound);
        }
        Ok(store)
    }
}

/// What the store does with a log.
impl Log {
    pub(crate) fn id(&self) -> u32 {
        self.0.id
    }

    /// Being deleted.
    pub(crate) fn is_going(&self) -> bool {
        self.0.state.borrow().lifecycle != Lifecycle::Live
    }

    pub(crate) fn set_lifecycle(&self, lifecycle: Lifecycle) {
        self.0.state.borrow_mut().lifecycle = lifecycle;
        self.0.on_durable.notify_all();
    }

    pub(crate) fn set_offline(&self) {
        self.0.offline.set(true);
    }

    pub(crate) fn is_uncompactable(&self) -> bool {
        self.0.uncompactable.get()
    }

    pub(crate) fn set_uncompactable(&self) {
        self.0.uncompactable.set(true);
    }

    pub(crate) fn set_making(&self, name: Option<SegmentName>) {
        self.0.making.set(name);
    }

    /// Whether files of that name are the log's, or are to become it.
    pub(crate) fn knows(&self, name: SegmentName) -> bool {
        self.segment_name(name.base) == Some(name) || self.0.making.get() == Some(name)
    }

    /// Whether files of that name are what a crash left of a compaction: of a segment that was
    /// replaced, or of one that never took its place. If offsets are lost, nothing is taken for
    /// that: they may be in there.
    pub(crate) fn has_outlived(&self, name: SegmentName) -> bool {
        let state = self.0.state.borrow();
        let covers =
            |it: &SegmentState| it.generation > 0 && (it.base..it.end).contains(&name.base);
        state.quarantined.is_empty() && (name.generation > 0 || state.segments.iter().any(covers))
    }

    /// Which files the segment with that base has; `None` if there is no such segment.
    pub(crate) fn segment_name(&self, base: i64) -> Option<SegmentName> {
        self.0.state.borrow().segment(base).map(SegmentState::name)
    }

    /// The sealed segments up to `until` that are in their files as a whole.
    pub(crate) fn segments_to_compact(&self, until: i64) -> Vec<SegmentState> {
        let state = self.0.state.borrow();
        let sealed = state.segments.iter().take(state.segments.len().saturating_sub(1));
        let whole =
            |it: &&SegmentState| it.end <= until && it.flushed >= it.length && it.length > 0;
        sealed.take_while(whole).cloned().collect()
    }

    /// Puts a segment in the place of others; returns those.
    pub(crate) fn swap_segments(
        &self,
        store: &Inner,
        bases: Range<i64>,
        segment: SegmentState,
    ) -> Vec<SegmentState> {
        let old = self.0.state.borrow_mut().swap(bases, segment);
        for segment in &old {
            self.forget_segment(store, segment.base);
        }
        store.reads.forget(self.id());
        old
    }

    /// Replay is over: everything it found is durable.
    pub(crate) fn recovered(&self, store: &Inner) {
        self.0.durable.set(self.0.state.borrow().end);
        self.0.last_ticket.set(0);
        let active = self.0.state.borrow().active().map(|it| (it.base, it.append_position()));
        let mut parts = self.0.parts.borrow_mut();
        // What is flushed is known by the file; a part is made when bytes come.
        parts.retain(|part| part.unflushed() > 0 || !part.holds_nothing() || part.sealed);
        if let Some((base, at)) = active
            && let Some(part) = parts.iter_mut().find(|part| part.base == base)
            && part.holds_nothing()
        {
            part.append_at = part.append_at.max(at);
        }
        let _ = store;
    }

    pub(crate) fn wake(&self) {
        self.0.on_durable.notify_all();
    }

    pub(crate) fn note_high_watermark(&self, to: Offset) {
        let mut state = self.0.state.borrow_mut();
        state.high_watermark = state.high_watermark.max(to.get()).min(state.end);
    }

    /// An entry of this log waits under that ticket; later bytes come after it.
    pub(crate) fn said(&self, sequence: u64) {
        self.0.last_ticket.set(sequence);
        self.0.open_run.set((0, 0));
    }

    pub(crate) fn with_state<R>(&self, with: impl FnOnce(&LogState) -> R) -> R {
        with(&self.0.state.borrow())
    }

    pub(crate) fn with_state_mut<R>(&self, with: impl FnOnce(&mut LogState) -> R) -> R {
        with(&mut self.0.state.borrow_mut())
    }

    pub(crate) fn with_parts<R>(&self, with: impl FnOnce(&mut VecDeque<Part>) -> R) -> R {
        with(&mut self.0.parts.borrow_mut())
    }

    /// The part of a segment, if it has one.
    pub(crate) fn with_part<R>(&self, base: i64, with: impl FnOnce(&mut Part) -> R) -> Option<R> {
        let mut parts = self.0.parts.borrow_mut();
        parts.iter_mut().rev().find(|part| part.base == base).map(with)
    }

    /// Its directory was made, or found.
    pub(crate) fn dir_is_made(&self) {
        self.0.dir_made.set(true);
    }

    /// Whether its directory is there, as far as is known.
    pub(crate) fn has_dir(&self) -> bool {
        self.0.dir_made.get()
    }

    /// Whether a segment with bytes to write has no file yet, as far as is known.
    pub(crate) fn wants_dir(&self) -> bool {
        !self.has_dir() && self.0.parts.borrow().iter().any(|part| !part.named)
    }

    pub(crate) fn begin_flush(&self) -> Option<Flushing> {
        (!self.0.flushing.replace(true)).then(|| Flushing(self.clone()))
    }

    /// Waits until nobody else changes the log's files.
    pub(crate) async fn hold_files(&self, store: &Inner) -> std::io::Result<Flushing> {
        loop {
            let landed = store.landed.notified();
            if let Some(held) = self.begin_flush() {
                return Ok(held);
            }
            if store.ends() {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            landed.await;
        }
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.0.flushing.get()
    }

    /// Segments with something to flush, or regions to index.
    pub(crate) fn unflushed_parts(&self) -> Vec<i64> {
        let parts = self.0.parts.borrow();
        let state = self.0.state.borrow();
        let owes = |part: &&Part| {
            part.unflushed() > 0
                || part.sealed && state.segment(part.base).is_some_and(|it| !it.pending.is_empty())
        };
        parts.iter().filter(owes).map(|part| part.base).collect()
    }

    /// Bytes not started to be written to segments: in whole blocks that can be written now, or all.
    pub(crate) fn owed(&self, blocks: bool) -> u32 {
        let parts = self.0.parts.borrow();
        let owed = parts.iter().map(|part| {
            let end =
                if blocks && !part.sealed { round_down(part.append_at) } else { part.append_at };
            end.saturating_sub(part.submitted)
        });
        owed.fold(0, u32::saturating_add)
    }

    /// The bytes to repeat in the journal, if that is all the log owes below generation `cut`, with
    /// their segment.
    pub(crate) fn repeat(&self, cut: u64) -> Option<(i64, u32, Vec<u8>)> {
        let mut parts = self.0.parts.borrow_mut();
        let mut owing = parts.iter_mut().filter(|part| part.unflushed() > 0);
        let part = owing.next().filter(|_| owing.next().is_none())?;
        let range = part.repeat(cut)?;
        let (start, mut bytes) = (range.start, vec![0; range.len()]);
        part.copy(start, &mut bytes)?;
        Some((part.base, start, bytes))
    }

    pub(crate) fn oldest_generation(&self) -> Option<u64> {
        self.0.parts.borrow().iter().filter_map(Part::oldest_generation).min()
    }

    /// Sets under which generation the log is listed as dirty; returns the one before.
    pub(crate) fn dirty_generation(&self, generation: Option<u64>) -> Option<u64> {
        self.0.dirty.replace(generation)
    }

    /// Bytes of a segment are synced; returns how many more are flushed.
    pub(crate) fn landed(&self, base: i64, range: &Range<u32>) -> u32 {
        let outcome = self.with_part(base, |part| (part.landed(range), part.flushed));
        let Some((risen, flushed)) = outcome else { return 0 };
        if let Some(segment) = self.0.state.borrow_mut().segment_mut(base) {
            segment.flushed = flushed;
        }
        risen
    }

    pub(crate) fn became_durable(&self, segment: i64, to: u32, next: i64) {
        self.with_part(segment, |part| part.durable = part.durable.max(to));
        if next > self.0.durable.get() {
            self.0.durable.set(next);
            self.0.on_durable.notify_all();
        }
    }

    /// The page with that many entries is durable.
    pub(crate) fn page_written(&self, base: i64, number: u32, count: usize) {
        let mut state = self.0.state.borrow_mut();
        let Some(segment) = state.segment_mut(base).filter(|it| it.pages == number) else { return };
        segment.pages += 1;
        let written: Vec<_> = segment.pending.drain(..count).collect();
        let largest = written.iter().map(|it| it.max_timestamp).max().unwrap_or(-1);
        segment.paged_timestamp = segment.paged_timestamp.max(largest);
        drop(state);
        self.with_part(base, |part| {
            if !part.holds_nothing() {
                part.index.extend(written);
            }
        });
    }

    /// Forgets parts whose bytes are all in sealed segments and out of memory.
    pub(crate) fn drop_finished_parts(&self, _store: &Inner) {
        let state = self.0.state.borrow();
        self.0.parts.borrow_mut().retain(|part| {
            !part.sealed
                || !part.holds_nothing()
                || part.unflushed() > 0
                || !part.outstanding.is_empty()
                || state.segment(part.base).is_some_and(|it| !it.pending.is_empty())
        });
    }
}

pub(crate) fn offset(value: i64) -> Offset {
    Offset::new(value).unwrap_or(Offset::ZERO)
}
