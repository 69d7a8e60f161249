//! A record's bytes, written.

use super::{BrokerRecord, PartitionRecord, Record, Resource};
use crate::BrokerId;

pub(super) const TOPIC_CREATED: u8 = 1;
pub(super) const PARTITION: u8 = 2;
pub(super) const TOPIC_DELETED: u8 = 3;
pub(super) const CONFIG_SET: u8 = 4;
pub(super) const CONFIG_CLEARED: u8 = 5;
pub(super) const BROKER_REGISTERED: u8 = 6;
pub(super) const PRODUCER_IDS_ALLOCATED: u8 = 7;
pub(super) const FEATURE_LEVEL: u8 = 8;

pub(super) const RESOURCE_TOPIC: u8 = 1;
pub(super) const RESOURCE_BROKER: u8 = 2;
pub(super) const RESOURCE_BROKER_DEFAULT: u8 = 3;
pub(super) const RESOURCE_GROUP: u8 = 4;
pub(super) const RESOURCE_CLIENT_METRICS: u8 = 5;

/// The version in which every kind is written today.
pub(super) const VERSION: u8 = 0;
/// Stands for "no leader".
pub(super) const NO_BROKER: i32 = -1;

impl Record {
    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::TopicCreated { topic, name } => {
                out.extend([TOPIC_CREATED, VERSION]);
                out.extend(topic.get());
                text(out, name);
            }
            Self::Partition(partition) => {
                out.extend([PARTITION, VERSION]);
                encode_partition(out, partition);
            }
            Self::TopicDeleted { topic } => {
                out.extend([TOPIC_DELETED, VERSION]);
                out.extend(topic.get());
            }
            Self::ConfigSet { resource, key, value } => {
                out.extend([CONFIG_SET, VERSION]);
                encode_resource(out, resource);
                text(out, key);
                text(out, value);
            }
            Self::ConfigCleared { resource, key } => {
                out.extend([CONFIG_CLEARED, VERSION]);
                encode_resource(out, resource);
                text(out, key);
            }
            Self::BrokerRegistered(broker) => {
                out.extend([BROKER_REGISTERED, VERSION]);
                encode_broker(out, broker);
            }
            Self::ProducerIdsAllocated { broker, next } => {
                out.extend([PRODUCER_IDS_ALLOCATED, VERSION]);
                out.extend(broker.get().to_be_bytes());
                out.extend(next.to_be_bytes());
            }
            Self::FeatureLevel { name, level } => {
                out.extend([FEATURE_LEVEL, VERSION]);
                text(out, name);
                out.extend(level.to_be_bytes());
            }
        }
    }

    /// The record's bytes in a vector of their own.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode(&mut out);
        out
    }
}

fn encode_partition(out: &mut Vec<u8>, partition: &PartitionRecord) {
    out.extend(partition.topic.get());
    out.extend(partition.index.get().to_be_bytes());
    brokers(out, &partition.replicas);
    brokers(out, &partition.in_sync);
    out.extend(partition.leader.map_or(NO_BROKER, BrokerId::get).to_be_bytes());
    out.extend(partition.leader_epoch.get().to_be_bytes());
    out.extend(partition.partition_epoch.to_be_bytes());
}

fn encode_broker(out: &mut Vec<u8>, broker: &BrokerRecord) {
    out.extend(broker.broker.get().to_be_bytes());
    out.extend(broker.directory);
    count(out, broker.endpoints.len());
    for endpoint in &broker.endpoints {
        text(out, &endpoint.listener);
        text(out, &endpoint.host);
        out.extend(endpoint.port.to_be_bytes());
    }
    match &broker.rack {
        None => out.push(0),
        Some(rack) => {
            out.push(1);
            text(out, rack);
        }
    }
}

fn encode_resource(out: &mut Vec<u8>, resource: &Resource) {
    match resource {
        Resource::Topic(topic) => {
            out.push(RESOURCE_TOPIC);
            out.extend(topic.get());
        }
        Resource::Broker(broker) => {
            out.push(RESOURCE_BROKER);
            out.extend(broker.get().to_be_bytes());
        }
        Resource::BrokerDefault => out.push(RESOURCE_BROKER_DEFAULT),
        Resource::Group(name) => {
            out.push(RESOURCE_GROUP);
            text(out, name);
        }
        Resource::ClientMetrics(name) => {
            out.push(RESOURCE_CLIENT_METRICS);
            text(out, name);
        }
    }
}

fn brokers(out: &mut Vec<u8>, list: &[BrokerId]) {
    count(out, list.len());
    for broker in list {
        out.extend(broker.get().to_be_bytes());
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    count(out, text.len());
    out.extend(text.as_bytes());
}

fn count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("what a record holds came in one request or one batch");
    out.extend(count.to_be_bytes());
}
