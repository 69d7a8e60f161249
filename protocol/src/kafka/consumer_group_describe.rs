//! ConsumerGroupDescribe (key 69): the state and the members of KIP-848 groups.
//!
//! Served in versions 0 and 1, both flexible. 1 the type of each member.

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

crate::message! {
    /// Groups to describe.
    struct ConsumerGroupDescribeRequest<'a> {
        /// The groups.
        group_ids: Vec<&'a str>, in 0.., capped Groups;
        /// Whether to say what the client may do with them.
        include_authorized_operations: bool, in 0..;
    }

    /// The groups.
    struct ConsumerGroupDescribeResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// One entry for each group.
        groups: Vec<ConsumerGroupDescribed<'a>>, in 0.., capped Groups;
    }

    /// One group.
    struct ConsumerGroupDescribed<'a> {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 0..;
        /// The group.
        group_id: &'a str, in 0..;
        /// Its state.
        group_state: &'a str, in 0..;
        /// Its epoch.
        group_epoch: i32, in 0..;
        /// The epoch of its target assignment.
        assignment_epoch: i32, in 0..;
        /// The assignor in use.
        assignor_name: &'a str, in 0..;
        /// Its members.
        members: Vec<ConsumerGroupMember<'a>>, in 0..;
        /// What the client may do with it, as bits; `i32::MIN` if it did not ask.
        authorized_operations: i32 = i32::MIN, in 0..;
    }

    /// One member.
    struct ConsumerGroupMember<'a> {
        /// Its id.
        member_id: &'a str, in 0..;
        /// The name by which a static member comes back.
        instance_id: Option<&'a str>, in 0..;
        /// The rack it stands in.
        rack_id: Option<&'a str>, in 0..;
        /// Its epoch.
        member_epoch: i32, in 0..;
        /// What the client calls itself.
        client_id: &'a str, in 0..;
        /// Where it connects from.
        client_host: &'a str, in 0..;
        /// The topics it reads.
        subscribed_topic_names: Vec<&'a str>, in 0.., capped Topics;
        /// The topics it reads, as a regular expression.
        subscribed_topic_regex: Option<&'a str>, in 0..;
        /// What it holds.
        assignment: MemberAssignment<'a>, in 0..;
        /// What it shall hold.
        target_assignment: MemberAssignment<'a>, in 0..;
        /// 0 for a classic member, 1 for one of the new protocol, -1 if unknown.
        member_type: i8 = -1, in 1.., else ignored;
    }

    /// What a member holds.
    struct MemberAssignment<'a> {
        /// One entry for each topic.
        topic_partitions: Vec<AssignedTopic<'a>>, in 0.., capped Topics;
    }

    /// Partitions of one topic.
    struct AssignedTopic<'a> {
        /// The topic, by id.
        topic_id: TopicId, in 0..;
        /// The topic, by name.
        topic_name: &'a str, in 0..;
        /// The partitions.
        partitions: Vec<i32>, in 0.., capped Partitions;
    }
}
