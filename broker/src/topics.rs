//! Topics on behalf of a client: create, delete, grow, and create on first use; for both dialects.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use protocol::metadata::Image;
use protocol::metadata::config::{Layers, broker_key};
use protocol::metadata::control::{
    AddPartitions, Command, CreatedTopic, DeleteTopic, Mode, NewTopic, Refusal, Reply,
};
use protocol::metadata::topic_name;
use protocol::{ErrorCode, TopicId};

use crate::decide::{decide, unexpected};
use crate::shard::Shard;

/// Creates topics; one result for each wish. What was created is there on every shard.
pub(crate) async fn create(
    shard: &Rc<Shard>,
    wishes: Vec<NewTopic>,
    mode: Mode,
) -> Vec<Result<CreatedTopic, Refusal>> {
    let count = wishes.len();
    match decide(shard, Command::CreateTopics(wishes, mode)).await {
        Ok(Reply::CreateTopics(results)) => results,
        Ok(_) => vec![Err(unexpected()); count],
        Err(refusal) => vec![Err(refusal); count],
    }
}

/// Deletes topics; one result for each wish. What was deleted is gone on every shard.
pub(crate) async fn delete(
    shard: &Rc<Shard>,
    wishes: Vec<DeleteTopic>,
) -> Vec<Result<(TopicId, String), Refusal>> {
    let count = wishes.len();
    match decide(shard, Command::DeleteTopics(wishes)).await {
        Ok(Reply::DeleteTopics(results)) => results,
        Ok(_) => vec![Err(unexpected()); count],
        Err(refusal) => vec![Err(refusal); count],
    }
}

/// Gives topics more partitions; one result for each wish. They are there on every shard.
pub(crate) async fn grow(
    shard: &Rc<Shard>,
    wishes: Vec<AddPartitions>,
    mode: Mode,
) -> Vec<Result<(), Refusal>> {
    let count = wishes.len();
    match decide(shard, Command::AddPartitions(wishes, mode)).await {
        Ok(Reply::AddPartitions(results)) => results,
        Ok(_) => vec![Err(unexpected()); count],
        Err(refusal) => vec![Err(refusal); count],
    }
}

/// Topics that could not be created on first use, and why.
pub(crate) type Failed = BTreeMap<String, ErrorCode>;

/// Creates those of the named topics that are missing, if `auto.create.topics.enable` says so.
pub(crate) async fn create_missing(shard: &Rc<Shard>, names: &BTreeSet<&str>) -> Failed {
    let missing: Vec<String> = {
        let image = shard.view.image();
        let missing = names.iter().filter(|name| image.topic_id(name).is_none());
        let missing = missing.map(|name| (*name).to_owned()).collect();
        if !creates_on_use(shard, &image) {
            return Failed::new();
        }
        missing
    };
    if missing.is_empty() {
        return Failed::new();
    }
    let wish = |name: &String| NewTopic {
        name: name.clone(),
        partitions: -1,
        replication_factor: -1,
        ..NewTopic::default()
    };
    let results = create(shard, missing.iter().map(wish).collect(), Mode::Apply).await;
    let failed = missing.into_iter().zip(results);
    failed.filter_map(|(name, result)| Some((name, result.err()?.code))).collect()
}

fn creates_on_use(shard: &Shard, image: &Image) -> bool {
    let layers = Layers::new(image, shard.node.broker_id, &shard.config.kafka_settings);
    broker_key("auto.create.topics.enable")
        .and_then(|key| layers.broker_value(key).0)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// Why a topic is not there. One that somebody else has created meanwhile is just about to be.
pub(crate) fn missing_code(name: &str, failed: &Failed) -> ErrorCode {
    match failed.get(name) {
        Some(ErrorCode::TopicAlreadyExists) => ErrorCode::LeaderNotAvailable,
        Some(code) => *code,
        None if topic_name::check(name).is_err() => ErrorCode::InvalidTopicException,
        None => ErrorCode::UnknownTopicOrPartition,
    }
}
