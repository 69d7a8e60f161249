//! Where a consumer stands in each of its partitions: what must be looked up, what may be fetched, what is buffered.
//!
//! A pure state machine. `T` is what the caller buffers per answer (batches of records); the machine knows only how
//! many bytes it holds and which offset follows it.

use std::collections::VecDeque;

use crate::accumulator::Nanos;

/// Where to start, or go on, reading a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// At the oldest record that is still there.
    Earliest,
    /// After the newest record: only what is written from now on.
    Latest,
    /// At this offset.
    Offset(i64),
    /// At the first record whose timestamp, in milliseconds since 1970 UTC, is this or later; after the newest record
    /// if there is none.
    Timestamp(i64),
}

/// What to do when an offset is not in the partition (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutOfRange {
    /// Go on at the oldest record.
    #[default]
    Earliest,
    /// Go on after the newest record.
    Latest,
    /// Report [`crate::ConsumeError::OutOfRange`]; nothing is read until the next seek.
    Fail,
}

/// One partition's place among those assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartId(pub(crate) usize);

/// Tells an answer to the current question from one to an earlier question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u32);

/// What a partition needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Ask which offset `seek` means.
    Lookup { seek: Seek, generation: Generation },
    /// Fetch from `offset`.
    Fetch { offset: i64, generation: Generation },
}

/// What a fetch of one partition brought.
#[derive(Debug)]
pub(crate) struct Arrival<T> {
    /// What to hand on, with its bytes; `None` when nothing (new) was there.
    pub(crate) data: Option<(T, usize)>,
    /// The offset to fetch next.
    pub(crate) next: i64,
    /// How far consumers may read.
    pub(crate) high_watermark: i64,
}

/// How a question failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setback {
    /// Ask again after a pause.
    Later,
    /// The offset is out of range.
    OutOfRange,
}

#[derive(Debug)]
struct Position<T> {
    at: At,
    generation: u32,
    is_asking: bool,
    not_before: Nanos,
    paused: bool,
    buffered: VecDeque<Buffered<T>>,
    buffered_bytes: usize,
    /// The next offset the user will see; `None` until it is known.
    consumed: Option<i64>,
    high_watermark: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Unknown(Seek),
    Fetching(i64),
    /// Out of range, and the user wants to decide.
    Stuck,
}

#[derive(Debug)]
struct Buffered<T> {
    data: T,
    bytes: usize,
    next: i64,
}

/// See the file's first lines.
#[derive(Debug)]
pub(crate) struct Positions<T> {
    parts: Vec<Position<T>>,
    buffered_bytes: usize,
    buffered_bytes_max: usize,
    part_bytes_max: usize,
    retry_pause: Nanos,
    out_of_range: OutOfRange,
    /// The partition whose data is handed out next, so that none starves.
    turn: usize,
}

impl<T> Positions<T> {
    /// Buffers at most about `buffered_bytes_max` in all (an answer under way may exceed it by its own size), and
    /// fetches a partition ahead while it has less than `part_bytes_max`.
    pub(crate) fn new(
        buffered_bytes_max: usize,
        part_bytes_max: usize,
        retry_pause: Nanos,
        out_of_range: OutOfRange,
    ) -> Self {
        Self {
            parts: Vec::new(),
            buffered_bytes: 0,
            buffered_bytes_max,
            part_bytes_max,
            retry_pause,
            out_of_range,
            turn: 0,
        }
    }

    /// Adds a partition.
    pub(crate) fn assign(&mut self, seek: Seek) -> PartId {
        let id = PartId(self.parts.len());
        self.parts.push(Position {
            at: At::Unknown(seek),
            generation: 0,
            is_asking: false,
            not_before: 0,
            paused: false,
            buffered: VecDeque::new(),
            buffered_bytes: 0,
            consumed: None,
            high_watermark: None,
        });
        self.seek(id, seek);
        id
    }

    /// Forgets what is buffered and goes on elsewhere.
    pub(crate) fn seek(&mut self, id: PartId, seek: Seek) {
        let part = &mut self.parts[id.0];
        self.buffered_bytes -= part.buffered_bytes;
        part.buffered_bytes = 0;
        part.buffered.clear();
        part.generation = part.generation.wrapping_add(1);
        part.is_asking = false;
        part.not_before = 0;
        (part.at, part.consumed) = match seek {
            Seek::Offset(offset) => (At::Fetching(offset), Some(offset)),
            Seek::Earliest | Seek::Latest | Seek::Timestamp(_) => (At::Unknown(seek), None),
        };
    }

    /// Stops or resumes fetching; what is buffered stays and is not handed out meanwhile.
    pub(crate) fn set_paused(&mut self, id: PartId, paused: bool) {
        self.parts[id.0].paused = paused;
    }

