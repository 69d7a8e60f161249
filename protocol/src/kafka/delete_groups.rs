//! DeleteGroups (key 42): forget groups that have no members.
//!
//! Served in versions 0 to 2. 2 flexible.

use crate::error_code::ErrorCode;

crate::message! {
    /// Groups to forget.
    struct DeleteGroupsRequest<'a> {
        /// The groups.
        groups_names: Vec<&'a str>, in 0.., capped Groups;
    }

    /// What became of each group.
    struct DeleteGroupsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// One entry for each group.
        results: Vec<DeletableGroupResult<'a>>, in 0.., capped Groups;
    }

    /// What became of one group.
    struct DeletableGroupResult<'a> {
        /// The group.
        group_id: &'a str, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
    }
}
