//! OffsetFetch (key 9): how far has a group read?
//!
//! Served in versions 1 to 10. 2 all topics, error of the group; 3 throttle time; 5 leader epochs; 6 flexible;
//! 7 require stable (KIP-447); 8 many groups (KIP-709); 9 member epochs (KIP-848); 10 topics by id.

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// How far have these groups read?
    struct OffsetFetchRequest<'a> {
        /// The group.
        group_id: &'a str, in 0..=7;
        /// One entry for each topic, or null for all.
        topics: Option<Vec<OffsetFetchRequestTopic<'a>>>, in 0..=7, nullable 2..=7, capped Topics;
        /// One entry for each group, since version 8.
        groups: Vec<OffsetFetchRequestGroup<'a>>, in 8.., capped Groups;
        /// Whether offsets of open transactions are an error rather than passed over.
        require_stable: bool, in 7..;
    }

    /// One topic's question.
    struct OffsetFetchRequestTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..=7;
        /// The partitions.
        partition_indexes: Vec<i32>, in 0..=7, capped Partitions;
    }

    /// One group's question.
    struct OffsetFetchRequestGroup<'a> {
        /// The group.
        group_id: &'a str, in 8..;
        /// The member that asks, or none.
        member_id: Option<&'a str>, in 9.., else ignored;
        /// The member's epoch, or -1.
        member_epoch: i32 = -1, in 9.., else ignored;
        /// One entry for each topic, or null for all.
        topics: Option<Vec<OffsetFetchRequestTopics<'a>>>, in 8.., capped Topics;
    }

    /// One topic's question in one group.
    struct OffsetFetchRequestTopics<'a> {
        /// The topic, by name.
        name: &'a str, in 8..=9, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 10.., else ignored;
        /// The partitions.
        partition_indexes: Vec<i32>, in 8.., capped Partitions;
    }

    /// How far the groups have read.
    struct OffsetFetchResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 3.., else ignored;
        /// One entry for each topic.
        topics: Vec<OffsetFetchResponseTopic<'a>>, in 0..=7, capped Topics;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 2..=7, else ignored;
        /// One entry for each group, since version 8.
        groups: Vec<OffsetFetchResponseGroup<'a>>, in 8.., capped Groups;
    }

    /// One topic's offsets.
    struct OffsetFetchResponseTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..=7;
        /// One entry for each partition.
        partitions: Vec<OffsetFetchResponsePartition<'a>>, in 0..=7, capped Partitions;
    }

    /// One partition's offset, in either form of the answer.
    struct OffsetFetchResponsePartition<'a> {
        /// The partition.
        partition_index: i32, in 0..;
        /// The next offset to read, or -1 if none was committed.
        committed_offset: i64, in 0..;
        /// The leader epoch that was committed with it, or -1.
        committed_leader_epoch: i32 = -1, in 5.., else ignored;
        /// What the client wanted to be told again.
        metadata: Option<&'a str>, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
    }

    /// One group's offsets.
    struct OffsetFetchResponseGroup<'a> {
        /// The group.
        group_id: &'a str, in 8..;
        /// One entry for each topic.
        topics: Vec<OffsetFetchResponseTopics<'a>>, in 8.., capped Topics;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 8.., else ignored;
    }

    /// One topic's offsets in one group.
    struct OffsetFetchResponseTopics<'a> {
        /// The topic, by name.
        name: &'a str, in 8..=9, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 10.., else ignored;
        /// One entry for each partition.
        partitions: Vec<OffsetFetchResponsePartition<'a>>, in 8.., capped Partitions;
    }
}
