//! Metadata (key 3): brokers, topics, and who leads each partition.
//!
//! Served in versions 0 to 13. 1 null for all topics, racks, controller; 2 cluster id; 4 automatic creation on demand;
//! 5 offline replicas; 7 leader epochs; 8 authorized operations; 9 flexible; 10 topic ids; 11 no more cluster
//! operations (see DescribeCluster); 12 topics by id alone; 13 an error for the whole answer (KIP-1102).

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// Which topics to describe.
    struct MetadataRequest<'a> {
        /// The topics; null means all, and so does an empty list in version 0.
        topics: Option<Vec<MetadataRequestTopic<'a>>>, in 0.., nullable 1.., capped Topics;
        /// Whether a topic that is missing may be created.
        allow_auto_topic_creation: bool = true, in 4..;
        /// Whether to say what the client may do with the cluster.
        include_cluster_authorized_operations: bool, in 8..=10;
        /// Whether to say what the client may do with each topic.
        include_topic_authorized_operations: bool, in 8..;
    }

    /// One topic to describe, by name or by id.
    struct MetadataRequestTopic<'a> {
        /// The topic, by id.
        topic_id: TopicId, in 10.., else ignored;
        /// The topic, by name.
        name: Option<&'a str>, in 0.., nullable 10..;
    }

    /// The brokers, and the topics asked for.
    struct MetadataResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 3.., else ignored;
        /// Every live broker.
        brokers: Vec<MetadataResponseBroker<'a>>, in 0..;
        /// The cluster's id.
        cluster_id: Option<&'a str>, in 2.., else ignored;
        /// The broker that takes administrative requests, or -1.
        controller_id: i32 = -1, in 1.., else ignored;
        /// One entry for each topic.
        topics: Vec<MetadataResponseTopic<'a>>, in 0.., capped Topics;
        /// What the client may do with the cluster, as bits; `i32::MIN` if it did not ask.
        cluster_authorized_operations: i32 = i32::MIN, in 8..=10;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 13.., else ignored;
    }

    /// One broker.
    struct MetadataResponseBroker<'a> {
        /// The broker.
        node_id: i32, in 0..;
        /// Its host name.
        host: &'a str, in 0..;
        /// Its port.
        port: i32, in 0..;
        /// The rack it stands in.
        rack: Option<&'a str>, in 1.., else ignored;
    }

    /// One topic.
    struct MetadataResponseTopic<'a> {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The topic, by name.
        name: Option<&'a str>, in 0.., nullable 12..;
        /// The topic, by id.
        topic_id: TopicId, in 10.., else ignored;
        /// Whether the topic belongs to the system itself.
        is_internal: bool, in 1.., else ignored;
        /// One entry for each partition.
        partitions: Vec<MetadataResponsePartition>, in 0.., capped Partitions;
        /// What the client may do with the topic, as bits; `i32::MIN` if it did not ask.
        topic_authorized_operations: i32 = i32::MIN, in 8..;
    }

    /// One partition.
    struct MetadataResponsePartition {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The partition.
        partition_index: i32, in 0..;
        /// The leading broker, or -1.
        leader_id: i32, in 0..;
        /// The leader's epoch, or -1.
        leader_epoch: i32 = -1, in 7.., else ignored;
        /// The brokers that hold a copy.
        replica_nodes: Vec<i32>, in 0..;
        /// Those of them that are in sync.
        isr_nodes: Vec<i32>, in 0..;
        /// Those of them that are not running.
        offline_replicas: Vec<i32>, in 5.., else ignored;
    }
}
