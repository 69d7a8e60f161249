//! Heartbeat (key 12): a member says that it lives, and learns of a rebalance.
//!
//! Served in versions 0 to 4. 1 throttle time; 3 static members (KIP-345); 4 flexible.

use crate::error_code::ErrorCode;

crate::message! {
    /// A member that lives.
    struct HeartbeatRequest<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// The generation that the member knows.
        generation_id: i32, in 0..;
        /// The member.
        member_id: &'a str, in 0..;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 3..;
    }

    /// Whether its generation still stands.
    struct HeartbeatResponse {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1.., else ignored;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
    }
}
