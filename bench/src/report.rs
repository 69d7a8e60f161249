//! What was measured: one JSON row, and a table for people.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::machine::Pressure;
use crate::plan::Plan;
use crate::process::Usage;
use crate::recorder::Stream;
use crate::svg;

/// One run.
#[derive(Debug)]
pub struct Outcome {
    /// What was to be done.
    pub plan: Plan,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// For how long it was measured.
    pub seconds: f64,
    /// What was acknowledged.
    pub produced: Option<Stream>,
    /// What was read.
    pub consumed: Option<Stream>,
    /// The broker's process.
    pub broker_pid: Option<u32>,
    /// What it used meanwhile.
    pub broker: Option<Usage>,
    /// What the load generator used meanwhile.
    pub client: Usage,
    /// How late the load generator itself came, in nanoseconds.
    pub client_gaps: Histogram<u64>,
    /// How loaded the machine was.
    pub pressure: Pressure,
    /// Records that were due before the end and never sent: the rate could not be held.
    pub unsent: u64,
    /// Records sent and not answered within 30 s after the end.
    pub unanswered: u64,
    /// Records acknowledged and not read within 30 s after the end.
    pub unread: u64,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub p9999_us: f64,
    pub max_us: f64,
}

/// What the broker used. Bytes are those of keys and values when produced, of batches when consumed; a GB is 10^9.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct BrokerRow {
    pub broker_pid: u32,
    pub broker_user_seconds: f64,
    pub broker_system_seconds: f64,
    pub broker_cpu_seconds_per_gb: Option<f64>,
    pub broker_cpu_seconds_per_million_records: Option<f64>,
    pub broker_cpu_us_per_request: Option<f64>,
    pub broker_written_bytes: u64,
    pub broker_read_bytes: u64,
    pub broker_written_per_byte: Option<f64>,
    pub broker_resident_mib: f64,
    pub broker_peak_resident_mib: f64,
    pub broker_voluntary_switches: u64,
    pub broker_involuntary_switches: u64,
    pub broker_switches_per_thousand_records: Option<f64>,
    /// Time its threads were ready to run and had no CPU.
    pub broker_queued_seconds: f64,
}

/// The row of a run: every option and every figure by name and unit.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub kind: &'static str,
    pub version: &'static str,
    pub started_ms: i64,
    #[serde(flatten)]
    pub plan: Plan,
    pub seconds: f64,
    pub records: u64,
    pub bytes: u64,
    pub requests: u64,
    pub records_per_second: f64,
    pub megabytes_per_second: f64,
    pub requests_per_second: f64,
    /// Of what the run is about: acknowledgements, fetches, or end to end.
    #[serde(flatten)]
    pub latency: Latency,
    /// Of acknowledgements, when the run is end to end.
    pub acknowledged: Option<Latency>,
    pub records_read: Option<u64>,
    pub unsent_records: u64,
    pub unanswered_records: u64,
    pub unread_records: u64,
    #[serde(flatten)]
    pub broker: Option<BrokerRow>,
    pub client_user_seconds: f64,
    pub client_system_seconds: f64,
    pub client_cpu_seconds_per_gb: Option<f64>,
    pub client_cpu_share_of_a_core: f64,
    pub client_queued_seconds: f64,
    pub client_gap_p99_us: f64,
    pub client_gap_max_us: f64,
    #[serde(flatten)]
    pub pressure: Pressure,
    /// Why the figures should not be believed; empty if nothing speaks against them.
    pub doubts: Vec<String>,
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    Latency {
        mean_us: histogram.mean() / 1e3,
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        p9999_us: at(0.9999),
        max_us: histogram.max() as f64 / 1e3,
    }
}

/// `amount` per `unit`s, if there are any.
fn per(amount: f64, units: f64) -> Option<f64> {
    (units > 0.0).then(|| amount / units)
}

impl Outcome {
    /// What the run is about: end-to-end latencies, fetches, or acknowledgements.
    pub fn main(&self) -> &Stream {
        self.consumed.as_ref().or(self.produced.as_ref()).expect("a run produces or consumes")
    }

