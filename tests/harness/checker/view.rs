//! A history by partition: who wrote which value where, and who read it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Class, Report};
use crate::history::{Entry, Instant, Outcome};

/// One send.
pub(super) struct Send<'a> {
    pub(super) writer: &'a str,
    pub(super) value: u64,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Outcome,
    pub(super) offset: Option<u64>,
}

/// One poll's records, by consumer, in the order of polling.
pub(super) struct Poll<'a> {
    pub(super) reader: &'a str,
    pub(super) ended: Instant,
    pub(super) records: &'a [(u64, u64)],
}

/// What happened to one partition.
#[derive(Default)]
pub(super) struct Partition<'a> {
    pub(super) sends: Vec<Send<'a>>,
    pub(super) polls: Vec<Poll<'a>>,
    pub(super) drain: Vec<(u64, u64)>,
    pub(super) drained: bool,
    /// The values seen at each offset, by acknowledgements and by reads.
    pub(super) offsets: BTreeMap<u64, BTreeSet<u64>>,
    /// The send of each value: an index into `sends`.
    pub(super) sender: HashMap<u64, usize>,
}

/// The whole history.
pub(super) struct View<'a> {
    pub(super) partitions: BTreeMap<&'a str, Partition<'a>>,
    pub(super) idempotent: BTreeMap<&'a str, bool>,
}

impl<'a> View<'a> {
    pub(super) fn of(history: &'a [Entry], report: &mut Report) -> Self {
        let mut view = Self { partitions: BTreeMap::new(), idempotent: BTreeMap::new() };
        for entry in history {
            view.add(entry, report);
        }
        for (name, partition) in &view.partitions {
            if !partition.drained {
                report.found(Class::Undrained, || format!("{name} was not drained"));
            }
        }
        view
    }

    fn add(&mut self, entry: &'a Entry, report: &mut Report) {
        match entry {
            Entry::Writer { w, idempotent } => {
                self.idempotent.insert(w, *idempotent);
            }
            Entry::Send { w, p, v, t0, t1, outcome, offset, .. } => {
                match outcome {
                    Outcome::Ok => report.ok += 1,
                    Outcome::Fail => report.failed += 1,
                    Outcome::Info => report.unknown += 1,
                }
                let send = Send {
                    writer: w,
                    value: *v,
                    began: *t0,
                    ended: *t1,
                    outcome: *outcome,
                    offset: *offset,
                };
                self.partitions.entry(p).or_default().add_send(send);
            }
            Entry::Poll { w, p, t1, r, .. } => {
                report.polled += r.len();
                let partition = self.partitions.entry(p).or_default();
                partition.add_reads(r);
                partition.polls.push(Poll { reader: w, ended: *t1, records: r });
            }
            Entry::Drain { p, r } => {
                report.drained += r.len();
                let partition = self.partitions.entry(p).or_default();
                partition.add_reads(r);
                partition.drain.extend(r);
                partition.drained = true;
            }
        }
    }

    /// Whether a writer promised to send nothing twice. One that never introduced itself did.
    pub(super) fn is_idempotent(&self, writer: &str) -> bool {
        self.idempotent.get(writer).copied().unwrap_or(true)
    }
}

impl<'a> Partition<'a> {
    fn add_send(&mut self, send: Send<'a>) {
        if let (Outcome::Ok, Some(offset)) = (send.outcome, send.offset) {
            self.offsets.entry(offset).or_default().insert(send.value);
        }
        self.sender.insert(send.value, self.sends.len());
        self.sends.push(send);
    }

    fn add_reads(&mut self, records: &[(u64, u64)]) {
        for (offset, value) in records {
            self.offsets.entry(*offset).or_default().insert(*value);
        }
    }

    /// The send of a value, when anybody sent it.
    pub(super) fn send_of(&self, value: u64) -> Option<&Send<'a>> {
        self.sender.get(&value).map(|index| &self.sends[*index])
    }

    /// Every record that anybody read.
    pub(super) fn reads(&self) -> impl Iterator<Item = (u64, u64)> {
        let polled = self.polls.iter().flat_map(|poll| poll.records.iter().copied());
        polled.chain(self.drain.iter().copied())
    }
}

pub(super) fn inconsistent_offsets(view: &View<'_>, report: &mut Report) {
    for (name, partition) in &view.partitions {
        for (offset, values) in &partition.offsets {
            if values.len() > 1 {
                report.found(Class::InconsistentOffset, || {
                    format!("{name} offset {offset}: values {values:?}")
                });
            }
        }
    }
}

pub(super) fn duplicates(view: &View<'_>, report: &mut Report) {
    for (name, partition) in &view.partitions {
        let mut places: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (offset, values) in &partition.offsets {
            for value in values {
                places.entry(*value).or_default().insert(*offset);
            }
        }
        for (value, offsets) in places.iter().filter(|(_, offsets)| offsets.len() > 1) {
            let idempotent =
                partition.send_of(*value).is_none_or(|send| view.is_idempotent(send.writer));
            let class = if idempotent { Class::Duplicate } else { Class::RetriedDuplicate };
            report.found(class, || format!("{name} value {value} at offsets {offsets:?}"));
        }
    }
}

pub(super) fn unwritten_reads(view: &View<'_>, report: &mut Report) {
    for (name, partition) in &view.partitions {
        let mut told = BTreeSet::new();
        for (offset, value) in partition.reads() {
            let class = match partition.send_of(value).map(|send| send.outcome) {
                None => Class::Phantom,
                Some(Outcome::Fail) => Class::AbortedRead,
                Some(_) => continue,
            };
            if told.insert((offset, value)) {
                report.found(class, || format!("{name} offset {offset}: value {value}"));
            }
        }
        for poll in &partition.polls {
            for (offset, value) in poll.records {
                if partition.send_of(*value).is_some_and(|send| poll.ended < send.began) {
                    report.found(Class::PrematureRead, || {
                        format!("{name} offset {offset}: value {value}, read by {}", poll.reader)
                    });
                }
            }
        }
    }
}

pub(super) fn lost(view: &View<'_>, report: &mut Report) {
    for (name, partition) in &view.partitions {
        let drained: BTreeSet<u64> = partition.drain.iter().map(|(_, value)| *value).collect();
        let mut first_read: HashMap<u64, Instant> = HashMap::new();
        for poll in &partition.polls {
            for (_, value) in poll.records {
                first_read.entry(*value).or_insert(poll.ended);
            }
        }
        let bound = partition.reads().map(|(offset, _)| offset).max();
        for send in partition.sends.iter().filter(|send| send.outcome == Outcome::Ok) {
            let read = drained.contains(&send.value) || first_read.contains_key(&send.value);
            if !read && send.offset.is_some_and(|offset| bound.is_some_and(|end| offset <= end)) {
                report.found(Class::LostWrite, || {
                    format!("{name} value {} acknowledged at {:?}", send.value, send.offset)
                });
            }
            if !drained.contains(&send.value) {
                report.found(Class::Unseen, || {
                    format!("{name} value {} acknowledged at {:?}", send.value, send.offset)
                });
            }
            if let Some(at) = first_read.get(&send.value) {
                report.worst_lag_ns = report.worst_lag_ns.max(at.saturating_sub(send.ended));
            }
        }
        for value in first_read.keys().filter(|value| !drained.contains(value)) {
            report.found(Class::Vanished, || format!("{name} value {value} was read, then gone"));
        }
    }
}
