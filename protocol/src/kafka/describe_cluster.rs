//! DescribeCluster (key 60): the brokers and the cluster's id.
//!
//! Served in versions 0 to 2, all flexible. 1 controllers as well; 2 fenced brokers.

use crate::error_code::ErrorCode;

crate::message! {
    /// Who is in the cluster?
    struct DescribeClusterRequest {
        /// Whether to say what the client may do with the cluster.
        include_cluster_authorized_operations: bool, in 0..;
        /// 1 for brokers, 2 for controllers.
        endpoint_type: i8 = 1, in 1..;
        /// Whether to list brokers that are registered but fenced.
        include_fenced_brokers: bool, in 2..;
    }

    /// Who is in the cluster.
    struct DescribeClusterResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// What went wrong, for a human.
        error_message: Option<&'a str>, in 0..;
        /// 1 for brokers, 2 for controllers.
        endpoint_type: i8 = 1, in 1..;
        /// The cluster's id.
        cluster_id: &'a str, in 0..;
        /// The broker that takes administrative requests, or -1.
        controller_id: i32 = -1, in 0..;
        /// Every live broker.
        brokers: Vec<DescribeClusterBroker<'a>>, in 0..;
        /// What the client may do with the cluster, as bits; `i32::MIN` if it did not ask.
        cluster_authorized_operations: i32 = i32::MIN, in 0..;
    }

    /// One broker.
    struct DescribeClusterBroker<'a> {
        /// The broker.
        broker_id: i32, in 0..;
        /// Its host name.
        host: &'a str, in 0..;
        /// Its port.
        port: i32, in 0..;
        /// The rack it stands in.
        rack: Option<&'a str>, in 0..;
        /// Whether it is fenced.
        is_fenced: bool, in 2..;
    }
}
