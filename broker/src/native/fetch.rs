//! Fetch: read record batches from partitions, waiting for them if asked.

use std::time::Duration;

use protocol::native::fetch::{Answer as Body, Outcome, RequestView};
use protocol::native::{FrameError, PAYLOAD_BYTES_MAX};
use protocol::{BrokerId, ErrorCode};

use super::{Fault, Request, not_found};
use crate::answer::Answer;
use crate::metrics::Count;
use crate::read::{self, Bounds, Found, WAIT_MAX, Wanted};

/// Reads, waits if need be, and answers.
pub(super) async fn handle(request: &Request<'_>) -> Result<Answer, Fault> {
    let shard = request.shard;
    shard.metrics.add(Count::FetchRequests, 1);
    let body = RequestView::read(&request.frame)?;
    let wanted: Vec<Wanted> = body
        .entries()
        .map(|entry| Wanted {
            partition: entry.partition,
            offset: entry.offset,
            max_bytes: entry.bytes_max,
            current_epoch: entry.leader_epoch,
        })
        .collect();
    let payload_max = u32::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX);
    let bounds = Bounds {
        max_bytes: body.bytes_max().min(shard.config.limits.fetch_max_bytes).min(payload_max),
        min_bytes: body.bytes_min(),
        max_wait: Duration::from_millis(body.wait_ms_max().into()).min(WAIT_MAX),
    };
    let (mut found, loan) = read::read(shard, &wanted, bounds).await;
    let head = match head(request, &wanted, &found) {
        Err(FrameError::TooLarge { .. }) => {
            // One batch alone is larger than a frame: its partition cannot be read in this dialect.
            for found in found.iter_mut().filter(|found| found.bytes > 0) {
                *found = Found::error(ErrorCode::MessageTooLarge);
            }
            head(request, &wanted, &found)?
        }
        head => head?,
    };
    let at = head.len();
    let pieces = found.into_iter().flat_map(|found| found.pieces).map(|piece| (at, piece));
    Ok(Answer::with_pieces(head, pieces.collect(), loan))
}

fn head(request: &Request<'_>, wanted: &[Wanted], found: &[Found]) -> Result<Vec<u8>, FrameError> {
    let outcomes: Vec<Outcome> = wanted
        .iter()
        .zip(found)
        .map(|(want, found)| outcome(request, want, found))
        .collect::<Result<_, _>>()?;
    let body = Body { outcomes: &outcomes, aborted: &[] };
    request.encode(|correlation, encoder| body.encode(correlation, encoder))
}

fn outcome(request: &Request<'_>, want: &Wanted, found: &Found) -> Result<Outcome, FrameError> {
    let (leader, leader_epoch) = leader(request, want, found.error);
    let error = match found.error {
        ErrorCode::None => ErrorCode::None,
        code => not_found(&request.shard.view.image(), want.partition, code),
    };
    Ok(Outcome {
        partition: want.partition,
        error,
        high_watermark: found.high_watermark,
        last_stable_offset: found.last_stable_offset,
        log_start_offset: found.log_start_offset,
        leader,
        leader_epoch,
        batch_bytes: u32::try_from(found.bytes)
            .map_err(|_ignored| FrameError::TooLarge { bytes: found.bytes })?,
    })
}

/// Who leads, for a reader that believes in another leader or epoch; -1 for all others.
fn leader(request: &Request<'_>, want: &Wanted, error: ErrorCode) -> (i32, i32) {
    match error {
        ErrorCode::FencedLeaderEpoch
        | ErrorCode::UnknownLeaderEpoch
        | ErrorCode::NotLeaderOrFollower => {
            let image = request.shard.view.image();
            let placed = image.partition(want.partition.topic, want.partition.index);
            placed.map_or((-1, -1), |placed| {
                (placed.leader.map_or(-1, BrokerId::get), placed.leader_epoch.get())
            })
        }
        _ => (-1, -1),
    }
}
