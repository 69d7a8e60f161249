//! One entry of the metadata log: what it says, and its bytes.
//!
//! A record is the value of one record of an ordinary record batch (magic 2, no key). Its bytes are
//! `kind: u8 | version: u8 | fields`; numbers are big-endian, a text is `length: u32 | UTF-8`, a list is `count: u32 |
//! items`, an optional text is `present: u8 (0 or 1) | text`. The same record always has the same bytes.
//!
//! A kind or version that this program does not know is an error and never skipped: an image that had
//! overlooked a record would no longer be the cluster's.

use crate::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

mod decode;
mod encode;

pub use decode::DecodeError;

/// The largest number of bytes one record's value may have.
///
/// The longest legal one is a config value of 32,767 UTF-16 units, three bytes each at most.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// One change of the cluster's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A topic came into being. Its partitions follow as [`Record::Partition`], from index 0 on.
    TopicCreated {
        /// Never all zeros, never used before.
        topic: TopicId,
        /// The name it has until it is deleted.
        name: String,
    },
    /// A partition was added, or who holds and leads it has changed.
    Partition(PartitionRecord),
    /// A topic, its partitions and its configs are gone.
    TopicDeleted {
        /// Which one.
        topic: TopicId,
    },
    /// A config got a value of its own.
    ConfigSet {
        /// Whose config.
        resource: Resource,
        /// The config's name, as Kafka has it.
        key: String,
        /// The value as it was written, not yet resolved.
        value: String,
    },
    /// A config lost its own value: what stands below it counts again.
    ConfigCleared {
        /// Whose config.
        resource: Resource,
        /// The config's name, as Kafka has it.
        key: String,
    },
    /// A broker introduced itself, or came back changed.
    BrokerRegistered(BrokerRecord),
    /// Producer ids below `next` are handed out, in blocks.
    ProducerIdsAllocated {
        /// The broker that received the block which ends before `next`.
        broker: BrokerId,
        /// The first id that nobody has received yet.
        next: i64,
    },
    /// A feature is finalized at a level (KIP-584). Level 0 means that it is off.
    FeatureLevel {
        /// Such as `metadata.version`.
        name: String,
        /// The level that counts in the whole cluster.
        level: i16,
    },
}

/// Who holds a partition and who leads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRecord {
    /// The topic it belongs to.
    pub topic: TopicId,
    /// Its number in the topic.
    pub index: PartitionIndex,
    /// The brokers that hold it; the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Those of them that have every committed record.
    pub in_sync: Vec<BrokerId>,
    /// Who takes writes; `None` while nobody can.
    pub leader: Option<BrokerId>,
    /// Rises with every change of leadership, never falls.
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change of this record, never falls (KIP-497).
    pub partition_epoch: i32,
}

/// What a broker says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRecord {
    /// Its number.
    pub broker: BrokerId,
    /// Names the log directory, so that a broker with another disk is not taken for this one.
    pub directory: [u8; 16],
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// Where it stands, for placing replicas and for reading nearby (KIP-392).
    pub rack: Option<String>,
}

/// One address at which a broker listens, as clients are told it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: String,
    /// A host name or address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// What a config belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic.
    Topic(TopicId),
    /// One broker.
    Broker(BrokerId),
    /// Every broker that has no value of its own.
    BrokerDefault,
    /// A consumer or share group, by name (KIP-848, KIP-932).
    Group(String),
    /// A subscription to clients' metrics, by name (KIP-714).
    ClientMetrics(String),
}

#[cfg(test)]
pub(in crate::metadata) mod tests;
