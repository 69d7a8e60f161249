//! OffsetCommit (key 8): remember how far a group has read.
//!
//! Served in versions 2 to 10. 3 throttle time; 5 no retention time; 6 leader epochs; 7 static members (KIP-345);
//! 8 flexible; 9 member epochs (KIP-848); 10 topics by id.

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// How far a group has read.
    struct OffsetCommitRequest<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// The generation or, in a KIP-848 group, the member's epoch; -1 from one who is no member.
        generation_id_or_member_epoch: i32 = -1, in 1.., else ignored;
        /// The member, or empty.
        member_id: &'a str, in 1.., else ignored;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 7..;
        /// How long to remember, in milliseconds; the broker decides that by itself.
        retention_time_ms: i64 = -1, in 2..=4, else ignored;
        /// One entry for each topic.
        topics: Vec<OffsetCommitRequestTopic<'a>>, in 0.., capped Topics;
    }

    /// One topic's offsets.
    struct OffsetCommitRequestTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..=9, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 10.., else ignored;
        /// One entry for each partition.
        partitions: Vec<OffsetCommitRequestPartition<'a>>, in 0.., capped Partitions;
    }

    /// One partition's offset.
    struct OffsetCommitRequestPartition<'a> {
        /// The partition.
        partition_index: i32, in 0..;
        /// The next offset to read.
        committed_offset: i64, in 0..;
        /// The leader epoch of the last record read, or -1.
        committed_leader_epoch: i32 = -1, in 6.., else ignored;
        /// What the client wants to be told again.
        committed_metadata: Option<&'a str>, in 0..;
    }

    /// What became of each offset.
    struct OffsetCommitResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 3.., else ignored;
        /// One entry for each topic.
        topics: Vec<OffsetCommitResponseTopic<'a>>, in 0.., capped Topics;
    }

    /// One topic's outcome.
    struct OffsetCommitResponseTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..=9, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 10.., else ignored;
        /// One entry for each partition.
        partitions: Vec<OffsetCommitResponsePartition>, in 0.., capped Partitions;
    }

    /// One partition's outcome.
    struct OffsetCommitResponsePartition {
        /// The partition.
        partition_index: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
    }
}
