//! What a group carries: bytes of batches and every other change of a log (`docs/format.md` 3.3).

use protocol::batch::HEADER_BYTES;

use crate::bytes::{Decoder, Encode, Short};
use crate::limits::ENTRY_HEADER_BYTES;

/// The bytes begin inside a batch that an extent of the same group started.
pub(crate) const FLAG_CONTINUES: u8 = 1;
/// The bytes are in older groups as well, which will be released; they may begin inside a batch.
pub(crate) const FLAG_REPEATED: u8 = 2;
/// A deleted log's directory is kept in `.stray`.
pub(crate) const FLAG_STRAY: u8 = 1;

/// One entry, borrowed from the group's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// Batches, or the rest of one, at a place in a segment.
    Bytes {
        run: Run,
        position: u32,
        kind: Carriage,
        bytes: &'a [u8],
    },
    /// Batches that went straight to the segment.
    Extent {
        run: Run,
        write_start: u32,
        start: u32,
        end: u32,
        crc: u32,
        headers: &'a [u8],
    },
    Create {
        log: u32,
        topic: [u8; 16],
        partition: i32,
        epoch: i32,
        first: i64,
    },
    Delete {
        log: u32,
        stray: bool,
    },
    EpochStart {
        log: u32,
        epoch: i32,
        start: i64,
    },
    Truncate {
        log: u32,
        to: i64,
    },
    LogStart {
        log: u32,
        to: i64,
    },
    Roll {
        log: u32,
        sealed_base: i64,
        sealed_bytes: u32,
        base: i64,
    },
    HighWatermark {
        log: u32,
        to: i64,
    },
    Opened {
        incarnation: u32,
        rules: u32,
        end: u64,
        durable: u64,
    },
    CleanShutdown {
        sequence: u64,
    },
    Quarantine {
        log: u32,
        first: i64,
        next: i64,
    },
    /// Compaction put a segment in the place of those that start in `from..to`.
    Swap {
        log: u32,
        from: i64,
        to: i64,
        /// As in a checkpoint's record.
        segment: &'a [u8],
    },
    /// Everything below `to` has been compacted.
    Cleaned {
        log: u32,
        to: i64,
    },
    Adopt {
        record: &'a [u8],
    },
    Disown {
        log: u32,
        shard: u32,
    },
}

/// How bytes come to be in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carriage {
    /// Whole batches, for the first time.
    Whole,
    /// The rest of what an extent of the same group began; may begin inside a batch.
    Continues,
    /// Once more, because the groups that hold them are to be released; may begin inside a batch.
    Repeated,
}

impl Carriage {
    const fn flags(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Continues => FLAG_CONTINUES,
            Self::Repeated => FLAG_REPEATED,
        }
    }
    const fn from_flags(flags: u8) -> Self {
        if flags & FLAG_REPEATED != 0 {
            Self::Repeated
        } else if flags & FLAG_CONTINUES != 0 {
            Self::Continues
        } else {
            Self::Whole
        }
    }
}

/// Consecutive offsets of one log in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) log: u32,
    /// Base offset of the segment.
    pub(crate) segment: i64,
    pub(crate) first: i64,
    pub(crate) next: i64,
}

/// Bytes of a `Bytes` body before the batch bytes.
pub(crate) const BYTES_FIXED: usize = 32;
/// Bytes of an `Extent` body before the headers.
pub(crate) const EXTENT_FIXED: usize = 48;

/// An entry's header for a body of that size.
pub(crate) fn put_header(out: &mut impl Encode, kind: u8, flags: u8, body_bytes: usize) {
    out.put(&[kind, flags, 0, 0]);
    out.put_count(body_bytes);
}

/// The fixed front of a `Bytes` entry; the bytes follow.
pub(crate) fn put_bytes_front(
    out: &mut impl Encode,
    run: &Run,
    position: u32,
    kind: Carriage,
    count: usize,
) {
    put_header(out, 1, kind.flags(), BYTES_FIXED + count);
    out.put_u32(run.log);
    out.put_u32(position);
    out.put_i64(run.segment);
    out.put_i64(run.first);
    out.put_i64(run.next);
}

