//! List offsets and delete records: where partitions begin, end and stood.

use protocol::ErrorCode;
use protocol::native::offsets::{
    Answer as Body, DeleteRecordsView, EARLIEST, LATEST, MAX_TIMESTAMP, Outcome, RequestView,
};
use protocol::native::{Kind, outcomes};

use super::{Fault, Request, not_found};
use crate::answer::Answer;
use crate::ask;
use crate::offsets::{Place, Sought, look_up, trim};

/// Looks each partition's offset up.
pub(super) async fn list(request: &Request<'_>) -> Result<Answer, Fault> {
    let body = RequestView::read(&request.frame)?;
    let questions = body
        .entries()
        .map(|entry| (Some(entry.partition), (entry.leader_epoch, sought(entry.timestamp))));
    let answers = ask::each(request.shard, questions.collect(), look_up).await;
    let image = request.shard.view.image();
    let outcomes: Vec<Outcome> = body
        .entries()
        .zip(answers)
        .map(|(entry, answer)| {
            let error = answer.err().map(|code| not_found(&image, entry.partition, code));
            let place = answer.unwrap_or(Place::NONE);
            Outcome {
                partition: entry.partition,
                error: error.unwrap_or(ErrorCode::None),
                offset: place.offset,
                timestamp: place.timestamp,
                leader_epoch: place.epoch,
            }
        })
        .collect();
    let body = Body { outcomes: &outcomes };
    request.answer(|correlation, encoder| body.encode(correlation, encoder))
}

/// What a timestamp stands for.
pub(super) fn sought(timestamp: i64) -> Result<Sought, ErrorCode> {
    match timestamp {
        LATEST => Ok(Sought::Latest),
        EARLIEST => Ok(Sought::Earliest),
        MAX_TIMESTAMP => Ok(Sought::LargestTimestamp),
        timestamp if timestamp >= 0 => Ok(Sought::From(timestamp)),
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

/// Raises the start of partitions; the answer says that it is on disk.
pub(super) async fn delete_records(request: &Request<'_>) -> Result<Answer, Fault> {
    let body = DeleteRecordsView::read(&request.frame)?;
    let questions = body.entries().map(|entry| (Some(entry.partition), entry.before));
    let answers = ask::each(request.shard, questions.collect(), trim).await;
    let image = request.shard.view.image();
    let outcomes: Vec<outcomes::Outcome<'_>> = body
        .entries()
        .zip(answers)
        .map(|(entry, answer)| match answer {
            Ok(log_start_offset) => {
                outcomes::Outcome { log_start_offset, ..outcomes::Outcome::DONE }
            }
            Err(code) => outcomes::Outcome {
                error: not_found(&image, entry.partition, code),
                ..outcomes::Outcome::DONE
            },
        })
        .collect();
    let body = outcomes::Answer { kind: Kind::DeleteRecords, outcomes: &outcomes };
    request.answer(|correlation, encoder| body.encode(correlation, encoder))
}
