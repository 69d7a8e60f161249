//! OffsetFetch (key 9), versions 1 to 10: how far has a group read?
//!
//! 2 all topics, error of the group; 8 many groups; 10 topics by id. Only what is on disk is told, so there is nothing
//! unstable to wait for while there are no transactions.

use protocol::kafka::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use protocol::{ErrorCode, TopicId};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::groups::{self, Fetch, Fetched, Found};

/// Tells what is remembered.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<OffsetFetchRequest<'_>>()?;
    if request.version.number >= 8 { many(request, &body).await } else { one(request, &body).await }
}

async fn one(request: &Request, body: &OffsetFetchRequest<'_>) -> Result<Answer, Broken> {
    let wanted = body.topics.as_ref().map(|topics| {
        topics
            .iter()
            .map(|topic| (topic.name.to_owned(), topic.partition_indexes.clone()))
            .collect()
    });
    let fetch = Fetch { group: body.group_id.to_owned(), topics: wanted, member: None };
    let fetched = groups::fetch(&request.shard, fetch.clone()).await;
    let code = fetched.as_ref().err().copied().unwrap_or(ErrorCode::None);
    let found = match fetched {
        Ok(found) => found,
        // Version 1 has no place for an error of the whole group.
        Err(_code) if request.version.number < 2 => nothing(&fetch),
        Err(_code) => Vec::new(),
    };
    let topics = found.iter().map(|(name, partitions)| OffsetFetchResponseTopic {
        name,
        partitions: partitions.iter().map(|one| partition(one, code)).collect(),
    });
    request.answer(&OffsetFetchResponse {
        topics: topics.collect(),
        error_code: code,
        ..OffsetFetchResponse::default()
    })
}

/// The partitions asked for, without offsets.
fn nothing(fetch: &Fetch) -> Fetched {
    let topics = fetch.topics.iter().flatten();
    let none = |indexes: &[i32]| indexes.iter().map(|index| (*index, None)).collect();
    topics.map(|(name, indexes)| (name.clone(), none(indexes))).collect()
}

/// One group's answer: topics by name and id, and what went wrong.
struct Told {
    topics: Vec<(String, TopicId, Vec<Found>)>,
    /// Topics whose ids nobody knows, and the partitions asked for.
    unknown: Vec<(TopicId, Vec<i32>)>,
    code: ErrorCode,
}

async fn many(request: &Request, body: &OffsetFetchRequest<'_>) -> Result<Answer, Broken> {
    let mut told = Vec::with_capacity(body.groups.len());
    for group in &body.groups {
        told.push(ask(request, group).await);
    }
    let groups = body.groups.iter().zip(&told).map(|(group, told)| {
        let known = told.topics.iter().map(|(name, id, partitions)| OffsetFetchResponseTopics {
            name,
            topic_id: *id,
            partitions: partitions.iter().map(|one| partition(one, ErrorCode::None)).collect(),
        });
        let unknown = told.unknown.iter().map(|(id, indexes)| OffsetFetchResponseTopics {
            name: "",
            topic_id: *id,
            partitions: indexes
                .iter()
                .map(|index| none(*index, ErrorCode::UnknownTopicId))
                .collect(),
        });
        OffsetFetchResponseGroup {
            group_id: group.group_id,
            topics: known.chain(unknown).collect(),
            error_code: told.code,
        }
    });
    request
        .answer(&OffsetFetchResponse { groups: groups.collect(), ..OffsetFetchResponse::default() })
}

async fn ask(request: &Request, group: &OffsetFetchRequestGroup<'_>) -> Told {
    let image = request.shard.view.image();
    let by_id = request.version.number >= 10;
    let mut unknown = Vec::new();
    let wanted = group.topics.as_ref().map(|topics| {
        let mut named = Vec::with_capacity(topics.len());
        for topic in topics {
            let indexes = topic.partition_indexes.clone();
            if !by_id {
                named.push((topic.name.to_owned(), indexes));
            } else if let Some(known) = image.topic(topic.topic_id) {
                named.push((known.name.as_ref().to_owned(), indexes));
            } else {
                unknown.push((topic.topic_id, indexes));
            }
        }
        named
    });
    let member = (group.member_id.map(str::to_owned), group.member_epoch);
    let member = (request.version.number >= 9).then_some(member);
    let fetch = Fetch { group: group.group_id.to_owned(), topics: wanted, member };
    match groups::fetch(&request.shard, fetch).await {
        Err(code) => Told { topics: Vec::new(), unknown: Vec::new(), code },
        Ok(found) => {
            let id = |name: &str| image.topic_id(name);
            let topics = found.into_iter().filter_map(|(name, partitions)| {
                // Who asks by id cannot be told of a topic that has none any more.
                let id = if by_id { id(&name)? } else { TopicId::ZERO };
                Some((name, id, partitions))
            });
            Told { topics: topics.collect(), unknown, code: ErrorCode::None }
        }
    }
}

fn partition(
    (index, committed): &Found,
    error_code: ErrorCode,
) -> OffsetFetchResponsePartition<'_> {
    match committed {
        Some(committed) => OffsetFetchResponsePartition {
            partition_index: *index,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            metadata: Some(&committed.metadata),
            error_code,
        },
        None => none(*index, error_code),
    }
}

fn none(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartition<'static> {
    OffsetFetchResponsePartition {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(""),
        error_code,
    }
}
