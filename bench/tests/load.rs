//! The load generator against a broker whose latency and rate are known: what it reports must be that.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use bench::process::Usage;
use bench::{BenchError, Dialect, HdrLog, Outcome, Plan, ProducePlan, Watch};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use runtime::sim::Sim;

#[path = "load/fake.rs"]
mod fake;

use fake::Fake;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn plan(produce: ProducePlan) -> Plan {
    Plan {
        bootstrap: Vec::new(),
        protocol: Dialect::Kafka,
        topic: "load".to_owned(),
        partitions: 3,
        produce: Some(produce),
        consume: None,
        warm_up: Duration::ZERO,
        duration: 10 * SECOND,
        seed: 1,
    }
}

/// A run in simulated time: the same on every machine, however loaded.
fn simulate(fake: &Rc<Fake>, plan: Plan, log: Option<Box<dyn Write>>) -> Outcome {
    try_simulate(fake, plan, log).unwrap()
}

fn try_simulate(
    fake: &Rc<Fake>,
    mut plan: Plan,
    log: Option<Box<dyn Write>>,
) -> Result<Outcome, BenchError> {
    let fake = Rc::clone(fake);
    let sim = Sim::new(1);
    sim.run(|world| async move {
        let address = fake.start(&world).await;
        plan.bootstrap = vec![address.to_string()];
        let mut log = log.map(HdrLog::new);
        bench::run(&world, &plan, Watch::default(), log.as_mut(), |_| {}).await
    })
    .unwrap()
}

fn one_record_each(rate: u64, in_flight: u32) -> ProducePlan {
    ProducePlan { record_bytes: 100, batch_bytes: 200, rate, in_flight, ..ProducePlan::default() }
}

/// Whether `us` is `expected` give or take `tolerance`.
fn near(us: f64, expected: Duration, tolerance: Duration) -> bool {
    (us - expected.as_secs_f64() * 1e6).abs() <= tolerance.as_secs_f64() * 1e6
}

#[test]
fn a_stall_is_seen_by_every_record_that_was_due_in_it() {
    let fake = Fake::new(MS / 10, 4 * SECOND..5 * SECOND);
    let outcome = simulate(&fake, plan(one_record_each(1_000, 5)), None);
    let stalled =
        fake.seen.borrow().iter().filter(|(at, _)| (4 * SECOND..5 * SECOND).contains(at)).count();
    assert!(stalled <= 6, "only the requests in flight met the stall: {stalled}");

    // A tenth of the records was due in the stall and waited from nothing to a second, evenly.
    let row = outcome.row();
    let latency = row.latency;
    assert!(near(latency.max_us, SECOND, 20 * MS), "{latency:?}");
    assert!(near(latency.p99_us, 900 * MS, 20 * MS), "{latency:?}");
    // Half of a second times a tenth, and the ninth more that it takes to catch up at ten times the rate.
    assert!(near(latency.mean_us, 55 * MS, 3 * MS), "{latency:?}");
    assert!(latency.p50_us < 3_000.0, "{latency:?}");
    assert_eq!((row.records, row.unsent_records, row.unanswered_records), (10_000, 0, 0));
}

#[test]
fn measuring_from_when_it_was_sent_would_have_hidden_the_same_stall() {
    // The control: at full speed a record is due when there is room for it, so the stall is met by one request.
    let fake = Fake::new(MS, 4 * SECOND..5 * SECOND);
    let latency = simulate(&fake, plan(one_record_each(0, 1)), None).row().latency;
    assert!(near(latency.max_us, SECOND, 20 * MS), "{latency:?}");
    assert!(latency.p99_us < 5_000.0 && latency.p999_us < 5_000.0, "{latency:?}");
}

#[test]
fn a_stall_at_the_end_is_not_cut_off() {
    let fake = Fake::new(MS / 10, 9 * SECOND..12 * SECOND);
    let row = simulate(&fake, plan(one_record_each(1_000, 1)), None).row();
    // A tenth was due in the last second; the first of them waited for three seconds.
    assert!(row.latency.max_us > 990_000.0, "{:?}", row.latency);
    assert!(row.latency.p99_us > 900_000.0, "{:?}", row.latency);
    assert!(row.unsent_records > 900, "{}", row.unsent_records);
    assert!(!row.doubts.is_empty());
    assert!((row.records_per_second - 900.0).abs() < 10.0, "{}", row.records_per_second);
}

#[test]
fn the_rate_is_the_one_that_was_asked_for() {
    for (rate, producers, linger) in [(100, 1, 0), (1_000, 3, 5), (5_000, 7, 2)] {
        let fake = Fake::new(MS / 10, SECOND..SECOND);
        let produce = ProducePlan {
            record_bytes: 100,
            rate,
            producers,
            linger: Duration::from_millis(linger),
            ..ProducePlan::default()
        };
        let row = simulate(&fake, plan(produce), None).row();
        let off = (row.records_per_second / rate as f64 - 1.0).abs();
        assert!(off < 0.005, "{rate}: {}", row.records_per_second);
        let seen: u64 = fake.seen.borrow().iter().map(|(_, records)| records).sum();
        assert_eq!(seen, rate * 10, "every record was sent, none twice");
        let least = Duration::from_millis(linger);
        assert!(row.latency.max_us >= least.as_secs_f64() * 1e6, "{:?}", row.latency);
    }
}

