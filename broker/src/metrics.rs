//! What a shard counts and times, and how it is told to Prometheus.
//!
//! A shard counts for itself, without atomics. A scrape asks every shard for a [`Snapshot`], adds
//! them up and writes the text exposition format (version 0.0.4).

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use runtime::ShardId;

/// Where a request's time goes. Each is a histogram of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Produce: from the frame being complete to its batches having their offsets.
    ProduceOrdered,
    /// Produce: from having offsets to being on disk.
    ProduceDurable,
    /// Produce: from the frame being complete to its answer being handed to the kernel.
    ProduceTotal,
    /// Fetch: reading records, from memory or disk, without the time spent waiting for new ones.
    FetchRead,
    /// Fetch: from the frame being complete to its answer being handed to the kernel, waits included.
    FetchTotal,
    /// Every other request, from the frame being complete to its answer.
    OtherTotal,
}

impl Stage {
    const ALL: [Self; 6] = [
        Self::ProduceOrdered,
        Self::ProduceDurable,
        Self::ProduceTotal,
        Self::FetchRead,
        Self::FetchTotal,
        Self::OtherTotal,
    ];

    const fn labels(self) -> &'static str {
        match self {
            Self::ProduceOrdered => "api=\"produce\",stage=\"ordered\"",
            Self::ProduceDurable => "api=\"produce\",stage=\"durable\"",
            Self::ProduceTotal => "api=\"produce\",stage=\"total\"",
            Self::FetchRead => "api=\"fetch\",stage=\"read\"",
            Self::FetchTotal => "api=\"fetch\",stage=\"total\"",
            Self::OtherTotal => "api=\"other\",stage=\"total\"",
        }
    }
}

/// The names, help texts and kinds of what is counted, in the order of [`Count`].
const COUNTERS: [(&str, &str); Count::LAST as usize + 1] = [
    ("corelog_connections_accepted_total", "Connections accepted."),
    (
        "corelog_connections_refused_total",
        "Connections closed at once because a limit was reached.",
    ),
    ("corelog_connections_idle_closed_total", "Connections closed for being silent."),
    ("corelog_frames_bad_total", "Connections closed for a frame that cannot be one."),
    ("corelog_frames_slow_total", "Connections closed because a frame did not arrive in time."),
    ("corelog_requests_total", "Requests answered, of every kind."),
    ("corelog_produce_requests_total", "Produce requests."),
    ("corelog_produce_batches_total", "Record batches appended."),
    ("corelog_produce_records_total", "Records appended."),
    ("corelog_produce_bytes_total", "Bytes of record batches appended."),
    ("corelog_produce_refused_total", "Partitions of produce requests answered with an error."),
    ("corelog_fetch_requests_total", "Fetch requests."),
    ("corelog_fetch_bytes_total", "Bytes of records sent to consumers."),
    ("corelog_fetch_waits_total", "Fetch requests that waited for records."),
    ("corelog_offset_commits_total", "OffsetCommit requests."),
    ("corelog_bytes_received_total", "Bytes received from clients."),
    ("corelog_bytes_sent_total", "Bytes sent to clients."),
];

/// One counter of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Accepted,
    Refused,
    IdleClosed,
    BadFrame,
    SlowFrame,
    Requests,
    ProduceRequests,
    ProduceBatches,
    ProduceRecords,
    ProduceBytes,
    ProduceRefused,
    FetchRequests,
    FetchBytes,
    FetchWaits,
    OffsetCommits,
    BytesReceived,
    BytesSent,
}

impl Count {
    const LAST: Self = Self::BytesSent;
}

const COUNT: usize = COUNTERS.len();

/// What one shard counts.
pub(crate) struct ShardMetrics {
    shard: ShardId,
    counts: [Cell<u64>; COUNT],
    stages: RefCell<Vec<Histogram<u64>>>,
}

impl ShardMetrics {
    /// All zero.
    pub(crate) fn new(shard: ShardId) -> Self {
        let stages = Stage::ALL.iter().map(|_stage| empty()).collect();
        Self { shard, counts: Default::default(), stages: RefCell::new(stages) }
    }

