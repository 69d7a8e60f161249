//! What was measured, as one JSON line and for people.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::process::Usage;

/// Latencies and counts of one run.
#[derive(Debug)]
pub struct Samples {
    /// From due to answered, in nanoseconds.
    pub latency: Histogram<u64>,
    /// Records acknowledged (produce) or read (consume).
    pub records: u64,
    /// Bytes of their values (produce) or of their batches (consume).
    pub bytes: u64,
    /// Requests answered.
    pub requests: u64,
}

impl Samples {
    /// None yet.
    pub fn new() -> Self {
        let latency = Histogram::new_with_bounds(1_000, 600_000_000_000, 3);
        Self {
            latency: latency.expect("the bounds are ordered"),
            records: 0,
            bytes: 0,
            requests: 0,
        }
    }

    /// Adds one answered request.
    pub fn add(&mut self, latency: Duration, records: u64, bytes: u64) {
        self.latency.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        self.records += records;
        self.bytes += bytes;
        self.requests += 1;
    }
}

impl Default for Samples {
    fn default() -> Self {
        Self::new()
    }
}

/// One run.
#[derive(Debug)]
pub struct Outcome {
    /// What was measured.
    pub samples: Samples,
    /// For how long.
    pub seconds: f64,
    /// What the broker used meanwhile, if its process was named.
    pub broker: Option<Usage>,
    /// What the load generator used meanwhile.
    pub client: Usage,
}

/// The row of a run: everything by name and unit.
#[derive(Debug, Serialize)]
pub struct Row {
    pub seconds: f64,
    pub records_per_second: f64,
    pub megabytes_per_second: f64,
    pub requests_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub p9999_us: f64,
    pub max_us: f64,
    pub broker_cpu_seconds_per_gb: Option<f64>,
    pub broker_cpu_seconds_per_million_records: Option<f64>,
    pub broker_cpu_us_per_request: Option<f64>,
    pub broker_user_share: Option<f64>,
    pub broker_written_per_byte: Option<f64>,
    pub broker_peak_resident_mib: Option<f64>,
    pub broker_switches_per_request: Option<f64>,
    pub client_cpu_seconds_per_gb: f64,
}

impl Outcome {
    /// The figures derived from what was measured.
    pub fn row(&self) -> Row {
        let samples = &self.samples;
        let quantile = |q| samples.latency.value_at_quantile(q) as f64 / 1e3;
        let gigabytes = samples.bytes as f64 / 1e9;
        let requests = samples.requests.max(1) as f64;
        let broker = self.broker.as_ref();
        let cpu = broker.map(Usage::cpu_seconds);
        let switches =
            broker.map(|usage| (usage.voluntary_switches + usage.involuntary_switches) as f64);
        Row {
            seconds: self.seconds,
            records_per_second: samples.records as f64 / self.seconds,
            megabytes_per_second: samples.bytes as f64 / 1e6 / self.seconds,
            requests_per_second: samples.requests as f64 / self.seconds,
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            p9999_us: quantile(0.9999),
            max_us: samples.latency.max() as f64 / 1e3,
            broker_cpu_seconds_per_gb: cpu.map(|cpu| cpu / gigabytes),
            broker_cpu_seconds_per_million_records: cpu
                .map(|cpu| cpu / (samples.records as f64 / 1e6)),
            broker_cpu_us_per_request: cpu.map(|cpu| cpu * 1e6 / requests),
            broker_user_share: broker.map(|usage| usage.user_seconds / usage.cpu_seconds()),
            broker_written_per_byte: broker
                .map(|usage| usage.written_bytes as f64 / samples.bytes as f64),
            broker_peak_resident_mib: broker
                .map(|usage| usage.peak_resident_bytes as f64 / f64::from(1 << 20)),
            broker_switches_per_request: switches.map(|switches| switches / requests),
            client_cpu_seconds_per_gb: self.client.cpu_seconds() / gigabytes,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:.0} records/s, {:.1} MB/s, {:.0} requests/s over {:.1} s",
            self.records_per_second,
            self.megabytes_per_second,
            self.requests_per_second,
            self.seconds
        )?;
        writeln!(
            f,
            "latency in microseconds: p50 {:.0}, p99 {:.0}, p99.9 {:.0}, p99.99 {:.0}, max {:.0}",
            self.p50_us, self.p99_us, self.p999_us, self.p9999_us, self.max_us
        )?;
        if let (Some(gb), Some(million), Some(request), Some(written), Some(peak), Some(user)) = (
            self.broker_cpu_seconds_per_gb,
            self.broker_cpu_seconds_per_million_records,
            self.broker_cpu_us_per_request,
            self.broker_written_per_byte,
            self.broker_peak_resident_mib,
            self.broker_user_share,
        ) {
            writeln!(
                f,
                "broker CPU: {gb:.3} s/GB, {million:.3} s per million records, {request:.2} us per \
                 request ({:.0} % in user space)",
                user * 100.0
            )?;
            writeln!(f, "broker: {written:.2} bytes written per byte, peak memory {peak:.0} MiB")?;
        }
        write!(f, "load generator CPU: {:.3} s/GB", self.client_cpu_seconds_per_gb)
    }
}
