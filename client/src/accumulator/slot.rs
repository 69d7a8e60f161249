//! One partition's batches: open, waiting and in flight, always in the order in which records were accepted.

mod outcome;

use std::collections::VecDeque;

use super::{Action, BatchId, Identity, Nanos, Placed, Shared, SlotId};
use crate::draft::{Built, Draft};
use crate::record::Record;

/// When a slot is looked at, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) now: Nanos,
    pub(super) closing: bool,
}

/// See the file's first line.
///
/// Unless `recovering` is set, the batches in flight are exactly the first of the queue.
#[derive(Debug)]
pub(super) struct Slot<C> {
    pub(super) id: SlotId,
    /// Whether it stands in the accumulator's list of slots to look at.
    pub(super) is_ready: bool,
    /// Its entry among the accumulator's timers.
    pub(super) wake: Option<Nanos>,
    open: Option<Open<C>>,
    queue: VecDeque<Batch<C>>,
    in_flight: usize,
    /// Something failed: send nothing until everything is back and its time has come.
    recovering: Option<Recovery>,
    /// Failures in a row.
    attempts: u32,
    /// Who the numbered batches are from.
    identity: Option<Identity>,
    next_sequence: i32,
    /// A numbered batch was given up.
    hole: bool,
    flush: bool,
}

/// A pause in sending. Batches that fail together are one failure and share one pause.
#[derive(Debug, Clone, Copy)]
struct Recovery {
    not_before: Nanos,
    has_paused: bool,
}

/// The batch that takes records.
#[derive(Debug)]
struct Open<C> {
    draft: Draft,
    id: BatchId,
    completion: C,
    since: Nanos,
    charged_bytes: usize,
}

/// A batch that takes no more records.
#[derive(Debug)]
struct Batch<C> {
    id: BatchId,
    /// The id it was accepted under; another one only after a split.
    origin: BatchId,
    built: Built,
    completion: C,
    /// Its first record's place among those of the completion; more than 0 only after a split.
    first: u32,
    since: Nanos,
    charged_bytes: usize,
    in_flight: bool,
    sequence: Option<i32>,
    /// Later batches that were delivered before it. They count as in flight: a broker that holds more than
    /// `in_flight_max` batches after this one no longer recognises its repetition.
    overtaken_by: usize,
    /// Nothing older was undelivered when it was last sent. It counts then and not when the answer comes: after a
    /// change of leader, answers of two brokers may overtake each other.
    was_first: bool,
    /// It was sent, and no answer said that it was not written.
    is_uncertain: bool,
    last_error: Option<(protocol::error_code::ErrorCode, Option<String>)>,
}

impl<C: Clone + Default> Slot<C> {
    pub(super) fn new(id: SlotId) -> Self {
        Self {
            id,
            is_ready: false,
            wake: None,
            open: None,
            queue: VecDeque::new(),
            in_flight: 0,
            recovering: None,
            attempts: 0,
            identity: None,
            next_sequence: 0,
            hole: false,
            flush: false,
        }
    }

    /// Takes a record in; says whether the slot must be looked at.
    pub(super) fn append(
        &mut self,
        now: Nanos,
        record: &Record<'_>,
        record_bytes: usize,
        timestamp_ms: i64,
        shared: &mut Shared,
    ) -> (Placed<C>, bool) {
        let limits = &shared.policy.draft;
        let is_full =
            self.open.as_ref().is_some_and(|open| !open.draft.has_room(record_bytes, limits));
        if is_full {
            self.close_open(shared);
        }
        let opened = self.open.is_none();
        let open = self.open.get_or_insert_with(|| {
            let id = shared.new_batch();
            shared.begin(id);
            let draft = Draft::new(&shared.policy.draft);
            Open { draft, id, completion: C::default(), since: now, charged_bytes: 0 }
        });
        let index = open.draft.count();
        open.draft.push(record, timestamp_ms);
        shared.used_bytes += record_bytes;
        open.charged_bytes += record_bytes;
        let placed = Placed { completion: open.completion.clone(), index };
        (placed, is_full || opened)
    }

