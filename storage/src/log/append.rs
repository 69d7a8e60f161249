//! Appending: order is fixed, bytes are in memory and on their way when it returns.

use protocol::batch::BatchHeader;
use protocol::batch::{
    Attributes, BASE_OFFSET_AT, CRC_AT, CRC_COVERS_FROM, CheckedBatch, HEADER_BYTES,
    LEADER_EPOCH_AT, LENGTH_AT, MAGIC_AT,
};
use protocol::crc::{crc32c, crc32c_append};
use protocol::epoch::LeaderEpoch;
use protocol::offset::Offset;
use runtime::BLOCK_BYTES;

use crate::config::{LogConfig, TimestampType};
use crate::error::AppendError;
use crate::journal::entry::{Entry, Run};
use crate::limits::SEGMENT_BYTES_MAX;
use crate::log::producers::{Admission, Refusal, Stamp};
use crate::log::state::{Placement, SegmentState, crc_over_pieces};
use crate::log::tail::Part;
use crate::log::{Log, offset};
use crate::store::flush::EVICT_TRIES;
use crate::store::gather::PendingRun;
use crate::store::{Inner, Ticket};

/// Where a batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client: the log gives out the offsets.
    Client,
    /// The partition's leader: the batch brings its offsets and epoch.
    Leader,
}

/// What an append needs to know besides the batch.
#[derive(Debug, Clone, Copy)]
pub struct AppendContext {
    /// The leader epoch to stamp; for [`Origin::Leader`] the batch's own is kept.
    pub epoch: LeaderEpoch,
    /// Wall clock, milliseconds since 1970.
    pub now_ms: i64,
    /// Where the batch comes from.
    pub origin: Origin,
    /// The largest record timestamp, if the caller looked at the records and the batch's header
    /// says otherwise.
    pub max_timestamp: Option<i64>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The first record's offset.
    pub base_offset: Offset,
    /// The offset after the last record.
    pub next_offset: Offset,
    /// The append time, if the topic keeps that instead of the producer's.
    pub log_append_time_ms: Option<i64>,
    /// The batch had been appended before; this is what it got then.
    pub duplicate: bool,
    /// When this is durable, so is the batch.
    pub ticket: Ticket,
}

/// The header as it is stored.
struct Stamped {
    bytes: [u8; HEADER_BYTES],
}

impl Stamped {
    fn header(&self) -> &BatchHeader {
        BatchHeader::peek(&self.bytes).expect("it is exactly a header")
    }
}

impl Log {
    /// Appends a batch: its order is fixed when this returns, and it is durable when its ticket is.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was changed.
    pub fn append(
        &self,
        batch: &CheckedBatch<'_>,
        context: AppendContext,
    ) -> Result<Appended, AppendError> {
        let store = self.0.store.upgrade().ok_or(AppendError::Deleted)?;
        if store.refuses() {
            let fenced = store.fence.borrow().is_some();
            return Err(if fenced { AppendError::Fenced } else { AppendError::Deleted });
        }
        let config = &*self.0.config.borrow();
        self.admit(batch, &context, config)?;
        if let Some(known) = self.duplicate(batch, &context)? {
            return Ok(known);
        }
        let bytes = batch.bytes().len();
        if store.is_full() {
            store.wake_flusher.notify_one();
            return Err(AppendError::Full);
        }
        let base = match context.origin {
            Origin::Client => self.0.state.borrow().end,
            Origin::Leader => batch.base_offset().get(),
        };
        let next =
            base.checked_add(i64::from(batch.offset_count())).ok_or(AppendError::InvalidRecord)?;
        self.roll_if_needed(&store, config, base, bytes, context.now_ms);
        let stamped = stamp(batch, &context, config, base);
        let (segment, from, to) = self.put(&store, config, batch, &stamped, context.now_ms);
        let mut open_run = self.0.open_run.get();
        let run = Run { log: self.0.id, segment, first: base, next };
        let pending = PendingRun { log: self.clone(), run, from, to };
        let group_bytes = store.config.tuning.group_bytes;
        let sequence = store.gathers.borrow_mut().add_run(group_bytes, &mut open_run, pending);
        self.0.open_run.set(open_run);
        self.0.last_ticket.set(sequence);
        store.appended(bytes);
        let append_time = config.timestamp_type == TimestampType::LogAppend;
        Ok(Appended {
            base_offset: offset(base),
            next_offset: offset(next),
            log_append_time_ms: append_time.then_some(context.now_ms),
            duplicate: false,
            ticket: Ticket(sequence),
        })
    }

