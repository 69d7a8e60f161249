//! Fetch (key 1), versions 4 to 18: read record batches from partitions, waiting for them if asked.
//!
//! 7 sessions: none are kept, every answer says session 0, which every client accepts; 12 flexible;
//! 13 names topics by id.

use std::time::Duration;

use protocol::kafka::fetch::head::{FetchHead, FetchWriter};
use protocol::kafka::fetch::{FetchRequest, PartitionData};
use protocol::{ErrorCode, PartitionIndex, TopicPartition};
use runtime::sync::Permit;

use super::{Broken, Request, with_length};
use crate::answer::Answer;
use crate::metrics::Count;
use crate::read::{self, Bounds, Found, WAIT_MAX, Wanted};

/// Reads, waits if need be, and answers.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let shard = &request.shard;
    shard.metrics.add(Count::FetchRequests, 1);
    let body = request.decode::<FetchRequest<'_>>()?;
    // An established session cannot be ours.
    let session_error = match (body.session_id, body.session_epoch) {
        (0, _) | (_, -1) => ErrorCode::None,
        _ => ErrorCode::FetchSessionIdNotFound,
    };
    let (wanted, mut found) = plan(request, &body);
    let mut loan = None;
    if session_error == ErrorCode::None {
        let asked: Vec<Wanted> = wanted.iter().flatten().copied().collect();
        let bounds = bounds(request, &body, found.iter().any(Option::is_some));
        let (read, lent) = read::read(shard, &asked, bounds).await;
        loan = lent;
        let mut read = read.into_iter();
        for (slot, want) in found.iter_mut().zip(&wanted) {
            if want.is_some() {
                *slot = read.next();
            }
        }
    }
    respond(request, &body, session_error, Records { found, loan })
}

/// What to read, slot by slot; slots that cannot be read already have what they are answered with.
fn plan(request: &Request, body: &FetchRequest<'_>) -> (Vec<Option<Wanted>>, Vec<Option<Found>>) {
    let image = request.shard.view.image();
    let by_id = request.version.number >= 13;
    let (mut wanted, mut found) = (Vec::new(), Vec::new());
    for topic in &body.topics {
        let known =
            if by_id { image.topic(topic.topic_id) } else { image.topic_by_name(topic.topic) };
        for partition in &topic.partitions {
            let id = known.zip(PartitionIndex::new(partition.partition));
            let Some((topic, index)) = id else {
                let code = if by_id && known.is_none() {
                    ErrorCode::UnknownTopicId
                } else {
                    ErrorCode::UnknownTopicOrPartition
                };
                wanted.push(None);
                found.push(Some(Found::error(code)));
                continue;
            };
            wanted.push(Some(Wanted {
                partition: TopicPartition { topic: topic.id, index },
                offset: partition.fetch_offset,
                max_bytes: u32::try_from(partition.partition_max_bytes).unwrap_or(0),
                current_epoch: partition.current_leader_epoch,
            }));
            found.push(None);
        }
    }
    (wanted, found)
}

fn bounds(request: &Request, body: &FetchRequest<'_>, some_failed: bool) -> Bounds {
    let limit = request.shard.config.limits.fetch_max_bytes;
    let wait = Duration::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
    Bounds {
        max_bytes: u32::try_from(body.max_bytes).unwrap_or(0).min(limit),
        min_bytes: u32::try_from(body.min_bytes).unwrap_or(0),
        max_wait: if some_failed { Duration::ZERO } else { wait },
    }
}

/// What was read, slot by slot, and the memory it takes.
struct Records {
    found: Vec<Option<Found>>,
    loan: Option<Permit>,
}

fn respond(
    request: &Request,
    body: &FetchRequest<'_>,
    session_error: ErrorCode,
    records: Records,
) -> Result<Answer, Broken> {
    let topics = if session_error == ErrorCode::None { &body.topics[..] } else { &[] };
    let mut bytes = request.answer_head();
    let head =
        FetchHead { error_code: session_error, topic_count: topics.len(), ..FetchHead::default() };
    let mut writer = FetchWriter::begin(&mut bytes, request.version, head)?;
    let mut pieces = Vec::new();
    let mut found = records.found.into_iter();
    for topic in topics {
        writer.topic(topic.topic, topic.topic_id, topic.partitions.len())?;
        for partition in &topic.partitions {
            let part =
                found.next().flatten().unwrap_or(Found::error(ErrorCode::UnknownTopicOrPartition));
            let data = PartitionData {
                partition_index: partition.partition,
                error_code: part.error,
                high_watermark: part.high_watermark,
                last_stable_offset: part.last_stable_offset,
                log_start_offset: part.log_start_offset,
                preferred_read_replica: -1,
                ..PartitionData::default()
            };
            let at = writer.partition(&data, part.bytes)?;
            pieces.extend(part.pieces.into_iter().map(|piece| (at, piece)));
        }
    }
    let more_bytes = writer.end(&[])?;
    Ok(Answer::with_pieces(with_length(bytes, more_bytes), pieces, records.loan))
}
