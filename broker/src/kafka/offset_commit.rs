//! OffsetCommit (key 8), versions 2 to 10: remember how far a group has read.
//!
//! 5 no retention time; 10 topics by id. The answer says that the offsets are on disk.

use std::time::Duration;

use protocol::ErrorCode;
use protocol::PartitionIndex;
use protocol::kafka::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::metadata::Topic;

use super::{Broken, Request};
use crate::answer::Answer;
use crate::groups::{self, Commit, TopicOffsets};
use crate::metrics::Count;
use crate::pending::Later;

/// What a request holds while its answer waits, beside its own bytes.
const WAITING_BYTES: usize = 1024;

/// Commits what can be committed; the rest is refused partition by partition. The next request may begin meanwhile.
pub(super) fn handle(request: Request) -> Result<Later, Broken> {
    request.shard.metrics.add(Count::OffsetCommits, 1);
    // What cannot be decoded closes the connection, and that is known now.
    request.decode::<OffsetCommitRequest<'_>>()?;
    let bytes = request.frame.len() + WAITING_BYTES;
    Ok(Later::begin(commit(request), bytes))
}

async fn commit(request: Request) -> Answer {
    let body = request.decode::<OffsetCommitRequest<'_>>().expect("it was decoded before");
    let shard = &request.shard;
    let image = shard.view.image();
    let by_id = request.version.number >= 10;
    let metadata_max = shard.groups.settings.metadata_bytes_max;
    // What is wrong with each partition, in the order of the request; the same for all if the commit fails.
    let mut codes = Vec::new();
    let mut topics = Vec::new();
    for topic in &body.topics {
        let known =
            if by_id { image.topic(topic.topic_id) } else { image.topic_by_name(topic.name) };
        let unknown =
            if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let code = match known {
                None => unknown,
                Some(known) => check(known, partition, metadata_max),
            };
            codes.push(code);
            if code == ErrorCode::None {
                partitions.push((
                    partition.partition_index,
                    partition.committed_offset,
                    partition.committed_leader_epoch,
                    partition.committed_metadata.unwrap_or_default().to_owned(),
                ));
            }
        }
        if let Some(known) = known
            && !partitions.is_empty()
        {
            topics.push(TopicOffsets { topic: known.name.as_ref().to_owned(), partitions });
        }
    }
    let commit = Commit {
        group: body.group_id.to_owned(),
        member_id: body.member_id.to_owned(),
        instance_id: body.group_instance_id.map(str::to_owned),
        generation: body.generation_id_or_member_epoch,
        knows_epochs: request.version.number >= 9,
        retention_ms: (body.retention_time_ms >= 0).then_some(body.retention_time_ms),
        topics,
    };
    let (failed, held_back) = match groups::commit(shard, commit).await {
        Ok(held_back) => (None, held_back),
        Err(code) => (Some(code), Duration::ZERO),
    };
    let mut codes = codes.into_iter();
    let answered = body.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .zip(codes.by_ref())
            .map(|(partition, code)| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: if code == ErrorCode::None { failed.unwrap_or(code) } else { code },
            })
            .collect(),
    });
    let response = OffsetCommitResponse {
        topics: answered.collect(),
        throttle_time_ms: i32::try_from(held_back.as_millis()).unwrap_or(i32::MAX),
    };
    request.answer(&response).expect("names came from a request and fit an answer")
}

fn check(
    topic: &Topic,
    partition: &OffsetCommitRequestPartition<'_>,
    metadata_max: usize,
) -> ErrorCode {
    let index = PartitionIndex::new(partition.partition_index);
    if index.and_then(|index| topic.partition(index)).is_none() {
        ErrorCode::UnknownTopicOrPartition
    } else if partition.committed_metadata.is_some_and(|text| text.len() > metadata_max) {
        ErrorCode::OffsetMetadataTooLarge
    } else {
        ErrorCode::None
    }
}