    /// What must hold before anything else is looked at.
    fn admit(
        &self,
        batch: &CheckedBatch<'_>,
        context: &AppendContext,
        config: &LogConfig,
    ) -> Result<(), AppendError> {
        if self.is_going() {
            return Err(AppendError::Deleted);
        }
        if self.is_offline() {
            return Err(AppendError::Offline);
        }
        let bytes = batch.bytes().len();
        if context.origin == Origin::Leader {
            let continues = batch.base_offset().get() >= self.0.state.borrow().end;
            return if continues { Ok(()) } else { Err(AppendError::InvalidRecord) };
        }
        if bytes > config.max_message_bytes {
            let bytes_max = config.max_message_bytes;
            return Err(AppendError::TooLarge { bytes, bytes_max });
        }
        if config.timestamp_type == TimestampType::LogAppend {
            return Ok(());
        }
        let latest = context.max_timestamp.unwrap_or(batch.max_timestamp());
        let earliest = batch.header().base_timestamp();
        let ahead = latest.saturating_sub(context.now_ms) > config.timestamp_after_max_ms;
        let behind = context.now_ms.saturating_sub(earliest) > config.timestamp_before_max_ms;
        if latest >= 0 && ahead {
            return Err(AppendError::InvalidTimestamp { timestamp: latest });
        }
        if earliest >= 0 && behind {
            return Err(AppendError::InvalidTimestamp { timestamp: earliest });
        }
        Ok(())
    }

    /// Refuses what an idempotent producer must not send, finds what it sent before.
    fn duplicate(
        &self,
        batch: &CheckedBatch<'_>,
        context: &AppendContext,
    ) -> Result<Option<Appended>, AppendError> {
        if context.origin == Origin::Leader {
            return Ok(None);
        }
        let Some(producer) = batch.producer() else { return Ok(None) };
        let (Some(first_sequence), Some(last_sequence)) =
            (producer.base_sequence, producer.last_sequence)
        else {
            return Ok(None);
        };
        let (id, epoch) = (producer.id.get(), producer.epoch.get());
        let stamp = Stamp { id, epoch, first_sequence, last_sequence };
        match self.0.state.borrow().producers.admit(&stamp) {
            Ok(Admission::Append) => Ok(None),
            Ok(Admission::Duplicate(known)) => {
                let append_time = self.0.config.borrow().timestamp_type == TimestampType::LogAppend;
                Ok(Some(Appended {
                    base_offset: offset(known.base),
                    next_offset: offset(known.last + 1),
                    log_append_time_ms: append_time.then_some(known.timestamp),
                    duplicate: true,
                    // The first copy may still be on its way.
                    ticket: self.last_ticket(),
                }))
            }
            Err(Refusal::Fenced { current }) => Err(AppendError::ProducerFenced { current }),
            Err(Refusal::OutOfOrder { expected }) => {
                Err(AppendError::OutOfOrderSequence { expected, got: first_sequence })
            }
            Err(Refusal::Unknown) => Err(AppendError::UnknownProducer),
        }
    }

