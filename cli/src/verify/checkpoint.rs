//! Checkpoints: every partition's state at some group of the journal (`docs/format.md` 4).

use std::path::{Path, PathBuf};

use super::bytes::{Fields, crc_without, u32_at, u64_at};
use super::{CannotCheck, Directory, Report};

const HEADER_BYTES: usize = 64;
const CRC_AT: usize = 12;
const BATCHES_MAX: usize = 5;
/// A segment without entries.
const SEGMENT_BYTES_MIN: usize = 68;

/// A partition as a checkpoint or an adoption records it. What the check does not use is not kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Partition {
    pub(super) log: u32,
    pub(super) index: i32,
    pub(super) topic: [u8; 16],
    /// 1 live, 2 being deleted, 3 being moved away.
    pub(super) state: u8,
    /// Entries of groups below this sequence are in here.
    pub(super) as_of: u64,
    pub(super) log_start: i64,
    pub(super) log_end: i64,
    pub(super) high_watermark: i64,
    pub(super) leader_epoch: i32,
    /// Below it everything was compacted.
    pub(super) cleaned: i64,
    pub(super) epochs: Vec<(i32, i64)>,
    pub(super) quarantined: Vec<(i64, i64)>,
    pub(super) segments: Vec<Segment>,
}

/// One segment of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Segment {
    pub(super) base: i64,
    /// How often compaction wrote it anew.
    pub(super) generation: u32,
    pub(super) end: i64,
    /// How many of the file's bytes are data.
    pub(super) length: u32,
    /// How many of them are in the file and synced; the others are in the journal.
    pub(super) flushed: u32,
    pub(super) index_pages: u32,
    pub(super) entries: Vec<IndexEntry>,
    /// `length` when the checkpoint was made: where the region of the last entry ends.
    pub(super) entries_end: u32,
    /// It takes no more batches.
    pub(super) is_sealed: bool,
}

/// Opens a region of a segment (`docs/format.md` 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) relative_offset: u32,
    pub(super) position: u32,
    pub(super) max_timestamp: i64,
    pub(super) crc: u32,
    pub(super) gap: u32,
}

pub(super) const INDEX_ENTRY_BYTES: usize = 24;

pub(super) fn index_entry(fields: &mut Fields<'_>) -> Option<IndexEntry> {
    Some(IndexEntry {
        relative_offset: fields.u32()?,
        position: fields.u32()?,
        max_timestamp: fields.i64()?,
        crc: fields.u32()?,
        gap: fields.u32()?,
    })
}

/// Reads both copies of the checkpoint that the superblock names; reports what does not hold.
///
/// Answers `None` when neither copy can be used.
pub(super) fn read(
    directory: &Directory,
    (shard_dir, number, uuid): (&Path, u64, [u8; 16]),
    report: &mut Report,
) -> Result<Option<Vec<Partition>>, CannotCheck> {
    let mut good: Option<Vec<Partition>> = None;
    for copy in ["a", "b"] {
        let path = path_of(shard_dir, number, copy);
        let Some(bytes) = directory.read_if_there(&path)? else {
            report.find(&path, None, "this copy of the checkpoint is missing");
            continue;
        };
        match parse(&bytes, number, uuid) {
            Ok(partitions) => good = good.or(Some(partitions)),
            Err((position, what)) => report.find(&path, position, what),
        }
    }
    if good.is_none() {
        let path = path_of(shard_dir, number, "a");
        report.find(&path, None, "no copy of the checkpoint holds: the shard cannot open");
    }
    Ok(good)
}

pub(super) fn path_of(shard_dir: &Path, number: u64, copy: &str) -> PathBuf {
    shard_dir.join(format!("checkpoint-{number}.{copy}"))
}

/// Where and what is wrong.
pub(super) type Complaint = (u64, String);

