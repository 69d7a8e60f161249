//! The entries of a journal group (`docs/format.md` 3.3).

use super::bytes::Fields;
use super::checkpoint::{Partition, Segment, partition, segment};

/// Bytes of a batch header, of which an extent repeats some.
const BATCH_HEADER_BYTES: usize = 61;

/// One entry. Names and meanings are the format's.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    Bytes(Run, &'a [u8]),
    Extent(Extent),
    Create { log: u32, partition: i32, topic: [u8; 16], epoch: i32, first: i64 },
    Delete { log: u32 },
    EpochStart { log: u32, epoch: i32, start: i64 },
    Truncate { log: u32, offset: i64 },
    LogStart { log: u32, offset: i64 },
    Roll { log: u32, sealed_length: u32, sealed_base: i64, new_base: i64 },
    HighWatermark { log: u32, offset: i64 },
    Opened { incarnation: u32, durable_position: u64 },
    CleanShutdown { end_sequence: u64 },
    Quarantine { log: u32, first: i64, next: i64 },
    Adopt(Box<Partition>),
    Disown { log: u32 },
    Swap { log: u32, from: i64, to: i64, segment: Segment },
    Cleaned { log: u32, offset: i64 },
}

/// Where bytes belong and which offsets they hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) log: u32,
    pub(super) position: u32,
    pub(super) segment: i64,
    pub(super) first: i64,
    pub(super) next: i64,
    /// They begin inside a batch that an extent of the same group has placed.
    pub(super) continues: bool,
    /// Older groups hold them as well.
    pub(super) is_repeated: bool,
}

/// Bytes that were written straight to their segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) log: u32,
    pub(super) write_start: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) crc: u32,
    pub(super) segment: i64,
    pub(super) first: i64,
    pub(super) next: i64,
}

/// One row of the table of the previous group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) log: u32,
    pub(super) first: i64,
    pub(super) next: i64,
}

/// Takes the table off the front of a payload.
pub(super) fn rows(payload: &mut Fields<'_>, count: u32) -> Option<Vec<Row>> {
    let count = usize::try_from(count).ok()?;
    if count.checked_mul(24)? > payload.0.len() {
        return None;
    }
    let mut row = || {
        let log = payload.u32()?;
        payload.u32()?;
        Some(Row { log, first: payload.i64()?, next: payload.i64()? })
    };
    (0..count).map(|_| row()).collect()
}

/// Reads one entry off the front of a payload.
///
/// # Errors
/// What is wrong with it.
pub(super) fn next<'a>(payload: &mut Fields<'a>) -> Result<Entry<'a>, String> {
    let cut = || "an entry is cut off".to_owned();
    let kind = payload.u8().ok_or_else(cut)?;
    let flags = payload.u8().ok_or_else(cut)?;
    payload.u16().ok_or_else(cut)?;
    let size = payload.u32().ok_or_else(cut)?;
    let body = usize::try_from(size).ok().and_then(|size| payload.take(size)).ok_or_else(cut)?;
    let mut body = Fields(body);
    let entry = parse(kind, flags, &mut body).ok_or_else(|| {
        format!("an entry of kind {kind} with {size} bytes is malformed or unknown")
    })?;
    if body.is_empty() { Ok(entry) } else { Err(format!("an entry of kind {kind} is too long")) }
}

fn parse<'a>(kind: u8, flags: u8, body: &mut Fields<'a>) -> Option<Entry<'a>> {
    Some(match kind {
        1 => {
            let (log, position) = (body.u32()?, body.u32()?);
            let (segment, first, next) = (body.i64()?, body.i64()?, body.i64()?);
            let (continues, is_repeated) = (flags & 1 != 0, flags & 2 != 0);
            let run = Run { log, position, segment, first, next, continues, is_repeated };
            Entry::Bytes(run, body.take(body.0.len())?)
        }
        2 => {
            let (log, write_start, start) = (body.u32()?, body.u32()?, body.u32()?);
            let (end, crc, header_count) = (body.u32()?, body.u32()?, body.u32()?);
            let (segment, first, next) = (body.i64()?, body.i64()?, body.i64()?);
            let headers = usize::try_from(header_count).ok()?.checked_mul(BATCH_HEADER_BYTES)?;
            body.take(headers)?;
            Entry::Extent(Extent { log, write_start, start, end, crc, segment, first, next })
        }
        3 => {
            let (log, partition, topic) = (body.u32()?, body.i32()?, body.array()?);
            let epoch = body.i32()?;
            body.u32()?;
            Entry::Create { log, partition, topic, epoch, first: body.i64()? }
        }
        4 => {
            let log = body.u32()?;
            body.u32()?;
            Entry::Delete { log }
        }
        5 => Entry::EpochStart { log: body.u32()?, epoch: body.i32()?, start: body.i64()? },
        6 => Entry::Truncate { log: spaced(body)?, offset: body.i64()? },
        7 => Entry::LogStart { log: spaced(body)?, offset: body.i64()? },
        8 => {
            let (log, sealed_length) = (body.u32()?, body.u32()?);
            Entry::Roll { log, sealed_length, sealed_base: body.i64()?, new_base: body.i64()? }
        }
        9 => Entry::HighWatermark { log: spaced(body)?, offset: body.i64()? },
        10 => {
            let incarnation = body.u32()?;
            let (_rules, _end) = (body.u32()?, body.u64()?);
            Entry::Opened { incarnation, durable_position: body.u64()? }
        }
        11 => Entry::CleanShutdown { end_sequence: body.u64()? },
        12 => Entry::Quarantine { log: spaced(body)?, first: body.i64()?, next: body.i64()? },
        13 => Entry::Adopt(Box::new(partition(body)?)),
        14 => {
            let log = body.u32()?;
            body.u32()?;
            Entry::Disown { log }
        }
        15 => {
            let (log, from, to) = (spaced(body)?, body.i64()?, body.i64()?);
            Entry::Swap { log, from, to, segment: segment(body)? }
        }
        16 => Entry::Cleaned { log: spaced(body)?, offset: body.i64()? },
        _ => return None,
    })
}

/// A log id and four bytes without a meaning.
fn spaced(body: &mut Fields<'_>) -> Option<u32> {
    let log = body.u32()?;
    body.u32()?;
    Some(log)
}
