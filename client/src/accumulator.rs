//! What a producer accepted and has not delivered yet: batches per partition, their order, retries and limits.
//!
//! A pure state machine: [`Accumulator::append`], [`Accumulator::poll`] and [`Accumulator::answered`] are told the time
//! and say in [`Action`]s what must be sent and which records are done. It reads no clock and does no I/O, so every
//! rule of order can be tested without a network.
//!
//! The rules:
//! - Records of one partition leave in the order in which they were accepted. After any failure nothing more of that
//!   partition is sent until everything in flight has come back; then it is sent again in order.
//! - An idempotent batch is numbered when it is first sent and keeps its number for every retry, so the broker can
//!   tell a repetition from a new batch.
//! - A numbered batch that is given up leaves a *hole*: later numbers would be refused. When nothing is in flight any
//!   more, the batches behind it that the broker certainly did not take are numbered anew under the next producer
//!   epoch; those whose fate is unknown are given up as uncertain and never sent again, so nothing is written twice.
//! - Memory is charged when a record is accepted and given back when its batch is done; beyond the limit `append`
//!   refuses.

mod answer;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use protocol::epoch::ProducerEpoch;
use protocol::ids::ProducerId;

pub(crate) use self::answer::{Answer, Delivered};
use self::slot::{Slot, Turn};
use crate::draft::{Draft, DraftLimits};
use crate::error::SendError;
use crate::record::Record;

/// A point on the caller's monotonic clock, in nanoseconds.
pub(crate) type Nanos = u64;

/// One partition's place in the accumulator, handed out by [`Accumulator::slot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotId(u32);

impl SlotId {
    /// The place as an index into a table that is kept beside the accumulator.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names a batch; later batches have larger ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BatchId(u64);

/// Who an idempotent producer is: what the broker knows it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

/// What the machine is held to. Times in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// How batches are built.
    pub(crate) draft: DraftLimits,
    /// All records accepted and not done.
    pub(crate) memory_bytes: usize,
    /// How long a batch that is not full waits for more records.
    pub(crate) linger: Nanos,
    /// Batches of one partition sent and not answered. At most 5 for an idempotent producer: the broker
    /// remembers no more (KIP-679).
    pub(crate) in_flight_max: usize,
    /// From acceptance until a record is given up.
    pub(crate) delivery_timeout: Nanos,
    /// The first pause before a retry; it doubles up to `backoff_max`.
    pub(crate) backoff: Nanos,
    pub(crate) backoff_max: Nanos,
    /// Whether batches are numbered.
    pub(crate) idempotent: bool,
    /// Starts the jitter of the pauses.
    pub(crate) seed: u64,
}

/// What must happen next.
#[derive(Debug)]
pub(crate) enum Action<C> {
    /// Send `batch` to the leader of `slot`'s partition, after everything this call said before it.
    Send { slot: SlotId, batch: BatchId, bytes: Bytes },
    /// Records `first..first + count` of the batch that handed out `completion` are done.
    Done { completion: C, first: u32, count: u32, outcome: Result<Delivered, SendError> },
    /// The leader of `slot`'s partition may have changed: ask again before the retry.
    Refresh { slot: SlotId },
}

/// Why a record was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The memory limit is reached; room returns when batches are done.
    Full,
    /// The record alone is larger than a batch may be.
    TooLarge { bytes: usize, bytes_max: usize },
}

/// Where an accepted record will be reported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed<C> {
    /// Shared by all records of the batch.
    pub(crate) completion: C,
    /// This record's place among them.
    pub(crate) index: u32,
}

/// See the file's first lines. `C` is what the caller keeps per batch to report to its records.
#[derive(Debug)]
pub(crate) struct Accumulator<C> {
    shared: Shared,
    slots: Vec<Slot<C>>,
    /// Slots that may have something to do now, each once.
    ready: VecDeque<SlotId>,
    /// When else to look at a slot; `Slot::wake` holds the same time.
    timers: BTreeSet<(Nanos, SlotId)>,
    closing: bool,
}

/// What all slots share.
#[derive(Debug)]
struct Shared {
    policy: Policy,
    identity: Option<Identity>,
    used_bytes: usize,
    next_batch: u64,
    /// Accepted and not done: each batch by the id it began with, and into how many pieces it was split.
    incomplete: BTreeMap<BatchId, u32>,
    jitter: u64,
}

impl<C: Clone + Default> Accumulator<C> {
    pub(crate) fn new(policy: Policy) -> Self {
        let jitter = policy.seed | 1;
        let shared = Shared {
            policy,
            identity: None,
            used_bytes: 0,
            next_batch: 0,
            incomplete: BTreeMap::new(),
            jitter,
        };
        let (ready, timers) = (VecDeque::new(), BTreeSet::new());
        Self { shared, slots: Vec::new(), ready, timers, closing: false }
    }

    /// A place for one more partition.
    pub(crate) fn slot(&mut self) -> SlotId {
        let id = SlotId(u32::try_from(self.slots.len()).expect("partitions are counted in an i32"));
        self.slots.push(Slot::new(id));
        id
    }