impl Entry<'_> {
    /// Appends the entry.
    pub(crate) fn encode(&self, out: &mut impl Encode) {
        match *self {
            Entry::Bytes { run, position, kind, bytes } => {
                put_bytes_front(out, &run, position, kind, bytes.len());
                out.put(bytes);
            }
            Entry::Extent { run, write_start, start, end, crc, headers } => {
                put_header(out, 2, 0, EXTENT_FIXED + headers.len());
                for field in [run.log, write_start, start, end, crc] {
                    out.put_u32(field);
                }
                out.put_count(headers.len() / HEADER_BYTES);
                out.put_i64(run.segment);
                out.put_i64(run.first);
                out.put_i64(run.next);
                out.put(headers);
            }
            Entry::Create { log, topic, partition, epoch, first } => {
                put_header(out, 3, 0, 40);
                out.put_u32(log);
                out.put_i32(partition);
                out.put(&topic);
                out.put_i32(epoch);
                out.put_u32(0);
                out.put_i64(first);
            }
            Entry::Delete { log, stray } => {
                put_header(out, 4, if stray { FLAG_STRAY } else { 0 }, 8);
                out.put_u32(log);
                out.put_u32(0);
            }
            Entry::EpochStart { log, epoch, start } => {
                put_header(out, 5, 0, 16);
                out.put_u32(log);
                out.put_i32(epoch);
                out.put_i64(start);
            }
            Entry::Truncate { log, to } => put_offset(out, 6, log, to),
            Entry::LogStart { log, to } => put_offset(out, 7, log, to),
            Entry::Roll { log, sealed_base, sealed_bytes, base } => {
                put_header(out, 8, 0, 24);
                out.put_u32(log);
                out.put_u32(sealed_bytes);
                out.put_i64(sealed_base);
                out.put_i64(base);
            }
            Entry::HighWatermark { log, to } => put_offset(out, 9, log, to),
            Entry::Opened { incarnation, rules, end, durable } => {
                put_header(out, 10, 0, 24);
                out.put_u32(incarnation);
                out.put_u32(rules);
                out.put_u64(end);
                out.put_u64(durable);
            }
            Entry::CleanShutdown { sequence } => {
                put_header(out, 11, 0, 8);
                out.put_u64(sequence);
            }
            Entry::Quarantine { log, first, next } => {
                put_header(out, 12, 0, 24);
                out.put_u32(log);
                out.put_u32(0);
                out.put_i64(first);
                out.put_i64(next);
            }
            Entry::Adopt { record } => {
                put_header(out, 13, 0, record.len());
                out.put(record);
            }
            Entry::Disown { log, shard } => {
                put_header(out, 14, 0, 8);
                out.put_u32(log);
                out.put_u32(shard);
            }
            Entry::Swap { log, from, to, segment } => {
                put_header(out, 15, 0, 24 + segment.len());
                out.put_u32(log);
                out.put_u32(0);
                out.put_i64(from);
                out.put_i64(to);
                out.put(segment);
            }
            Entry::Cleaned { log, to } => put_offset(out, 16, log, to),
        }
    }
}

fn put_offset(out: &mut impl Encode, kind: u8, log: u32, to: i64) {
    put_header(out, kind, 0, 16);
    out.put_u32(log);
    out.put_u32(0);
    out.put_i64(to);
}

/// Why a group's entries cannot be read though its checksums hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryError {
    Short,
    UnknownKind(u8),
}

impl From<Short> for EntryError {
    fn from(_: Short) -> Self {
        Self::Short
    }
}

/// The entries behind a group's table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entries<'a>(Decoder<'a>);

impl<'a> Entries<'a> {
    /// `payload` from after the table of the previous group.
    pub(crate) const fn new(payload: &'a [u8]) -> Self {
        Self(Decoder(payload))
    }

    fn read(&mut self) -> Result<Entry<'a>, EntryError> {
        let [kind, flags, _, _] = self.0.array::<ENTRY_HEADER_BYTES_HALF>()?;
        let body_bytes = self.0.u32()? as usize;
        let mut body = Decoder(self.0.take(body_bytes)?);
        let body = &mut body;
        Ok(match kind {
            1 => {
                let (log, position) = (body.u32()?, body.u32()?);
                let run = Run { log, segment: body.i64()?, first: body.i64()?, next: body.i64()? };
                Entry::Bytes { run, position, kind: Carriage::from_flags(flags), bytes: body.0 }
            }
            2 => {
                let (log, write_start, start) = (body.u32()?, body.u32()?, body.u32()?);
                let (end, crc, count) = (body.u32()?, body.u32()?, body.u32()? as usize);
                let run = Run { log, segment: body.i64()?, first: body.i64()?, next: body.i64()? };
                let headers = body.take(count.checked_mul(HEADER_BYTES).ok_or(Short)?)?;
                Entry::Extent { run, write_start, start, end, crc, headers }
            }
            3 => {
                let (log, partition, topic) = (body.u32()?, body.i32()?, body.array()?);
                let epoch = body.i32()?;
                body.u32()?;
                Entry::Create { log, topic, partition, epoch, first: body.i64()? }
            }
            4 => Entry::Delete { log: body.u32()?, stray: flags & FLAG_STRAY != 0 },
            5 => Entry::EpochStart { log: body.u32()?, epoch: body.i32()?, start: body.i64()? },
            6 => offset(body).map(|(log, to)| Entry::Truncate { log, to })?,
            7 => offset(body).map(|(log, to)| Entry::LogStart { log, to })?,
            8 => {
                let (log, sealed_bytes) = (body.u32()?, body.u32()?);
                let (sealed_base, base) = (body.i64()?, body.i64()?);
                Entry::Roll { log, sealed_base, sealed_bytes, base }
            }
            9 => offset(body).map(|(log, to)| Entry::HighWatermark { log, to })?,
            10 => {
                let (incarnation, rules) = (body.u32()?, body.u32()?);
                Entry::Opened { incarnation, rules, end: body.u64()?, durable: body.u64()? }
            }
            11 => Entry::CleanShutdown { sequence: body.u64()? },
            12 => {
                let log = body.u32()?;
                body.u32()?;
                Entry::Quarantine { log, first: body.i64()?, next: body.i64()? }
            }
            13 => Entry::Adopt { record: body.0 },
            14 => Entry::Disown { log: body.u32()?, shard: body.u32()? },
            15 => {
                let log = body.u32()?;
                body.u32()?;
                Entry::Swap { log, from: body.i64()?, to: body.i64()?, segment: body.0 }
            }
            16 => offset(body).map(|(log, to)| Entry::Cleaned { log, to })?,
            unknown => return Err(EntryError::UnknownKind(unknown)),
        })
    }
}

const ENTRY_HEADER_BYTES_HALF: usize = ENTRY_HEADER_BYTES / 2;

fn offset(body: &mut Decoder<'_>) -> Result<(u32, i64), Short> {
    let log = body.u32()?;
    body.u32()?;
    Ok((log, body.i64()?))
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, EntryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.0 = Decoder(&[]);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
