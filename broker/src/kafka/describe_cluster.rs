//! DescribeCluster (key 60), versions 0 to 2: the cluster's id and its brokers.

use protocol::ErrorCode;
use protocol::kafka::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::{Broken, Request, brokers};
use crate::answer::Answer;
use crate::brokers::seen;
use crate::connection::Dialect;

/// Brokers, as opposed to controllers.
const BROKERS: i8 = 1;
/// Controllers, which only answer at an address of their own.
const CONTROLLERS: i8 = 2;

/// Describes the cluster.
pub(super) fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DescribeClusterRequest>()?;
    let refused = match body.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
        )),
        _ => Some((ErrorCode::UnsupportedEndpointType, "Unsupported endpoint type")),
    };
    if let Some((error_code, message)) = refused {
        return request.answer(&DescribeClusterResponse {
            error_code,
            error_message: Some(message),
            endpoint_type: body.endpoint_type,
            ..DescribeClusterResponse::default()
        });
    }
    let shard = &request.shard;
    let image = shard.view.image();
    let seen = seen(shard, &image, Dialect::Kafka);
    request.answer(&DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: &shard.node.cluster_id,
        controller_id: shard.node.broker_id.get(),
        brokers: seen
            .iter()
            .map(|broker| DescribeClusterBroker {
                broker_id: broker.id.get(),
                host: broker.host,
                port: broker.port.into(),
                rack: broker.rack,
                is_fenced: false,
            })
            .collect(),
        cluster_authorized_operations: brokers::operations(
            body.include_cluster_authorized_operations,
            brokers::CLUSTER_OPERATIONS,
        ),
        ..DescribeClusterResponse::default()
    })
}