    /// Adds to a counter.
    pub(crate) fn add(&self, what: Count, by: u64) {
        let cell = &self.counts[what as usize];
        cell.set(cell.get() + by);
    }

    /// Records how long a stage took.
    pub(crate) fn time(&self, stage: Stage, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(histogram) = self.stages.borrow_mut().get_mut(stage as usize) {
            histogram.saturating_record(nanos);
        }
    }

    /// A copy that can travel to the shard that answers the scrape.
    pub(crate) fn snapshot(&self, gauges: Gauges) -> Snapshot {
        Snapshot {
            shard: self.shard,
            counts: std::array::from_fn(|at| self.counts[at].get()),
            stages: self.stages.borrow().clone(),
            gauges,
        }
    }
}

/// A histogram from 1 µs to 60 s with two significant digits.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 2).expect("the bounds are ordered")
}

/// What a shard has at the moment, rather than has done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauges(pub(crate) Vec<(&'static str, &'static str, f64)>);

/// One shard's numbers at one moment.
pub(crate) struct Snapshot {
    shard: ShardId,
    counts: [u64; COUNT],
    stages: Vec<Histogram<u64>>,
    gauges: Gauges,
}

/// Writes the snapshots of all shards as one page.
pub(crate) fn exposition(shards: &[Snapshot]) -> String {
    let mut page = String::with_capacity(16 * 1024);
    counters(&mut page, shards);
    gauges(&mut page, shards);
    stages(&mut page, shards);
    page
}

fn counters(page: &mut String, shards: &[Snapshot]) {
    for (at, (name, help)) in COUNTERS.iter().enumerate() {
        line(page, format_args!("# HELP {name} {help}"));
        line(page, format_args!("# TYPE {name} counter"));
        for shard in shards {
            line(page, format_args!("{name}{{shard=\"{}\"}} {}", shard.shard, shard.counts[at]));
        }
    }
}

fn gauges(page: &mut String, shards: &[Snapshot]) {
    let Some(first) = shards.first() else { return };
    for (at, (name, help, _)) in first.gauges.0.iter().enumerate() {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        line(page, format_args!("# HELP {name} {help}"));
        line(page, format_args!("# TYPE {name} {kind}"));
        for shard in shards {
            if let Some((_, _, value)) = shard.gauges.0.get(at) {
                line(page, format_args!("{name}{{shard=\"{}\"}} {value}", shard.shard));
            }
        }
    }
}

/// The quantiles told, as fractions and as Prometheus labels.
const QUANTILES: [(f64, &str); 6] =
    [(0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99"), (0.999, "0.999"), (0.9999, "0.9999"), (1.0, "1")];

fn stages(page: &mut String, shards: &[Snapshot]) {
    const NAME: &str = "corelog_request_stage_seconds";
    line(page, format_args!("# HELP {NAME} Time per request and stage, over all shards."));
    line(page, format_args!("# TYPE {NAME} summary"));
    for (at, stage) in Stage::ALL.iter().enumerate() {
        let mut all = empty();
        for shard in shards {
            if let Some(one) = shard.stages.get(at) {
                // Both have the same bounds, so nothing can be out of range.
                if all.add(one).is_err() {
                    tracing::warn!(stage = stage.labels(), "a stage histogram could not be added");
                }
            }
        }
        let labels = stage.labels();
        for (quantile, text) in QUANTILES {
            let seconds = nanos_to_seconds(all.value_at_quantile(quantile));
            line(page, format_args!("{NAME}{{{labels},quantile=\"{text}\"}} {seconds}"));
        }
        let sum = all.mean() * all.len() as f64 / 1e9;
        line(page, format_args!("{NAME}_sum{{{labels}}} {sum}"));
        line(page, format_args!("{NAME}_count{{{labels}}} {}", all.len()));
    }
}

fn nanos_to_seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes every text");
    page.push('\n');
}

#[cfg(test)]
mod tests;
