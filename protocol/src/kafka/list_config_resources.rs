//! ListConfigResources (key 74): which resources have settings?
//!
//! Served in versions 0 and 1, flexible. Version 0 lists client metrics only; 1 every kind (KIP-1142).

use crate::error_code::ErrorCode;

crate::message! {
    /// Which resources have settings?
    struct ListConfigResourcesRequest {
        /// The kinds wanted; empty for all.
        resource_types: Vec<i8>, in 1..;
    }

    /// The resources that have settings.
    struct ListConfigResourcesResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// One entry for each resource.
        config_resources: Vec<ConfigResource<'a>>, in 0..;
    }

    /// One resource.
    struct ConfigResource<'a> {
        /// Its name: a topic, a broker's number, a group.
        resource_name: &'a str, in 0..;
        /// The kind of resource: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8 = 16, in 1.., else ignored;
    }
}
