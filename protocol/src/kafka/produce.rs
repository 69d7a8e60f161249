//! Produce (key 0): append record batches to partitions.
//!
//! Served in versions 3 to 13; 0 to 2 are advertised only because librdkafka gives up compression without them.
//! 3 transactional id, batches of magic 2; 5 log start offset; 7 zstd; 8 record errors (KIP-467); 9 flexible;
//! 10 current leader (KIP-951); 12 implicit transaction partitions (KIP-890); 13 topic ids (KIP-516).

pub mod walk;

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// Batches to append, grouped by topic and partition.
    struct ProduceRequest<'a> {
        /// Set by a transactional producer.
        transactional_id: Option<&'a str>, in 3..;
        /// How many replicas must hold a batch before the answer: 0 (no answer at all), 1, or -1 for every in-sync one.
        acks: i16, in 0..;
        /// How long the broker may take, in milliseconds.
        timeout_ms: i32, in 0..;
        /// One entry for each topic.
        topic_data: Vec<TopicProduceData<'a>>, in 0.., capped Topics;
    }

    /// One topic's share of a produce request.
    struct TopicProduceData<'a> {
        /// The topic, by name.
        name: &'a str, in 0..=12, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 13.., else ignored;
        /// One entry for each partition.
        partition_data: Vec<PartitionProduceData<'a>>, in 0.., capped Partitions;
    }

    /// One partition's batch, still as the bytes that the client sent.
    struct PartitionProduceData<'a> {
        /// The partition.
        index: i32, in 0..;
        /// Exactly one record batch of magic 2.
        records: Option<&'a [u8]>, in 0..;
    }

    /// What became of each partition's batch.
    struct ProduceResponse<'a> {
        /// One entry for each topic.
        responses: Vec<TopicProduceResponse<'a>>, in 0.., capped Topics;
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1..;
    } tagged {
        /// Where to reach the brokers named as current leaders.
        0 => node_endpoints: Vec<NodeEndpoint<'a>>, in 10.., else ignored;
    }

    /// One topic's outcomes.
    struct TopicProduceResponse<'a> {
        /// The topic, by name.
        name: &'a str, in 0..=12, else ignored;
        /// The topic, by id.
        topic_id: TopicId, in 13.., else ignored;
        /// One entry for each partition.
        partition_responses: Vec<PartitionProduceResponse<'a>>, in 0.., capped Partitions;
    }

    /// Where a partition's batch landed, or why it did not.
    struct PartitionProduceResponse<'a> {
        /// The partition.
        index: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The offset given to the first record, or -1.
        base_offset: i64, in 0..;
        /// When the broker appended it, for topics that are stamped so; else -1.
        log_append_time_ms: i64 = -1, in 2..;
        /// The first offset still readable, or -1.
        log_start_offset: i64 = -1, in 5.., else ignored;
        /// The records because of which the batch was refused.
        record_errors: Vec<BatchIndexAndErrorMessage<'a>>, in 8.., else ignored;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 8.., else ignored;
    } tagged {
        /// Who leads the partition, if that is not this broker.
        0 => current_leader: LeaderIdAndEpoch, in 10.., else ignored;
    }

    /// One record that made its batch be refused.
    struct BatchIndexAndErrorMessage<'a> {
        /// Its place in the batch, counted from zero.
        batch_index: i32, in 8..;
        /// What is wrong with it.
        batch_index_error_message: Option<&'a str>, in 8..;
    }

    /// A hint that saves the client a metadata round trip.
    struct LeaderIdAndEpoch {
        /// The leading broker, or -1.
        leader_id: i32 = -1, in 10..;
        /// The leader's epoch, or -1.
        leader_epoch: i32 = -1, in 10..;
    }

    /// Where to reach one broker.
    struct NodeEndpoint<'a> {
        /// The broker.
        node_id: i32, in 10..;
        /// Its host name.
        host: &'a str, in 10..;
        /// Its port.
        port: i32, in 10..;
        /// The rack it stands in.
        rack: Option<&'a str>, in 10..;
    }
}
