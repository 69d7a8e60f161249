//! Consumers: each reads its share of the partitions, one fetch after the other.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use client::Dialect;
use protocol::batch::compress::{Compression, DECOMPRESSED_BYTES_MAX, decompress};
use protocol::batch::records::Records;
use protocol::batch::{Attributes, BatchHeader, HEADER_BYTES};
use runtime::sync::Notify;
use runtime::{Nanos, TaskClass, World};

use crate::recorder::Shared as Stream;
use crate::round::Round;
use crate::template::due_of;
use crate::wire::{self, Line};
use crate::{BenchError, ConsumePlan};

/// Bytes of a batch before its length field ends.
const LENGTH_ENDS_AT: usize = 12;

/// Where one partition's reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) partition: u32,
    pub(crate) next: i64,
    /// Reading stops here; `i64::MAX` to follow for ever.
    pub(crate) end: i64,
}

/// What all consumers share.
pub(crate) struct Consumers {
    pub(crate) plan: Rc<ConsumePlan>,
    pub(crate) dialect: Dialect,
    pub(crate) round: Rc<Round>,
    pub(crate) stream: Stream,
    pub(crate) world: World,
    /// Marks the records of this run, if they carry when they were due.
    pub(crate) run: Option<u64>,
    /// Stamped records seen.
    pub(crate) seen: Cell<u64>,
    /// Some more were seen.
    pub(crate) progress: Notify,
    /// Nobody needs them any more.
    pub(crate) is_over: Cell<bool>,
}

/// Starts to read `positions` by one connection.
pub(crate) fn start(
    consumers: &Rc<Consumers>,
    (addr, line): (SocketAddr, Line),
    positions: Vec<Position>,
) {
    consumers.round.consuming.begin();
    let shared = Rc::clone(consumers);
    consumers.world.spawn(TaskClass::Serve, async move {
        if let Err(error) = read_all(&shared, line, positions).await {
            shared.round.fail(match error {
                BenchError::Machine(error) => BenchError::Connection { addr, error },
                other => other,
            });
        }
        shared.progress.notify_all();
        shared.round.consuming.finish();
    });
}

async fn read_all(
    shared: &Consumers,
    mut line: Line,
    mut positions: Vec<Position>,
) -> Result<(), BenchError> {
    let follows = shared.run.is_some();
    while !shared.is_over.get() && !shared.round.is_stopped() {
        positions.retain(|position| position.next < position.end);
        let is_late = !follows && shared.world.now() >= shared.round.window.end;
        if positions.is_empty() || is_late {
            break;
        }
        let wanted: Vec<(u32, i64)> = positions.iter().map(|it| (it.partition, it.next)).collect();
        let request = line.writer.fetch(&shared.plan, &wanted)?;
        let asked = shared.world.now();
        line.sender.send_all(&request).await?;
        let answer = line.frames.next().await?;
        take(shared, &answer.bytes, asked, &mut positions)?;
        // The next request names another partition first, so that every one gets its share of a full answer.
        positions.rotate_left(1);
    }
    Ok(())
}

fn take(
    shared: &Consumers,
    answer: &Bytes,
    asked: Nanos,
    positions: &mut [Position],
) -> Result<(), BenchError> {
    let now = shared.world.now();
    let mut stream = shared.stream.borrow_mut();
    let (mut records, mut bytes, mut seen) = (0, 0, 0);
    let mut place = 0;
    wire::read_fetched(shared.dialect, answer, |partition, mut data| {
        // Answers mostly keep the order of the request.
        let mine = (place..positions.len()).chain(0..place);
        let Some(found) = mine.into_iter().find(|at| positions[*at].partition == partition) else {
            return Ok(());
        };
        place = found + 1;
        bytes += data.len() as u64;
        while let Some((batch, rest)) = split_batch(data) {
            data = rest;
            let header = BatchHeader::peek(batch).expect("a batch has a header");
            let position = &mut positions[found];
            position.next = header.base_offset() + i64::from(header.last_offset_delta()) + 1;
            records += u64::try_from(header.record_count()).unwrap_or(0);
            if let Some(run) = shared.run {
                for due in dues(header, &batch[HEADER_BYTES..], run)? {
                    stream.waited(due, now, 1);
                    seen += 1;
                }
            }
        }
        Ok(())
    })?;
    if shared.run.is_none() && records > 0 {
        stream.waited(asked, now, 1);
    }
    if records > 0 {
        stream.answered(now, records, bytes);
    }
    drop(stream);
    shared.seen.set(shared.seen.get() + seen);
    shared.progress.notify_all();
    Ok(())
}

/// The first whole batch and what follows it.
fn split_batch(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = BatchHeader::peek(data)?;
    let bytes = usize::try_from(header.length()).ok()?.checked_add(LENGTH_ENDS_AT)?;
    (bytes >= HEADER_BYTES).then(|| data.split_at_checked(bytes)).flatten()
}

/// When the records of a batch that belong to the run were due.
fn dues(header: &BatchHeader, packed: &[u8], run: u64) -> Result<Vec<Nanos>, BenchError> {
    let unreadable = |error: String| BenchError::Answer(error);
    let codec = Compression::from_id(header.attributes().0 & Attributes::COMPRESSION)
        .ok_or_else(|| unreadable("an unknown compression".to_owned()))?;
    let unpacked;
    let records = match codec {
        Compression::None => packed,
        codec => {
            unpacked = decompress(codec, packed, DECOMPRESSED_BYTES_MAX)
                .map_err(|error| unreadable(error.to_string()))?;
            &unpacked
        }
    };
    let mut dues =
        Vec::with_capacity(usize::try_from(header.record_count()).unwrap_or(0).min(1 << 20));
    for record in Records::new(header, records) {
        let record = record.map_err(|error| unreadable(error.to_string()))?;
        dues.extend(record.value.and_then(|value| due_of(value, run)));
    }
    Ok(dues)
}
