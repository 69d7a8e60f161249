//! JoinGroup (key 11): become a member of a group and wait for its next generation.
//!
//! Served in versions 0 to 9. 1 rebalance timeout; 2 throttle time; 4 a member id is given first (KIP-394); 5 static
//! members (KIP-345); 6 flexible; 7 protocol type in the answer; 8 reason (KIP-800); 9 skip assignment (KIP-814).

use crate::error_code::ErrorCode;

crate::message! {
    /// A client that wants to be a member.
    struct JoinGroupRequest<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// A member that is silent for longer is dead.
        session_timeout_ms: i32, in 0..;
        /// How long a rebalance waits for this member, or -1 for as long as the session.
        rebalance_timeout_ms: i32 = -1, in 1.., else ignored;
        /// The id that the broker gave it, or none yet.
        member_id: &'a str, in 0..;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 5..;
        /// What kind of group this is: `consumer`, `connect`, `sr` or any other word.
        protocol_type: &'a str, in 0..;
        /// The ways of sharing work that this member knows, the one it likes best first.
        protocols: Vec<JoinGroupRequestProtocol<'a>>, in 0..;
        /// Why it joins, for a human.
        reason: Option<&'a str>, in 8.., else ignored;
    }

    /// One way of sharing work.
    struct JoinGroupRequestProtocol<'a> {
        /// Its name.
        name: &'a str, in 0..;
        /// What the leader must know of this member; opaque to the broker.
        metadata: &'a [u8], in 0..;
    }

    /// The generation that the client is a member of.
    struct JoinGroupResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 2.., else ignored;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The generation, or -1.
        generation_id: i32 = -1, in 0..;
        /// What kind of group this is.
        protocol_type: Option<&'a str>, in 7.., else ignored;
        /// The way of sharing work that all members know.
        protocol_name: Option<&'a str>, in 0.., nullable 7..;
        /// The member that shares the work out.
        leader: &'a str, in 0..;
        /// Whether the leader need not share anything out: the last assignment stands.
        skip_assignment: bool, in 9..;
        /// The id of this member.
        member_id: &'a str, in 0..;
        /// Every member, for the leader only.
        members: Vec<JoinGroupResponseMember<'a>>, in 0..;
    }

    /// One member as the leader sees it.
    struct JoinGroupResponseMember<'a> {
        /// Its id.
        member_id: &'a str, in 0..;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 5.., else ignored;
        /// What it sent for the chosen protocol.
        metadata: &'a [u8], in 0..;
    }
}
