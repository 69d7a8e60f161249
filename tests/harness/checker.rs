//! Judges a history: was anything acknowledged lost, doubled, reordered, or made up?
//!
//! Offsets are compressed to dense indices per partition before gaps are judged, because a gap in
//! offsets is legal. The classes of anomaly are listed in [`Class`]; a run passes when none but the
//! allowed ones occurred and enough was acknowledged for the verdict to mean something.

mod order;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::history::Entry;
use view::View;

/// How many examples of each class a report keeps.
const EXAMPLES: usize = 5;

/// A way in which a history can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Two values were seen at one offset.
    InconsistentOffset,
    /// One value of an idempotent writer lies at more than one offset.
    Duplicate,
    /// One value of a writer without idempotence lies at more than one offset: its retries may do that.
    RetriedDuplicate,
    /// A value was read whose send had provably failed.
    AbortedRead,
    /// A value was read that nobody sent, or whose bytes are damaged.
    Phantom,
    /// A value was read before its send began.
    PrematureRead,
    /// An acknowledged value was passed over: later offsets were read, it never was.
    LostWrite,
    /// An acknowledged value is not in the log that the last, fresh consumer read.
    Unseen,
    /// A value was read by somebody and is no longer in the log at the end.
    Vanished,
    /// A consumer went backwards, or read an offset twice.
    NonmonotonicPoll,
    /// A consumer skipped a record that exists.
    PollSkip,
    /// A writer's later record was acknowledged at a lower offset than its earlier one.
    NonmonotonicSend,
    /// A writer's records lie in the log in another order than they were sent.
    Reordered,
    /// A send that began after another was acknowledged got a lower offset.
    RealtimeRegression,
    /// The drain did not happen, or left a partition out.
    Undrained,
    /// Too few sends were acknowledged for the run to prove anything.
    TooFew,
}

/// What a run may show, and how much it must.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// At least so many sends must have been acknowledged.
    pub acknowledged_min: usize,
}

/// The verdict over one history.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// Sends acknowledged, proven failed, and unknown.
    pub ok: usize,
    pub failed: usize,
    pub unknown: usize,
    /// Records that live consumers read, and that the drain read.
    pub polled: usize,
    pub drained: usize,
    /// The longest time from an acknowledgement to the record's first reading by a live consumer.
    pub worst_lag_ns: u64,
    counts: BTreeMap<Class, usize>,
    examples: BTreeMap<Class, Vec<String>>,
}

impl Report {
    /// How often a class occurred.
    pub fn count(&self, class: Class) -> usize {
        self.counts.get(&class).copied().unwrap_or(0)
    }

    /// Whether nothing happened that must not happen.
    pub fn passed(&self) -> bool {
        self.counts.iter().all(|(class, count)| *count == 0 || *class == Class::RetriedDuplicate)
    }

    /// The classes that occurred.
    pub fn classes(&self) -> Vec<Class> {
        self.counts.iter().filter(|(_, count)| **count > 0).map(|(class, _)| *class).collect()
    }

    fn found(&mut self, class: Class, example: impl FnOnce() -> String) {
        *self.counts.entry(class).or_insert(0) += 1;
        let examples = self.examples.entry(class).or_default();
        if examples.len() < EXAMPLES {
            examples.push(example());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "acknowledged {}, failed {}, unknown {}, polled {}, drained {}, worst lag {} ms",
            self.ok,
            self.failed,
            self.unknown,
            self.polled,
            self.drained,
            self.worst_lag_ns / 1_000_000
        )?;
        for (class, count) in &self.counts {
            writeln!(out, "{class:?}: {count}")?;
            for example in self.examples.get(class).into_iter().flatten() {
                writeln!(out, "    {example}")?;
            }
        }
        Ok(())
    }
}

/// Judges a history.
pub fn check(history: &[Entry], rules: Rules) -> Report {
    let mut report = Report::default();
    let view = View::of(history, &mut report);
    view::inconsistent_offsets(&view, &mut report);
    view::duplicates(&view, &mut report);
    view::unwritten_reads(&view, &mut report);
    view::lost(&view, &mut report);
    order::polls(&view, &mut report);
    order::sends(&view, &mut report);
    order::log(&view, &mut report);
    order::real_time(&view, &mut report);
    if report.ok < rules.acknowledged_min {
        let ok = report.ok;
        report.found(Class::TooFew, || {
            format!("{ok} sends acknowledged, at least {} wanted", rules.acknowledged_min)
        });
    }
    report
}
