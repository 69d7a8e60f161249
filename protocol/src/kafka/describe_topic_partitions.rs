//! DescribeTopicPartitions (key 75): topics in pages, with eligible leader replicas (KIP-966).
//!
//! Served in version 0, flexible.

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// Topics to describe, a page at a time.
    struct DescribeTopicPartitionsRequest<'a> {
        /// One entry for each topic.
        topics: Vec<TopicRequest<'a>>, in 0.., capped Topics;
        /// How many partitions a page may have.
        response_partition_limit: i32 = 2000, in 0..;
        /// Where the page begins; null for the first.
        cursor: Option<Cursor<'a>>, in 0..;
    }

    /// One topic.
    struct TopicRequest<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
    }

    /// Where a page begins.
    struct Cursor<'a> {
        /// The topic.
        topic_name: &'a str, in 0..;
        /// The partition.
        partition_index: i32, in 0..;
    }

    /// One page of topics.
    struct DescribeTopicPartitionsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// One entry for each topic.
        topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>, in 0.., capped Topics;
        /// Where the next page begins; null if this is the last.
        next_cursor: Option<Cursor<'a>>, in 0..;
    }

    /// One topic.
    struct DescribeTopicPartitionsResponseTopic<'a> {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The topic, by name.
        name: Option<&'a str>, in 0..;
        /// The topic, by id.
        topic_id: TopicId, in 0..;
        /// Whether the topic belongs to the system itself.
        is_internal: bool, in 0..;
        /// One entry for each partition.
        partitions: Vec<DescribeTopicPartitionsResponsePartition>, in 0.., capped Partitions;
        /// What the client may do with the topic, as bits; `i32::MIN` if it did not ask.
        topic_authorized_operations: i32 = i32::MIN, in 0..;
    }

    /// One partition.
    struct DescribeTopicPartitionsResponsePartition {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The partition.
        partition_index: i32, in 0..;
        /// The leading broker, or -1.
        leader_id: i32, in 0..;
        /// The leader's epoch, or -1.
        leader_epoch: i32 = -1, in 0..;
        /// The brokers that hold a copy.
        replica_nodes: Vec<i32>, in 0..;
        /// Those of them that are in sync.
        isr_nodes: Vec<i32>, in 0..;
        /// Brokers outside the in-sync set that may still lead without loss (KIP-966).
        eligible_leader_replicas: Option<Vec<i32>>, in 0..;
        /// Brokers that might lead if none of those comes back.
        last_known_elr: Option<Vec<i32>>, in 0..;
        /// Those of them that are not running.
        offline_replicas: Vec<i32>, in 0..;
    }
}
