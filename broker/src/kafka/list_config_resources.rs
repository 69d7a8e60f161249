//! ListConfigResources (key 74), versions 0 and 1: which resources have configs (KIP-1142).

use protocol::ErrorCode;
use protocol::kafka::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use protocol::metadata::Resource;

use super::{Broken, Request};
use crate::answer::Answer;
use crate::resource;

/// What is listed if the client names no type.
const ALL: [i8; 5] = [
    resource::TOPIC,
    resource::BROKER,
    resource::BROKER_LOGGER,
    resource::CLIENT_METRICS,
    resource::GROUP,
];

/// Lists them.
pub(super) fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<ListConfigResourcesRequest>()?;
    let asked = match (request.version.number, body.resource_types.as_slice()) {
        // Before version 1 the request was about client metrics alone.
        (0, _) => &[resource::CLIENT_METRICS][..],
        (_, []) => &ALL,
        (_, types) => types,
    };
    if asked.iter().any(|kind| !ALL.contains(kind)) {
        return request.answer(&ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion,
            ..ListConfigResourcesResponse::default()
        });
    }
    let image = request.shard.view.image();
    let brokers: Vec<String> = image.brokers().map(|broker| broker.broker.to_string()).collect();
    let groups: Vec<&str> = image
        .configured()
        .filter_map(|resource| match resource {
            Resource::Group(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let mut resources = Vec::new();
    for kind in ALL.into_iter().filter(|kind| asked.contains(kind)) {
        let named = |resource_name| ConfigResource { resource_name, resource_type: kind };
        match kind {
            resource::TOPIC => resources.extend(image.topics().map(|topic| named(&topic.name))),
            resource::BROKER | resource::BROKER_LOGGER => {
                resources.extend(brokers.iter().map(|broker| named(broker)));
            }
            resource::GROUP => resources.extend(groups.iter().map(|group| named(group))),
            // Client metrics have none yet.
            _ => {}
        }
    }
    request.answer(&ListConfigResourcesResponse {
        config_resources: resources,
        ..ListConfigResourcesResponse::default()
    })
}
