//! FindCoordinator (key 10): which broker is the home of a group or a transactional id?
//!
//! Served in versions 0 to 6. 1 transactional ids; 3 flexible; 4 many keys at once (KIP-699); 5 abortable errors
//! (KIP-890); 6 share groups (KIP-932).

use crate::error_code::ErrorCode;

crate::message! {
    /// Which broker is the home of these groups or transactions?
    struct FindCoordinatorRequest<'a> {
        /// The group, transactional id or share partition.
        key: &'a str, in 0..=3;
        /// What the keys are: 0 groups, 1 transactional ids, 2 share partitions.
        key_type: i8, in 1..;
        /// The keys, since version 4.
        coordinator_keys: Vec<&'a str>, in 4.., capped Groups;
    }

    /// The homes.
    struct FindCoordinatorResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1.., else ignored;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..=3;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 1..=3, else ignored;
        /// The broker.
        node_id: i32, in 0..=3;
        /// Its host name.
        host: &'a str, in 0..=3;
        /// Its port.
        port: i32, in 0..=3;
        /// One entry for each key, since version 4.
        coordinators: Vec<Coordinator<'a>>, in 4.., capped Groups;
    }

    /// The home of one key.
    struct Coordinator<'a> {
        /// The group, transactional id or share partition.
        key: &'a str, in 4..;
        /// The broker.
        node_id: i32, in 4..;
        /// Its host name.
        host: &'a str, in 4..;
        /// Its port.
        port: i32, in 4..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 4..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 4.., else ignored;
    }
}
