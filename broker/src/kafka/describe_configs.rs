//! DescribeConfigs (key 32), versions 1 to 4: every config of topics and brokers, and where its value was set.
//!
//! All keys are listed, also those nobody has set: tools compare the list with what they want.

use protocol::ErrorCode;
use protocol::kafka::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use protocol::metadata::config::{Described, Layers};
use protocol::metadata::control::Refusal;
use protocol::metadata::{Image, topic_name};

use super::{Broken, Request, resource};
use crate::answer::Answer;
use crate::shard::Shard;

/// Describes each resource.
pub(super) fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DescribeConfigsRequest<'_>>()?;
    let image = request.shard.view.image();
    let described: Vec<_> =
        body.resources.iter().map(|one| describe(&request.shard, &image, one)).collect();
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
    let mut configs = describe_all(shard, image, resource)?;
    if let Some(keys) = &resource.configuration_keys
        && !keys.is_empty()
    {
        configs.retain(|config| keys.contains(&config.key.name));
    }
    Ok(configs)
}

fn describe_all(
    shard: &Shard,
    image: &Image,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<Described>, Refusal> {
    let refuse = |code, message: String| Err(Refusal { code, message });
    let layers = Layers::new(image, shard.node.broker_id, &shard.config.kafka_settings);
    let name = resource.resource_name;
    match resource.resource_type {
        resource::TOPIC => {
            if let Err(why) = topic_name::check(name) {
                return refuse(ErrorCode::InvalidTopicException, why.to_string());
            }
            match image.topic_by_name(name) {
                Some(topic) => Ok(layers.describe_topic(Some(&topic.configs))),
                None => refuse(
                    ErrorCode::UnknownTopicOrPartition,
                    format!("The topic '{name}' does not exist."),
                ),
            }
        }
        resource::BROKER if name.is_empty() => Ok(layers.describe_cluster()),
        resource::BROKER => {
            check_broker(shard, name)?;
            Ok(layers.describe_broker())
        }
        resource::BROKER_LOGGER => {
            check_broker(shard, name)?;
            Ok(Vec::new())
        }
        resource::GROUP if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, "Group name must not be empty".to_owned())
        }
        // Nobody can have set anything there yet.
        resource::GROUP | resource::CLIENT_METRICS => Ok(Vec::new()),
        kind => refuse(ErrorCode::InvalidRequest, format!("Unsupported resource type: {kind}")),
    }
}

fn check_broker(shard: &Shard, name: &str) -> Result<(), Refusal> {
    let here = shard.node.broker_id.get();
    let message = match name.parse::<i32>() {
        Ok(id) if id == here => return Ok(()),
        Ok(id) => {
            format!("Unexpected broker id, expected {here} or empty string, but received {id}")
        }
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err(Refusal { code: ErrorCode::InvalidRequest, message })
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