    /// Starts a new segment if the active one is full, old, or cannot count that far.
    fn roll_if_needed(
        &self,
        store: &Inner,
        config: &LogConfig,
        base: i64,
        bytes: usize,
        now_ms: i64,
    ) {
        let append_at = self.0.parts.borrow().back().map(|part| part.append_at);
        let roll = {
            let state = self.0.state.borrow();
            match state.active() {
                None => true,
                Some(active) if active.length == 0 && active.base <= base => false,
                Some(active) => {
                    let end =
                        u64::from(append_at.unwrap_or(active.append_position())) + bytes as u64;
                    let limit = config.segment_bytes.min(SEGMENT_BYTES_MAX);
                    end > u64::from(limit)
                        || base - active.base > i64::from(i32::MAX)
                        || now_ms - active.created_ms > self.segment_age_max(config)
                }
            }
        };
        if roll {
            self.roll(store, base, now_ms);
        }
    }

    /// `segment.ms`, less this segment's share of the jitter.
    pub(crate) fn segment_age_max(&self, config: &LogConfig) -> i64 {
        // No record of a compacted log may wait longer in a segment that is not sealed.
        let lag_max_ms = config.compaction.map_or(i64::MAX, |it| it.lag_max_ms);
        let age_max_ms = config.segment_ms.min(lag_max_ms);
        let spread = config.segment_jitter_ms.clamp(0, age_max_ms.max(0));
        // The same for one segment however often it is asked.
        let seed = self.0.state.borrow().active().map_or(0, |it| it.base) ^ i64::from(self.0.id);
        let mixed = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let jitter = if spread > 0 { mixed as i64 % spread } else { 0 };
        age_max_ms.saturating_sub(jitter)
    }

    /// Seals the active segment, if there is one, and starts another at `base`.
    pub(crate) fn roll(&self, store: &Inner, base: i64, now_ms: i64) {
        let sealed = {
            let mut state = self.0.state.borrow_mut();
            let sealed = state.active().map(|it| (it.base, it.length));
            state.roll(base, now_ms);
            sealed
        };
        {
            let mut parts = self.0.parts.borrow_mut();
            if let Some(part) = parts.back_mut() {
                let padding = part.pad();
                part.sealed = true;
                store.unflushed.set(store.unflushed.get() + u64::from(padding));
            }
            parts.push_back(Part::new(base, 0));
        }
        let (sealed_base, sealed_bytes) = sealed.unwrap_or((base, 0));
        store.say(self, &Entry::Roll { log: self.0.id, sealed_base, sealed_bytes, base });
    }

    /// Copies the batch to its place and takes note of it; returns segment and place.
    fn put(
        &self,
        store: &Inner,
        config: &LogConfig,
        batch: &CheckedBatch<'_>,
        stamped: &Stamped,
        now_ms: i64,
    ) -> (i64, u32, u32) {
        let records = batch.record_bytes();
        let bytes = (HEADER_BYTES + records.len()) as u32;
        let mut state = self.0.state.borrow_mut();
        let segment = state.active().map_or(0, |it| it.base);
        let mut parts = self.0.parts.borrow_mut();
        if parts.back().is_none_or(|part| part.base != segment) {
            let flushed = state.active().map_or(0, SegmentState::append_position);
            parts.push_back(Part::new(segment, flushed));
        }
        let part = parts.back_mut().expect("one was just added");
        let from = part.append_at;
        let mut chunk_bytes = self.next_chunk_bytes(store, bytes);
        if let Some(own) = own_chunk_bytes(store, bytes, chunk_bytes) {
            part.close_chunk();
            chunk_bytes = own;
        }
        let mut made = |start: u32, capacity: usize| {
            store.chunk_made((self.0.id, segment, start), capacity);
            self.0.chunk_bytes.set((capacity * 2).min(store.config.tuning.chunk_bytes));
        };
        part.push(&store.world, &stamped.bytes, chunk_bytes, &mut made);
        part.push(&store.world, records, chunk_bytes, &mut made);
        let header = stamped.header();
        let index_interval = config.index_interval_bytes;
        let placed = Placement { header, position: from, bytes, now_ms, index_interval };
        let batch_crc = header.crc();
        let new_producer =
            state.place(&placed, |crc| crc_over_pieces(crc, &stamped.bytes, records, batch_crc));
        store.unflushed.set(store.unflushed.get() + u64::from(bytes));
        if new_producer {
            store.producers.set(store.producers.get() + 1);
            if store.producers.get() > store.config.producers_max {
                store.producers.set(store.producers.get() - state.producers.evict());
            }
        }
        (segment, from, from + bytes)
    }

