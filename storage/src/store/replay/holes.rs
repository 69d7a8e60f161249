//! What replay did not find of a log's bytes: a lost group is noticed where a later one goes on.

use std::collections::BTreeMap;
use std::ops::Range;

use super::apply::append_at;
use super::finish::first_beyond;
use crate::journal::entry::Run;
use crate::log::Log;
use crate::log::state::LogState;

/// Bytes of a segment that no group had and that its file may not have.
struct Hole {
    segment: i64,
    positions: Range<u32>,
    /// The offsets that may lie there.
    offsets: Range<i64>,
}

/// By the logs' ids.
#[derive(Default)]
pub(super) struct Holes {
    holes: BTreeMap<u32, Vec<Hole>>,
    /// Where the next run goes on if no group is lost.
    next: BTreeMap<u32, i64>,
}

impl Holes {
    /// A run was met: its batches, the extent they are in, or what was repeated up to it.
    pub(super) fn went_on(&mut self, run: &Run) {
        self.next.insert(run.log, run.next);
    }

    /// A run is about to be put at a position: if that is beyond what is in memory, and offsets are
    /// left out, then what lies between is missing; else it is padding.
    ///
    /// The checkpoint may know the log's end already: offsets alone do not tell.
    pub(super) fn skipped(&mut self, log: &Log, run: &Run, position: u32) {
        let next = self.next.get(&run.log).copied();
        if next == Some(run.first) {
            return;
        }
        let missing = log.with_state(|state| {
            let segment = state.segment(run.segment)?;
            let end = append_at(log, run.segment, segment.flushed);
            let first = first_beyond(segment, end).max(next.unwrap_or(0));
            (end < position && first < run.first).then_some((end, first))
        });
        let Some((end, first)) = missing else { return };
        let positions = end..position;
        let hole = Hole { segment: run.segment, positions, offsets: first..run.first };
        self.holes.entry(run.log).or_default().push(hole);
    }

    /// Bytes are about to be put at a place: they may be those that were missing, once more.
    pub(super) fn fill(&mut self, run: &Run, bytes: Range<u32>) {
        let Some(holes) = self.holes.get_mut(&run.log) else { return };
        holes.retain(|hole| {
            let filled = bytes.start <= hole.positions.start && hole.positions.end <= bytes.end;
            hole.segment != run.segment || !filled
        });
    }

    /// A log's state is given anew: what lies beyond its end never happened.
    pub(super) fn adopted(&mut self, state: &LogState) {
        self.next.insert(state.id, state.end);
        if let Some(holes) = self.holes.get_mut(&state.id) {
            holes.retain(|hole| {
                state.segment(hole.segment).is_some_and(|it| hole.positions.end <= it.length)
            });
        }
    }

    /// The offsets that are missing from a log and not known to be: those of segments that were
    /// compacted or removed since do not count.
    pub(super) fn of(&mut self, state: &LogState) -> Vec<Range<i64>> {
        let holes = self.holes.remove(&state.id).unwrap_or_default().into_iter();
        let is_there = |hole: &Hole| {
            state.segment(hole.segment).is_some_and(|it| it.generation == 0)
                && hole.offsets.end > state.log_start
        };
        let offsets = holes.filter(is_there).map(|hole| hole.offsets);
        let is_known = |lost: &Range<i64>| {
            let range = state.quarantined_at(lost.start);
            range.is_some_and(|it| it.end >= lost.end)
        };
        offsets.filter(|lost| !is_known(lost)).collect()
    }
}
