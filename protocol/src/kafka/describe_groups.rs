//! DescribeGroups (key 15): the state and the members of classic groups.
//!
//! Served in versions 0 to 6. 1 throttle time; 3 authorized operations; 4 static members (KIP-345); 5 flexible;
//! 6 error message, and an error for a group that is not there (KIP-1043).

use crate::error_code::ErrorCode;

crate::message! {
    /// Groups to describe.
    struct DescribeGroupsRequest<'a> {
        /// The groups.
        groups: Vec<&'a str>, in 0.., capped Groups;
        /// Whether to say what the client may do with them.
        include_authorized_operations: bool, in 3..;
    }

    /// The groups.
    struct DescribeGroupsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1.., else ignored;
        /// One entry for each group.
        groups: Vec<DescribedGroup<'a>>, in 0.., capped Groups;
    }

    /// One group.
    struct DescribedGroup<'a> {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 6.., else ignored;
        /// The group.
        group_id: &'a str, in 0..;
        /// Its state: `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable` or `Dead`.
        group_state: &'a str, in 0..;
        /// What kind of group it is.
        protocol_type: &'a str, in 0..;
        /// The protocol of its generation, if it is stable.
        protocol_data: &'a str, in 0..;
        /// Its members.
        members: Vec<DescribedGroupMember<'a>>, in 0..;
        /// What the client may do with it, as bits; `i32::MIN` if it did not ask.
        authorized_operations: i32 = i32::MIN, in 3.., else ignored;
    }

    /// One member.
    struct DescribedGroupMember<'a> {
        /// Its id.
        member_id: &'a str, in 0..;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 4.., else ignored;
        /// What the client calls itself.
        client_id: &'a str, in 0..;
        /// Where it connects from.
        client_host: &'a str, in 0..;
        /// What it sent for the chosen protocol, if the group is stable.
        member_metadata: &'a [u8], in 0..;
        /// Its share of the work, if the group is stable.
        member_assignment: &'a [u8], in 0..;
    }
}
