//! OffsetDelete (key 47): forget how far a group has read some partitions (KIP-496).
//!
//! Served in version 0, which is not flexible.

use crate::error_code::ErrorCode;

crate::message! {
    /// Offsets to forget.
    struct OffsetDeleteRequest<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// One entry for each topic.
        topics: Vec<OffsetDeleteRequestTopic<'a>>, in 0.., capped Topics;
    }

    /// One topic's offsets to forget.
    struct OffsetDeleteRequestTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<OffsetDeleteRequestPartition>, in 0.., capped Partitions;
    }

    /// One partition whose offset is to be forgotten.
    struct OffsetDeleteRequestPartition {
        /// The partition.
        partition_index: i32, in 0..;
    }

    /// What became of each offset.
    struct OffsetDeleteResponse<'a> {
        /// What went wrong with the whole request, if anything.
        error_code: ErrorCode, in 0..;
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0.., else ignored;
        /// One entry for each topic.
        topics: Vec<OffsetDeleteResponseTopic<'a>>, in 0.., capped Topics;
    }

    /// One topic's outcome.
    struct OffsetDeleteResponseTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<OffsetDeleteResponsePartition>, in 0.., capped Partitions;
    }

    /// One partition's outcome.
    struct OffsetDeleteResponsePartition {
        /// The partition.
        partition_index: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
    }
}