    /// How large a chunk is worth it: it doubles with the log's traffic, and many busy logs get
    /// less each.
    fn next_chunk_bytes(&self, store: &Inner, batch_bytes: u32) -> usize {
        let busy = store.dirty.borrow().len().max(1) as u64;
        let share = (store.config.unflushed_bytes / 2 / busy) as usize;
        let most = share.clamp(BLOCK_BYTES, store.config.tuning.chunk_bytes);
        let wanted = self.0.chunk_bytes.get().max(batch_bytes as usize);
        // Powers of two, as the pool keeps them.
        let wanted = wanted.min(most);
        1 << wanted.max(BLOCK_BYTES).ilog2()
    }
}

impl Inner {
    fn appended(&self, bytes: usize) {
        let counters = &self.counters;
        crate::store::count(&counters.appended_bytes, bytes as u64);
        crate::store::count(&counters.batches, 1);
        self.wake_writer.notify_one();
        if self.unflushed.get() > self.flush_from() {
            self.wake_flusher.notify_one();
        }
        if self.cached.get() > self.config.cache_bytes {
            self.evict(EVICT_TRIES);
        }
    }

    /// A log got a new chunk.
    pub(crate) fn chunk_made(&self, place: crate::store::CachedChunk, capacity: usize) {
        self.cached.set(self.cached.get() + capacity as u64);
        self.cache_order.borrow_mut().push_back(place);
    }
}

/// The size of a chunk for one batch that will go straight to its segment: if it fills most of it,
/// and if the log may have chunks of that size.
fn own_chunk_bytes(store: &Inner, batch_bytes: u32, chunk_bytes_max: usize) -> Option<usize> {
    let bytes = batch_bytes as usize;
    let own = bytes.next_power_of_two().min(store.config.tuning.chunk_bytes);
    let fits = batch_bytes >= store.config.tuning.direct_bytes && own <= 2 * chunk_bytes_max;
    (fits && 4 * bytes >= 3 * own).then_some(own)
}

/// The batch's header with offset, epoch and timestamps as this log stores them.
fn stamp(
    batch: &CheckedBatch<'_>,
    context: &AppendContext,
    config: &LogConfig,
    base: i64,
) -> Stamped {
    let mut bytes = *batch.bytes().first_chunk::<HEADER_BYTES>().expect("a checked batch has one");
    if context.origin == Origin::Leader {
        return Stamped { bytes };
    }
    bytes[BASE_OFFSET_AT..LENGTH_AT].copy_from_slice(&base.to_be_bytes());
    bytes[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&context.epoch.get().to_be_bytes());
    let header = batch.header();
    let largest = if config.timestamp_type == TimestampType::LogAppend {
        let attributes = header.attributes().0 | Attributes::LOG_APPEND_TIME;
        bytes[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
        context.now_ms
    } else {
        context.max_timestamp.unwrap_or(header.max_timestamp())
    };
    let append_time = config.timestamp_type == TimestampType::LogAppend;
    if largest != header.max_timestamp() || append_time {
        bytes[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&largest.to_be_bytes());
        let crc = crc32c_append(crc32c(&bytes[CRC_COVERS_FROM..]), batch.record_bytes());
        bytes[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    }
    Stamped { bytes }
}

/// Where the attributes stand in a batch header.
const ATTRIBUTES_AT: usize = CRC_COVERS_FROM;
/// Where the largest timestamp stands in a batch header.
const MAX_TIMESTAMP_AT: usize = 35;
