//! DescribeTopicPartitions (key 75), version 0: topics in the order of names, a page at a time (KIP-966).

use std::collections::BTreeSet;
use std::ops::Bound;

use protocol::ErrorCode;
use protocol::kafka::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use protocol::metadata::{Image, Topic, topic_name};

use super::{Broken, Request, brokers};
use crate::answer::Answer;

/// No page has more partitions, whatever the client asks (`max.request.partition.size.limit`).
const PAGE_PARTITIONS_MAX: usize = 2_000;

/// Describes one page.
pub(super) fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DescribeTopicPartitionsRequest<'_>>()?;
    let image = request.shard.view.image();
    let names: BTreeSet<&str> = body.topics.iter().map(|topic| topic.name).collect();
    let start = body.cursor.as_ref().map(|cursor| (cursor.topic_name, cursor.partition_index));
    let limit = usize::try_from(body.response_partition_limit).unwrap_or(0);
    if limit == 0 || start.is_some_and(|(_, index)| index < 0) {
        let topics = names.iter().map(|name| failed(name, ErrorCode::InvalidRequest)).collect();
        return request.answer(&DescribeTopicPartitionsResponse { topics, ..Default::default() });
    }
    let mut page = Page {
        image: &image,
        left: limit.min(PAGE_PARTITIONS_MAX),
        topics: Vec::new(),
        next: None,
    };
    let from = start.map_or("", |(name, _)| name);
    let first_index = |name: &str| match start {
        Some((from, index)) if from == name => usize::try_from(index).unwrap_or(0),
        _ => 0,
    };
    if names.is_empty() {
        for topic in image.topics_from(Bound::Included(from)) {
            if !page.add(topic, first_index(&topic.name)) {
                break;
            }
        }
    } else {
        for name in names.range(from..) {
            let whole = match image.topic_by_name(name) {
                Some(topic) => page.add(topic, first_index(name)),
                None => page.add_missing(name),
            };
            if !whole {
                break;
            }
        }
    }
    request.answer(&DescribeTopicPartitionsResponse {
        topics: page.topics,
        next_cursor: page.next,
        ..DescribeTopicPartitionsResponse::default()
    })
}

/// One answer in the making.
struct Page<'a> {
    image: &'a Image,
    /// How many more partitions fit.
    left: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>,
    /// Where the next page begins.
    next: Option<Cursor<'a>>,
}

impl<'a> Page<'a> {
    /// Adds a topic from one of its partitions on. False if the page ends before the topic does.
    fn add(&mut self, topic: &'a Topic, first: usize) -> bool {
        if self.left == 0 {
            return self.end_before(&topic.name, first);
        }
        let partitions: Vec<_> = topic
            .indexed()
            .skip(first)
            .take(self.left)
            .map(|(index, partition)| DescribeTopicPartitionsResponsePartition {
                error_code: match partition.leader {
                    Some(_) => ErrorCode::None,
                    None => ErrorCode::LeaderNotAvailable,
                },
                partition_index: index.get(),
                leader_id: brokers::leader(partition),
                leader_epoch: partition.leader_epoch.get(),
                replica_nodes: brokers::ids(&partition.replicas),
                isr_nodes: brokers::ids(&partition.in_sync),
                eligible_leader_replicas: Some(Vec::new()),
                last_known_elr: Some(Vec::new()),
                offline_replicas: brokers::offline(self.image, partition),
            })
            .collect();
        let end = first + partitions.len();
        self.left -= partitions.len();
        self.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::None,
            name: Some(&topic.name),
            topic_id: topic.id,
            is_internal: topic_name::is_internal(&topic.name),
            partitions,
            topic_authorized_operations: brokers::TOPIC_OPERATIONS,
        });
        end >= topic.partitions.len() || self.end_before(&topic.name, end)
    }

    /// A topic that is not there takes a place on the page like one partition.
    fn add_missing(&mut self, name: &'a str) -> bool {
        if self.left == 0 {
            return self.end_before(name, 0);
        }
        self.left -= 1;
        let code = match topic_name::check(name) {
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
            Err(_) => ErrorCode::InvalidTopicException,
        };
        self.topics.push(failed(name, code));
        true
    }

    fn end_before(&mut self, topic_name: &'a str, partition: usize) -> bool {
        let partition_index = i32::try_from(partition).unwrap_or(i32::MAX);
        self.next = Some(Cursor { topic_name, partition_index });
        false
    }
}

fn failed(name: &str, error_code: ErrorCode) -> DescribeTopicPartitionsResponseTopic<'_> {
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(name),
        is_internal: topic_name::is_internal(name),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}
