//! Fetch (key 1): read record batches from partitions.
//!
//! Served in versions 4 to 18. 5 log start offset; 7 sessions (KIP-227); 9 leader epoch fencing (KIP-320); 10 zstd;
//! 11 nearest replica (KIP-392); 12 flexible, diverging epochs; 13 topic ids (KIP-516); 15 replica state (KIP-903);
//! 16 node endpoints (KIP-951); 17 directory ids (KIP-853); 18 high watermark in the request (KIP-1166).

pub mod head;

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// Which partitions to read, from where, how much, and how long to wait for it.
    struct FetchRequest<'a> {
        /// The follower that asks, or -1 for a consumer.
        replica_id: i32 = -1, in 0..=14;
        /// How long to wait for `min_bytes`, in milliseconds.
        max_wait_ms: i32, in 0..;
        /// Answer as soon as there is so much.
        min_bytes: i32, in 0..;
        /// Answer with no more than that, except that the first batch is always whole.
        max_bytes: i32 = i32::MAX, in 3..;
        /// 0 reads what is replicated, 1 only what is not part of an open or aborted transaction.
        isolation_level: i8, in 4..;
        /// The fetch session, or 0 for none.
        session_id: i32, in 7.., else ignored;
        /// The request's number within its session; -1 ends it, 0 begins a new one.
        session_epoch: i32 = -1, in 7.., else ignored;
        /// One entry for each topic.
        topics: Vec<FetchTopic<'a>>, in 0.., capped Topics;
        /// Partitions to take out of the session.
        forgotten_topics_data: Vec<ForgottenTopic<'a>>, in 7.., capped Topics;
        /// The consumer's rack, so that a near follower can be named.
        rack_id: &'a str, in 11.., else ignored;
    } tagged {
        /// The cluster that the client believes to speak to.
        0 => cluster_id: Option<&'a str>, in 12.., else ignored;
        /// Who the follower is, since version 15.
        1 => replica_state: ReplicaState, in 15..;
    }

    /// A follower and its incarnation.
    struct ReplicaState {
        /// The follower that asks, or -1 for a consumer.
        replica_id: i32 = -1, in 15..;
        /// The follower's broker epoch, or -1.
        replica_epoch: i64 = -1, in 15..;
    }

    /// One topic to read.
    struct FetchTopic<'a> {
        /// The topic, by name.
        topic: &'a str, in 0..=12, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 13.., else ignored;
        /// One entry for each partition.
        partitions: Vec<FetchPartition>, in 0.., capped Partitions;
    }

    /// One partition to read.
    struct FetchPartition {
        /// The partition.
        partition: i32, in 0..;
        /// The epoch that the client knows, or -1: the broker fences a client that is behind and one that is ahead.
        current_leader_epoch: i32 = -1, in 9.., else ignored;
        /// The first offset wanted.
        fetch_offset: i64, in 0..;
        /// The epoch of the last record that the follower has, or -1.
        last_fetched_epoch: i32 = -1, in 12..;
        /// The follower's own log start, or -1.
        log_start_offset: i64 = -1, in 5.., else ignored;
        /// No more than that from this partition, except that the first batch is always whole.
        partition_max_bytes: i32, in 0..;
    } tagged {
        /// The follower's log directory (KIP-853).
        0 => replica_directory_id: [u8; 16], in 17.., else ignored;
        /// The high watermark that the follower knows (KIP-1166).
        1 => high_watermark: i64 = i64::MAX, in 18.., else ignored;
    }

    /// Partitions of one topic to take out of the session.
    struct ForgottenTopic<'a> {
        /// The topic, by name.
        topic: &'a str, in 7..=12, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 13.., else ignored;
        /// One entry for each partition.
        partitions: Vec<i32>, in 7.., capped Partitions;
    }

    /// The records read.
    struct FetchResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 7.., else ignored;
        /// The fetch session, or 0 for none.
        session_id: i32, in 7..;
        /// One entry for each topic.
        responses: Vec<FetchableTopicResponse<'a>>, in 0.., capped Topics;
    } tagged {
        /// Where to reach the brokers named as current leaders.
        0 => node_endpoints: Vec<NodeEndpoint<'a>>, in 16.., else ignored;
    }

    /// One topic's records.
    struct FetchableTopicResponse<'a> {
        /// The topic, by name.
        topic: &'a str, in 0..=12, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 13.., else ignored;
        /// One entry for each partition.
        partitions: Vec<PartitionData<'a>>, in 0.., capped Partitions;
    }

    /// One partition's records.
    struct PartitionData<'a> {
        /// The partition.
        partition_index: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The first offset that a consumer may not see yet.
        high_watermark: i64, in 0..;
        /// Everything below is decided: no open transaction. -1 if unknown.
        last_stable_offset: i64 = -1, in 4..;
        /// The first offset still readable, or -1.
        log_start_offset: i64 = -1, in 5.., else ignored;
        /// Aborted transactions among the records, by first offset.
        aborted_transactions: Option<Vec<AbortedTransaction>>, in 4..;
        /// The replica to read from instead, or -1.
        preferred_read_replica: i32 = -1, in 11..;
        /// Whole batches, back to back; the last one may be cut off.
        records: Option<&'a [u8]>, in 0..;
    } tagged {
        /// Where the follower's log and the leader's part.
        0 => diverging_epoch: EpochEndOffset, in 12..;
        /// Who leads the partition, if that is not this broker.
        1 => current_leader: LeaderIdAndEpoch, in 12.., else ignored;
        /// The snapshot to fetch instead of the log.
        2 => snapshot_id: SnapshotId, in 12..;
    }

    /// The last epoch that both logs agree on, and where it ends.
    struct EpochEndOffset {
        /// A leader epoch, or -1.
        epoch: i32 = -1, in 12..;
        /// The first offset of the next epoch, or -1.
        end_offset: i64 = -1, in 12..;
    }

    /// A hint that saves the client a metadata round trip.
    struct LeaderIdAndEpoch {
        /// The leading broker, or -1.
        leader_id: i32 = -1, in 12..;
        /// The leader's epoch, or -1.
        leader_epoch: i32 = -1, in 12..;
    }

    /// A snapshot of the metadata log.
    struct SnapshotId {
        /// The first offset of the next epoch, or -1.
        end_offset: i64 = -1, in 0..;
        /// A leader epoch, or -1.
        epoch: i32 = -1, in 0..;
    }

    /// A transaction whose records are to be skipped.
    struct AbortedTransaction {
        /// The producer, or -1.
        producer_id: i64, in 4..;
        /// Its first record's offset.
        first_offset: i64, in 4..;
    }

    /// Where to reach one broker.
    struct NodeEndpoint<'a> {
        /// The broker.
        node_id: i32, in 16..;
        /// Its host name.
        host: &'a str, in 16..;
        /// Its port.
        port: i32, in 16..;
        /// The rack it stands in.
        rack: Option<&'a str>, in 16..;
    }
}
