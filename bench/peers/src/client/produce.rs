//! Producing: as fast as records are taken, or at a rate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::payload::{Payloads, Random};
use super::{LIMIT, Outcome, ProduceJob, Settings, Target};
use crate::PeersError;

/// librdkafka counts requests in its statistics, and tells them this often.
const STATISTICS: Duration = Duration::from_millis(500);
/// With very many partitions each report is megabytes.
const STATISTICS_RARELY: Duration = Duration::from_secs(3);

/// What callbacks note.
pub(crate) struct Notes {
    started: Instant,
    /// From due to acknowledged, if the records carry when they were due.
    pub(crate) latency: Option<Mutex<Histogram<u64>>>,
    failed: AtomicU64,
    first_failure: Mutex<String>,
    requests: AtomicU64,
    sent_bytes: AtomicU64,
    reports: AtomicU64,
}

impl Notes {
    pub(crate) fn new(started: Instant, timed: bool) -> Self {
        Self {
            started,
            latency: timed.then(|| Mutex::new(super::histogram())),
            failed: AtomicU64::new(0),
            first_failure: Mutex::default(),
            requests: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            reports: AtomicU64::new(0),
        }
    }

    /// How long ago the clock began by which records are due.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }
}

impl ClientContext for Notes {
    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(report) = serde_json::from_slice::<serde_json::Value>(statistics) else { return };
        let brokers = report["brokers"].as_object();
        let brokers = || brokers.into_iter().flat_map(|brokers| brokers.values());
        let requests = brokers().filter_map(|broker| broker["req"]["Produce"].as_u64()).sum();
        let bytes = brokers().filter_map(|broker| broker["txbytes"].as_u64()).sum();
        self.requests.store(requests, Ordering::Relaxed);
        self.sent_bytes.store(bytes, Ordering::Relaxed);
        self.reports.fetch_add(1, Ordering::Relaxed);
    }
}

impl ProducerContext for Notes {
    /// When the record was due, in nanoseconds after the start; 0 for never mind.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due: usize) {
        if let Err((error, _)) = result {
            if self.failed.fetch_add(1, Ordering::Relaxed) == 0
                && let Ok(mut first) = self.first_failure.lock()
            {
                *first = error.to_string();
            }
        } else if due > 0
            && let Some(latency) = &self.latency
            && let Ok(mut latency) = latency.lock()
        {
            let now = self.started.elapsed().as_nanos() as u64;
            latency.saturating_record(now.saturating_sub(due as u64));
        }
    }
}

/// A producer over these settings.
pub(crate) fn producer(
    target: &Target,
    settings: &Settings,
    notes: Notes,
) -> Result<BaseProducer<Notes>, PeersError> {
    let mut config = super::config(target, settings);
    let interval = if target.partitions > 500 { STATISTICS_RARELY } else { STATISTICS };
    config.set("statistics.interval.ms", interval.as_millis().to_string());
    if notes.latency.is_none() {
        // Nobody asks for each record, so librdkafka need not tell.
        config.set("delivery.report.only.error", "true");
    }
    Ok(BaseProducer::from_config_and_context(&config, notes)?)
}

/// Hands one record over, and waits for room if there is none.
pub(crate) fn send(
    producer: &BaseProducer<Notes>,
    record: BaseRecord<'_, [u8], [u8], usize>,
) -> Result<(), PeersError> {
    let mut record = record;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(1));
                record = back;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Waits until everything is acknowledged.
pub(crate) fn finish(producer: &BaseProducer<Notes>) -> Result<(), PeersError> {
    let deadline = Instant::now() + LIMIT;
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
        if Instant::now() > deadline {
            return Err(PeersError::Client("records are not acknowledged".into()));
        }
    }
    let failed = producer.context().failed.load(Ordering::Relaxed);
    if failed > 0 {
        let first = producer.context().first_failure.lock();
        let first = first.map(|first| first.clone()).unwrap_or_default();
        return Err(PeersError::Client(format!("{failed} records were refused: {first}")));
    }
    Ok(())
}

