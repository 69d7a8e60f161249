//! ListGroups (key 16): the groups that live on this broker.
//!
//! Served in versions 0 to 5. 1 throttle time; 3 flexible; 4 by state (KIP-518); 5 by type (KIP-848).

use crate::error_code::ErrorCode;

crate::message! {
    /// Which groups live here?
    struct ListGroupsRequest<'a> {
        /// Only groups in one of these states; empty for all.
        states_filter: Vec<&'a str>, in 4..;
        /// Only groups of one of these types; empty for all.
        types_filter: Vec<&'a str>, in 5..;
    }

    /// The groups.
    struct ListGroupsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1.., else ignored;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// One entry for each group.
        groups: Vec<ListedGroup<'a>>, in 0.., capped Groups;
    }

    /// One group.
    struct ListedGroup<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// What kind of group it is; empty if it only has offsets.
        protocol_type: &'a str, in 0..;
        /// Its state.
        group_state: &'a str, in 4.., else ignored;
        /// Its type: `classic` or `consumer`.
        group_type: &'a str, in 5.., else ignored;
    }
}
