//! What a prefix of the metadata log says: topics, partitions, configs, brokers, features.
//!
//! Every shard keeps a copy of its own and feeds it the same records. A clone is a few reference counts and shares
//! everything until one side changes, so a request may hold the image it began with across a wait.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use crate::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::record::{BrokerRecord, PartitionRecord, Record, Resource};

mod apply;
mod snapshot;
mod sorted;

pub use apply::{ApplyError, ApplyReason};
use sorted::SortedMap;

/// Configs of one resource as they were written: name to value.
pub type ConfigMap = BTreeMap<String, String>;

/// The cluster as of one place in the metadata log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Where the next record will stand: every record below is in here.
    version: Offset,
    topics: SortedMap<TopicId, Rc<Topic>>,
    names: SortedMap<Rc<str>, TopicId>,
    /// Configs of all but topics, which carry their own.
    configs: Rc<BTreeMap<Resource, ConfigMap>>,
    brokers: Rc<BTreeMap<BrokerId, Broker>>,
    features: Rc<BTreeMap<String, i16>>,
    next_producer_id: i64,
    /// The broker that received the newest block of producer ids.
    producer_ids_for: Option<BrokerId>,
    partitions: usize,
}

/// A topic with its partitions and its own configs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its id, for ever.
    pub id: TopicId,
    /// Its name.
    pub name: Rc<str>,
    /// Its partitions; the place in the vector is the partition's index.
    pub partitions: Vec<Partition>,
    /// What was set on the topic itself.
    pub configs: ConfigMap,
}

/// Who holds and who leads one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The brokers that hold it; the preferred leader first.
    pub replicas: Box<[BrokerId]>,
    /// Those that have every committed record.
    pub in_sync: Box<[BrokerId]>,
    /// Who takes writes, if anybody.
    pub leader: Option<BrokerId>,
    /// Rises with every change of leadership.
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change.
    pub partition_epoch: i32,
}

/// A broker that has registered. Its number is the key it is found under.
pub type Broker = BrokerRecord;

impl Image {
    /// The image of the empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the next record will stand in the metadata log; everything below is in here.
    pub fn version(&self) -> Offset {
        self.version
    }

    /// The topic with this id.
    pub fn topic(&self, id: TopicId) -> Option<&Rc<Topic>> {
        self.topics.get(&id)
    }

    /// The topic that has this name now.
    pub fn topic_by_name(&self, name: &str) -> Option<&Rc<Topic>> {
        self.topic(self.topic_id(name)?)
    }

    /// The id of the topic that has this name now.
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.names.get(name).copied()
    }

    /// One partition of one topic.
    pub fn partition(&self, topic: TopicId, index: PartitionIndex) -> Option<&Partition> {
        self.topic(topic)?.partition(index)
    }

    /// Every topic, in the order of names.
    pub fn topics(&self) -> impl Iterator<Item = &Rc<Topic>> {
        self.topics_from(Bound::Unbounded)
    }

    /// The topics from a name on, in the order of names.
    pub fn topics_from(&self, start: Bound<&str>) -> impl Iterator<Item = &Rc<Topic>> {
        self.names.iter_from(start).filter_map(|(_, id)| self.topics.get(id))
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions all topics have together.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// What was set on a resource itself; nothing if nothing was.
    pub fn configs(&self, resource: &Resource) -> Option<&ConfigMap> {
        match resource {
            Resource::Topic(id) => self.topic(*id).map(|topic| &topic.configs),
            Resource::Broker(_)
            | Resource::BrokerDefault
            | Resource::Group(_)
            | Resource::ClientMetrics(_) => self.configs.get(resource),
        }
    }

    /// Every resource but topics on which something was set.
    pub fn configured(&self) -> impl Iterator<Item = &Resource> {
        self.configs.keys()
    }

    /// The broker with this number, if it has ever registered.
    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// Every registered broker, in the order of numbers.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    /// The finalized level of a feature; `None` if it is off or unknown.
    pub fn feature(&self, name: &str) -> Option<i16> {
        self.features.get(name).copied()
    }

    /// Every finalized feature with its level, in the order of names.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.features.iter().map(|(name, level)| (name.as_str(), *level))
    }

    /// The first producer id that nobody has received yet.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }
}

impl Topic {
    /// One of its partitions.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index.get()).ok()?)
    }

    /// Its partitions with their indexes.
    pub fn indexed(&self) -> impl Iterator<Item = (PartitionIndex, &Partition)> {
        let indexes = (0..=i32::MAX).filter_map(PartitionIndex::new);
        indexes.zip(&self.partitions)
    }
}

#[cfg(test)]
mod tests;
