//! CreateTopics (key 19): create topics.
//!
//! Served in versions 2 to 7. 4 defaults by -1 (KIP-464); 5 flexible, the settings in the answer (KIP-525); 6 quotas
//! (KIP-599); 7 topic id in the answer.

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// Topics to create.
    struct CreateTopicsRequest<'a> {
        /// One entry for each topic.
        topics: Vec<CreatableTopic<'a>>, in 0.., capped Topics;
        /// How long the broker may take, in milliseconds.
        timeout_ms: i32 = 60000, in 0..;
        /// Check the request and change nothing.
        validate_only: bool, in 1..;
    }

    /// One topic to create.
    struct CreatableTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// How many partitions; -1 for the default or if `assignments` says it.
        num_partitions: i32, in 0..;
        /// How many copies; -1 for the default or if `assignments` says it.
        replication_factor: i16, in 0..;
        /// Where each partition shall be; empty if the broker may choose.
        assignments: Vec<CreatableReplicaAssignment>, in 0..;
        /// One entry for each setting.
        configs: Vec<CreatableTopicConfig<'a>>, in 0..;
    }

    /// Where one partition shall be.
    struct CreatableReplicaAssignment {
        /// The partition.
        partition_index: i32, in 0..;
        /// The brokers that shall hold a copy, the preferred leader first.
        broker_ids: Vec<i32>, in 0..;
    }

    /// One setting of a new topic.
    struct CreatableTopicConfig<'a> {
        /// The setting.
        name: &'a str, in 0..;
        /// Its value.
        value: Option<&'a str>, in 0..;
    }

    /// What became of each topic.
    struct CreateTopicsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 2..;
        /// One entry for each topic.
        topics: Vec<CreatableTopicResult<'a>>, in 0.., capped Topics;
    }

    /// What became of one topic.
    struct CreatableTopicResult<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// The topic, by id.
        topic_id: TopicId, in 7.., else ignored;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 1..;
        /// How many partitions, or -1.
        num_partitions: i32 = -1, in 5.., else ignored;
        /// How many copies of each, or -1.
        replication_factor: i16 = -1, in 5.., else ignored;
        /// One entry for each setting.
        configs: Option<Vec<CreatableTopicConfigs<'a>>>, in 5.., else ignored;
    } tagged {
        /// Why `configs` is missing, if it is.
        0 => topic_config_error_code: ErrorCode, in 5.., else ignored;
    }

    /// One setting of the topic as created.
    struct CreatableTopicConfigs<'a> {
        /// The setting.
        name: &'a str, in 5..;
        /// Its value.
        value: Option<&'a str>, in 5..;
        /// Whether it cannot be changed while the broker runs.
        read_only: bool, in 5..;
        /// Where the value comes from: 1 topic, 2 broker, 3 whole cluster, 4 the broker's own file, 5 the default.
        config_source: i8 = -1, in 5.., else ignored;
        /// Whether the value is a secret and therefore left out.
        is_sensitive: bool, in 5..;
    }
}
