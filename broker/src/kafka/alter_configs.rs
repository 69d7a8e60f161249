//! AlterConfigs (key 33), versions 0 to 2: give a resource exactly these configs.
//!
//! What is not named falls back to its default; [`super::incremental_alter_configs`] leaves it alone.

use protocol::ErrorCode;
use protocol::kafka::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use protocol::metadata::control::{
    AlterConfigs, Command, ConfigOperation, ConfigTarget, Mode, OperationKind, Refusal, Reply,
};

use super::{Broken, Request, resource};
use crate::answer::Answer;
use crate::decide::decide;

/// Changes them; the answer says that they count on every shard.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<AlterConfigsRequest<'_>>()?;
    let mode = if body.validate_only { Mode::Validate } else { Mode::Apply };
    let wishes: Vec<_> = body.resources.iter().map(wish).collect();
    let results = alter(request, wishes, mode).await;
    let responses = body.resources.iter().zip(&results).map(|(resource, result)| {
        let (error_code, error_message) = told(result);
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        }
    });
    request.answer(&AlterConfigsResponse {
        responses: responses.collect(),
        ..AlterConfigsResponse::default()
    })
}

fn wish(resource: &AlterConfigsResource<'_>) -> AlterConfigs {
    let set = resource.configs.iter().map(|config| ConfigOperation {
        key: config.name.to_owned(),
        kind: OperationKind::Set,
        value: config.value.map(str::to_owned),
    });
    AlterConfigs {
        target: target(resource.resource_type, resource.resource_name),
        operations: set.collect(),
        replace: true,
    }
}

/// The resource a client names by type and name.
pub(super) fn target(kind: i8, name: &str) -> ConfigTarget {
    match kind {
        resource::TOPIC => ConfigTarget::Topic(name.to_owned()),
        resource::BROKER => ConfigTarget::Broker(name.to_owned()),
        other => ConfigTarget::Other(other, name.to_owned()),
    }
}

/// Has the controller change configs; one result for each wish.
pub(super) async fn alter(
    request: &Request,
    wishes: Vec<AlterConfigs>,
    mode: Mode,
) -> Vec<Result<(), Refusal>> {
    let count = wishes.len();
    match decide(&request.shard, Command::AlterConfigs(wishes, mode)).await {
        Ok(Reply::AlterConfigs(results)) => results,
        Ok(_) => Vec::new(),
        Err(refusal) => vec![Err(refusal); count],
    }
}

/// Code and message of one result.
pub(super) fn told(result: &Result<(), Refusal>) -> (ErrorCode, Option<&str>) {
    match result {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => (refusal.code, Some(&refusal.message)),
    }
}
