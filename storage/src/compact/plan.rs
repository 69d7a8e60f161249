//! Which log to compact and how far, and which segments go together. Pure.

use std::cmp::Ordering;

use crate::config::{CompactionConfig, LogConfig};
use crate::limits::SEGMENT_BYTES_MAX;
use crate::log::state::{LogState, SegmentState};

/// What there is to compact in a log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backlog {
    /// Below it everything is compacted.
    pub(crate) from: i64,
    /// Up to here it can be compacted now.
    pub(crate) until: i64,
    /// Bytes of segments that are compacted.
    pub(crate) clean_bytes: u64,
    /// Bytes of those that are not and can be.
    pub(crate) dirty_bytes: u64,
    /// A record has waited as long as it may.
    pub(crate) overdue: bool,
}

impl Backlog {
    /// How much of the log is not compacted, from 0 to 1.
    pub(crate) fn ratio(&self) -> f64 {
        let all = self.clean_bytes + self.dirty_bytes;
        if all == 0 { 0.0 } else { self.dirty_bytes as f64 / all as f64 }
    }

    /// Whether a pass is worth it.
    pub(crate) fn is_due(&self, config: &CompactionConfig) -> bool {
        self.dirty_bytes > 0 && (self.overdue || self.ratio() > config.dirty_ratio_min)
    }

    /// Which of two logs needs it more.
    pub(crate) fn urgency(&self, other: &Self) -> Ordering {
        let by_ratio = self.ratio().total_cmp(&other.ratio());
        self.overdue.cmp(&other.overdue).then(by_ratio)
    }
}

/// Looks at a log. `None`: there is nothing to compact, or damage that must not be written anew.
///
/// Sealed segments can be compacted whose records are all durable and, if they are not compacted
/// yet, old enough.
pub(crate) fn assess(
    state: &LogState,
    durable: i64,
    config: &LogConfig,
    now_ms: i64,
) -> Option<Backlog> {
    let settings = config.compaction?;
    let from = state.cleaned.max(state.log_start);
    let mut backlog = Backlog { from, until: from, clean_bytes: 0, dirty_bytes: 0, overdue: false };
    let sealed = state.segments.len().saturating_sub(1);
    for segment in state.segments.iter().take(sealed) {
        if segment.end <= from {
            backlog.clean_bytes += u64::from(segment.length);
            continue;
        }
        // Without timestamps the segment's own age counts.
        let newest =
            if segment.max_timestamp >= 0 { segment.max_timestamp } else { segment.created_ms };
        let young = settings.lag_min_ms > 0 && now_ms.saturating_sub(newest) < settings.lag_min_ms;
        if segment.end > durable || young {
            break;
        }
        if backlog.dirty_bytes == 0 {
            backlog.overdue = now_ms.saturating_sub(segment.created_ms) > settings.lag_max_ms;
        }
        backlog.dirty_bytes += u64::from(segment.length);
        backlog.until = segment.end;
    }
    let damaged = state.quarantined.iter().any(|lost| lost.start < backlog.until);
    (backlog.until > from && !damaged).then_some(backlog)
}

/// Segments to be written anew, in order, as groups of which each becomes one segment: as many
/// neighbours as stay below the size of a segment.
pub(crate) fn groups(segments: Vec<SegmentState>, segment_bytes: u32) -> Vec<Vec<SegmentState>> {
    let bytes_max = u64::from(segment_bytes.min(SEGMENT_BYTES_MAX));
    let mut groups: Vec<Vec<SegmentState>> = Vec::new();
    let mut bytes = 0;
    for segment in segments {
        let more = bytes + u64::from(segment.length);
        let joins = groups.last().and_then(|group| group.first()).is_some_and(|first| {
            more <= bytes_max && segment.end - first.base <= i64::from(i32::MAX)
        });
        match groups.last_mut() {
            Some(group) if joins => {
                bytes = more;
                group.push(segment);
            }
            _ => {
                bytes = u64::from(segment.length);
                groups.push(vec![segment]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests;
