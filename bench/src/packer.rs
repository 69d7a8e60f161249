//! Which record is due when, and in which batch it goes: a pure machine that is told the time.
//!
//! At a fixed rate the time of every record is decided before the run begins: the n-th is due at `start + n / rate`,
//! whatever became of those before it. A client that cannot send does not make them due later, so a broker that stalls
//! is measured by every record that would have been sent meanwhile (no coordinated omission). At full speed a record
//! is due when there is room for it.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use runtime::Nanos;

use crate::payload::Keys;
use crate::template::{Draft, Wait};

/// When records are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As soon as there is room.
    Full,
    /// Every `of`-th record of `rate` a second, from the `number`-th on.
    Fixed { rate: u64, number: u32, of: u32 },
}

/// A producer's part in the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    pub(crate) pace: Pace,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) partitions: u32,
    /// Where a producer without keys begins.
    pub(crate) first_partition: u32,
    /// How many records make a batch full.
    pub(crate) batch_records: u32,
    pub(crate) linger: Duration,
}

/// See the file's first line.
pub(crate) struct Packer {
    share: Share,
    keys: Option<Rc<Keys>>,
    drafts: Vec<Draft>,
    /// How often each draft was begun, so that a deadline can tell whether it is still meant.
    rounds: Vec<u32>,
    /// Drafts in the order in which their time to wait ends.
    deadlines: VecDeque<(Nanos, u32, u32)>,
    /// Where a record without a key goes, until that batch is closed.
    sticky: u32,
    /// Records that were taken up so far.
    taken: u64,
}

impl Packer {
    pub(crate) fn new(share: Share, keys: Option<Rc<Keys>>) -> Self {
        let count = share.partitions as usize;
        Self {
            drafts: (0..count).map(|_| Draft::default()).collect(),
            rounds: vec![0; count],
            deadlines: VecDeque::new(),
            sticky: share.first_partition % share.partitions,
            taken: 0,
            keys,
            share,
        }
    }

    /// Takes up what is due at `now`, as long as fewer than `room` batches have been closed by it; answers when there
    /// is something to do next, `None` when that depends on room alone.
    pub(crate) fn fill(
        &mut self,
        now: Nanos,
        room: usize,
        closed: &mut Vec<(u32, Draft)>,
    ) -> Option<Nanos> {
        let full_at = closed.len() + room;
        while closed.len() < full_at {
            let due = self.next_due(now);
            if due > now || due >= self.share.end {
                break;
            }
            self.take(due, closed);
        }
        let waits = self.share.linger > Duration::ZERO || self.share.pace != Pace::Full;
        while waits && closed.len() < full_at {
            match self.deadlines.front() {
                Some(&(at, partition, round)) if at <= now => {
                    self.deadlines.pop_front();
                    if self.rounds[partition as usize] == round {
                        self.close(partition, closed);
                    }
                }
                Some(_) | None => break,
            }
        }
        if closed.len() >= full_at {
            return None;
        }
        let due = Some(self.next_due(now)).filter(|due| *due < self.share.end && *due > now);
        let linger = self.deadlines.front().map(|&(at, ..)| at).filter(|_| waits);
        due.into_iter().chain(linger).min()
    }

    /// Closes every batch that was begun.
    pub(crate) fn flush(&mut self, closed: &mut Vec<(u32, Draft)>) {
        for partition in 0..self.share.partitions {
            if self.drafts[partition as usize].records > 0 {
                self.close(partition, closed);
            }
        }
    }

    /// When the records were due that had to be sent before the end and were never taken up.
    pub(crate) fn missed(&self) -> impl Iterator<Item = Nanos> {
        let is_paced = self.share.pace != Pace::Full;
        let dues = (self.taken..).map(|number| self.due(number));
        dues.take_while(move |due| is_paced && *due < self.share.end)
    }

    /// Whether records were due before the end that have not been taken up.
    pub(crate) fn is_behind(&self) -> bool {
        self.missed().next().is_some()
    }

    fn next_due(&self, now: Nanos) -> Nanos {
        if self.share.pace == Pace::Full { now } else { self.due(self.taken) }
    }

