//! What becomes of a slot's batches once they were sent: delivered, sent again, cut in two, or given up.

use super::super::answer::{Retry, Standing, Verdict, verdict};
use super::super::{Action, Answer, BatchId, Delivered, Nanos, Shared};
use super::{Batch, Recovery, Slot, sequence_after};
use crate::error::SendError;

impl<C: Clone + Default> Slot<C> {
    /// Takes in what became of a batch in flight.
    pub(in super::super) fn answered(
        &mut self,
        now: Nanos,
        batch: BatchId,
        answer: Answer,
        shared: &mut Shared,
        actions: &mut Vec<Action<C>>,
    ) {
        let Some(place) = self.queue.iter().position(|held| held.id == batch && held.in_flight)
        else {
            return; // Given up meanwhile.
        };
        self.in_flight -= 1;
        let held = &mut self.queue[place];
        let standing = match (self.hole, held.was_first) {
            (true, _) => Standing::BehindHole,
            (false, true) => Standing::First,
            (false, false) => Standing::Later,
        };
        held.in_flight = false;
        let verdict = verdict(&answer, standing, held.built.count() > 1);
        if let Answer::Refused(code, message) = answer {
            held.last_error = Some((code, message));
        }
        match verdict {
            Verdict::Deliver(delivered) => {
                self.attempts = 0;
                for older in self.queue.iter_mut().take(place) {
                    older.overtaken_by += 1;
                }
                self.finish(place, Ok(delivered), shared, actions);
            }
            Verdict::Retry(retry) => self.retry(now, place, retry, shared, actions),
            Verdict::Renumber => {
                self.hole = true;
                self.retry(now, place, Retry::PAUSED, shared, actions);
            }
            Verdict::Split => self.split(now, place, shared),
            Verdict::GiveUp(code) => {
                let message = self.queue[place].last_error.take().and_then(|(_, message)| message);
                self.give_up(now, place, SendError::Refused { code, message }, shared, actions);
            }
        }
    }

    /// Reports `reason` for everything held.
    pub(in super::super) fn fail_all(
        &mut self,
        reason: &SendError,
        shared: &mut Shared,
        actions: &mut Vec<Action<C>>,
    ) {
        self.close_open(shared);
        while !self.queue.is_empty() {
            let uncertain = self.queue[0].in_flight || self.queue[0].is_uncertain;
            let outcome = if uncertain { SendError::Uncertain } else { reason.clone() };
            self.finish(0, Err(outcome), shared, actions);
        }
        self.in_flight = 0;
    }

    fn retry(
        &mut self,
        now: Nanos,
        place: usize,
        retry: Retry,
        shared: &mut Shared,
        actions: &mut Vec<Action<C>>,
    ) {
        self.queue[place].is_uncertain |= retry.is_uncertain;
        if retry.must_refresh {
            actions.push(Action::Refresh { slot: self.id });
        }
        let recovery = self.recover(now);
        if !retry.at_once && !recovery.has_paused {
            self.attempts = self.attempts.saturating_add(1);
            let not_before = now.saturating_add(shared.backoff(self.attempts));
            self.recovering = Some(Recovery { not_before, has_paused: true });
        }
    }

    /// Stops sending until everything is back.
    fn recover(&mut self, now: Nanos) -> Recovery {
        *self.recovering.get_or_insert(Recovery { not_before: now, has_paused: false })
    }

    fn split(&mut self, now: Nanos, place: usize, shared: &mut Shared) {
        let batch = self.queue.remove(place).expect("the place was just found");
        shared.used_bytes -= batch.charged_bytes;
        let mut first = batch.first;
        let mut sequence = batch.sequence;
        for (nth, mut built) in batch.built.split(&shared.policy.draft).into_iter().enumerate() {
            if let (Some(sequence), Some(identity)) = (sequence, self.identity) {
                built.stamp(identity, sequence);
            }
            let count = built.count();
            let charged_bytes = built.len();
            shared.used_bytes += charged_bytes;
            shared.begin(batch.origin);
            let half = Batch {
                id: shared.new_batch(),
                built,
                completion: batch.completion.clone(),
                first,
                sequence,
                charged_bytes,
                in_flight: false,
                last_error: batch.last_error.clone(),
                ..batch
            };
            self.queue.insert(place + nth, half);
            first += count;
            sequence = sequence.map(|base| sequence_after(base, count));
        }
        shared.end(batch.origin);
        self.recover(now);
    }

    fn give_up(
        &mut self,
        now: Nanos,
        place: usize,
        reason: SendError,
        shared: &mut Shared,
        actions: &mut Vec<Action<C>>,
    ) {
        if self.queue[place].sequence.is_some() {
            self.hole = true;
            self.recover(now);
        }
        self.finish(place, Err(reason), shared, actions);
    }

    /// Gives up what has waited for too long. A batch in flight waits for its answer: the connection bounds that.
    pub(super) fn expire(&mut self, now: Nanos, shared: &mut Shared, actions: &mut Vec<Action<C>>) {
        let timeout = shared.policy.delivery_timeout;
        if self.open.as_ref().is_some_and(|open| now >= open.since.saturating_add(timeout)) {
            self.close_open(shared);
        }
        let mut place = 0;
        while let Some(batch) = self.queue.get_mut(place) {
            if batch.in_flight {
                place += 1;
                continue;
            }
            if now < batch.since.saturating_add(timeout) {
                break;
            }
            let reason = match batch.last_error.take() {
                _ if batch.is_uncertain => SendError::Uncertain,
                Some((code, message)) => SendError::Expired { last: Some(code), message },
                None => SendError::Expired { last: None, message: None },
            };
            self.give_up(now, place, reason, shared, actions);
        }
    }

    /// Nothing is in flight and a number is missing: start a new row of numbers.
    pub(super) fn fill_hole(&mut self, shared: &mut Shared, actions: &mut Vec<Action<C>>) {
        self.hole = false;
        let mut place = 0;
        while let Some(batch) = self.queue.get_mut(place) {
            batch.overtaken_by = 0;
            if batch.sequence.take().is_some() && batch.is_uncertain {
                self.finish(place, Err(SendError::Uncertain), shared, actions);
            } else {
                place += 1;
            }
        }
        if let Some(used) = self.identity.take() {
            shared.abandon(used);
        }
        self.next_sequence = 0;
    }

    fn finish(
        &mut self,
        place: usize,
        outcome: Result<Delivered, SendError>,
        shared: &mut Shared,
        actions: &mut Vec<Action<C>>,
    ) {
        let batch = self.queue.remove(place).expect("the caller found it there");
        shared.used_bytes -= batch.charged_bytes;
        shared.end(batch.origin);
        let (first, count) = (batch.first, batch.built.count());
        actions.push(Action::Done { completion: batch.completion, first, count, outcome });
    }
}
