//! What is left to do when the chain is replayed: every log closed, checked, and tidied up after.

use std::rc::Rc;

use runtime::TaskClass;

use super::Replay;
use crate::log::Log;
use crate::log::state::SegmentState;
use crate::mutation;
use crate::segment::SegmentName;
use crate::store::Inner;
use crate::store::report::{RecoveryReport, Rule};

impl Replay {
    /// Closes what replay left open and checks every log.
    pub(super) fn finish(&mut self, report: &mut RecoveryReport) {
        let logs: Vec<Log> = self.inner.by_id.borrow().values().cloned().collect();
        for log in logs {
            self.finish_log(&log, report);
        }
    }

    fn finish_log(&mut self, log: &Log, report: &mut RecoveryReport) {
        if log.is_going() {
            // Its bytes are of no use to anybody.
            log.with_parts(std::collections::VecDeque::clear);
            return;
        }
        let active = log.with_state(|state| state.active().map(|it| it.base));
        let obsolete: Vec<SegmentName> = log.with_state_mut(|state| {
            if state.end < state.log_start {
                // R12: what contradicts itself is no reason to delete anything.
                return Vec::new();
            }
            let start = state.log_start;
            let gone = |it: &&SegmentState| it.end <= start && Some(it.base) != active;
            let names = state.segments.iter().filter(gone).map(SegmentState::name).collect();
            state.segments.retain(|it| it.end > start || Some(it.base) == active);
            names
        });
        if !obsolete.is_empty() {
            let is_gone = |base: i64| obsolete.iter().any(|it| it.base == base);
            log.with_parts(|parts| parts.retain(|part| !is_gone(part.base)));
            self.outcome.obsolete.push((log.clone(), obsolete));
        }
        let mut unflushed = 0;
        let held: Vec<(i64, u32)> = log.with_parts(|parts| {
            for part in parts.iter_mut() {
                if Some(part.base) != active {
                    part.pad();
                    part.sealed = true;
                }
                part.durable = part.append_at;
                unflushed += u64::from(part.unflushed());
            }
            parts.iter().map(|part| (part.base, part.append_at)).collect()
        });
        self.inner.unflushed.set(self.inner.unflushed.get() + unflushed);
        // Bytes that neither a segment nor the journal has.
        let missing: Vec<(i64, i64)> = log.with_state(|state| {
            let owed = state.segments.iter().filter(|it| it.flushed < it.length);
            let cut = owed.filter_map(|segment| {
                let held = held.iter().find(|(base, _)| *base == segment.base);
                let end = held.map_or(segment.flushed, |(_, end)| *end);
                (end < segment.length).then(|| (first_beyond(segment, end), segment.end))
            });
            cut.collect()
        });
        let holes = log.with_state(|state| self.holes.of(state));
        let holes = holes.into_iter().map(|lost| (lost.start, lost.end));
        for (first, next) in missing.into_iter().chain(holes) {
            report.hit(Rule::R4);
            self.lose(log, first, next, report);
        }
        self.check_log(log, report);
        log.recovered(&self.inner);
        self.inner.update_dirty(log);
    }

    fn check_log(&self, log: &Log, report: &mut RecoveryReport) {
        log.with_state_mut(|state| {
            if !state.epochs.fits(state.end) {
                report.hit(Rule::R9);
                let rebuilt = crate::log::epochs::Epochs::default();
                state.epochs = rebuilt;
                state.epochs.note(state.epoch, state.log_start);
            }
            if state.high_watermark > state.end {
                report.hit(Rule::R11);
                state.high_watermark = state.end;
            }
            if mutation::on(9) {
                state.producers = crate::log::producers::Producers::default();
            }
        });
        if log.with_state(|state| state.end < state.log_start) {
            report.hit(Rule::R12);
            tracing::error!(partition = %log.partition(), "the log ends below its start: offline");
            log.set_offline();
        }
        let producers = log.with_state(|state| state.producers.len());
        self.inner.producers.set(self.inner.producers.get() + producers);
    }
}

/// The first offset of a segment at or beyond a position, as far as its open regions tell.
pub(super) fn first_beyond(segment: &SegmentState, position: u32) -> i64 {
    let at = segment.pending.partition_point(|it| it.position < position);
    let before = at.checked_sub(1).and_then(|at| segment.pending.get(at));
    before.map_or(segment.base, |it| segment.base + i64::from(it.relative))
}

impl Inner {
    /// Goes on with removals that the last run did not finish.
    pub(crate) async fn finish_removals(self: &Rc<Self>, obsolete: Vec<(Log, Vec<SegmentName>)>) {
        for (log, names) in obsolete {
            self.remove_segment_files(&log, &names).await;
        }
        let going: Vec<Log> =
            self.by_id.borrow().values().filter(|log| log.is_going()).cloned().collect();
        for log in going {
            if self.logs.borrow().contains_key(&log.partition()) {
                // Created anew since: the old files were gone before that was possible.
                self.by_id.borrow_mut().remove(&log.id());
                self.going.borrow_mut().remove(&log.partition());
                continue;
            }
            let (inner, world) = (self.clone(), self.world.clone());
            world.spawn(TaskClass::Background, async move {
                inner.remove_files(log).await;
            });
        }
    }
}
