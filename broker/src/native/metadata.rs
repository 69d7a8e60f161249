//! Metadata: the cluster, its brokers, and topics by name, by id or all of them, a page at a time.

use std::collections::BTreeSet;
use std::ops::Bound;

use protocol::metadata::{Image, Topic, topic_name};
use protocol::native::TABLES_MAX;
use protocol::native::metadata::{self as wire, RequestView};
use protocol::native::topics::TopicRef;
use protocol::{BrokerId, ErrorCode, TopicId, TopicPartition};

use super::hello::lane;
use super::{Fault, Request};
use crate::answer::Answer;
use crate::brokers::seen;
use crate::connection::Dialect;
use crate::topics::{Failed, create_missing, missing_code};
use crate::view::View;

/// A page of all topics ends when it has so many.
const PAGE_TOPICS_MAX: usize = 2_000;
/// Or when its topics take so many bytes, by the estimate of [`bytes_of`].
const PAGE_BYTES_MAX: usize = 1 << 20;

/// One topic of the answer.
#[derive(Clone, Copy)]
enum Listed<'a> {
    Known(&'a Topic),
    /// Why nothing more is known, and what it was asked for by.
    Missing(ErrorCode, TopicRef<'a>),
}

/// Describes what is asked for.
pub(super) async fn handle(request: &Request<'_>) -> Result<Answer, Fault> {
    let shard = request.shard;
    let body = RequestView::read(&request.frame)?;
    let before = shard.view.image();
    // The answer has one table for itself, and one for each broker and topic.
    if !body.all() && 1 + before.brokers().count() + body.topics().len() > TABLES_MAX {
        return Err(Fault::refused(ErrorCode::InvalidRequest, "too many topics for one answer"));
    }
    drop(before);
    let mut failed = Failed::new();
    if body.create() && !body.all() {
        let names: BTreeSet<&str> = body
            .topics()
            .filter_map(|topic| match topic {
                TopicRef::Name(name) => Some(name),
                TopicRef::Id(_) => None,
            })
            .collect();
        failed = create_missing(shard, &names).await;
    }
    let image = shard.view.image();
    let (listed, next_after) = if body.all() {
        page(&image, body.after(), body.partitions())
    } else {
        (body.topics().map(|topic| find(&image, topic, &failed)).collect(), None)
    };
    let brokers: Vec<wire::Broker<'_>> = seen(shard, &image, Dialect::Native)
        .into_iter()
        .map(|broker| wire::Broker {
            id: broker.id.get(),
            host: broker.host,
            port: broker.port,
            rack: broker.rack.unwrap_or_default(),
            // Brokers do not tell each other how many cores they have; 0 says so.
            lanes: if broker.id == shard.node.broker_id { lane(shard.count()) } else { 0 },
            lane_ports: &[],
        })
        .collect();
    let ids = replica_ids(&listed, body.partitions());
    let partitions = partitions(&listed, body.partitions(), &ids, &shard.view);
    let topics = topics(&listed, &partitions);
    let answer = wire::Answer {
        cluster_id: &shard.node.cluster_id,
        controller: shard.node.broker_id.get(),
        brokers: &brokers,
        topics: &topics,
        next_after,
    };
    request.answer(|correlation, encoder| answer.encode(correlation, encoder))
}

fn find<'a>(image: &'a Image, topic: TopicRef<'a>, failed: &Failed) -> Listed<'a> {
    match topic {
        TopicRef::Name(name) => match image.topic_by_name(name) {
            Some(topic) => Listed::Known(topic),
            None => Listed::Missing(missing_code(name, failed), TopicRef::Name(name)),
        },
        TopicRef::Id(id) => match image.topic(id) {
            Some(topic) => Listed::Known(topic),
            None => Listed::Missing(ErrorCode::UnknownTopicId, TopicRef::Id(id)),
        },
    }
}

/// Topics in the order of their names, beginning after `after`, as many as fit; and the last one's name if more
/// follow. There is always one if there is any, so that a reader moves on.
fn page<'a>(
    image: &'a Image,
    after: &str,
    with_partitions: bool,
) -> (Vec<Listed<'a>>, Option<&'a str>) {
    let start = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(after) };
    let (mut listed, mut bytes) = (Vec::new(), 0);
    let mut last = None;
    for topic in image.topics_from(start) {
        bytes += bytes_of(topic, with_partitions);
        if !listed.is_empty() && (listed.len() == PAGE_TOPICS_MAX || bytes > PAGE_BYTES_MAX) {
            return (listed, last);
        }
        last = Some(&*topic.name);
        listed.push(Listed::Known(topic));
    }
    (listed, None)
}

