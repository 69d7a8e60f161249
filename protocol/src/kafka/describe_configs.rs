//! DescribeConfigs (key 32): the settings of topics, brokers and groups, and where they come from.
//!
//! Served in versions 1 to 4. 3 types and explanations; 4 flexible.

use crate::error_code::ErrorCode;

crate::message! {
    /// Whose settings are wanted.
    struct DescribeConfigsRequest<'a> {
        /// One entry for each resource.
        resources: Vec<DescribeConfigsResource<'a>>, in 0..;
        /// Whether to list the values that were overruled, too.
        include_synonyms: bool, in 1..;
        /// Whether to explain each setting.
        include_documentation: bool, in 3..;
    }

    /// One resource.
    struct DescribeConfigsResource<'a> {
        /// The kind of resource: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8, in 0..;
        /// Its name: a topic, a broker's number, a group.
        resource_name: &'a str, in 0..;
        /// The settings wanted; null for all.
        configuration_keys: Option<Vec<&'a str>>, in 0..;
    }

    /// The settings.
    struct DescribeConfigsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// One entry for each resource.
        results: Vec<DescribeConfigsResult<'a>>, in 0..;
    }

    /// One resource's settings.
    struct DescribeConfigsResult<'a> {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 0..;
        /// The kind of resource: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8, in 0..;
        /// Its name: a topic, a broker's number, a group.
        resource_name: &'a str, in 0..;
        /// One entry for each setting.
        configs: Vec<DescribeConfigsResourceResult<'a>>, in 0..;
    }

    /// One setting.
    struct DescribeConfigsResourceResult<'a> {
        /// The setting.
        name: &'a str, in 0..;
        /// Its value.
        value: Option<&'a str>, in 0..;
        /// Whether it cannot be changed while the broker runs.
        read_only: bool, in 0..;
        /// Where the value comes from: 1 topic, 2 broker, 3 whole cluster, 4 the broker's own file, 5 the default.
        config_source: i8 = -1, in 1..;
        /// Whether the value is a secret and therefore left out.
        is_sensitive: bool, in 0..;
        /// Every value that is set for it, the one in force first.
        synonyms: Vec<DescribeConfigsSynonym<'a>>, in 1..;
        /// What kind of value: 1 boolean, 2 string, 3 i32, 4 i16, 5 i64, 6 f64, 7 list, 8 class, 9 password.
        config_type: i8, in 3.., else ignored;
        /// What it does.
        documentation: Option<&'a str>, in 3.., else ignored;
    }

    /// One value set for a setting.
    struct DescribeConfigsSynonym<'a> {
        /// The name under which it is set.
        name: &'a str, in 1..;
        /// Its value.
        value: Option<&'a str>, in 1..;
        /// Where this value comes from, as in `config_source`.
        source: i8, in 1..;
    }
}
