//! ListOffsets (key 2), versions 1 to 11: which offset stands for a time, the beginning or the end?

use std::collections::BTreeSet;
use std::rc::Rc;

use protocol::ErrorCode;
use protocol::kafka::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::{Broken, Request, ask};
use crate::answer::Answer;
use crate::partition::Partition;
use crate::shard::Shard;

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

/// An offset, the timestamp that goes with it, and the epoch of its leader; -1 for each that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    offset: i64,
    timestamp: i64,
    epoch: i32,
}

impl Place {
    const NONE: Self = Self { offset: -1, timestamp: -1, epoch: -1 };
}

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
            let question = (partition.current_leader_epoch, partition.timestamp, version);
            questions.push((id, question));
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

/// The first version that knows each special timestamp.
fn known_since(timestamp: i64) -> i16 {
    match timestamp {
        EARLIEST.. => 1,
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => i16::MAX,
    }
}

async fn look_up(
    _shard: Rc<Shard>,
    partition: Rc<Partition>,
    (current, timestamp, version): (i32, i64, i16),
) -> Result<Place, ErrorCode> {
    partition.check_epoch(current)?;
    if version < known_since(timestamp) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let high_watermark = partition.high_watermark();
    let epoch = partition.epoch().get();
    let at = |offset| Place { offset, timestamp: -1, epoch };
    let found = match timestamp {
        LATEST => return Ok(at(high_watermark)),
        EARLIEST | EARLIEST_LOCAL => return Ok(at(partition.log.log_start_offset().get())),
        // There is no remote storage, so nothing was moved there and nothing waits to be.
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return Ok(Place::NONE),
        MAX_TIMESTAMP => partition.max_timestamp().await?,
        timestamp => partition.offset_for_time(timestamp).await?,
    };
    // What consumers cannot read yet does not exist for them.
    let found = found.filter(|(offset, _)| offset.get() < high_watermark);
    Ok(found.map_or(Place::NONE, |(offset, timestamp)| Place {
        offset: offset.get(),
        timestamp,
        epoch,
    }))
}
