//! Metadata (key 3), versions 0 to 13: brokers, topics, and who leads each partition.
//!
//! A topic that is missing is created if both the client and `auto.create.topics.enable` allow it; the answer waits
//! until it exists, so no client has to ask twice.

use std::collections::BTreeSet;

use protocol::kafka::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use protocol::metadata::{Image, Topic, topic_name};
use protocol::{ErrorCode, TopicId};

use super::{Broken, Request, brokers};
use crate::answer::Answer;
use crate::brokers::seen;
use crate::connection::Dialect;
use crate::topics::{Failed, create_missing, missing_code};

/// One topic the client asks for. The order makes duplicates meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Asked<'a> {
    Name(&'a str),
    Id(TopicId),
    /// Neither, or an id in a version that cannot answer one.
    Nothing,
}

/// Describes what is asked for.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<MetadataRequest<'_>>()?;
    let asked = asked(&body, request.version.number);
    let mut failed = Failed::new();
    if let Some(asked) = &asked
        && body.allow_auto_topic_creation
    {
        let names = asked.iter().filter_map(|asked| match asked {
            Asked::Name(name) => Some(*name),
            Asked::Id(_) | Asked::Nothing => None,
        });
        failed = create_missing(&request.shard, &names.collect()).await;
    }

    let shard = &request.shard;
    let image = shard.view.image();
    let operations =
        brokers::operations(body.include_topic_authorized_operations, brokers::TOPIC_OPERATIONS);
    let topics = match &asked {
        None => image.topics().map(|topic| describe(&image, topic, operations)).collect(),
        Some(asked) => {
            asked.iter().map(|asked| answer_one(&image, asked, &failed, operations)).collect()
        }
    };
    let seen = seen(shard, &image, Dialect::Kafka);
    request.answer(&MetadataResponse {
        brokers: seen
            .iter()
            .map(|broker| MetadataResponseBroker {
                node_id: broker.id.get(),
                host: broker.host,
                port: broker.port.into(),
                rack: broker.rack,
            })
            .collect(),
        cluster_id: Some(&shard.node.cluster_id),
        controller_id: shard.node.broker_id.get(),
        topics,
        cluster_authorized_operations: brokers::operations(
            body.include_cluster_authorized_operations,
            brokers::CLUSTER_OPERATIONS,
        ),
        ..MetadataResponse::default()
    })
}

/// The topics asked for, each once; `None` for all.
fn asked<'a>(body: &MetadataRequest<'a>, version: i16) -> Option<BTreeSet<Asked<'a>>> {
    let topics = body.topics.as_ref()?;
    if version == 0 && topics.is_empty() {
        return None;
    }
    let one = |name: Option<&'a str>, id: TopicId| match name {
        _ if !id.is_zero() && version < 12 => Asked::Nothing,
        Some(name) if id.is_zero() => Asked::Name(name),
        Some(_) | None if !id.is_zero() => Asked::Id(id),
        Some(_) | None => Asked::Nothing,
    };
    Some(topics.iter().map(|topic| one(topic.name, topic.topic_id)).collect())
}

fn answer_one<'a>(
    image: &'a Image,
    asked: &Asked<'a>,
    failed: &Failed,
    operations: i32,
) -> MetadataResponseTopic<'a> {
    match *asked {
        Asked::Name(name) => match image.topic_by_name(name) {
            Some(topic) => describe(image, topic, operations),
            None => MetadataResponseTopic {
                error_code: missing_code(name, failed),
                name: Some(name),
                is_internal: topic_name::is_internal(name),
                ..MetadataResponseTopic::default()
            },
        },
        Asked::Id(id) => match image.topic(id) {
            Some(topic) => describe(image, topic, operations),
            None => MetadataResponseTopic {
                error_code: ErrorCode::UnknownTopicId,
                topic_id: id,
                ..MetadataResponseTopic::default()
            },
        },
        Asked::Nothing => MetadataResponseTopic {
            error_code: ErrorCode::InvalidRequest,
            name: Some(""),
            ..MetadataResponseTopic::default()
        },
    }
}

fn describe<'a>(image: &Image, topic: &'a Topic, operations: i32) -> MetadataResponseTopic<'a> {
    let partitions = topic.indexed().map(|(index, partition)| MetadataResponsePartition {
        error_code: match partition.leader {
            Some(_) => ErrorCode::None,
            None => ErrorCode::LeaderNotAvailable,
        },
        partition_index: index.get(),
        leader_id: brokers::leader(partition),
        leader_epoch: partition.leader_epoch.get(),
        replica_nodes: brokers::ids(&partition.replicas),
        isr_nodes: brokers::ids(&partition.in_sync),
        offline_replicas: brokers::offline(image, partition),
    });
    MetadataResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: topic_name::is_internal(&topic.name),
        partitions: partitions.collect(),
        topic_authorized_operations: operations,
        ..MetadataResponseTopic::default()
    }
}
