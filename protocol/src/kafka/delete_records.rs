//! DeleteRecords (key 21): raise the log start offset.
//!
//! Served in versions 0 to 2. 2 flexible.

use crate::error_code::ErrorCode;

crate::message! {
    /// Records to delete from the front of their partitions.
    struct DeleteRecordsRequest<'a> {
        /// One entry for each topic.
        topics: Vec<DeleteRecordsTopic<'a>>, in 0.., capped Topics;
        /// How long the broker may take, in milliseconds.
        timeout_ms: i32, in 0..;
    }

    /// One topic's share.
    struct DeleteRecordsTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<DeleteRecordsPartition>, in 0.., capped Partitions;
    }

    /// One partition's share.
    struct DeleteRecordsPartition {
        /// The partition.
        partition_index: i32, in 0..;
        /// Everything below goes; -1 stands for the high watermark.
        offset: i64, in 0..;
    }

    /// Where the partitions begin now.
    struct DeleteRecordsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// One entry for each topic.
        topics: Vec<DeleteRecordsTopicResult<'a>>, in 0.., capped Topics;
    }

    /// One topic's answers.
    struct DeleteRecordsTopicResult<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<DeleteRecordsPartitionResult>, in 0.., capped Partitions;
    }

    /// One partition's answer.
    struct DeleteRecordsPartitionResult {
        /// The partition.
        partition_index: i32, in 0..;
        /// The largest log start of its live replicas, or -1.
        low_watermark: i64, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
    }
}
