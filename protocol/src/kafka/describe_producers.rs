//! DescribeProducers (key 61): the idempotent and transactional producers that partitions remember (KIP-664).
//!
//! Served in version 0, flexible.

use crate::error_code::ErrorCode;

crate::message! {
    /// Whose producers are wanted.
    struct DescribeProducersRequest<'a> {
        /// One entry for each topic.
        topics: Vec<TopicRequest<'a>>, in 0.., capped Topics;
    }

    /// One topic.
    struct TopicRequest<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// Its partitions.
        partition_indexes: Vec<i32>, in 0.., capped Partitions;
    }

    /// The idempotent producers that partitions remember.
    struct DescribeProducersResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// One entry for each topic.
        topics: Vec<TopicResponse<'a>>, in 0.., capped Topics;
    }

    /// One topic.
    struct TopicResponse<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<PartitionResponse<'a>>, in 0.., capped Partitions;
    }

    /// One partition.
    struct PartitionResponse<'a> {
        /// The partition.
        partition_index: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 0..;
        /// Its producers.
        active_producers: Vec<ProducerState>, in 0..;
    }

    /// One producer.
    struct ProducerState {
        /// The producer, or -1.
        producer_id: i64, in 0..;
        /// Its epoch, or -1.
        producer_epoch: i32, in 0..;
        /// The sequence of its last record, or -1.
        last_sequence: i32 = -1, in 0..;
        /// The timestamp of its last batch, or -1.
        last_timestamp: i64 = -1, in 0..;
        /// The epoch of the transaction's home that wrote the last marker.
        coordinator_epoch: i32, in 0..;
        /// Where its open transaction begins, or -1.
        current_txn_start_offset: i64 = -1, in 0..;
    }
}
