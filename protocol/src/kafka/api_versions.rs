//! ApiVersions (key 18): what do you speak?
//!
//! Served in versions 0 to 4. 1 throttle time; 3 flexible, client name, features; 4 features whose lowest version is 0.
//! The response's header is of version 0 always, and an unknown version is answered with a body of version 0.

use crate::error_code::ErrorCode;

crate::message! {
    /// What does the broker speak?
    struct ApiVersionsRequest<'a> {
        /// The client library's name.
        client_software_name: &'a str, in 3.., else ignored;
        /// The client library's version.
        client_software_version: &'a str, in 3.., else ignored;
    }

    /// What the broker speaks.
    struct ApiVersionsResponse<'a> {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// One entry for each API.
        api_keys: Vec<ApiVersion>, in 0..;
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 1.., else ignored;
    } tagged {
        /// Features that this broker could support.
        0 => supported_features: Vec<SupportedFeatureKey<'a>>, in 3.., else ignored;
        /// When the finalized features last changed, or -1.
        1 => finalized_features_epoch: i64 = -1, in 3.., else ignored;
        /// Features that the whole cluster has agreed on.
        2 => finalized_features: Vec<FinalizedFeatureKey<'a>>, in 3.., else ignored;
        /// Of no meaning any more.
        3 => zk_migration_ready: bool, in 3.., else ignored;
    }

    /// The versions of one API.
    struct ApiVersion {
        /// The API.
        api_key: i16, in 0..;
        /// The lowest version.
        min_version: i16, in 0..;
        /// The highest version.
        max_version: i16, in 0..;
    }

    /// One feature that the broker could support.
    struct SupportedFeatureKey<'a> {
        /// The feature.
        name: &'a str, in 3..;
        /// The lowest version.
        min_version: i16, in 3..;
        /// The highest version.
        max_version: i16, in 3..;
    }

    /// One feature that the cluster has agreed on.
    struct FinalizedFeatureKey<'a> {
        /// The feature.
        name: &'a str, in 3..;
        /// The highest level in use.
        max_version_level: i16, in 3..;
        /// The lowest level in use.
        min_version_level: i16, in 3..;
    }
}
