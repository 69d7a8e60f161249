//! Loop lag: how late a shard's timer fires, the alarm for starvation and hangs.

use std::cell::Cell;
use std::time::Duration;

/// Steps per doubling: a bucket is at most 12.5 % wide.
const STEPS: usize = 8;
const BUCKETS: usize = 64 * STEPS / 2;

/// Counts durations in buckets that grow by an eighth of a power of two.
pub(crate) struct LagHistogram {
    counts: Box<[Cell<u32>; BUCKETS]>,
    max: Cell<u64>,
}

impl Default for LagHistogram {
    fn default() -> Self {
        Self { counts: Box::new([const { Cell::new(0) }; BUCKETS]), max: Cell::new(0) }
    }
}

/// How late the shard's heartbeat came, since the shard started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopLag {
    /// Heartbeats measured.
    pub count: u64,
    /// The median, rounded up by at most an eighth, as are the quantiles below.
    pub p50: Duration,
    /// 99 of 100 were at most this late.
    pub p99: Duration,
    /// 999 of 1,000 were at most this late.
    pub p999: Duration,
    /// The latest, exact.
    pub max: Duration,
}

impl LagHistogram {
    pub(crate) fn record(&self, lag: Duration) {
        let nanos = u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX);
        let count = &self.counts[bucket_of(nanos)];
        count.set(count.get().saturating_add(1));
        self.max.set(self.max.get().max(nanos));
    }

    pub(crate) fn summary(&self) -> LoopLag {
        let count = self.counts.iter().map(|count| u64::from(count.get())).sum();
        let at = |share: f64| Duration::from_nanos(self.quantile(count, share).min(self.max.get()));
        let max = Duration::from_nanos(self.max.get());
        LoopLag { count, p50: at(0.5), p99: at(0.99), p999: at(0.999), max }
    }

    fn quantile(&self, count: u64, share: f64) -> u64 {
        let rank = (count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(count.get());
            if seen >= rank {
                return upper_end(bucket);
            }
        }
        self.max.get()
    }
}

fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.max(STEPS as u64);
    let power = nanos.ilog2() as usize;
    let step = (nanos >> (power - STEPS.ilog2() as usize)) as usize - STEPS;
    ((power - STEPS.ilog2() as usize) * STEPS + step).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> u64 {
    let (shift, step) = (bucket / STEPS, bucket % STEPS);
    ((STEPS + step + 1) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_an_eighth_too_high() {
        let lag = LagHistogram::default();
        for micros in 1..=1000u64 {
            lag.record(Duration::from_micros(micros));
        }
        let summary = lag.summary();
        assert_eq!((summary.count, summary.max), (1000, Duration::from_millis(1)));
        for (got, true_value) in [(summary.p50, 500), (summary.p99, 990), (summary.p999, 999)] {
            let (got, true_value) = (got.as_nanos() as f64, f64::from(true_value) * 1000.0);
            assert!(got >= true_value && got <= true_value * 1.126, "{got} for {true_value}");
        }
    }
}