#[test]
fn at_full_speed_the_rate_is_the_brokers() {
    // One request at a time, 10 ms each: a hundred a second on every connection.
    for producers in [1, 4] {
        let fake = Fake::new(10 * MS, SECOND..SECOND);
        let produce = ProducePlan { producers, ..one_record_each(0, 3) };
        let row = simulate(&fake, plan(produce), None).row();
        let expected = 100.0 * f64::from(producers);
        assert!((row.requests_per_second / expected - 1.0).abs() < 0.02, "{row:?}");
        // Three are in flight, so each waits for two others.
        assert!(near(row.latency.p50_us, 30 * MS, 3 * MS), "{:?}", row.latency);
    }
}

#[test]
fn too_high_a_rate_is_reported_and_its_records_are_not_forgotten() {
    let fake = Fake::new(10 * MS, SECOND..SECOND);
    let row = simulate(&fake, plan(one_record_each(1_000, 1)), None).row();
    assert!((row.records_per_second - 100.0).abs() < 5.0, "{}", row.records_per_second);
    assert!(row.unsent_records > 8_900, "{}", row.unsent_records);
    // Nine of ten are still due at the end: half of all had waited for more than four seconds.
    assert!(row.latency.p50_us > 4_000_000.0, "{:?}", row.latency);
}

#[test]
fn an_idempotent_producer_waits_for_its_id_and_numbers_its_batches() {
    let fake = Fake::new(MS, SECOND..SECOND);
    fake.not_yet.set(3);
    let produce = ProducePlan { idempotent: true, keys: 10, ..one_record_each(500, 5) };
    simulate(&fake, plan(produce), None);
    let sent: i32 = fake.sequences.borrow().values().sum();
    assert_eq!((fake.not_yet.get(), sent), (0, 5_000));
}

#[test]
fn a_broker_that_goes_away_ends_the_run_with_its_name() {
    let fake = Fake::new(MS, SECOND..SECOND);
    fake.closes.set(Some(3 * SECOND));
    let error = try_simulate(&fake, plan(one_record_each(100, 5)), None).unwrap_err();
    assert!(matches!(error, BenchError::Connection { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:"), "{error}");
}

/// Keeps what is written where the test can read it.
struct Kept(Sender<Vec<u8>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_of_histograms_adds_up_to_the_run() {
    let fake = Fake::new(MS, 4 * SECOND..5 * SECOND);
    let (sender, receiver) = channel();
    let outcome = simulate(&fake, plan(one_record_each(500, 5)), Some(Box::new(Kept(sender))));
    let text: Vec<u8> = receiver.iter().flatten().collect();
    let mut sum = Histogram::<u64>::new_with_bounds(1_000, 600_000_000_000, 3).unwrap();
    let mut intervals = 0;
    // The title line is what Java's writer writes; readers of that family pass over it.
    let lines: Vec<u8> = text
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"\""))
        .flatten()
        .copied()
        .collect();
    for entry in IntervalLogIterator::new(&lines) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        assert_eq!(interval.tag().unwrap().as_str(), "produce");
        let bytes = decode_base64(interval.encoded_histogram());
        let part: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        sum.add(&part).unwrap();
        intervals += 1;
    }
    let whole = &outcome.produced.unwrap().latency;
    assert!((9..=11).contains(&intervals), "an interval a second, none for the stall: {intervals}");
    assert_eq!(sum.len(), 5_000);
    for quantile in [0.5, 0.9, 0.99, 1.0] {
        assert_eq!(sum.value_at_quantile(quantile), whole.value_at_quantile(quantile));
    }
}

fn decode_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let digit = DIGITS.iter().position(|digit| *digit == byte).unwrap();
        bits = (bits << 6) | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[test]
fn a_picture_is_well_formed_and_tells_the_figures() {
    let fake = Fake::new(MS, 4 * SECOND..5 * SECOND);
    let outcome = simulate(&fake, plan(one_record_each(500, 5)), None);
    let svg = outcome.svg();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    for tag in ["text", "tspan", "svg"] {
        let opened =
            svg.matches(&format!("<{tag} ")).count() + svg.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "every point has a place");
    for word in ["99.9 %", "Throughput", "produce: p50", "500 records/s intended"] {
        assert!(svg.contains(word), "{word}");
    }
}

#[test]
fn a_known_burn_of_another_process_is_accounted() {
    // The kernel itself ends this shell when it has used one second of CPU.
    let mut burner = Command::new("sh")
        .args(["-c", "ulimit -t 1; while :; do :; done"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut last = Usage::default();
    while burner.try_wait().unwrap().is_none() {
        if let Ok(usage) = Usage::of(burner.id())
            && usage.resident_bytes > 0
        {
            last = usage;
        }
    }
    assert!((0.9..=1.2).contains(&last.cpu_seconds()), "{last:?}");
    assert!(last.user_seconds > 0.5, "an endless loop of a shell is user time: {last:?}");
    assert!(last.peak_resident_bytes >= 100 << 10, "{last:?}");
}