    /// What to ask for `id` now, if anything. Asking is noted: the answer must be told by [`Self::looked_up`],
    /// [`Self::fetched`] or [`Self::failed`].
    pub(crate) fn ask(&mut self, id: PartId, now: Nanos) -> Option<Need> {
        let is_full = self.buffered_bytes >= self.buffered_bytes_max;
        let part = &mut self.parts[id.0];
        if part.is_asking || part.paused || now < part.not_before {
            return None;
        }
        let generation = Generation(part.generation);
        let need = match part.at {
            At::Unknown(seek) => Need::Lookup { seek, generation },
            // A partition with nothing buffered may always ask, so that a full buffer cannot starve it.
            At::Fetching(_) if part.buffered_bytes >= self.part_bytes_max => return None,
            At::Fetching(_) if is_full && part.buffered_bytes > 0 => return None,
            At::Fetching(offset) => Need::Fetch { offset, generation },
            At::Stuck => return None,
        };
        part.is_asking = true;
        Some(need)
    }

    /// When to ask for `id` again after a failure; `None` if nothing is to be waited for.
    pub(crate) fn ask_at(&self, id: PartId, now: Nanos) -> Option<Nanos> {
        let part = &self.parts[id.0];
        (!part.is_asking && !part.paused && part.at != At::Stuck && part.not_before > now)
            .then_some(part.not_before)
    }

    /// The offset that the sought place means.
    pub(crate) fn looked_up(&mut self, id: PartId, generation: Generation, offset: i64) {
        if let Some(part) = self.current(id, generation) {
            part.at = At::Fetching(offset);
            part.consumed = Some(offset);
        }
    }

    /// The sought place does not exist; go to `seek` instead.
    pub(crate) fn redirect(&mut self, id: PartId, generation: Generation, seek: Seek) {
        if let Some(part) = self.current(id, generation) {
            part.at = At::Unknown(seek);
        }
    }

    /// What was fetched cannot be used: nothing more is asked until the next seek.
    pub(crate) fn halt(&mut self, id: PartId, generation: Generation) {
        if let Some(part) = self.current(id, generation) {
            part.at = At::Stuck;
        }
    }

    /// What a fetch brought.
    pub(crate) fn fetched(&mut self, id: PartId, generation: Generation, arrival: Arrival<T>) {
        let Some(part) = self.current(id, generation) else { return };
        part.high_watermark = Some(arrival.high_watermark);
        part.at = At::Fetching(arrival.next);
        if let Some((data, bytes)) = arrival.data {
            part.buffered.push_back(Buffered { data, bytes, next: arrival.next });
            part.buffered_bytes += bytes;
            self.buffered_bytes += bytes;
        } else if part.buffered.is_empty() {
            // Only control batches, or nothing: the user has seen all there is up to here.
            part.consumed = Some(arrival.next);
        }
    }

    /// A lookup or a fetch brought nothing. Answers the offset that is out of range if the user must be told.
    pub(crate) fn failed(
        &mut self,
        id: PartId,
        generation: Generation,
        (now, setback): (Nanos, Setback),
    ) -> Option<i64> {
        let (pause, policy) = (self.retry_pause, self.out_of_range);
        let part = self.current(id, generation)?;
        part.not_before = now.saturating_add(pause);
        let At::Fetching(offset) = part.at else { return None };
        if setback == Setback::Later {
            return None;
        }
        part.at = match policy {
            OutOfRange::Earliest => At::Unknown(Seek::Earliest),
            OutOfRange::Latest => At::Unknown(Seek::Latest),
            OutOfRange::Fail => At::Stuck,
        };
        (policy == OutOfRange::Fail).then_some(offset)
    }

    /// The next data for the user, from one partition after the other.
    pub(crate) fn take(&mut self) -> Option<(PartId, T)> {
        let count = self.parts.len();
        let has_data = |part: &Position<T>| !part.paused && !part.buffered.is_empty();
        let place = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|&place| has_data(&self.parts[place]))?;
        self.turn = place + 1;
        let part = &mut self.parts[place];
        let buffered = part.buffered.pop_front()?;
        part.buffered_bytes -= buffered.bytes;
        self.buffered_bytes -= buffered.bytes;
        part.consumed = Some(buffered.next);
        Some((PartId(place), buffered.data))
    }

    /// The next offset the user will see; `None` while it is being looked up.
    pub(crate) fn consumed(&self, id: PartId) -> Option<i64> {
        self.parts[id.0].consumed
    }

    /// How far the partition could be read when it was last fetched.
    pub(crate) fn high_watermark(&self, id: PartId) -> Option<i64> {
        self.parts[id.0].high_watermark
    }

    /// How many partitions are assigned.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// The partition, if the answer is one to its current question; notes that it is answered.
    fn current(&mut self, id: PartId, generation: Generation) -> Option<&mut Position<T>> {
        let part = &mut self.parts[id.0];
        if part.generation != generation.0 {
            return None;
        }
        part.is_asking = false;
        Some(part)
    }
}

#[cfg(test)]
mod tests;
