//! OffsetForLeaderEpoch (key 23): where did a leader's epoch end?
//!
//! Served in versions 2 to 4. 3 replica id; 4 flexible.

use crate::error_code::ErrorCode;

crate::message! {
    /// Where did these epochs end?
    struct OffsetForLeaderEpochRequest<'a> {
        /// The follower that asks, -1 for a consumer, -2 for a client that cannot say.
        replica_id: i32 = -2, in 3.., else ignored;
        /// One entry for each topic.
        topics: Vec<OffsetForLeaderTopic<'a>>, in 0.., capped Topics;
    }

    /// One topic's questions.
    struct OffsetForLeaderTopic<'a> {
        /// The topic, by name.
        topic: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<OffsetForLeaderPartition>, in 0.., capped Partitions;
    }

    /// One partition's question.
    struct OffsetForLeaderPartition {
        /// The partition.
        partition: i32, in 0..;
        /// The epoch that the client knows, or -1: the broker fences a client that is behind and one that is ahead.
        current_leader_epoch: i32 = -1, in 2..;
        /// The epoch asked about.
        leader_epoch: i32, in 0..;
    }

    /// Where the epochs ended.
    struct OffsetForLeaderEpochResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 2..;
        /// One entry for each topic.
        topics: Vec<OffsetForLeaderTopicResult<'a>>, in 0.., capped Topics;
    }

    /// One topic's answers.
    struct OffsetForLeaderTopicResult<'a> {
        /// The topic, by name.
        topic: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<EpochEndOffset>, in 0.., capped Partitions;
    }

    /// One partition's answer.
    struct EpochEndOffset {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The partition.
        partition: i32, in 0..;
        /// The largest epoch at or below the one asked about, or -1.
        leader_epoch: i32 = -1, in 1..;
        /// The first offset of the next epoch, or -1.
        end_offset: i64 = -1, in 0..;
    }
}
