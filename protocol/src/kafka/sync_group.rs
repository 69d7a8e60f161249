//! SyncGroup (key 14): the leader hands out the work of a generation, and every member receives its share.
//!
//! Served in versions 0 to 5. 1 throttle time; 3 static members (KIP-345); 4 flexible; 5 protocol type and name
//! (KIP-559).

use crate::error_code::ErrorCode;

crate::message! {
    /// A member that wants its share; the leader brings everybody's.
    struct SyncGroupRequest<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// The generation that the member knows.
        generation_id: i32, in 0..;
        /// The member.
        member_id: &'a str, in 0..;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 3..;
        /// The kind of group, if the member wants it compared.
        protocol_type: Option<&'a str>, in 5.., else ignored;
        /// The protocol, if the member wants it compared.
        protocol_name: Option<&'a str>, in 5.., else ignored;
        /// One entry for each member, from the leader only.
        assignments: Vec<SyncGroupRequestAssignment<'a>>, in 0..;
    }

    /// One member's share.
    struct SyncGroupRequestAssignment<'a> {
        /// The member.
        member_id: &'a str, in 0..;
        /// Its share; opaque to the broker.
        assignment: &'a [u8], in 0..;
    }

    /// The member's share.
    struct SyncGroupResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1.., else ignored;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The kind of group.
        protocol_type: Option<&'a str>, in 5.., else ignored;
        /// The protocol.
        protocol_name: Option<&'a str>, in 5.., else ignored;
        /// The share; opaque to the broker.
        assignment: &'a [u8], in 0..;
    }
}
