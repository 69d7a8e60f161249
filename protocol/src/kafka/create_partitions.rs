//! CreatePartitions (key 37): give topics more partitions.
//!
//! Served in versions 0 to 3. 2 flexible; 3 quotas (KIP-599).

use crate::error_code::ErrorCode;

crate::message! {
    /// Topics that shall have more partitions.
    struct CreatePartitionsRequest<'a> {
        /// One entry for each topic.
        topics: Vec<CreatePartitionsTopic<'a>>, in 0.., capped Topics;
        /// How long the broker may take, in milliseconds.
        timeout_ms: i32, in 0..;
        /// Check the request and change nothing.
        validate_only: bool, in 0..;
    }

    /// One topic.
    struct CreatePartitionsTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// How many partitions it shall have in all.
        count: i32, in 0..;
        /// Where the new ones shall be, in order; null if the broker may choose.
        assignments: Option<Vec<CreatePartitionsAssignment>>, in 0..;
    }

    /// Where one new partition shall be.
    struct CreatePartitionsAssignment {
        /// The brokers that shall hold a copy, the preferred leader first.
        broker_ids: Vec<i32>, in 0..;
    }

    /// What became of each topic.
    struct CreatePartitionsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// One entry for each topic.
        results: Vec<CreatePartitionsTopicResult<'a>>, in 0.., capped Topics;
    }

    /// What became of one topic.
    struct CreatePartitionsTopicResult<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 0..;
    }
}
