//! LeaveGroup (key 13): members go, by themselves or sent away by an administrator.
//!
//! Served in versions 0 to 5. 1 throttle time; 3 many members at once, static ones by name (KIP-345); 4 flexible;
//! 5 reason (KIP-800).

use crate::error_code::ErrorCode;

crate::message! {
    /// Members that go.
    struct LeaveGroupRequest<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// The member.
        member_id: &'a str, in 0..=2;
        /// The members, since version 3.
        members: Vec<MemberIdentity<'a>>, in 3..;
    }

    /// One member that goes.
    struct MemberIdentity<'a> {
        /// The member; empty if the static name says enough.
        member_id: &'a str, in 3..;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 3..;
        /// Why it goes, for a human.
        reason: Option<&'a str>, in 5.., else ignored;
    }

    /// Who is gone.
    struct LeaveGroupResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1.., else ignored;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// One entry for each member, since version 3.
        members: Vec<MemberResponse<'a>>, in 3..;
    }

    /// Whether one member is gone.
    struct MemberResponse<'a> {
        /// The member.
        member_id: &'a str, in 3..;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 3..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 3..;
    }
}