    /// What costs are counted by: what was produced, else what was consumed.
    fn counted(&self) -> &Stream {
        self.produced.as_ref().or(self.consumed.as_ref()).expect("a run produces or consumes")
    }

    /// The figures derived from what was measured.
    pub fn row(&self) -> Row {
        let counted = self.counted();
        let (gigabytes, seconds) = (counted.bytes as f64 / 1e9, self.seconds.max(1e-9));
        let is_both = self.produced.is_some() && self.consumed.is_some();
        let acknowledged = self.produced.as_ref().filter(|_| is_both);
        let broker = self.broker.zip(self.broker_pid);
        Row {
            kind: self.plan.kind(),
            version: env!("CARGO_PKG_VERSION"),
            started_ms: self.started_ms,
            plan: self.plan.clone(),
            seconds: self.seconds,
            records: counted.records,
            bytes: counted.bytes,
            requests: counted.requests,
            records_per_second: counted.records as f64 / seconds,
            megabytes_per_second: counted.bytes as f64 / 1e6 / seconds,
            requests_per_second: counted.requests as f64 / seconds,
            latency: latency(&self.main().latency),
            acknowledged: acknowledged.map(|stream| latency(&stream.latency)),
            records_read: self.consumed.as_ref().map(|stream| stream.records),
            unsent_records: self.unsent,
            unanswered_records: self.unanswered,
            unread_records: self.unread,
            broker: broker.map(|(usage, pid)| broker_row(&usage, pid, counted)),
            client_user_seconds: self.client.user_seconds,
            client_system_seconds: self.client.system_seconds,
            client_cpu_seconds_per_gb: per(self.client.cpu_seconds(), gigabytes),
            client_cpu_share_of_a_core: self.client.cpu_seconds() / seconds,
            client_queued_seconds: self.client.queued_seconds,
            client_gap_p99_us: self.client_gaps.value_at_quantile(0.99) as f64 / 1e3,
            client_gap_max_us: self.client_gaps.max() as f64 / 1e3,
            pressure: self.pressure,
            doubts: self.doubts(),
        }
    }

    /// What speaks against the figures.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let main = latency(&self.main().latency);
        let gap_us = self.client_gaps.max() as f64 / 1e3;
        let is_paced = self.plan.produce.as_ref().is_some_and(|produce| produce.rate > 0);
        if is_paced && gap_us > main.p99_us {
            doubts.push(format!(
                "the client itself came {gap_us:.0} us late once, more than the p99: void"
            ));
        }
        let share = self.client.cpu_seconds() / self.seconds.max(1e-9);
        if share > 0.9 {
            doubts.push(format!(
                "the client used {:.0} % of a core: it may be the limit",
                share * 100.0
            ));
        }
        if self.unsent > 0 {
            doubts
                .push(format!("{} records were due and never sent: too high a rate", self.unsent));
        }
        if self.unanswered > 0 {
            doubts.push(format!("{} records were not answered", self.unanswered));
        }
        if self.unread > 0 {
            doubts.push(format!("{} acknowledged records were not read", self.unread));
        }
        if let Some(share) = self.pressure.cpu_pressure.filter(|share| *share > 0.6) {
            doubts.push(format!("somebody waited for a CPU in {:.0} % of the time", share * 100.0));
        }
        let ticks = self.broker.map_or(f64::MAX, |usage| usage.cpu_seconds());
        if ticks < 0.5 {
            doubts.push(
                "the broker used less than 0.5 CPU seconds: too few ticks to divide".to_owned(),
            );
        }
        doubts
    }

    /// A picture of the run.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }
}

fn broker_row(usage: &Usage, pid: u32, counted: &Stream) -> BrokerRow {
    let (bytes, records) = (counted.bytes as f64, counted.records as f64);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let switches = (usage.voluntary_switches + usage.involuntary_switches) as f64;
    BrokerRow {
        broker_pid: pid,
        broker_user_seconds: usage.user_seconds,
        broker_system_seconds: usage.system_seconds,
        broker_cpu_seconds_per_gb: per(usage.cpu_seconds(), bytes / 1e9),
        broker_cpu_seconds_per_million_records: per(usage.cpu_seconds(), records / 1e6),
        broker_cpu_us_per_request: per(usage.cpu_seconds() * 1e6, counted.requests as f64),
        broker_written_bytes: usage.written_bytes,
        broker_read_bytes: usage.read_bytes,
        broker_written_per_byte: per(usage.written_bytes as f64, bytes),
        broker_resident_mib: mib(usage.resident_bytes),
        broker_peak_resident_mib: mib(usage.peak_resident_bytes),
        broker_voluntary_switches: usage.voluntary_switches,
        broker_involuntary_switches: usage.involuntary_switches,
        broker_switches_per_thousand_records: per(switches, records / 1e3),
        broker_queued_seconds: usage.queued_seconds,
    }
}