    fn due(&self, number: u64) -> Nanos {
        let Pace::Fixed { rate, number: first, of } = self.share.pace else { return Nanos::MAX };
        let place = u128::from(number) * u128::from(of) + u128::from(first);
        let after = place * 1_000_000_000 / u128::from(rate);
        self.share.start + Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX))
    }

    fn take(&mut self, due: Nanos, closed: &mut Vec<(u32, Draft)>) {
        let (partition, key) = match &self.keys {
            Some(keys) => {
                let (key, partition) = keys.draw(self.taken);
                (partition, Some(key))
            }
            None => (self.sticky, None),
        };
        // At full speed a batch without keys is full at once.
        let records = match (self.share.pace, key) {
            (Pace::Full, None) => self.share.batch_records,
            (Pace::Full, Some(_)) | (Pace::Fixed { .. }, _) => 1,
        };
        let draft = &mut self.drafts[partition as usize];
        if draft.records == 0 {
            let round = self.rounds[partition as usize];
            self.deadlines.push_back((due + self.share.linger, partition, round));
        }
        match draft.waits.last_mut() {
            Some(wait) if wait.due == due => wait.records += records,
            Some(_) | None => draft.waits.push(Wait { due, records }),
        }
        draft.keys.extend(key);
        draft.records += records;
        self.taken += u64::from(records);
        if draft.records >= self.share.batch_records {
            self.close(partition, closed);
        }
    }

    fn close(&mut self, partition: u32, closed: &mut Vec<(u32, Draft)>) {
        let place = partition as usize;
        closed.push((partition, std::mem::take(&mut self.drafts[place])));
        self.rounds[place] = self.rounds[place].wrapping_add(1);
        if partition == self.sticky {
            self.sticky = (self.sticky + 1) % self.share.partitions;
        }
        // Deadlines that nobody waits for any more do not pile up.
        while let Some(&(_, partition, round)) = self.deadlines.front()
            && self.rounds[partition as usize] != round
        {
            self.deadlines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::KeyDistribution;

    const MS: u64 = 1_000_000;

    fn share(pace: Pace, linger_ms: u64) -> Share {
        Share {
            pace,
            start: Nanos::ZERO,
            end: Nanos::new(1_000 * MS),
            partitions: 3,
            first_partition: 0,
            batch_records: 4,
            linger: Duration::from_millis(linger_ms),
        }
    }

    fn at(ms: u64) -> Nanos {
        Nanos::new(ms * MS)
    }

    fn dues(closed: &[(u32, Draft)]) -> Vec<(u32, Vec<u64>)> {
        let of = |draft: &Draft| {
            let waits = draft.waits.iter();
            waits.flat_map(|it| vec![it.due.get() / MS; it.records as usize]).collect()
        };
        closed.iter().map(|(partition, draft)| (*partition, of(draft))).collect()
    }

    #[test]
    fn records_keep_their_times_however_late_the_client_comes() {
        // One record a millisecond; nobody looks for seven of them.
        let mut packer = Packer::new(share(Pace::Fixed { rate: 1_000, number: 0, of: 1 }, 0), None);
        let mut closed = Vec::new();
        assert_eq!(packer.fill(at(0), 9, &mut closed), Some(at(1)));
        assert_eq!(packer.fill(at(7), 9, &mut closed), Some(at(8)));
        let expected = [(0, vec![0]), (1, vec![1, 2, 3, 4]), (2, vec![5, 6, 7])];
        assert_eq!(dues(&closed), expected);
    }

    #[test]
    fn without_room_nothing_is_taken_up_and_nothing_is_forgotten() {
        let mut packer = Packer::new(share(Pace::Fixed { rate: 1_000, number: 0, of: 1 }, 0), None);
        let mut closed = Vec::new();
        assert_eq!(packer.fill(at(5), 0, &mut closed), None);
        assert_eq!(packer.fill(at(5), 1, &mut closed), None);
        assert_eq!(dues(&closed), [(0, vec![0, 1, 2, 3])]);
        assert_eq!(packer.missed().count(), 996, "four of the thousand were taken up");
        assert_eq!(packer.missed().next(), Some(at(4)));
    }

    #[test]
    fn a_batch_waits_for_its_linger_or_until_it_is_full() {
        let mut packer = Packer::new(share(Pace::Fixed { rate: 1_000, number: 0, of: 1 }, 2), None);
        let mut closed = Vec::new();
        assert_eq!(packer.fill(at(0), 9, &mut closed), Some(at(1)));
        assert_eq!(packer.fill(at(1), 9, &mut closed), Some(at(2)));
        assert_eq!(closed, []);
        assert_eq!(packer.fill(at(2), 9, &mut closed), Some(at(3)));
        assert_eq!(dues(&closed), [(0, vec![0, 1, 2])]);
        closed.clear();
        packer.fill(at(6), 9, &mut closed);
        assert_eq!(dues(&closed), [(1, vec![3, 4, 5, 6])], "full before its time");
    }

    #[test]
    fn producers_share_the_rate_evenly() {
        let of_one = |number| {
            let pace = Pace::Fixed { rate: 1_000, number, of: 4 };
            let mut packer = Packer::new(share(pace, 0), None);
            let mut closed = Vec::new();
            packer.fill(at(11), 9, &mut closed);
            dues(&closed).into_iter().flat_map(|(_, dues)| dues).collect::<Vec<_>>()
        };
        assert_eq!(of_one(0), [0, 4, 8]);
        assert_eq!(of_one(3), [3, 7, 11]);
    }

    #[test]
    fn at_full_speed_batches_are_full_and_partitions_take_turns() {
        let mut packer = Packer::new(share(Pace::Full, 0), None);
        let mut closed = Vec::new();
        assert_eq!(packer.fill(at(3), 4, &mut closed), None);
        let partitions: Vec<u32> = closed.iter().map(|(partition, _)| *partition).collect();
        assert_eq!(partitions, [0, 1, 2, 0]);
        assert!(closed.iter().all(|(_, draft)| draft.records == 4));
        closed.clear();
        packer.fill(at(1_000), 4, &mut closed);
        assert_eq!(closed, [], "the run has ended");
    }

    #[test]
    fn keyed_records_go_to_their_keys_partition_and_are_all_flushed() {
        let keys = Rc::new(Keys::new((10, KeyDistribution::Uniform), 3, 1));
        for pace in [Pace::Full, Pace::Fixed { rate: 1_000, number: 0, of: 1 }] {
            let mut packer = Packer::new(share(pace, 5), Some(Rc::clone(&keys)));
            let mut closed = Vec::new();
            for ms in 0..20 {
                packer.fill(at(ms), 5, &mut closed);
            }
            packer.flush(&mut closed);
            let records: u64 = closed.iter().map(|(_, draft)| u64::from(draft.records)).sum();
            assert_eq!(records, packer.taken);
            let mut order = vec![Vec::new(); 3];
            for count in 0..packer.taken {
                let (key, partition) = keys.draw(count);
                order[partition as usize].push(key);
            }
            for partition in 0..3 {
                let mine = closed.iter().filter(|(it, _)| *it == partition);
                let found: Vec<u32> = mine.flat_map(|(_, draft)| draft.keys.clone()).collect();
                assert_eq!(found, order[partition as usize], "in the order of the draws");
            }
        }
    }
}
