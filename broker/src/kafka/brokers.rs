//! What clients are told about brokers, replicas and rights, for the APIs that describe a cluster.

use protocol::BrokerId;
use protocol::metadata::image::Partition;
use protocol::metadata::{Broker, Image};

use crate::decide::KAFKA_LISTENER;
use crate::shard::Shard;

/// A broker as clients see it.
pub(super) struct Seen<'a> {
    pub(super) id: i32,
    pub(super) host: &'a str,
    pub(super) port: i32,
    pub(super) rack: Option<&'a str>,
}

/// Every broker clients can connect to.
pub(super) fn seen<'a>(shard: &'a Shard, image: &'a Image) -> Vec<Seen<'a>> {
    image.brokers().filter_map(|broker| see(shard, broker)).collect()
}

fn see<'a>(shard: &'a Shard, broker: &'a Broker) -> Option<Seen<'a>> {
    let node = &shard.node;
    let (host, port) = if broker.broker == node.broker_id {
        (node.kafka.0.as_str(), node.kafka.1)
    } else {
        let endpoint =
            broker.endpoints.iter().find(|endpoint| endpoint.listener == KAFKA_LISTENER)?;
        (endpoint.host.as_str(), endpoint.port)
    };
    let rack = broker.rack.as_deref();
    Some(Seen { id: broker.broker.get(), host, port: i32::from(port), rack })
}

/// Broker ids as the wire carries them.
pub(super) fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.get()).collect()
}

/// The replicas whose brokers are not there.
pub(super) fn offline(image: &Image, partition: &Partition) -> Vec<i32> {
    let gone = |broker: &&BrokerId| image.broker(**broker).is_none();
    partition.replicas.iter().filter(gone).map(|broker| broker.get()).collect()
}

/// The leader's number, or -1.
pub(super) fn leader(partition: &Partition) -> i32 {
    partition.leader.map_or(-1, BrokerId::get)
}

/// Without an authorizer everybody may do everything: bits of read, write, create, delete, alter, describe,
/// describe-configs and alter-configs (KIP-430).
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;

/// The same for the cluster: create, alter, describe, cluster-action, describe-configs, alter-configs and
/// idempotent-write.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// The bits a client asked for, or the number that says it did not.
pub(super) const fn operations(asked: bool, operations: i32) -> i32 {
    if asked { operations } else { i32::MIN }
}