    /// Does what can be done now; answers when to look again although nothing happens before.
    pub(super) fn drain(
        &mut self,
        turn: Turn,
        shared: &mut Shared,
        actions: &mut Vec<Action<C>>,
    ) -> Option<Nanos> {
        self.expire(turn.now, shared, actions);
        if self.hole && self.in_flight == 0 {
            self.fill_hole(shared, actions);
        }
        if let Some(Recovery { not_before, .. }) = self.recovering {
            if self.in_flight > 0 {
                return self.next_expiry(shared);
            }
            if turn.now < not_before {
                return earliest(Some(not_before), self.next_expiry(shared));
            }
            self.recovering = None;
        }
        let mut linger_ends = None;
        while self.has_window(shared) {
            if self.in_flight == self.queue.len() {
                linger_ends = self.close_if_due(turn, shared);
            }
            if self.in_flight == self.queue.len() || !self.send_next(shared, actions) {
                break;
            }
        }
        earliest(linger_ends, self.next_expiry(shared))
    }

    /// Whether one more batch may be sent.
    fn has_window(&self, shared: &Shared) -> bool {
        let overtaken_by = self.queue.front().map_or(0, |first| first.overtaken_by);
        self.in_flight == 0 || self.in_flight + overtaken_by < shared.policy.in_flight_max
    }

    /// Marks the open batch as due; says whether there is one.
    pub(super) fn flush(&mut self) -> bool {
        self.flush = self.open.is_some();
        self.flush
    }

    fn close_if_due(&mut self, turn: Turn, shared: &mut Shared) -> Option<Nanos> {
        let open = self.open.as_ref()?;
        let due = open.since.saturating_add(shared.policy.linger);
        if self.flush || turn.closing || turn.now >= due {
            self.close_open(shared);
            return None;
        }
        Some(due)
    }

    fn close_open(&mut self, shared: &mut Shared) {
        let Some(open) = self.open.take() else { return };
        self.flush = false;
        let built = open.draft.close();
        // Compression may have made it smaller; headers may have made it larger.
        let charged_bytes = built.len();
        shared.used_bytes = shared.used_bytes - open.charged_bytes + charged_bytes;
        self.queue.push_back(Batch {
            id: open.id,
            origin: open.id,
            built,
            completion: open.completion,
            first: 0,
            since: open.since,
            charged_bytes,
            in_flight: false,
            sequence: None,
            overtaken_by: 0,
            was_first: false,
            is_uncertain: false,
            last_error: None,
        });
    }

    /// Sends the first waiting batch; `false` when it has to wait for a producer id.
    fn send_next(&mut self, shared: &Shared, actions: &mut Vec<Action<C>>) -> bool {
        let batch = &mut self.queue[self.in_flight];
        debug_assert!(!batch.in_flight, "the batches in flight are the first of the queue");
        if shared.policy.idempotent && batch.sequence.is_none() {
            let Some(identity) = self.identity.or(shared.identity) else { return false };
            self.identity = Some(identity);
            batch.built.stamp(identity, self.next_sequence);
            batch.sequence = Some(self.next_sequence);
            self.next_sequence = sequence_after(self.next_sequence, batch.built.count());
        }
        batch.in_flight = true;
        batch.was_first = self.in_flight == 0;
        self.in_flight += 1;
        actions.push(Action::Send { slot: self.id, batch: batch.id, bytes: batch.built.bytes() });
        true
    }

    fn next_expiry(&self, shared: &Shared) -> Option<Nanos> {
        let waiting = self.queue.iter().find(|batch| !batch.in_flight).map(|batch| batch.since);
        let since = waiting.or(self.open.as_ref().map(|open| open.since))?;
        Some(since.saturating_add(shared.policy.delivery_timeout))
    }
}

/// Sequence numbers wrap from `i32::MAX` to 0, as in Kafka.
pub(super) fn sequence_after(sequence: i32, count: u32) -> i32 {
    let next = (i64::from(sequence) + i64::from(count)) & i64::from(i32::MAX);
    i32::try_from(next).expect("masked to 31 bits")
}

fn earliest(a: Option<Nanos>, b: Option<Nanos>) -> Option<Nanos> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
