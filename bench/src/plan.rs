//! What to send and read, how fast, by which protocol; every value of a plan stands in the report.

use std::time::Duration;

use client::Dialect;
use protocol::batch::Compression;
use serde::{Serialize, Serializer};

use crate::BenchError;

/// The smallest value that can carry when its record was due and of which run it is.
pub const STAMP_BYTES: u32 = 16;
/// The largest request; brokers take no more than that.
const REQUEST_BYTES_MAX: u64 = 100 << 20;
/// What a native frame holds beside its header.
const NATIVE_REQUEST_BYTES_MAX: u64 = 11 << 20;

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Brokers to ask first, as `host:port`.
    pub bootstrap: Vec<String>,
    /// Which protocol to speak.
    #[serde(serialize_with = "dialect_name")]
    pub protocol: Dialect,
    /// The topic; a run that produces creates it if it is not there.
    pub topic: String,
    /// Its partitions, from 0 on.
    pub partitions: u32,
    /// What is produced, if anything.
    #[serde(flatten)]
    pub produce: Option<ProducePlan>,
    /// What is consumed, if anything. With a produce plan beside it this is an end-to-end run.
    #[serde(flatten)]
    pub consume: Option<ConsumePlan>,
    /// Not measured.
    #[serde(serialize_with = "seconds", rename = "warm_up_seconds")]
    pub warm_up: Duration,
    /// Measured.
    #[serde(serialize_with = "seconds", rename = "duration_seconds")]
    pub duration: Duration,
    /// Fixes payload, keys and their order.
    pub seed: u64,
}

/// What producers do.
#[derive(Debug, Clone, Serialize)]
pub struct ProducePlan {
    /// The value's size.
    pub record_bytes: u32,
    /// A batch is full when one more record would make it larger than this, before compression.
    pub batch_bytes: u32,
    /// Batches, each for another partition, in one request at most.
    pub request_batches: u32,
    /// How long a batch that is not full waits for more records.
    #[serde(serialize_with = "milliseconds", rename = "linger_ms")]
    pub linger: Duration,
    /// 0, 1 or -1.
    pub acks: i16,
    /// How batches are compressed.
    #[serde(serialize_with = "compression_name")]
    pub compression: Compression,
    /// What values are made of.
    pub payload: Payload,
    /// How many keys there are; 0 for records without one.
    pub keys: u32,
    /// How often each of them comes.
    pub key_distribution: KeyDistribution,
    /// Whether batches are numbered, so that a broker can tell repetitions.
    pub idempotent: bool,
    /// Producers, each with connections of its own.
    pub producers: u32,
    /// Requests that a connection may have unanswered.
    pub in_flight: u32,
    /// Records per second of all producers together; 0 is as fast as answers come.
    pub rate: u64,
}

/// What consumers do.
#[derive(Debug, Clone, Serialize)]
pub struct ConsumePlan {
    /// Consumers, each with its share of the partitions.
    pub consumers: u32,
    /// Bytes asked for per fetch.
    pub fetch_bytes: u32,
    /// Bytes asked for per partition in a fetch.
    pub partition_bytes: u32,
    /// How many bytes are worth an answer.
    pub fetch_bytes_min: u32,
    /// How long a broker may wait for them.
    #[serde(serialize_with = "milliseconds", rename = "fetch_wait_ms")]
    pub fetch_wait: Duration,
}

/// What values are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// Words, which compress about as well as text does.
    Text,
    /// Random bytes, which do not compress.
    Random,
}

/// How often each key comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDistribution {
    /// All equally often.
    Uniform,
    /// The n-th key 1/n as often as the first.
    Zipf,
    /// One after the other.
    RoundRobin,
}

impl Default for ProducePlan {
    fn default() -> Self {
        Self {
            record_bytes: 1024,
            batch_bytes: 16_384,
            request_batches: 1,
            linger: Duration::ZERO,
            acks: -1,
            compression: Compression::None,
            payload: Payload::Text,
            keys: 0,
            key_distribution: KeyDistribution::Uniform,
            idempotent: false,
            producers: 1,
            in_flight: 5,
            rate: 0,
        }
    }
}

impl Default for ConsumePlan {
    fn default() -> Self {
        Self {
            consumers: 1,
            fetch_bytes: 50 << 20,
            partition_bytes: 1 << 20,
            fetch_bytes_min: 1,
            fetch_wait: Duration::from_millis(500),
        }
    }
}