/// How many produce requests and bytes were sent, by the first report that is made after now.
pub(crate) fn sent(producer: &BaseProducer<Notes>) -> (u64, u64) {
    let notes = producer.context();
    let seen = notes.reports.load(Ordering::Relaxed);
    let deadline = Instant::now() + 2 * STATISTICS_RARELY;
    while notes.reports.load(Ordering::Relaxed) == seen && Instant::now() < deadline {
        producer.poll(Duration::from_millis(20));
    }
    (notes.requests.load(Ordering::Relaxed), notes.sent_bytes.load(Ordering::Relaxed))
}

pub(crate) fn run(job: &ProduceJob) -> Result<Outcome, PeersError> {
    let started = Instant::now();
    let producers: Vec<BaseProducer<Notes>> = (0..job.producers)
        .map(|_| producer(&job.target, &job.settings, Notes::new(started, job.timed)))
        .collect::<Result<_, _>>()?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        if job.timed {
            for producer in &producers {
                let stop = &stop;
                scope.spawn(move || poll_until(producer, stop));
            }
        }
        let writers: Vec<_> = producers
            .iter()
            .zip(0..)
            .map(|(producer, number)| scope.spawn(move || write(job, producer, number, started)))
            .collect();
        let written: Result<Vec<()>, PeersError> = writers
            .into_iter()
            .map(|writer| {
                writer.join().unwrap_or_else(|_| Err(PeersError::Client("a thread died".into())))
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        written
    })?;
    let seconds = started.elapsed().as_secs_f64();

    let mut outcome = Outcome::default();
    outcome.set("seconds", seconds);
    outcome.set("records", job.records as f64);
    outcome.set("bytes", job.records as f64 * job.record_bytes as f64);
    let sent: Vec<(u64, u64)> = producers.iter().map(sent).collect();
    outcome.set("requests", sent.iter().map(|(requests, _)| *requests).sum::<u64>() as f64);
    let sent_bytes = sent.iter().map(|(_, bytes)| *bytes).sum::<u64>() as f64;
    outcome.set("sent_per_byte", sent_bytes / (job.records as f64 * job.record_bytes as f64));
    if job.timed {
        let mut all = super::histogram();
        for producer in &producers {
            if let Some(latency) = &producer.context().latency
                && let Ok(latency) = latency.lock()
            {
                // The bounds are the same.
                let _added = all.add(&*latency);
            }
        }
        outcome.set_latency("ack", &all);
    }
    Ok(outcome)
}

/// Serves callbacks at once, so that what they note is when it happened.
pub(crate) fn poll_until(producer: &BaseProducer<Notes>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        producer.poll(Duration::from_millis(50));
    }
}

fn write(
    job: &ProduceJob,
    producer: &BaseProducer<Notes>,
    number: u64,
    started: Instant,
) -> Result<(), PeersError> {
    let producers = job.producers as u64;
    let share = job.records / producers + u64::from(number < job.records % producers);
    let mut payloads = Payloads::new(job.record_bytes, job.text);
    let mut random = Random(0xb529_7a4d_5851_f42d ^ (number + 1).wrapping_mul(0x9e37_79b9));
    let interval_ns = (1_000_000_000 * producers).checked_div(job.rate).unwrap_or(0);
    for count in 0..share {
        let mut due = 0;
        if interval_ns > 0 {
            let at = Duration::from_nanos(interval_ns * count);
            sleep_until(started + at);
            due = at.as_nanos() as usize;
        }
        let due = if due == 0 { started.elapsed().as_nanos() as usize } else { due };
        let key;
        let mut record = BaseRecord::with_opaque_to(&job.target.topic, due);
        if job.keys > 0 {
            key = (random.next() % job.keys).to_be_bytes();
            record = record.key(&key[..]);
        } else {
            let turn = count / job.chunk.max(1) + number;
            record = record.partition((turn % job.target.partitions as u64) as i32);
        }
        send(producer, record.payload(payloads.next()))?;
    }
    finish(producer)
}

/// Returns at `due`, or at once when that has passed.
pub(crate) fn sleep_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        thread::sleep(left);
    }
}
