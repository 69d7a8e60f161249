//! The stock client: librdkafka's producer and consumer, in a process of their own.
//!
//! The harness starts this program again with a [`Job`], pinned to a CPU if it wants, and reads an
//! [`Outcome`] from its standard output. So the client's CPU and memory are its own, and every run
//! begins with a fresh client, as it begins with a fresh topic.

mod consume;
mod drain;
mod java;
mod latency;
mod payload;
mod produce;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hdrhistogram::Histogram;
use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::PeersError;

/// librdkafka's settings by their names.
pub(crate) type Settings = BTreeMap<String, String>;

/// Nothing here may take longer than this.
const LIMIT: Duration = Duration::from_secs(600);

/// Whom to drive, over what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) bootstrap: String,
    pub(crate) topic: String,
    pub(crate) partitions: i32,
}

/// What the client shall do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Job {
    Produce(ProduceJob),
    Consume(ConsumeJob),
    Latency(LatencyJob),
    Drain(DrainJob),
    Java(JavaJob),
}

/// Records as fast as they are taken, or at a rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProduceJob {
    pub(crate) target: Target,
    pub(crate) record_bytes: usize,
    /// Over all producers.
    pub(crate) records: u64,
    pub(crate) producers: usize,
    /// Records that go to one partition before the next has its turn.
    pub(crate) chunk: u64,
    /// How many keys there are; 0 for records without. With keys, librdkafka chooses the partition.
    pub(crate) keys: u64,
    /// Records a second, over all producers; 0 is as fast as they are taken.
    pub(crate) rate: u64,
    /// Words instead of noise, for compression.
    pub(crate) text: bool,
    /// Whether each record's way to its acknowledgement is timed; costs the client CPU.
    pub(crate) timed: bool,
    pub(crate) settings: Settings,
}

/// Everything the topic holds, `passes` times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ConsumeJob {
    pub(crate) target: Target,
    pub(crate) consumers: i32,
    pub(crate) passes: u32,
    pub(crate) settings: Settings,
}

/// Records at a steady rate, each timed from the moment it was due until it was acknowledged and
/// until it was consumed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LatencyJob {
    pub(crate) target: Target,
    pub(crate) record_bytes: usize,
    /// Records a second.
    pub(crate) rate: u64,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Whether there is a consumer.
    pub(crate) consume: bool,
    pub(crate) producer: Settings,
    pub(crate) consumer: Settings,
}

/// A backlog read while records go on arriving.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DrainJob {
    /// The topic with the backlog.
    pub(crate) target: Target,
    /// How long records arrive before the draining begins.
    pub(crate) before: Duration,
    pub(crate) record_bytes: usize,
    /// Records a second.
    pub(crate) rate: u64,
    /// The broker's process, because its CPU is wanted for the draining alone.
    pub(crate) pid: u32,
    pub(crate) producer: Settings,
    pub(crate) consumer: Settings,
}

/// Records from Kafka's own tool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JavaJob {
    pub(crate) target: Target,
    pub(crate) class_path: String,
    /// Where its payloads are put.
    pub(crate) lines: PathBuf,
    pub(crate) record_bytes: usize,
    pub(crate) records: u64,
    pub(crate) settings: Settings,
}

/// What the client saw.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// By name, with the unit in the name.
    pub(crate) figures: BTreeMap<String, f64>,
    /// Whole histograms in nanoseconds, as `HdrHistogram` V2 in base64, so that runs can be merged.
    pub(crate) histograms: BTreeMap<String, String>,
}

impl Outcome {
    fn set(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// The usual percentiles in microseconds, under names that begin with `name`.
    fn set_latency(&mut self, name: &str, latency: &Histogram<u64>) {
        for (suffix, quantile) in
            [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999), ("max", 1.0)]
        {
            let micros = latency.value_at_quantile(quantile) as f64 / 1e3;
            self.set(&format!("{name}_{suffix}_us"), micros);
        }
        self.set(&format!("{name}_samples"), latency.len() as f64);
        self.histograms.insert(name.to_owned(), payload::encoded(latency));
    }
}

/// Does the job; the last step of a client process.
///
/// # Errors
/// The broker refused, or lost something, or the time is up.
pub(crate) fn run(job: &Job) -> Result<Outcome, PeersError> {
    let own = std::process::id();
    let before = bench::process::Usage::of(own)?;
    let mut outcome = match job {
        Job::Produce(job) => produce::run(job)?,
        Job::Consume(job) => consume::run(job)?,
        Job::Latency(job) => latency::run(job)?,
        Job::Drain(job) => drain::run(job)?,
        Job::Java(job) => java::run(job)?,
    };
    let used = bench::process::Usage::of(own)?.since(&before);
    let children = outcome.figures.get("children_cpu_s").copied().unwrap_or(0.0);
    outcome.set("client_cpu_s", used.cpu_seconds() + children);
    outcome.set("client_peak_mib", used.peak_resident_bytes as f64 / f64::from(1 << 20));
    Ok(outcome)
}

/// A librdkafka configuration: who, then what the job says.
fn config(target: &Target, settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &target.bootstrap).set("client.id", "side-by-side");
    // Else it asks for an address of the other family first.
    config.set("broker.address.family", "v4");
    for (name, value) in settings {
        config.set(name, value);
    }
    config
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 600_000_000_000, 3).expect("the bounds are ordered")
}
