//! What clients are told about replicas and rights, for the APIs that describe a cluster.

use protocol::BrokerId;
use protocol::metadata::Image;
use protocol::metadata::image::Partition;

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

/// The same for a group: read, delete and describe.
pub(super) const GROUP_OPERATIONS: i32 = 0b1_0100_1000;

/// The bits a client asked for, or the number that says it did not.
pub(super) const fn operations(asked: bool, operations: i32) -> i32 {
    if asked { operations } else { i32::MIN }
}
