//! Whether things happened in the order in which they had to.

use std::collections::BTreeMap;

use super::view::{Partition, View};
use super::{Class, Report};
use crate::history::Outcome;

/// Every consumer reads every record once, in order, beginning where it began.
pub(super) fn polls(view: &View<'_>, report: &mut Report) {
    for (name, partition) in &view.partitions {
        let index = dense(partition);
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for poll in &partition.polls {
            for (offset, _) in poll.records {
                let here = index[offset];
                if let Some(before) = last.insert(poll.reader, here) {
                    judge_step(name, poll.reader, (before, here), *offset, report);
                }
            }
        }
        let mut before = None;
        for (offset, _) in &partition.drain {
            let here = index[offset];
            match before {
                Some(before) => judge_step(name, "the drain", (before, here), *offset, report),
                None if here != 0 => report.found(Class::PollSkip, || {
                    format!("{name}: the drain began at offset {offset}, not the first")
                }),
                None => {}
            }
            before = Some(here);
        }
    }
}

fn judge_step(name: &str, reader: &str, step: (usize, usize), offset: u64, report: &mut Report) {
    let (before, here) = step;
    if here <= before {
        report.found(Class::NonmonotonicPoll, || {
            format!("{name}: {reader} came back to offset {offset}")
        });
    } else if here > before + 1 {
        report.found(Class::PollSkip, || {
            format!("{name}: {reader} skipped {} records before {offset}", here - before - 1)
        });
    }
}

/// The place of each known offset among the known offsets: gaps between them are legal.
fn dense(partition: &Partition<'_>) -> BTreeMap<u64, usize> {
    partition.offsets.keys().enumerate().map(|(place, offset)| (*offset, place)).collect()
}

/// What one writer sent later is acknowledged at a higher offset.
pub(super) fn sends(view: &View<'_>, report: &mut Report) {
    for (name, partition) in &view.partitions {
        let mut by_writer: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for send in partition.sends.iter().filter(|send| send.outcome == Outcome::Ok) {
            if let Some(offset) = send.offset {
                by_writer.entry(send.writer).or_default().push((send.value, offset));
            }
        }
        for (writer, mut acknowledged) in by_writer {
            acknowledged.sort_unstable();
            for pair in acknowledged.windows(2) {
                if pair[1].1 <= pair[0].1 {
                    report.found(Class::NonmonotonicSend, || {
                        format!(
                            "{name}: {writer}: {:?}, then {:?} (value, offset)",
                            pair[0], pair[1]
                        )
                    });
                }
            }
        }
    }
}

/// In the log itself, a writer's values first appear in the order in which they were sent.
pub(super) fn log(view: &View<'_>, report: &mut Report) {
    for (name, partition) in &view.partitions {
        let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
        let mut appeared = std::collections::HashSet::new();
        for (offset, value) in &partition.drain {
            let Some(send) = partition.send_of(*value) else { continue };
            if !appeared.insert(*value) {
                continue;
            }
            let before = highest.entry(send.writer).or_insert(*value);
            if *value < *before {
                let before = *before;
                report.found(Class::Reordered, || {
                    format!("{name} offset {offset}: {}'s {value} after {before}", send.writer)
                });
            }
            *before = (*before).max(*value);
        }
    }
}

/// A send that began after another had been acknowledged lies behind it.
pub(super) fn real_time(view: &View<'_>, report: &mut Report) {
    for (name, partition) in &view.partitions {
        let acknowledged: Vec<_> = partition
            .sends
            .iter()
            .filter(|send| send.outcome == Outcome::Ok)
            .filter_map(|send| send.offset.map(|offset| (send.began, send.ended, offset)))
            .collect();
        let mut by_beginning = acknowledged.clone();
        by_beginning.sort_unstable();
        let mut by_end = acknowledged;
        by_end.sort_unstable_by_key(|(_, ended, _)| *ended);
        let mut finished = by_end.iter().peekable();
        let mut highest = None;
        for (began, _, offset) in by_beginning {
            while let Some((_, _, earlier)) = finished.next_if(|(_, ended, _)| *ended < began) {
                highest = highest.max(Some(*earlier));
            }
            if let Some(earlier) = highest.filter(|earlier| *earlier >= offset) {
                report.found(Class::RealtimeRegression, || {
                    format!("{name}: offset {offset} after {earlier} had been acknowledged")
                });
            }
        }
    }
}
