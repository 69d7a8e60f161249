//! DeleteTopics (key 20): delete topics.
//!
//! Served in versions 1 to 6. 4 flexible; 5 error message; 6 by id as well as by name (KIP-516).

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// Topics to delete.
    struct DeleteTopicsRequest<'a> {
        /// One entry for each topic.
        topics: Vec<DeleteTopicState<'a>>, in 6.., capped Topics;
        /// The topics, by name.
        topic_names: Vec<&'a str>, in 0..=5, capped Topics, else ignored;
        /// How long the broker may take, in milliseconds.
        timeout_ms: i32, in 0..;
    }

    /// One topic to delete, by name or by id.
    struct DeleteTopicState<'a> {
        /// The topic, by name.
        name: Option<&'a str>, in 6..;
        /// The topic, by id.
        topic_id: TopicId, in 6..;
    }

    /// What became of each topic.
    struct DeleteTopicsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1..;
        /// One entry for each topic.
        responses: Vec<DeletableTopicResult<'a>>, in 0.., capped Topics;
    }

    /// What became of one topic.
    struct DeletableTopicResult<'a> {
        /// The topic, by name.
        name: Option<&'a str>, in 0.., nullable 6..;
        /// The topic, by id.
        topic_id: TopicId, in 6.., else ignored;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 5.., else ignored;
    }
}
