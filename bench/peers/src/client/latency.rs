//! Latency at a steady rate: from the moment a record was *due*, so that a stall is not hidden by the
//! records that could not be sent during it (coordinated omission).

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::payload::Payloads;
use super::produce::{self, Notes};
use super::{LatencyJob, Outcome, consume};
use crate::PeersError;

/// The last records may take this long to be consumed.
const TAIL: Duration = Duration::from_secs(30);
/// Offsets may take this long to be known.
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn run(job: &LatencyJob) -> Result<Outcome, PeersError> {
    // A sleep shall end when it is due, not up to 50 us later; where this is not allowed, so be it.
    let _slack = fs::write("/proc/self/timerslack_ns", "1");

    let reader = job.consume.then(|| reader(job)).transpose()?;
    let started = Instant::now();
    let notes = Notes::new(started, true);
    let producer = produce::producer(&job.target, &job.producer, notes)?;
    let stop = AtomicBool::new(false);
    let (lateness, read) = thread::scope(|scope| {
        scope.spawn(|| produce::poll_until(&producer, &stop));
        let reading =
            reader.as_ref().map(|reader| scope.spawn(|| read_all(job, reader, started, &stop)));
        let lateness = pace(job, &producer, started).and_then(|lateness| {
            produce::finish(&producer)?;
            Ok(lateness)
        });
        if lateness.is_err() || reading.is_none() {
            stop.store(true, Ordering::Relaxed);
        }
        let read = reading.map(|reading| {
            reading.join().unwrap_or_else(|_| Err(PeersError::Client("a thread died".into())))
        });
        stop.store(true, Ordering::Relaxed);
        (lateness, read)
    });
    let lateness = lateness?;

    let mut outcome = Outcome::default();
    let seconds = (job.warm_up + job.duration).as_secs_f64();
    let records = total(job) as f64;
    outcome.set("seconds", seconds);
    outcome.set("records", records);
    outcome.set("bytes", records * job.record_bytes as f64);
    outcome.set("requests", produce::sent(&producer).0 as f64);
    if let Some(latency) = &producer.context().latency
        && let Ok(latency) = latency.lock()
    {
        outcome.set_latency("ack", &latency);
    }
    if let Some(read) = read {
        outcome.set_latency("e2e", &read?);
    }
    // How late this client itself was: nothing below that can be said of the broker.
    outcome.set_latency("gap", &lateness);
    Ok(outcome)
}

fn total(job: &LatencyJob) -> u64 {
    (job.rate as f64 * (job.warm_up + job.duration).as_secs_f64()) as u64
}

/// A consumer that already waits at the end of every partition.
fn reader(job: &LatencyJob) -> Result<BaseConsumer, PeersError> {
    let consumer = consume::consumer(&job.target, &job.consumer)?;
    // The topic is fresh: from its beginning is from now on.
    let partitions = 0..job.target.partitions;
    consume::assign(&consumer, &job.target.topic, partitions, rdkafka::Offset::Beginning)?;
    consumer.fetch_watermarks(&job.target.topic, 0, SOON)?;
    Ok(consumer)
}

/// Sends each record when it is due; gives how late it was.
fn pace(
    job: &LatencyJob,
    producer: &BaseProducer<Notes>,
    started: Instant,
) -> Result<Histogram<u64>, PeersError> {
    let mut lateness = super::histogram();
    let mut payloads = Payloads::new(job.record_bytes, false);
    let mut payload = vec![0; job.record_bytes];
    let interval = 1_000_000_000 / job.rate.max(1);
    let warm_up_ns = job.warm_up.as_nanos() as u64;
    for count in 0..total(job) {
        let due_ns = (count + 1) * interval;
        let due = started + Duration::from_nanos(due_ns);
        produce::sleep_until(due);
        payload.copy_from_slice(payloads.next());
        let measured = due_ns >= warm_up_ns;
        // The first eight bytes say when the record was due; 0 that it does not count.
        let mark = if measured { due_ns } else { 0 };
        if let Some(front) = payload.first_chunk_mut::<8>() {
            *front = mark.to_le_bytes();
        }
        if measured {
            lateness.saturating_record(due.elapsed().as_nanos() as u64);
        }
        let partition = (count % job.target.partitions as u64) as i32;
        let record = BaseRecord::with_opaque_to(&job.target.topic, mark as usize);
        let record: BaseRecord<'_, [u8], [u8], usize> = record.partition(partition);
        produce::send(producer, record.payload(&payload[..]))?;
    }
    Ok(lateness)
}

/// Reads every record; gives their latencies.
fn read_all(
    job: &LatencyJob,
    consumer: &BaseConsumer,
    started: Instant,
    stop: &AtomicBool,
) -> Result<Histogram<u64>, PeersError> {
    let mut latency = super::histogram();
    let deadline = started + job.warm_up + job.duration + TAIL;
    let mut left = total(job);
    while left > 0 && !stop.load(Ordering::Relaxed) {
        let Some(message) = consumer.poll(Duration::from_millis(200)) else {
            if Instant::now() > deadline {
                return Err(PeersError::Client(format!("{left} records were never read")));
            }
            continue;
        };
        let message = message?;
        let now = started.elapsed().as_nanos() as u64;
        left -= 1;
        let mark = message.payload().and_then(<[u8]>::first_chunk).copied();
        let due = u64::from_le_bytes(mark.unwrap_or_default());
        if due > 0 {
            latency.saturating_record(now.saturating_sub(due));
        }
    }
    Ok(latency)
}