    /// Accepts a record for `slot`, to be sent once its batch is full or has waited long enough.
    pub(crate) fn append(
        &mut self,
        now: Nanos,
        slot_id: SlotId,
        record: &Record<'_>,
        timestamp_ms: i64,
    ) -> Result<Placed<C>, Refused> {
        let shared = &mut self.shared;
        let record_bytes = Draft::record_bytes_max(record);
        let bytes_max = shared.policy.draft.record_bytes_max;
        if record_bytes > bytes_max {
            return Err(Refused::TooLarge { bytes: record_bytes, bytes_max });
        }
        // A record larger than all the memory is let in when nothing else is, so that it cannot wait for ever.
        let is_first = shared.used_bytes == 0;
        if shared.used_bytes + record_bytes > shared.policy.memory_bytes && !is_first {
            return Err(Refused::Full);
        }
        let slot = &mut self.slots[slot_id.index()];
        let (placed, look) = slot.append(now, record, record_bytes, timestamp_ms, shared);
        if look {
            self.mark_ready(slot_id);
        }
        Ok(placed)
    }

    /// Moves on whatever can be moved at `now`. Call it after every change and when [`Self::wake_at`] has come.
    pub(crate) fn poll(&mut self, now: Nanos, actions: &mut Vec<Action<C>>) {
        while let Some(&(at, slot)) = self.timers.first() {
            if at > now {
                break;
            }
            self.mark_ready(slot);
        }
        while let Some(slot_id) = self.ready.pop_front() {
            let slot = &mut self.slots[slot_id.index()];
            slot.is_ready = false;
            let wake = slot.drain(Turn { now, closing: self.closing }, &mut self.shared, actions);
            let before = std::mem::replace(&mut slot.wake, wake);
            if before != wake {
                if let Some(at) = before {
                    self.timers.remove(&(at, slot_id));
                }
                if let Some(at) = wake {
                    self.timers.insert((at, slot_id));
                }
            }
        }
    }

    /// Tells what became of a batch that [`Action::Send`] named.
    pub(crate) fn answered(
        &mut self,
        now: Nanos,
        slot: SlotId,
        (batch, answer): (BatchId, Answer),
        actions: &mut Vec<Action<C>>,
    ) {
        self.slots[slot.index()].answered(now, batch, answer, &mut self.shared, actions);
        self.mark_ready(slot);
    }

    /// Sends every open batch without waiting for more records.
    pub(crate) fn flush(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots[index].flush() {
                self.mark_ready(self.slots[index].id);
            }
        }
    }

    /// From now on no batch waits for more records.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.flush();
    }

    /// Gives up everything, with `reason` for each record. Batches in flight are reported too; their answers are
    /// ignored when they come.
    pub(crate) fn fail_all(&mut self, reason: &SendError, actions: &mut Vec<Action<C>>) {
        for slot in &mut self.slots {
            slot.fail_all(reason, &mut self.shared, actions);
        }
    }

    /// Whether a producer id is needed before anything can be sent.
    pub(crate) fn needs_identity(&self) -> bool {
        self.shared.policy.idempotent && self.shared.identity.is_none()
    }

    /// The producer id that [`Self::needs_identity`] asked for.
    pub(crate) fn set_identity(&mut self, identity: Identity) {
        self.shared.identity = Some(identity);
        for index in 0..self.slots.len() {
            self.mark_ready(self.slots[index].id);
        }
    }

    /// Whether `poll` has something to do now.
    pub(crate) fn wants_a_look(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When `poll` has something to do although nothing happens before; the past when it is to be called at once.
    pub(crate) fn wake_at(&self) -> Option<Nanos> {
        if self.ready.is_empty() { self.timers.first().map(|&(at, _)| at) } else { Some(0) }
    }

    /// The oldest batch that is not done.
    pub(crate) fn oldest(&self) -> Option<BatchId> {
        self.shared.incomplete.keys().next().copied()
    }

    /// The newest batch that is not done.
    pub(crate) fn newest(&self) -> Option<BatchId> {
        self.shared.incomplete.keys().next_back().copied()
    }

    /// Bytes accepted and not done.
    pub(crate) fn used_bytes(&self) -> usize {
        self.shared.used_bytes
    }

    fn mark_ready(&mut self, slot_id: SlotId) {
        let slot = &mut self.slots[slot_id.index()];
        if let Some(at) = slot.wake.take() {
            self.timers.remove(&(at, slot_id));
        }
        if !slot.is_ready {
            slot.is_ready = true;
            self.ready.push_back(slot_id);
        }
    }
}

impl Shared {
    fn new_batch(&mut self) -> BatchId {
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        id
    }

    /// One piece more of the batch that began as `origin`.
    fn begin(&mut self, origin: BatchId) {
        *self.incomplete.entry(origin).or_insert(0) += 1;
    }

    /// One piece of it is done.
    fn end(&mut self, origin: BatchId) {
        if let Some(pieces) = self.incomplete.get_mut(&origin) {
            *pieces -= 1;
            if *pieces == 0 {
                self.incomplete.remove(&origin);
            }
        }
    }

    /// The pause before attempt `attempts + 1`: doubling, capped, a fifth more or less.
    fn backoff(&mut self, attempts: u32) -> Nanos {
        // xorshift64: the jitter only has to keep producers from retrying in step.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let doubled = self.policy.backoff.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        let pause = doubled.min(self.policy.backoff_max);
        pause - pause / 5 + self.jitter % (pause / 5 * 2 + 1)
    }

    /// Leaves the identity that `slot` used behind, because its numbers have a hole. If another slot has done so
    /// already, the newer one serves.
    fn abandon(&mut self, used: Identity) {
        if self.identity == Some(used) {
            self.identity = used.epoch.next().map(|epoch| Identity { id: used.id, epoch });
        }
    }
}