impl Row {
    /// The row for people: a name and its value on every line.
    pub fn table(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("measured", format!("{:.1} s of {}", self.seconds, self.kind)),
            (
                "throughput",
                format!(
                    "{} records/s, {:.1} MB/s, {} requests/s",
                    whole(self.records_per_second),
                    self.megabytes_per_second,
                    whole(self.requests_per_second)
                ),
            ),
        ];
        let about = match self.kind {
            "end-to-end" => "latency, due to read",
            "consume" => "latency, fetch to answer",
            _ => "latency, due to acknowledged",
        };
        lines.push((about, times(&self.latency)));
        if let Some(acknowledged) = &self.acknowledged {
            lines.push(("latency, due to acknowledged", times(acknowledged)));
        }
        if let Some(broker) = &self.broker {
            let figure =
                |figure: Option<f64>| figure.map_or("-".to_owned(), |it| format!("{it:.3}"));
            lines.push((
                "broker CPU",
                format!(
                    "{:.2} s user, {:.2} s system; {} s/GB, {} s per million records, {} us/request",
                    broker.broker_user_seconds,
                    broker.broker_system_seconds,
                    figure(broker.broker_cpu_seconds_per_gb),
                    figure(broker.broker_cpu_seconds_per_million_records),
                    figure(broker.broker_cpu_us_per_request)
                ),
            ));
            lines.push((
                "broker disk",
                format!("{} bytes written per byte", figure(broker.broker_written_per_byte)),
            ));
            lines.push((
                "broker memory",
                format!(
                    "{:.0} MiB resident, {:.0} MiB at its peak",
                    broker.broker_resident_mib, broker.broker_peak_resident_mib
                ),
            ));
            lines.push((
                "broker switches",
                format!(
                    "{} voluntary, {} not; {} per 1,000 records",
                    broker.broker_voluntary_switches,
                    broker.broker_involuntary_switches,
                    figure(broker.broker_switches_per_thousand_records)
                ),
            ));
        }
        lines.push((
            "client",
            format!(
                "{:.0} % of a core, late by {:.0} us at most (p99 {:.0} us)",
                self.client_cpu_share_of_a_core * 100.0,
                self.client_gap_max_us,
                self.client_gap_p99_us
            ),
        ));
        let share =
            |share: Option<f64>| share.map_or("-".to_owned(), |it| format!("{:.0} %", it * 100.0));
        lines.push((
            "machine",
            format!(
                "{} CPUs, load {:.1} to {:.1}, waited for: CPU {}, storage {}",
                self.pressure.cpus,
                self.pressure.load_before,
                self.pressure.load_after,
                share(self.pressure.cpu_pressure),
                share(self.pressure.io_pressure)
            ),
        ));
        lines.extend(self.doubts.iter().map(|doubt| ("doubt", doubt.clone())));
        lines
    }
}

fn times(latency: &Latency) -> String {
    format!(
        "p50 {}, p90 {}, p99 {}, p99.9 {}, p99.99 {}, max {}",
        time(latency.p50_us),
        time(latency.p90_us),
        time(latency.p99_us),
        time(latency.p999_us),
        time(latency.p9999_us),
        time(latency.max_us)
    )
}

