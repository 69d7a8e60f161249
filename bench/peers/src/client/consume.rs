//! Consuming by assignment, from the beginning to where the topic ended at the start.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::{ConsumeJob, LIMIT, Outcome, Settings, Target};
use crate::PeersError;

/// A consumer that belongs to no group and never commits.
pub(crate) fn consumer(target: &Target, settings: &Settings) -> Result<BaseConsumer, PeersError> {
    let mut config = super::config(target, settings);
    config.set("group.id", "side-by-side").set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "false");
    Ok(config.create()?)
}

/// Gives it these partitions, from `offset` on.
pub(crate) fn assign(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: impl Iterator<Item = i32>,
    offset: Offset,
) -> Result<(), PeersError> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition, offset)?;
    }
    Ok(consumer.assign(&list)?)
}

pub(crate) fn run(job: &ConsumeJob) -> Result<Outcome, PeersError> {
    let started = Instant::now();
    let counts = thread::scope(|scope| {
        let readers: Vec<_> =
            (0..job.consumers).map(|number| scope.spawn(move || read(job, number))).collect();
        readers
            .into_iter()
            .map(|reader| {
                reader.join().unwrap_or_else(|_| Err(PeersError::Client("a thread died".into())))
            })
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut outcome = Outcome::default();
    outcome.set("seconds", started.elapsed().as_secs_f64());
    outcome.set("records", counts.iter().map(|(records, _)| *records).sum::<u64>() as f64);
    outcome.set("bytes", counts.iter().map(|(_, bytes)| *bytes).sum::<u64>() as f64);
    Ok(outcome)
}

/// Reads one consumer's share; gives records and bytes.
fn read(job: &ConsumeJob, number: i32) -> Result<(u64, u64), PeersError> {
    let consumer = consumer(&job.target, &job.settings)?;
    let mine = || (0..job.target.partitions).filter(|index| index % job.consumers == number);
    let (mut records, mut bytes) = (0, 0);
    for _ in 0..job.passes {
        let mut left = ends(&consumer, &job.target.topic, mine())?;
        assign(&consumer, &job.target.topic, mine(), Offset::Beginning)?;
        let (more_records, more_bytes) = drain(&consumer, &mut left)?;
        records += more_records;
        bytes += more_bytes;
        consumer.unassign()?;
    }
    Ok((records, bytes))
}

/// Where each partition that holds anything ends.
pub(crate) fn ends(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: impl Iterator<Item = i32>,
) -> Result<BTreeMap<i32, i64>, PeersError> {
    let mut ends = BTreeMap::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, LIMIT)?;
        if high > low {
            ends.insert(partition, high);
        }
    }
    Ok(ends)
}

/// Reads until every partition has reached its end; gives records and bytes.
pub(crate) fn drain(
    consumer: &BaseConsumer,
    left: &mut BTreeMap<i32, i64>,
) -> Result<(u64, u64), PeersError> {
    let deadline = Instant::now() + LIMIT;
    let (mut records, mut bytes) = (0, 0);
    while !left.is_empty() {
        let Some(message) = consumer.poll(Duration::from_secs(1)) else {
            if Instant::now() > deadline {
                return Err(PeersError::Client("the topic could not be read to its end".into()));
            }
            continue;
        };
        let message = message?;
        records += 1;
        bytes += message.payload_len() as u64;
        if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
            left.remove(&message.partition());
        }
    }
    Ok((records, bytes))
}