/// Reads one copy; where and what is wrong if it does not hold.
pub(super) fn parse(
    bytes: &[u8],
    number: u64,
    uuid: [u8; 16],
) -> Result<Vec<Partition>, Complaint> {
    let wrong = |position: u64, what: &str| (position, what.to_owned());
    let Some(header) = bytes.get(..HEADER_BYTES) else {
        return Err(wrong(0, "shorter than a checkpoint's header"));
    };
    if !header.starts_with(b"CORELOGC") || u32_at(header, 8) != 1 {
        return Err(wrong(0, "this is no checkpoint of a known version"));
    }
    if u32_at(header, CRC_AT) != crc_without(header, CRC_AT) {
        return Err(wrong(0, "the header's checksum does not hold"));
    }
    if header[16..32] != uuid || u64_at(header, 32) != number {
        return Err(wrong(16, "it belongs to another journal or carries another number"));
    }
    let size = usize::try_from(u64_at(header, 40)).unwrap_or(usize::MAX);
    let (body, padding) = bytes[HEADER_BYTES..]
        .split_at_checked(size)
        .ok_or_else(|| wrong(40, "the body is cut off"))?;
    if u32_at(header, 48) != crc32c::crc32c(body) {
        return Err(wrong(HEADER_BYTES as u64, "the body's checksum does not hold"));
    }
    if padding.iter().any(|&byte| byte != 0) {
        return Err(wrong((HEADER_BYTES + size) as u64, "the padding is not zero"));
    }
    let mut fields = Fields(body);
    let mut partitions = Vec::new();
    while !fields.is_empty() {
        let position = (HEADER_BYTES + size - fields.0.len()) as u64;
        let parsed = partition(&mut fields);
        partitions.push(parsed.ok_or_else(|| wrong(position, "a partition record is malformed"))?);
    }
    if partitions.len() as u64 != u64::from(u32_at(header, 52)) {
        return Err(wrong(52, "the number of partitions is another one"));
    }
    let next_log = u32_at(header, 56);
    if partitions.iter().any(|partition| partition.log >= next_log) {
        return Err(wrong(56, "a log id that was not given out yet"));
    }
    Ok(partitions)
}

/// Reads one partition record.
pub(super) fn partition(fields: &mut Fields<'_>) -> Option<Partition> {
    let size = usize::try_from(fields.u32()?).ok()?;
    let mut record = Fields(fields.take(size)?);
    let record = &mut record;
    let mut partition = Partition {
        log: record.u32()?,
        index: record.i32()?,
        topic: record.array()?,
        state: record.u8()?,
        ..Partition::default()
    };
    record.take(3)?;
    partition.as_of = record.u64()?;
    partition.log_start = record.i64()?;
    partition.log_end = record.i64()?;
    partition.high_watermark = record.i64()?;
    partition.leader_epoch = record.i32()?;
    partition.cleaned = record.i64()?;
    partition.epochs = record.list(12, |it| Some((it.i32()?, it.i64()?)))?;
    partition.quarantined = record.list(16, |it| Some((it.i64()?, it.i64()?)))?;
    partition.segments = record.list(SEGMENT_BYTES_MIN, segment)?;
    record.list(24, producer)?;
    let count = partition.segments.len();
    for (nth, segment) in partition.segments.iter_mut().enumerate() {
        segment.is_sealed = nth + 1 < count;
    }
    record.is_empty().then_some(partition)
}

pub(super) fn segment(record: &mut Fields<'_>) -> Option<Segment> {
    let (base, generation, end) = (record.i64()?, record.u32()?, record.i64()?);
    let (length, flushed) = (record.u32()?, record.u32()?);
    let (_timestamp, _offset_of_it, _created) = (record.i64()?, record.i64()?, record.i64()?);
    let index_pages = record.u32()?;
    let _largest_in_pages = record.i64()?;
    let entries = record.list(INDEX_ENTRY_BYTES, index_entry)?;
    let (entries_end, is_sealed) = (length, false);
    Some(Segment {
        base,
        generation,
        end,
        length,
        flushed,
        index_pages,
        entries,
        entries_end,
        is_sealed,
    })
}

/// Producers are a copy of what the batches say; here only their form is checked.
fn producer(record: &mut Fields<'_>) -> Option<()> {
    let (_id, _epoch, _zero, _last) = (record.i64()?, record.i16()?, record.u16()?, record.i64()?);
    let batches = record.list(32, |it| it.take(32))?;
    (batches.len() <= BATCHES_MAX).then_some(())
}
