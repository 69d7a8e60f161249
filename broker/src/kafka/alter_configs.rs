//! AlterConfigs (key 33), versions 0 to 2: give a resource exactly these configs.
//!
//! What is not named falls back to its default; [`super::incremental_alter_configs`] leaves it alone.

use protocol::ErrorCode;
use protocol::kafka::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use protocol::metadata::control::{AlterConfigs, ConfigOperation, Mode, OperationKind, Refusal};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::configs::{alter, target};

/// Changes them; the answer says that they count on every shard.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<AlterConfigsRequest<'_>>()?;
    let mode = if body.validate_only { Mode::Validate } else { Mode::Apply };
    let wishes: Vec<_> = body.resources.iter().map(wish).collect();
    let results = alter(&request.shard, wishes, mode).await;
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

/// Code and message of one result.
pub(super) fn told(result: &Result<(), Refusal>) -> (ErrorCode, Option<&str>) {
    match result {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => (refusal.code, Some(&refusal.message)),
    }
}
