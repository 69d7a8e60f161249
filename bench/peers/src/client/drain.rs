//! Draining a backlog while records go on arriving: what the one costs, and what it does to the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::process::Usage;
use rdkafka::Offset;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::payload::Payloads;
use super::produce::{self, Notes};
use super::{DrainJob, Outcome, consume};
use crate::PeersError;

pub(crate) fn run(job: &DrainJob) -> Result<Outcome, PeersError> {
    let started = Instant::now();
    let producer = produce::producer(&job.target, &job.producer, Notes::new(started, true))?;
    let consumer = consume::consumer(&job.target, &job.consumer)?;
    let partitions = || 0..job.target.partitions;
    let mut left = consume::ends(&consumer, &job.target.topic, partitions())?;
    let stop = AtomicBool::new(false);
    let mut outcome = Outcome::default();
    thread::scope(|scope| {
        scope.spawn(|| produce::poll_until(&producer, &stop));
        let writing = scope.spawn(|| write(job, &producer, &stop));
        let drained = (|| {
            thread::sleep(job.before);
            take_latency(&producer, &mut outcome, "before");
            let (usage, began) = (Usage::of(job.pid)?, Instant::now());
            consume::assign(&consumer, &job.target.topic, partitions(), Offset::Beginning)?;
            let (records, bytes) = consume::drain(&consumer, &mut left)?;
            let seconds = began.elapsed().as_secs_f64();
            let used = Usage::of(job.pid)?.since(&usage);
            take_latency(&producer, &mut outcome, "during");
            outcome.set("seconds", seconds);
            outcome.set("records", records as f64);
            outcome.set("bytes", bytes as f64);
            outcome.set("drain_user_s", used.user_seconds);
            outcome.set("drain_system_s", used.system_seconds);
            Ok::<(), PeersError>(())
        })();
        stop.store(true, Ordering::Relaxed);
        let written = writing.join();
        drained?;
        written.unwrap_or_else(|_| Err(PeersError::Client("a thread died".into())))
    })?;
    produce::finish(&producer)?;
    let ratio =
        |of: &Outcome| Some(of.figures.get("during_p99_us")? / of.figures.get("before_p99_us")?);
    if let Some(ratio) = ratio(&outcome) {
        outcome.set("p99_during_per_before", ratio);
    }
    Ok(outcome)
}

/// Moves the latencies so far into the outcome.
fn take_latency(producer: &BaseProducer<Notes>, outcome: &mut Outcome, name: &str) {
    if let Some(latency) = &producer.context().latency
        && let Ok(mut latency) = latency.lock()
    {
        outcome.set_latency(name, &latency);
        latency.reset();
    }
}

fn write(
    job: &DrainJob,
    producer: &BaseProducer<Notes>,
    stop: &AtomicBool,
) -> Result<(), PeersError> {
    let began = Instant::now();
    // Records carry when they were due on the clock of the notes, which began before.
    let offset = producer.context().age();
    let mut payloads = Payloads::new(job.record_bytes, false);
    let interval = Duration::from_nanos(1_000_000_000 / job.rate.max(1));
    let mut due = Duration::ZERO;
    let mut count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        due += interval;
        produce::sleep_until(began + due);
        let partition = (count % job.target.partitions as u64) as i32;
        count += 1;
        let mark = (offset + due).as_nanos() as usize;
        let record: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&job.target.topic, mark);
        produce::send(producer, record.partition(partition).payload(payloads.next()))?;
    }
    Ok(())
}