/// What a topic takes in an answer, about.
fn bytes_of(topic: &Topic, with_partitions: bool) -> usize {
    let fixed = 64 + topic.name.len();
    if !with_partitions {
        return fixed;
    }
    let partitions = topic.partitions.iter();
    fixed + partitions.map(|it| 16 + 4 * (it.replicas.len() + it.in_sync.len())).sum::<usize>()
}

impl<'a> Listed<'a> {
    /// The topic, if it is known and its partitions are to be listed.
    fn detailed(self, with_partitions: bool) -> Option<&'a Topic> {
        match self {
            Self::Known(topic) if with_partitions => Some(topic),
            Self::Known(_) | Self::Missing(..) => None,
        }
    }
}

/// Replicas, then in-sync replicas, of one partition after the other.
fn replica_ids(listed: &[Listed<'_>], with_partitions: bool) -> Vec<i32> {
    let topics = listed.iter().filter_map(|it| it.detailed(with_partitions));
    topics
        .flat_map(|topic| &topic.partitions)
        .flat_map(|partition| partition.replicas.iter().chain(&partition.in_sync))
        .map(|broker| broker.get())
        .collect()
}

/// The partitions of one topic after the other; `ids` are theirs.
fn partitions<'a>(
    listed: &[Listed<'_>],
    with_partitions: bool,
    mut ids: &'a [i32],
    view: &View,
) -> Vec<wire::Partition<'a>> {
    let mut take = |count: usize| {
        let (taken, rest) = ids.split_at(count);
        ids = rest;
        taken
    };
    let mut partitions = Vec::new();
    for topic in listed.iter().filter_map(|it| it.detailed(with_partitions)) {
        for (index, partition) in topic.indexed() {
            let home = view.home(TopicPartition { topic: topic.id, index });
            partitions.push(wire::Partition {
                index: index.get(),
                leader: partition.leader.map_or(-1, BrokerId::get),
                leader_epoch: partition.leader_epoch.get(),
                lane: home.map_or(0, |home| lane(home.index())),
                replicas: take(partition.replicas.len()),
                in_sync: take(partition.in_sync.len()),
            });
        }
    }
    partitions
}

/// The topics; `partitions` are theirs, or empty.
fn topics<'a>(
    listed: &[Listed<'a>],
    partitions: &'a [wire::Partition<'a>],
) -> Vec<wire::Topic<'a>> {
    let mut rest = partitions;
    let with_partitions = !partitions.is_empty();
    let one = |it: &Listed<'a>| match *it {
        Listed::Known(topic) => {
            let count = if with_partitions { topic.partitions.len() } else { 0 };
            let (own, others) = rest.split_at(count);
            rest = others;
            wire::Topic {
                error: ErrorCode::None,
                name: &topic.name,
                id: topic.id,
                internal: topic_name::is_internal(&topic.name),
                partition_count: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
                partitions: own,
            }
        }
        Listed::Missing(error, asked) => {
            let (name, id) = match asked {
                TopicRef::Name(name) => (name, TopicId::ZERO),
                TopicRef::Id(id) => ("", id),
            };
            wire::Topic {
                error,
                name,
                id,
                internal: topic_name::is_internal(name),
                partition_count: 0,
                partitions: &[],
            }
        }
    };
    listed.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
