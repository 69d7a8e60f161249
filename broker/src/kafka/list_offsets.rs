//! ListOffsets (key 2), versions 1 to 11: which offset stands for a time, the beginning or the end?

use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::kafka::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::ask;
use crate::offsets::{Place, Sought, look_up};

/// The end: the next offset a consumer would read.
const LATEST: i64 = -1;
/// The beginning.
const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// The beginning of what lies on the broker's own disks (KIP-405).
const EARLIEST_LOCAL: i64 = -4;
/// The end of what was moved to remote storage (KIP-1005).
const LATEST_TIERED: i64 = -5;
/// The beginning of what still has to be moved (KIP-1023).
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Looks each partition's offset up.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<ListOffsetsRequest<'_>>()?;
    let image = request.shard.view.image();
    let version = request.version.number;
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    let mut questions = Vec::new();
    for topic in &body.topics {
        for partition in &topic.partitions {
            let key = (topic.name, partition.partition_index);
            if !seen.insert(key) {
                twice.insert(key);
            }
            let id = ask::find(&image, topic.name, partition.partition_index);
            let sought = sought(partition.timestamp, version);
            questions.push((id, (partition.current_leader_epoch, sought)));
        }
    }
    let mut answers = ask::each(&request.shard, questions, look_up).await.into_iter();
    let topics = body.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name,
        partitions: topic
            .partitions
            .iter()
            .zip(answers.by_ref())
            .map(|(partition, answer)| {
                let named_twice = twice.contains(&(topic.name, partition.partition_index));
                let answer = if named_twice { Err(ErrorCode::InvalidRequest) } else { answer };
                let place = answer.unwrap_or(Place::NONE);
                ListOffsetsPartitionResponse {
                    partition_index: partition.partition_index,
                    error_code: answer.err().unwrap_or(ErrorCode::None),
                    timestamp: place.timestamp,
                    offset: place.offset,
                    leader_epoch: place.epoch,
                }
            })
            .collect(),
    });
    request
        .answer(&ListOffsetsResponse { topics: topics.collect(), ..ListOffsetsResponse::default() })
}

/// What a timestamp stands for, if a client of this version may send it.
fn sought(timestamp: i64, version: i16) -> Result<Sought, ErrorCode> {
    let (since, sought) = match timestamp {
        LATEST => (1, Sought::Latest),
        EARLIEST => (1, Sought::Earliest),
        MAX_TIMESTAMP => (7, Sought::LargestTimestamp),
        // What lies on the broker's own disks is all there is.
        EARLIEST_LOCAL => (8, Sought::Earliest),
        LATEST_TIERED => (9, Sought::Remote),
        EARLIEST_PENDING_UPLOAD => (11, Sought::Remote),
        timestamp if timestamp >= 0 => (1, Sought::From(timestamp)),
        _ => (i16::MAX, Sought::Remote),
    };
    if version >= since { Ok(sought) } else { Err(ErrorCode::UnsupportedVersion) }
}
