//! DescribeConfigs (key 32), versions 1 to 4: every config of topics and brokers, and where its value was set.
//!
//! All keys are listed, also those nobody has set: tools compare the list with what they want.

use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::kafka::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use protocol::metadata::Image;
use protocol::metadata::config::Described;
use protocol::metadata::control::Refusal;

use super::{Broken, Request};
use crate::answer::Answer;
use crate::configs;
use crate::shard::Shard;

/// Describes each resource.
pub(super) fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DescribeConfigsRequest<'_>>()?;
    let image = request.shard.view.image();
    let mut seen = BTreeSet::new();
    let described: Vec<_> = body
        .resources
        .iter()
        .map(|resource| {
            // A small request that names one resource often must not make a huge answer.
            if !seen.insert((resource.resource_type, resource.resource_name)) {
                let message = "Each resource must appear at most once.".to_owned();
                return Err(Refusal { code: ErrorCode::InvalidRequest, message });
            }
            describe(&request.shard, &image, resource)
        })
        .collect();
    let results = body.resources.iter().zip(&described).map(|(resource, described)| {
        let head = DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            ..DescribeConfigsResult::default()
        };
        match described {
            Ok(configs) => DescribeConfigsResult {
                configs: configs.iter().map(|config| entry(config, &body)).collect(),
                ..head
            },
            Err(refusal) => DescribeConfigsResult {
                error_code: refusal.code,
                error_message: Some(&refusal.message),
                ..head
            },
        }
    });
    request.answer(&DescribeConfigsResponse {
        results: results.collect(),
        ..DescribeConfigsResponse::default()
    })
}

fn describe(
    shard: &Shard,
    image: &Image,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<Described>, Refusal> {
    let target = configs::target(resource.resource_type, resource.resource_name);
    let mut configs = configs::describe(shard, image, &target)?;
    if let Some(keys) = &resource.configuration_keys
        && !keys.is_empty()
    {
        configs.retain(|config| keys.contains(&config.key.name));
    }
    Ok(configs)
}

fn entry<'a>(
    config: &'a Described,
    asked: &DescribeConfigsRequest<'_>,
) -> DescribeConfigsResourceResult<'a> {
    let synonyms = config.synonyms.iter().map(|synonym| DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value.as_deref(),
        source: synonym.source.code(),
    });
    DescribeConfigsResourceResult {
        name: config.key.name,
        value: config.value.as_deref(),
        read_only: config.read_only,
        config_source: config.source.code(),
        is_sensitive: false,
        synonyms: if asked.include_synonyms { synonyms.collect() } else { Vec::new() },
        config_type: config.key.kind.code(),
        documentation: asked.include_documentation.then_some(config.key.doc),
    }
}
