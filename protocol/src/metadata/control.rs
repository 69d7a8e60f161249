//! The rules of the cluster: a wish and an image become records, or a refusal in Kafka's words.
//!
//! Nothing here waits, reads a clock or draws a random number. The caller appends the records of a [`Decision`] to the
//! metadata log as one batch, waits until they are committed, applies them and only then gives the reply. A decision
//! holds for the image it was made from: decisions are made one at a time.

use std::collections::BTreeMap;

use crate::{BrokerId, ErrorCode, TopicId};

use super::config::{Described, Layers, broker_key};
use super::image::{ConfigMap, Image};
use super::record::{BrokerRecord, Record};

mod configs;
mod partitions;
mod place;
mod seed;
mod topics;

pub use configs::{AlterConfigs, ConfigOperation, ConfigTarget, OperationKind};
pub use partitions::AddPartitions;
pub use topics::{CreatedTopic, DeleteTopic, NewTopic};

/// How many partitions one shard of one broker may hold.
pub const PARTITIONS_PER_SHARD: u32 = 20_000;
/// How many partitions one request may create, as in Kafka.
pub const PARTITIONS_PER_REQUEST: usize = 10_000;
/// How many producer ids a broker receives at a time, as in Kafka.
pub const PRODUCER_ID_BLOCK: i64 = 1_000;

/// A wish. Every item of a list is decided for itself, in order; one that is refused does not hinder the others.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Create topics. With [`Mode::Validate`], only say what would happen.
    CreateTopics(Vec<NewTopic>, Mode),
    /// Delete topics, each by name or by id.
    DeleteTopics(Vec<DeleteTopic>),
    /// Add partitions to topics.
    AddPartitions(Vec<AddPartitions>, Mode),
    /// Change configs of resources.
    AlterConfigs(Vec<AlterConfigs>, Mode),
    /// Hand the next block of producer ids to a broker.
    AllocateProducerIds(BrokerId),
    /// Make a broker known, or note what has changed.
    RegisterBroker(BrokerRecord),
    /// Finalize a feature at a level.
    SetFeature(String, i16),
}

/// Whether a wish is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    Apply,
    /// Only say what would happen.
    Validate,
}

/// What is to be appended to the metadata log, and what to answer once it is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// In order; nothing is to be appended if there are none.
    pub records: Vec<Record>,
    /// To be given only after the records are committed.
    pub reply: Reply,
}

/// The answer to a [`Command`]: one result for each item, in the items' order.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To [`Command::CreateTopics`].
    CreateTopics(Vec<Result<CreatedTopic, Refusal>>),
    /// To [`Command::DeleteTopics`]: what was deleted.
    DeleteTopics(Vec<Result<(TopicId, String), Refusal>>),
    /// To [`Command::AddPartitions`].
    AddPartitions(Vec<Result<(), Refusal>>),
    /// To [`Command::AlterConfigs`].
    AlterConfigs(Vec<Result<(), Refusal>>),
    /// To [`Command::AllocateProducerIds`]: the ids of the block.
    ProducerIds(Result<std::ops::Range<i64>, Refusal>),
    /// To [`Command::RegisterBroker`] and [`Command::SetFeature`].
    Noted,
}

/// Why a wish is not fulfilled, for the client to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The code Kafka answers with.
    pub code: ErrorCode,
    /// What exactly is wrong.
    pub message: String,
}

impl Refusal {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What the rules need to know beside the image.
#[derive(Debug, Clone)]
pub struct Controller {
    /// The broker whose configuration file the defaults come from.
    pub broker: BrokerId,
    /// What that file and the command line say, by Kafka's names.
    pub at_start: ConfigMap,
    /// How many partitions the cluster may have; see [`PARTITIONS_PER_SHARD`].
    pub partitions_max: usize,
}

impl Controller {
    /// Decides one wish. `seed` must differ from call to call; topic ids and placement are drawn from it.
    pub fn step(&self, command: Command, image: &Image, seed: u64) -> Decision {
        let mut draft = Draft::new(self, image, seed);
        let reply = match command {
            Command::CreateTopics(topics, mode) => {
                Reply::CreateTopics(draft.create_topics(topics, mode))
            }
            Command::DeleteTopics(topics) => Reply::DeleteTopics(draft.delete_topics(topics)),
            Command::AddPartitions(topics, mode) => {
                Reply::AddPartitions(draft.add_partitions(topics, mode))
            }
            Command::AlterConfigs(resources, mode) => {
                Reply::AlterConfigs(draft.alter_configs(&resources, mode))
            }
            Command::AllocateProducerIds(broker) => Reply::ProducerIds(draft.allocate_ids(broker)),
            Command::RegisterBroker(broker) => draft.register(broker),
            Command::SetFeature(name, level) => draft.set_feature(name, level),
        };
        Decision { records: draft.records, reply }
    }

    fn layers<'a>(&'a self, image: &'a Image) -> Layers<'a> {
        Layers::new(image, self.broker, &self.at_start)
    }

    /// A number of the broker's configuration.
    fn number<T: TryFrom<i64>>(&self, image: &Image, name: &str) -> Option<T> {
        let (value, _) = self.layers(image).broker_value(broker_key(name)?);
        value?.trim().parse::<i64>().ok()?.try_into().ok()
    }

    fn flag(&self, image: &Image, name: &str) -> bool {
        let value = broker_key(name).and_then(|key| self.layers(image).broker_value(key).0);
        value.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// What a topic's configs will be, for the reply to its creation (KIP-525).
    fn describe(&self, image: &Image, own: &ConfigMap) -> Vec<Described> {
        self.layers(image).describe_topic(Some(own))
    }
}

/// A decision in the making: the image with what was decided so far.
struct Draft<'a> {
    rules: &'a Controller,
    image: Image,
    records: Vec<Record>,
    seed: seed::Seed,
}

impl<'a> Draft<'a> {
    fn new(rules: &'a Controller, image: &Image, seed: u64) -> Self {
        // The log's length goes in, so that a seed that comes again does not bring the same ids again.
        let seed = seed::Seed::new(seed, image.version());
        Self { rules, image: image.clone(), records: Vec::new(), seed }
    }

    /// Adds a record and looks at the image with it from now on.
    fn decide(&mut self, record: Record) {
        self.image.apply(&record).expect("every rule has looked at the image it decides on");
        self.records.push(record);
    }

    fn allocate_ids(&mut self, broker: BrokerId) -> Result<std::ops::Range<i64>, Refusal> {
        let first = self.image.next_producer_id();
        let Some(next) = first.checked_add(PRODUCER_ID_BLOCK) else {
            return Err(Refusal::new(
                ErrorCode::UnknownServerError,
                "Every producer id has been handed out.",
            ));
        };
        self.decide(Record::ProducerIdsAllocated { broker, next });
        Ok(first..next)
    }

    fn register(&mut self, broker: BrokerRecord) -> Reply {
        if self.image.broker(broker.broker) != Some(&broker) {
            self.decide(Record::BrokerRegistered(broker));
        }
        Reply::Noted
    }

    fn set_feature(&mut self, name: String, level: i16) -> Reply {
        if self.image.feature(&name).unwrap_or(0) != level {
            self.decide(Record::FeatureLevel { name, level });
        }
        Reply::Noted
    }
}

/// How often each item of a request is named in it.
fn counted<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
