//! ConsumerGroupHeartbeat (key 68): join, stay in, or leave a group whose work the broker shares out (KIP-848).
//!
//! Served in versions 0 and 1, both flexible. 1 the client makes its member id (KIP-1082), and may subscribe by a
//! regular expression that the broker resolves.

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// A member that lives, and what has changed about it.
    struct ConsumerGroupHeartbeatRequest<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// The member.
        member_id: &'a str, in 0..;
        /// The member's epoch; 0 to join, -1 to leave, -2 for a static member that comes back.
        member_epoch: i32, in 0..;
        /// The name by which a static member comes back; null if unchanged.
        instance_id: Option<&'a str>, in 0..;
        /// The rack it stands in; null if unchanged.
        rack_id: Option<&'a str>, in 0..;
        /// How long it may take to give partitions back, or -1 if unchanged.
        rebalance_timeout_ms: i32 = -1, in 0..;
        /// The topics it reads; null if unchanged.
        subscribed_topic_names: Option<Vec<&'a str>>, in 0.., capped Topics;
        /// The topics it reads, as a regular expression; null if unchanged.
        subscribed_topic_regex: Option<&'a str>, in 1..;
        /// The assignor it wants; null if unchanged.
        server_assignor: Option<&'a str>, in 0..;
        /// The partitions it holds; null if unchanged.
        topic_partitions: Option<Vec<HeartbeatTopicPartitions>>, in 0.., capped Topics;
    }

    /// Partitions of one topic.
    struct HeartbeatTopicPartitions {
        /// The topic.
        topic_id: TopicId, in 0..;
        /// The partitions.
        partitions: Vec<i32>, in 0.., capped Partitions;
    }

    /// What the member shall do.
    struct ConsumerGroupHeartbeatResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 0..;
        /// The member's id, when it joins.
        member_id: Option<&'a str>, in 0..;
        /// Its epoch from now on.
        member_epoch: i32, in 0..;
        /// How often it shall send a heartbeat.
        heartbeat_interval_ms: i32, in 0..;
        /// What it may read; null if unchanged.
        assignment: Option<HeartbeatAssignment>, in 0..;
    }

    /// What a member may read.
    struct HeartbeatAssignment {
        /// One entry for each topic.
        topic_partitions: Vec<HeartbeatTopicPartitions>, in 0.., capped Topics;
    }
}
