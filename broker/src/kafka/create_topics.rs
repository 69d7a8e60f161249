//! CreateTopics (key 19), versions 2 to 7: create topics, or say what would come of it.

use protocol::kafka::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use protocol::metadata::control::{CreatedTopic, Mode, NewTopic, Refusal};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::topics;

/// Creates them; the answer says that they are there on every shard.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<CreateTopicsRequest<'_>>()?;
    let mode = if body.validate_only { Mode::Validate } else { Mode::Apply };
    let wishes = body.topics.iter().map(wish).collect();
    let results = topics::create(&request.shard, wishes, mode).await;
    let answers =
        body.topics.iter().zip(&results).map(|(topic, result)| answer(topic.name, result));
    request.answer(&CreateTopicsResponse {
        topics: answers.collect(),
        ..CreateTopicsResponse::default()
    })
}

fn wish(topic: &CreatableTopic<'_>) -> NewTopic {
    NewTopic {
        name: topic.name.to_owned(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assignment| (assignment.partition_index, assignment.broker_ids.clone()))
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_owned(), config.value.map(str::to_owned)))
            .collect(),
    }
}

fn answer<'a>(
    name: &'a str,
    result: &'a Result<CreatedTopic, Refusal>,
) -> CreatableTopicResult<'a> {
    let created = match result {
        Ok(created) => created,
        Err(refusal) => {
            return CreatableTopicResult {
                name,
                error_code: refusal.code,
                error_message: Some(&refusal.message),
                configs: Some(Vec::new()),
                ..CreatableTopicResult::default()
            };
        }
    };
    let configs = created.configs.iter().map(|config| CreatableTopicConfigs {
        name: config.key.name,
        value: config.value.as_deref(),
        read_only: config.read_only,
        config_source: config.source.code(),
        is_sensitive: false,
    });
    CreatableTopicResult {
        name,
        topic_id: created.id,
        num_partitions: created.partitions,
        replication_factor: created.replication_factor,
        configs: Some(configs.collect()),
        ..CreatableTopicResult::default()
    }
}
