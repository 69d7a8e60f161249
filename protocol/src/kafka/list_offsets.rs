//! ListOffsets (key 2): which offset stands for a time, the beginning or the end?
//!
//! Served in versions 1 to 11. 2 isolation level; 4 leader epochs; 6 flexible; 7 largest timestamp; 8 earliest local;
//! 9 latest tiered; 10 timeout; 11 earliest not yet uploaded.

use crate::error_code::ErrorCode;

crate::message! {
    /// Which offsets are wanted.
    struct ListOffsetsRequest<'a> {
        /// The follower that asks, or -1 for a consumer.
        replica_id: i32, in 0..;
        /// 0 reads what is replicated, 1 only what is not part of an open or aborted transaction.
        isolation_level: i8, in 2..;
        /// One entry for each topic.
        topics: Vec<ListOffsetsTopic<'a>>, in 0.., capped Topics;
        /// How long the broker may take, in milliseconds.
        timeout_ms: i32, in 10.., else ignored;
    }

    /// One topic's questions.
    struct ListOffsetsTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<ListOffsetsPartition>, in 0.., capped Partitions;
    }

    /// One partition's question.
    struct ListOffsetsPartition {
        /// The partition.
        partition_index: i32, in 0..;
        /// The epoch that the client knows, or -1: the broker fences a client that is behind and one that is ahead.
        current_leader_epoch: i32 = -1, in 4.., else ignored;
        /// The offset of the first record at or after this time is wanted; or -1 latest, -2 earliest, -3 the largest
        /// timestamp, -4 earliest local, -5 latest tiered, -6 earliest not yet uploaded.
        timestamp: i64, in 0..;
    }

    /// The offsets found.
    struct ListOffsetsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 2.., else ignored;
        /// One entry for each topic.
        topics: Vec<ListOffsetsTopicResponse<'a>>, in 0.., capped Topics;
    }

    /// One topic's answers.
    struct ListOffsetsTopicResponse<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<ListOffsetsPartitionResponse>, in 0.., capped Partitions;
    }

    /// One partition's answer.
    struct ListOffsetsPartitionResponse {
        /// The partition.
        partition_index: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The timestamp of the record at that offset, or -1.
        timestamp: i64 = -1, in 1..;
        /// An offset, or -1.
        offset: i64 = -1, in 1..;
        /// The leader's epoch, or -1.
        leader_epoch: i32 = -1, in 4.., else ignored;
    }
}
