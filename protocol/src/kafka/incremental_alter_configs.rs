//! IncrementalAlterConfigs (key 44): change single settings (KIP-339).
//!
//! Served in versions 0 and 1. 1 flexible.

use crate::error_code::ErrorCode;

crate::message! {
    /// Settings to change one by one.
    struct IncrementalAlterConfigsRequest<'a> {
        /// One entry for each resource.
        resources: Vec<AlterConfigsResource<'a>>, in 0..;
        /// Check the request and change nothing.
        validate_only: bool, in 0..;
    }

    /// One resource's changes.
    struct AlterConfigsResource<'a> {
        /// The kind of resource: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8, in 0..;
        /// Its name: a topic, a broker's number, a group.
        resource_name: &'a str, in 0..;
        /// One entry for each setting.
        configs: Vec<AlterableConfig<'a>>, in 0..;
    }

    /// One change.
    struct AlterableConfig<'a> {
        /// The setting.
        name: &'a str, in 0..;
        /// 0 set, 1 delete, 2 append to the list, 3 take out of the list.
        config_operation: i8, in 0..;
        /// Its value.
        value: Option<&'a str>, in 0..;
    }

    /// What became of each resource.
    struct IncrementalAlterConfigsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// One entry for each resource.
        responses: Vec<AlterConfigsResourceResponse<'a>>, in 0..;
    }

    /// What became of one resource.
    struct AlterConfigsResourceResponse<'a> {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 0..;
        /// The kind of resource: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8, in 0..;
        /// Its name: a topic, a broker's number, a group.
        resource_name: &'a str, in 0..;
    }
}
