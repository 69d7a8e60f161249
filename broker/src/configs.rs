//! Configs on behalf of a client: what is set, where, and changes to it; for both dialects.

use std::rc::Rc;

use protocol::ErrorCode;
use protocol::metadata::config::{Described, Layers};
use protocol::metadata::control::{AlterConfigs, Command, ConfigTarget, Mode, Refusal, Reply};
use protocol::metadata::{Image, Resource, topic_name};

use crate::decide::{decide, unexpected};
use crate::resource;
use crate::shard::Shard;

/// The resource a client names by Kafka's number for its kind, and its name.
pub(crate) fn target(kind: i8, name: &str) -> ConfigTarget {
    match kind {
        resource::TOPIC => ConfigTarget::Topic(name.to_owned()),
        resource::BROKER => ConfigTarget::Broker(name.to_owned()),
        resource::GROUP => ConfigTarget::Group(name.to_owned()),
        other => ConfigTarget::Other(other, name.to_owned()),
    }
}

/// Changes configs; one result for each wish. What was changed counts on every shard.
pub(crate) async fn alter(
    shard: &Rc<Shard>,
    wishes: Vec<AlterConfigs>,
    mode: Mode,
) -> Vec<Result<(), Refusal>> {
    let count = wishes.len();
    match decide(shard, Command::AlterConfigs(wishes, mode)).await {
        Ok(Reply::AlterConfigs(results)) => results,
        Ok(_) => vec![Err(unexpected()); count],
        Err(refusal) => vec![Err(refusal); count],
    }
}

/// Every config of a resource, also those nobody has set.
///
/// # Errors
/// There is no such resource here.
pub(crate) fn describe(
    shard: &Shard,
    image: &Image,
    target: &ConfigTarget,
) -> Result<Vec<Described>, Refusal> {
    let refuse = |code, message: String| Err(Refusal { code, message });
    let layers = Layers::new(image, shard.node.broker_id, &shard.config.kafka_settings);
    match target {
        ConfigTarget::Topic(name) => {
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
        ConfigTarget::Broker(name) if name.is_empty() => Ok(layers.describe_cluster()),
        ConfigTarget::Broker(name) => {
            check_broker(shard, name)?;
            Ok(layers.describe_broker())
        }
        ConfigTarget::Other(resource::BROKER_LOGGER, name) => {
            check_broker(shard, name)?;
            Ok(Vec::new())
        }
        ConfigTarget::Group(name) if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, "Group name must not be empty".to_owned())
        }
        ConfigTarget::Group(name) => {
            Ok(layers.describe_group(image.configs(&Resource::Group(name.clone()))))
        }
        // Nobody can have set anything there yet.
        ConfigTarget::Other(resource::CLIENT_METRICS, _) => Ok(Vec::new()),
        ConfigTarget::Other(kind, _) => {
            refuse(ErrorCode::InvalidRequest, format!("Unsupported resource type: {kind}"))
        }
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