/// A span for people.
pub(crate) fn time(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{us:.0} us"),
        us if us < 10_000.0 => format!("{:.2} ms", us / 1e3),
        us if us < 1_000_000.0 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

/// A number with its thousands apart.
pub(crate) fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digit.is_ascii_digit() {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::Nanos;

    use super::*;
    use crate::machine::Load;
    use crate::plan::ProducePlan;
    use crate::recorder::{Window, histogram};

    /// Two million records of a kilobyte in ten seconds, in 20,000 requests that took a millisecond each.
    fn outcome(rate: u64) -> Outcome {
        let at = |ms: u64| Nanos::new(ms * 1_000_000);
        let mut stream = Stream::new("produce", Window { from: at(0), end: at(10_000) });
        for request in 0..20_000 {
            let due = request / 2;
            stream.waited(at(due), at(due + 1), 100);
            stream.answered(at(due), 100, 100_000);
        }
        stream.settle();
        let plan = Plan {
            bootstrap: Vec::new(),
            protocol: client::Dialect::Kafka,
            topic: "t".to_owned(),
            partitions: 1,
            produce: Some(ProducePlan { rate, ..ProducePlan::default() }),
            consume: None,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(10),
            seed: 1,
        };
        let mut client_gaps = histogram();
        client_gaps.record(400_000).unwrap();
        Outcome {
            plan,
            started_ms: 0,
            seconds: 10.0,
            produced: Some(stream),
            consumed: None,
            broker_pid: Some(7),
            broker: Some(Usage {
                user_seconds: 1.0,
                system_seconds: 3.0,
                written_bytes: 3_000_000_000,
                voluntary_switches: 9_000,
                involuntary_switches: 1_000,
                ..Usage::default()
            }),
            client: Usage { user_seconds: 0.5, system_seconds: 0.5, ..Usage::default() },
            client_gaps,
            pressure: Load::default().until(&Load::default(), 10.0),
            unsent: 0,
            unanswered: 0,
            unread: 0,
        }
    }

    #[test]
    fn costs_are_divided_by_what_was_done() {
        let row = outcome(0).row();
        assert_eq!((row.records, row.bytes, row.requests), (2_000_000, 2_000_000_000, 20_000));
        let rates = (row.records_per_second, row.megabytes_per_second, row.requests_per_second);
        assert_eq!(rates, (200_000.0, 200.0, 2_000.0));
        let broker = row.broker.unwrap();
        assert_eq!(broker.broker_cpu_seconds_per_gb, Some(2.0));
        assert_eq!(broker.broker_cpu_seconds_per_million_records, Some(2.0));
        assert_eq!(broker.broker_cpu_us_per_request, Some(200.0));
        assert_eq!(broker.broker_written_per_byte, Some(1.5));
        assert_eq!(broker.broker_switches_per_thousand_records, Some(5.0));
        assert_eq!(row.client_cpu_seconds_per_gb, Some(0.5));
        assert!((row.client_cpu_share_of_a_core - 0.1).abs() < 1e-9);
        assert!((row.latency.p99_us - 1_000.0).abs() < 1.0, "{:?}", row.latency);
        assert_eq!(row.doubts, Vec::<String>::new());
    }

    #[test]
    fn what_speaks_against_the_figures_is_said() {
        type Change = fn(&mut Outcome);
        let doubts = |rate, change: Change| {
            let mut outcome = outcome(rate);
            change(&mut outcome);
            outcome.row().doubts.join("; ")
        };
        let late: Change = |it| it.client_gaps.record(2_000_000).unwrap();
        assert!(doubts(200_000, late).contains("void"), "later than the p99 of 1 ms");
        assert_eq!(doubts(0, late), "", "at full speed nothing is due");
        let cases: [(Change, &str); 5] = [
            (|it| it.client.user_seconds = 9.5, "% of a core"),
            (|it| it.unsent = 5, "5 records were due and never sent"),
            (|it| it.unanswered = 6, "6 records were not answered"),
            (|it| it.unread = 7, "7 acknowledged records were not read"),
            (|it| it.broker = Some(Usage::default()), "too few ticks"),
        ];
        for (change, word) in cases {
            assert!(doubts(0, change).contains(word), "{word}");
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        let cases = [(0.0, "0"), (999.4, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(whole(number), text);
        }
        let cases = [
            (0.4, "0 us"),
            (999.0, "999 us"),
            (1_500.0, "1.50 ms"),
            (20_000.0, "20 ms"),
            (2.5e6, "2.50 s"),
        ];
        for (us, text) in cases {
            assert_eq!(time(us), text);
        }
    }
}
