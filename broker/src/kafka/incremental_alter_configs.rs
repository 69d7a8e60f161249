//! IncrementalAlterConfigs (key 44), versions 0 and 1: change single configs and leave the others alone (KIP-339).

use protocol::ErrorCode;
use protocol::kafka::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use protocol::metadata::control::{AlterConfigs, ConfigOperation, Mode, OperationKind, Refusal};

use super::alter_configs::told;
use super::{Broken, Request};
use crate::answer::Answer;
use crate::configs::{alter, target};

/// Changes them; the answer says that they count on every shard.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<IncrementalAlterConfigsRequest<'_>>()?;
    let mode = if body.validate_only { Mode::Validate } else { Mode::Apply };
    let wishes: Vec<_> = body.resources.iter().map(wish).collect();
    let understood = wishes.iter().filter_map(|wish| wish.as_ref().ok().cloned()).collect();
    let mut decided = alter(&request.shard, understood, mode).await.into_iter();
    let results: Vec<Result<(), Refusal>> = wishes
        .into_iter()
        .map(|wish| wish.and_then(|_| decided.next().unwrap_or(Ok(()))))
        .collect();
    let responses = body.resources.iter().zip(&results).map(|(resource, result)| {
        let (error_code, error_message) = told(result);
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        }
    });
    request.answer(&IncrementalAlterConfigsResponse {
        responses: responses.collect(),
        ..IncrementalAlterConfigsResponse::default()
    })
}

fn wish(resource: &AlterConfigsResource<'_>) -> Result<AlterConfigs, Refusal> {
    let operations = resource.configs.iter().map(|config| {
        let kind = OperationKind::new(config.config_operation).ok_or_else(|| Refusal {
            code: ErrorCode::InvalidRequest,
            message: format!("Unknown operation type {}", config.config_operation),
        })?;
        let value = config.value.map(str::to_owned);
        Ok(ConfigOperation { key: config.name.to_owned(), kind, value })
    });
    Ok(AlterConfigs {
        target: target(resource.resource_type, resource.resource_name),
        operations: operations.collect::<Result<_, Refusal>>()?,
        replace: false,
    })
}
