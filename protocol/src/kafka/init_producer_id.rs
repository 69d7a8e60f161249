//! InitProducerId (key 22): a producer asks for its id and epoch.
//!
//! Served in versions 0 to 5. 2 flexible; 3 epoch bump for a known producer (KIP-360); 4 fencing has its own error;
//! 5 abortable errors (KIP-890).

use crate::error_code::ErrorCode;

crate::message! {
    /// A producer asks for its id, or for a new epoch.
    struct InitProducerIdRequest<'a> {
        /// Set by a transactional producer.
        transactional_id: Option<&'a str>, in 0..;
        /// After how long without an end its transactions may be aborted, in milliseconds.
        transaction_timeout_ms: i32, in 0..;
        /// The producer, or -1.
        producer_id: i64 = -1, in 3..;
        /// Its epoch, or -1.
        producer_epoch: i16 = -1, in 3..;
    }

    /// The producer's id and epoch.
    struct InitProducerIdResponse {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// The producer, or -1.
        producer_id: i64 = -1, in 0..;
        /// Its epoch, or -1.
        producer_epoch: i16, in 0..;
    }
}
