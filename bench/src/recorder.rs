//! Latencies and counts, in all and second by second.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use runtime::Nanos;

/// The longest latency told apart from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(600);

/// What is measured: from when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Nanos,
    pub(crate) end: Nanos,
}

impl Window {
    pub(crate) fn holds(&self, moment: Nanos) -> bool {
        (self.from..self.end).contains(&moment)
    }
}

/// One kind of latency and what came with it. Latencies belong to the run by when they were due, counts by when they
/// came: what is due in the window and answered after it is not left out, and what is answered late does not count for
/// the rate.
#[derive(Debug, Clone)]
pub struct Stream {
    /// What the latencies are.
    pub name: &'static str,
    /// Latencies in nanoseconds.
    pub latency: Histogram<u64>,
    /// Records that came in the window.
    pub records: u64,
    /// Bytes of their keys and values (produced) or of their batches (consumed).
    pub bytes: u64,
    /// Requests answered in the window.
    pub requests: u64,
    /// Second by second.
    pub points: Vec<Point>,
    window: Window,
    /// Latencies since the last point.
    interval: Histogram<u64>,
    counted: (u64, u64),
}

/// What came between two moments.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// When it ended, in seconds since the measurement began.
    pub at: f64,
    /// Records a second.
    pub records: f64,
    /// Bytes a second.
    pub bytes: f64,
    /// Latencies in nanoseconds; zero if there were none.
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

/// A histogram of latencies.
pub(crate) fn histogram() -> Histogram<u64> {
    let max = u64::try_from(LATENCY_MAX.as_nanos()).unwrap_or(u64::MAX);
    Histogram::new_with_bounds(1_000, max, 3).expect("the bounds are ordered")
}

impl Stream {
    pub(crate) fn new(name: &'static str, window: Window) -> Self {
        Self {
            name,
            latency: histogram(),
            records: 0,
            bytes: 0,
            requests: 0,
            points: Vec::new(),
            window,
            interval: histogram(),
            counted: (0, 0),
        }
    }

    /// Records that were due at `due` came at `now`.
    pub(crate) fn waited(&mut self, due: Nanos, now: Nanos, records: u32) {
        if self.window.holds(due) {
            let nanos = u64::try_from(now.since(due).as_nanos()).unwrap_or(u64::MAX);
            self.interval.saturating_record_n(nanos, u64::from(records));
        }
    }

    /// A request was answered at `now`.
    pub(crate) fn answered(&mut self, now: Nanos, records: u64, bytes: u64) {
        if self.window.holds(now) {
            self.records += records;
            self.bytes += bytes;
            self.requests += 1;
        }
    }

    /// The latencies since the last point.
    pub(crate) fn interval(&self) -> &Histogram<u64> {
        &self.interval
    }

    /// Ends an interval of `span` at `at` seconds.
    pub(crate) fn roll(&mut self, at: f64, span: Duration) {
        let seconds = span.as_secs_f64().max(1e-9);
        self.points.push(Point {
            at,
            records: (self.records - self.counted.0) as f64 / seconds,
            bytes: (self.bytes - self.counted.1) as f64 / seconds,
            p50: self.interval.value_at_quantile(0.5),
            p99: self.interval.value_at_quantile(0.99),
            max: self.interval.max(),
        });
        self.settle();
    }

    /// Takes what came since the last point into the whole, without a point of its own.
    pub(crate) fn settle(&mut self) {
        self.counted = (self.records, self.bytes);
        self.latency.add(&self.interval).expect("both have the same bounds");
        self.interval.reset();
    }
}

/// The streams of a run, shared by its tasks.
pub(crate) type Shared = Rc<RefCell<Stream>>;

/// A stream to share.
pub(crate) fn shared(name: &'static str, window: Window) -> Shared {
    Rc::new(RefCell::new(Stream::new(name, window)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_count_by_when_they_were_due_and_records_by_when_they_came() {
        let at = |ms: u64| Nanos::new(ms * 1_000_000);
        let mut stream = Stream::new("test", Window { from: at(100), end: at(200) });
        let cases = [(90, 110), (110, 120), (190, 250), (200, 201)];
        for (due, now) in cases {
            stream.waited(at(due), at(now), 2);
            stream.answered(at(now), 2, 20);
        }
        stream.roll(0.1, Duration::from_millis(100));
        assert_eq!((stream.records, stream.bytes, stream.requests), (4, 40, 2));
        assert_eq!(stream.latency.len(), 4, "two records due at 110 and two at 190");
        let near = |nanos: u64, ms: u64| nanos.abs_diff(ms * 1_000_000) < ms * 1_000;
        assert!(near(stream.latency.max(), 60), "{}", stream.latency.max());
        assert!(near(stream.latency.min(), 10), "{}", stream.latency.min());
        assert!((stream.points[0].records - 40.0).abs() < 1e-9);
    }
}
