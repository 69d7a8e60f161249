//! A record's bytes, read: every length is compared with the bytes left before anything is reserved.

use super::encode::{
    BROKER_REGISTERED, CONFIG_CLEARED, CONFIG_SET, FEATURE_LEVEL, NO_BROKER, PARTITION,
    PRODUCER_IDS_ALLOCATED, RESOURCE_BROKER, RESOURCE_BROKER_DEFAULT, RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP, RESOURCE_TOPIC, TOPIC_CREATED, TOPIC_DELETED, VERSION,
};
use super::{BrokerRecord, Endpoint, PartitionRecord, RECORD_BYTES_MAX, Record, Resource};
use crate::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

/// Why bytes are no metadata record that this program may apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer program.
    #[error("metadata record kind {0} is unknown: a newer version of Corelog wrote it")]
    UnknownKind(u8),
    /// Written by a newer program.
    #[error("metadata record kind {kind} has version {version}, the newest known here is {known}")]
    NewerVersion {
        /// The record's kind.
        kind: u8,
        /// The version it was written in.
        version: u8,
        /// The newest version this program reads.
        known: u8,
    },
    /// The bytes end inside a field.
    #[error("metadata record ends inside its {0}")]
    Truncated(&'static str),
    /// Bytes are left after the last field.
    #[error("metadata record has {0} bytes too many")]
    TrailingBytes(usize),
    /// A field holds what it may not hold.
    #[error("metadata record has an invalid {0}")]
    Invalid(&'static str),
    /// Longer than any record may be.
    #[error("metadata record of {0} bytes is longer than any may be")]
    TooLong(usize),
}

impl Record {
    /// Reads one record that fills `bytes` exactly.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(DecodeError::TooLong(bytes.len()));
        }
        let mut fields = Fields { left: bytes };
        let [kind, version] = fields.array("head")?;
        let record = match kind {
            TOPIC_CREATED..=FEATURE_LEVEL if version > VERSION => {
                return Err(DecodeError::NewerVersion { kind, version, known: VERSION });
            }
            TOPIC_CREATED => {
                Self::TopicCreated { topic: fields.topic()?, name: fields.text("topic name")? }
            }
            PARTITION => Self::Partition(fields.partition()?),
            TOPIC_DELETED => Self::TopicDeleted { topic: fields.topic()? },
            CONFIG_SET => Self::ConfigSet {
                resource: fields.resource()?,
                key: fields.text("config name")?,
                value: fields.text("config value")?,
            },
            CONFIG_CLEARED => Self::ConfigCleared {
                resource: fields.resource()?,
                key: fields.text("config name")?,
            },
            BROKER_REGISTERED => Self::BrokerRegistered(fields.broker_record()?),
            PRODUCER_IDS_ALLOCATED => Self::ProducerIdsAllocated {
                broker: fields.broker()?,
                next: i64::from_be_bytes(fields.array("producer id")?),
            },
            FEATURE_LEVEL => Self::FeatureLevel {
                name: fields.text("feature name")?,
                level: i16::from_be_bytes(fields.array("feature level")?),
            },
            unknown => return Err(DecodeError::UnknownKind(unknown)),
        };
        if fields.left.is_empty() {
            Ok(record)
        } else {
            Err(DecodeError::TrailingBytes(fields.left.len()))
        }
    }
}

/// The bytes that no field has taken yet.
struct Fields<'a> {
    left: &'a [u8],
}

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, left) =
            self.left.split_first_chunk::<N>().ok_or(DecodeError::Truncated(field))?;
        self.left = left;
        Ok(*taken)
    }

    fn bytes(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, left) =
            self.left.split_at_checked(length).ok_or(DecodeError::Truncated(field))?;
        self.left = left;
        Ok(taken)
    }

    /// A list's length, if that many items of at least `item_bytes` bytes can still follow.
    fn count(&mut self, item_bytes: usize, field: &'static str) -> Result<usize, DecodeError> {
        let count = u32::from_be_bytes(self.array(field)?) as usize;
        if count > self.left.len() / item_bytes {
            return Err(DecodeError::Truncated(field));
        }
        Ok(count)
    }

    fn text(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let length = self.count(1, field)?;
        let text = std::str::from_utf8(self.bytes(length, field)?);
        text.map(str::to_owned).map_err(|_not_utf8| DecodeError::Invalid(field))
    }

    fn topic(&mut self) -> Result<TopicId, DecodeError> {
        let topic = TopicId::new(self.array("topic id")?);
        if topic.is_zero() { Err(DecodeError::Invalid("topic id")) } else { Ok(topic) }
    }

    fn broker(&mut self) -> Result<BrokerId, DecodeError> {
        BrokerId::new(self.i32("broker id")?).ok_or(DecodeError::Invalid("broker id"))
    }

    fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array(field).map(i32::from_be_bytes)
    }

    fn brokers(&mut self, field: &'static str) -> Result<Vec<BrokerId>, DecodeError> {
        let count = self.count(4, field)?;
        (0..count).map(|_| self.broker()).collect()
    }

    fn partition(&mut self) -> Result<PartitionRecord, DecodeError> {
        let topic = self.topic()?;
        let index = self.i32("partition index")?;
        let index = PartitionIndex::new(index).ok_or(DecodeError::Invalid("partition index"))?;
        let replicas = self.brokers("replicas")?;
        let in_sync = self.brokers("in-sync replicas")?;
        let leader = match self.i32("leader")? {
            NO_BROKER => None,
            broker => Some(BrokerId::new(broker).ok_or(DecodeError::Invalid("leader"))?),
        };
        let epoch = self.i32("leader epoch")?;
        let leader_epoch = LeaderEpoch::new(epoch).ok_or(DecodeError::Invalid("leader epoch"))?;
        let partition_epoch = self.i32("partition epoch")?;
        if partition_epoch < 0 {
            return Err(DecodeError::Invalid("partition epoch"));
        }
        Ok(PartitionRecord {
            topic,
            index,
            replicas,
            in_sync,
            leader,
            leader_epoch,
            partition_epoch,
        })
    }

    fn broker_record(&mut self) -> Result<BrokerRecord, DecodeError> {
        let broker = self.broker()?;
        let directory = self.array("directory id")?;
        // Two empty texts and a port.
        let count = self.count(4 + 4 + 2, "endpoints")?;
        let endpoints = (0..count).map(|_| self.endpoint()).collect::<Result<_, _>>()?;
        let rack = match self.array("rack")? {
            [0] => None,
            [1] => Some(self.text("rack")?),
            _ => return Err(DecodeError::Invalid("rack")),
        };
        Ok(BrokerRecord { broker, directory, endpoints, rack })
    }

    fn endpoint(&mut self) -> Result<Endpoint, DecodeError> {
        Ok(Endpoint {
            listener: self.text("listener name")?,
            host: self.text("host")?,
            port: u16::from_be_bytes(self.array("port")?),
        })
    }

    fn resource(&mut self) -> Result<Resource, DecodeError> {
        let [kind] = self.array("resource type")?;
        match kind {
            RESOURCE_TOPIC => self.topic().map(Resource::Topic),
            RESOURCE_BROKER => self.broker().map(Resource::Broker),
            RESOURCE_BROKER_DEFAULT => Ok(Resource::BrokerDefault),
            RESOURCE_GROUP => self.text("group name").map(Resource::Group),
            RESOURCE_CLIENT_METRICS => self.text("subscription name").map(Resource::ClientMetrics),
            _ => Err(DecodeError::Invalid("resource type")),
        }
    }
}
