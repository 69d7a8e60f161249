//! What pairs of runs say: ratios, their median and its interval, and which pairs say nothing.
//!
//! On a shared machine absolute figures drift by a factor of two within an hour; two runs next to
//! each other drift together. So a figure is the median of the ratios of neighbouring runs.

use serde::{Deserialize, Serialize};

/// A pair in which the machine was this busy, beside us, says nothing: percent of time in which
/// somebody waited for a CPU.
const PRESSURE_MAX: f64 = 60.0;

/// Nor does one in which it was so much busier during one half than during the other.
const PRESSURE_GAP_MAX: f64 = 20.0;

/// The interval is made to hold the true median at least this often.
const COVERAGE_WANTED: f64 = 0.9;

/// A median of ratios and how far it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) pairs: usize,
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// How often an interval made like this one holds the true median.
    pub(crate) coverage: f64,
}

impl Summary {
    /// Of the given values; none of no values, or of values that are not finite.
    ///
    /// The interval lies between order statistics: of 8 values, between the second lowest and the
    /// second highest. Nothing is assumed of the distribution.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let (outer, coverage) = interval(count);
        Some(Self {
            pairs: count,
            median: median(&sorted),
            low: sorted[outer],
            high: sorted[count - 1 - outer],
            coverage,
        })
    }
}

/// Of sorted values, at least one.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

/// How many values to leave out at each end, and the coverage that is left.
fn interval(count: usize) -> (usize, f64) {
    let mut best = (0, coverage(count, 0));
    for outer in 1..count.div_ceil(2) {
        let held = coverage(count, outer);
        if held < COVERAGE_WANTED {
            break;
        }
        best = (outer, held);
    }
    best
}

/// The chance that the median lies between the order statistics `outer` from each end: each value is
/// below it with chance one half.
fn coverage(count: usize, outer: usize) -> f64 {
    let mut chance = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for below in 0..=outer {
        tail += chance;
        chance *= (count - below) as f64 / (below + 1) as f64;
    }
    (1.0 - 2.0 * tail).max(0.0)
}

/// Why a pair is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discard {
    /// Somebody else kept the machine busy.
    Busy,
    /// Its two halves did not see the same machine.
    Uneven,
}

/// Judges a pair by the pressure, in percent, that either half met.
pub(crate) fn discard(pressure: f64, other_pressure: f64) -> Option<Discard> {
    if pressure.max(other_pressure) > PRESSURE_MAX {
        Some(Discard::Busy)
    } else if (pressure - other_pressure).abs() > PRESSURE_GAP_MAX {
        Some(Discard::Uneven)
    } else {
        None
    }
}

/// What a target and a summary come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The whole interval is on the right side.
    Met,
    /// The median is, the interval is not.
    Barely,
    Missed,
}

impl Verdict {
    /// Whether the summary is at most `limit`; at least, when `more_is_better`.
    pub(crate) fn of(summary: &Summary, limit: f64, more_is_better: bool) -> Self {
        let (worst, median, limit) = if more_is_better {
            (-summary.low, -summary.median, -limit)
        } else {
            (summary.high, summary.median, limit)
        };
        if worst <= limit {
            Self::Met
        } else if median <= limit {
            Self::Barely
        } else {
            Self::Missed
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Barely => "median met",
            Self::Missed => "missed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn eight_pairs_give_the_second_values_as_the_interval() {
        let summary = Summary::of(&[8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0]).unwrap();
        assert_eq!((summary.pairs, summary.low, summary.high), (8, 2.0, 7.0));
        assert!(close(summary.median, 4.5), "{summary:?}");
        // 1 - 2 * (1 + 8) / 256
        assert!(close(summary.coverage, 1.0 - 18.0 / 256.0), "{summary:?}");
    }

    #[test]
    fn sixteen_pairs_give_the_fifth_values() {
        let values: Vec<f64> = (1..=16).map(f64::from).collect();
        let summary = Summary::of(&values).unwrap();
        // 1 - 2 * (1 + 16 + 120 + 560 + 1820) / 65536 = 0.923
        assert_eq!((summary.low, summary.high), (5.0, 12.0));
        assert!(close(summary.coverage, 1.0 - 2.0 * 2517.0 / 65536.0), "{summary:?}");
    }

    #[test]
    fn few_pairs_keep_every_value_and_say_how_little_that_is() {
        let three = Summary::of(&[0.3, 0.1, 0.2]).unwrap();
        assert_eq!((three.median, three.low, three.high), (0.2, 0.1, 0.3));
        assert!(close(three.coverage, 0.75), "{three:?}");
        let one = Summary::of(&[0.4]).unwrap();
        assert_eq!((one.low, one.high, one.coverage), (0.4, 0.4, 0.0));
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
        assert_eq!(Summary::of(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn one_wild_pair_does_not_move_the_median() {
        let tame = Summary::of(&[0.2, 0.21, 0.19, 0.2, 0.22, 0.18, 0.2, 0.2]).unwrap();
        let wild = Summary::of(&[0.2, 0.21, 0.19, 0.2, 90.0, 0.18, 0.2, 0.2]).unwrap();
        assert!(close(tame.median, wild.median), "{tame:?} {wild:?}");
        assert!(wild.high < 1.0, "{wild:?}");
    }

    #[test]
    fn pairs_are_discarded_by_pressure() {
        assert_eq!(discard(0.0, 0.0), None);
        assert_eq!(discard(60.0, 45.0), None);
        assert_eq!(discard(10.0, 30.1), Some(Discard::Uneven));
        assert_eq!(discard(61.0, 60.0), Some(Discard::Busy));
        assert_eq!(discard(10.0, 94.0), Some(Discard::Busy));
    }

    #[test]
    fn a_verdict_needs_the_whole_interval() {
        let summary = Summary { pairs: 8, median: 0.28, low: 0.25, high: 0.31, coverage: 0.93 };
        assert_eq!(Verdict::of(&summary, 0.35, false), Verdict::Met);
        assert_eq!(Verdict::of(&summary, 0.30, false), Verdict::Barely);
        assert_eq!(Verdict::of(&summary, 0.27, false), Verdict::Missed);
        assert_eq!(Verdict::of(&summary, 0.25, true), Verdict::Met);
        assert_eq!(Verdict::of(&summary, 0.27, true), Verdict::Barely);
        assert_eq!(Verdict::of(&summary, 0.30, true), Verdict::Missed);
    }
}