impl Plan {
    /// What kind of run this is.
    pub fn kind(&self) -> &'static str {
        match (&self.produce, &self.consume) {
            (Some(_), Some(_)) => "end-to-end",
            (Some(_), None) => "produce",
            (None, _) => "consume",
        }
    }

    /// Whether records carry when they were due.
    pub fn is_stamped(&self) -> bool {
        self.produce.is_some() && self.consume.is_some()
    }

    /// Refuses what cannot be done.
    ///
    /// # Errors
    /// [`BenchError::Plan`] naming the value.
    pub fn check(&self) -> Result<(), BenchError> {
        let wrong = |text: &str| Err(BenchError::Plan(text.to_owned()));
        if self.partitions == 0 || self.partitions > 1 << 20 {
            return wrong("partitions must be 1 to 1,048,576");
        }
        if self.duration.is_zero() {
            return wrong("the duration must be more than 0");
        }
        if let Some(produce) = &self.produce {
            produce.check(self.protocol)?;
            if self.is_stamped() && produce.record_bytes < STAMP_BYTES {
                return wrong("an end-to-end record needs at least 16 bytes");
            }
        }
        if let Some(consume) = &self.consume {
            if consume.consumers == 0 || consume.consumers > self.partitions {
                return wrong("consumers must be at least 1 and at most as many as partitions");
            }
            let share = self.partitions.div_ceil(consume.consumers) as usize;
            if self.protocol == Dialect::Native && share > protocol::native::ENTRIES_MAX {
                return wrong("a native fetch names at most 4,096 partitions: use more consumers");
            }
        }
        Ok(())
    }
}

impl ProducePlan {
    fn check(&self, dialect: Dialect) -> Result<(), BenchError> {
        let wrong = |text: &str| Err(BenchError::Plan(text.to_owned()));
        if self.producers == 0 || self.in_flight == 0 || self.request_batches == 0 {
            return wrong("producers, in-flight and request-batches must be at least 1");
        }
        if self.producers > 10_000 || self.in_flight > 1 << 20 || self.request_batches > 4_096 {
            return wrong("at most 10,000 producers, 1,048,576 in flight, 4,096 batches a request");
        }
        if !matches!(self.acks, -1..=1) {
            return wrong("acks is 0, 1 or -1 (all)");
        }
        if self.idempotent && (self.acks != -1 || self.in_flight > 5) {
            return wrong("an idempotent producer needs acks all and at most 5 requests in flight");
        }
        if self.keys > 100_000_000 {
            return wrong("at most 100,000,000 keys");
        }
        let limit = match dialect {
            Dialect::Kafka => REQUEST_BYTES_MAX,
            Dialect::Native => NATIVE_REQUEST_BYTES_MAX,
        };
        let batch = u64::from(self.batch_bytes.max(self.record_bytes.saturating_add(128)));
        if batch * u64::from(self.request_batches) > limit {
            return Err(BenchError::Plan(format!(
                "a request could be larger than the {} MiB that this protocol takes",
                limit >> 20
            )));
        }
        Ok(())
    }
}

fn dialect_name<S: Serializer>(dialect: &Dialect, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(match dialect {
        Dialect::Kafka => "kafka",
        Dialect::Native => "native",
    })
}

fn compression_name<S: Serializer>(codec: &Compression, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(codec.name())
}

fn seconds<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(span.as_secs_f64())
}

fn milliseconds<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(span.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Plan)) -> Option<String> {
        let mut plan = Plan {
            bootstrap: vec!["127.0.0.1:9092".to_owned()],
            protocol: Dialect::Kafka,
            topic: "t".to_owned(),
            partitions: 6,
            produce: Some(ProducePlan::default()),
            consume: Some(ConsumePlan::default()),
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(1),
            seed: 1,
        };
        change(&mut plan);
        plan.check().err().map(|error| error.to_string())
    }

    fn produce(change: impl FnOnce(&mut ProducePlan)) -> Option<String> {
        refusal(|plan| plan.produce.iter_mut().next().map(change).unwrap_or_default())
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_named() {
        assert_eq!(refusal(|_| {}), None);
        let cases = [
            (refusal(|plan| plan.partitions = 0), "partitions"),
            (refusal(|plan| plan.duration = Duration::ZERO), "duration"),
            (refusal(|plan| plan.consume.iter_mut().for_each(|it| it.consumers = 7)), "consumers"),
            (produce(|it| it.record_bytes = 15), "16 bytes"),
            (produce(|it| it.producers = 0), "producers"),
            (produce(|it| it.acks = 2), "acks"),
            (produce(|it| (it.idempotent, it.in_flight) = (true, 6)), "idempotent"),
            (produce(|it| (it.idempotent, it.acks) = (true, 1)), "idempotent"),
            (produce(|it| it.record_bytes = u32::MAX), "100 MiB"),
            (produce(|it| (it.batch_bytes, it.request_batches) = (1 << 20, 200)), "100 MiB"),
        ];
        for (refused, word) in cases {
            assert!(refused.as_ref().is_some_and(|it| it.contains(word)), "{word}: {refused:?}");
        }
        let native = refusal(|plan| {
            plan.protocol = Dialect::Native;
            plan.produce.iter_mut().for_each(|it| it.batch_bytes = 12 << 20);
        });
        assert!(native.is_some_and(|it| it.contains("11 MiB")));
    }
}
