//! Segments: every batch walked, its checksum, offsets and epochs (`docs/format.md` 5.1).

use std::path::{Path, PathBuf};

use super::bytes::uuid_text;
use super::checkpoint::{Partition, Segment};
use super::index;
use super::overlay::{Overlay, SegmentBytes};
use super::replay::Replica;
use super::tree::{Explained, entries_of};
use super::{CannotCheck, Directory, Report};
use crate::progress::Progress;

const BLOCK: u64 = 4096;
const HEADER_BYTES: usize = 61;

/// A batch as the walk found it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub(super) position: u64,
    pub(super) end: u64,
    pub(super) base: i64,
    pub(super) max_timestamp: i64,
}

/// The fields of a batch header that the walk uses; big-endian, as Kafka's batches are.
pub(super) struct Header {
    pub(super) base: i64,
    pub(super) bytes: u64,
    pub(super) epoch: i32,
    magic: u8,
    crc: u32,
    last_delta: i32,
    pub(super) max_timestamp: i64,
    pub(super) count: i32,
}

impl Header {
    /// The offset after the last record.
    pub(super) fn after(&self) -> i64 {
        self.base.saturating_add(i64::from(self.last_delta)).saturating_add(1)
    }
}

/// The header, if a batch can begin here where `next` is the offset expected.
pub(super) fn header_at(bytes: &[u8], next: i64) -> Option<Header> {
    let header = header(bytes);
    let is_batch = header.magic == 2 && header.bytes >= HEADER_BYTES as u64 && header.base >= next;
    is_batch.then_some(header)
}

fn header(bytes: &[u8]) -> Header {
    let i32_at = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let i64_at = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    Header {
        base: i64_at(0),
        bytes: u64::try_from(i32_at(8)).map_or(0, |length| length + 12),
        epoch: i32_at(12),
        magic: bytes[16],
        crc: i32_at(17).cast_unsigned(),
        last_delta: i32_at(23),
        max_timestamp: i64_at(35),
        count: i32_at(57),
    }
}

/// How many bytes of a partition's files will be read.
pub(super) fn file_bytes(replica: &Replica) -> u64 {
    replica.recorded.segments.iter().map(|segment| u64::from(segment.length)).sum()
}

/// Checks one partition's segments and indexes.
pub(super) fn check(
    directory: &Directory,
    replica: &mut Replica,
    (explained, progress): (&mut Explained, &Progress),
    report: &mut Report,
) -> Result<(), CannotCheck> {
    let Partition { topic, index: partition, .. } = replica.recorded;
    let dir = PathBuf::from(format!("topics/{}/{partition}", uuid_text(topic)));
    if replica.recorded.state != 1 {
        // Its files are on their way out, and may be gone already.
        explained.directory(&dir);
        return Ok(());
    }
    check_record(&dir, replica, report);
    let none = Overlay::default();
    let mut epoch = -1;
    for segment in &replica.recorded.segments {
        let stem = match segment.generation {
            0 => format!("{:020}", segment.base),
            generation => format!("{:020}.{generation}", segment.base),
        };
        let path = dir.join(format!("{stem}.log"));
        let index_path = dir.join(format!("{stem}.index"));
        explained.path(&path);
        explained.path(&index_path);
        let file = directory.open_if_there(&path)?;
        if segment.end <= replica.recorded.log_start && segment.is_sealed && file.is_none() {
            continue; // Deleted by retention; the next checkpoint forgets it.
        }
        let size = match &file {
            Some(file) => {
                file.metadata().map_err(|error| directory.unreadable(&path, error))?.len()
            }
            None => 0,
        };
        if size < u64::from(segment.flushed.min(segment.length)) {
            let what =
                format!("the file has {size} bytes of {} that were flushed", segment.flushed);
            report.find_offsets((&path, size), (segment.base, segment.end), what);
        }
        let overlay = replica.overlays.get(&segment.base).unwrap_or(&none);
        let bytes = SegmentBytes::new(file.as_ref(), segment.flushed.into(), overlay);
        let mut walk = Walk {
            path: &path,
            segment,
            partition: &replica.recorded,
            is_cut: replica.is_cut,
            bytes,
            next: segment.base,
            epoch: &mut epoch,
            batches: Vec::new(),
        };
        walk.run(directory, report)?;
        report.counts.segments += 1;
        progress.advance(segment.length.into());
        let (batches, mut bytes) = (walk.batches, walk.bytes);
        for (group_file, at, extent) in
            replica.extents.iter().filter(|(_, _, extent)| extent.segment == segment.base)
        {
            let count = (extent.end - extent.write_start) as usize;
            let read = bytes.get(extent.write_start.into(), count);
            let read = read.map_err(|error| directory.unreadable(&path, error))?;
            if read.map(crc32c::crc32c) != Some(extent.crc) {
                let what = format!(
                    "the journal at {at} of {} wrote other bytes here",
                    group_file.display()
                );
                let offsets = (extent.first, extent.next);
                report.find_offsets((&path, extent.write_start.into()), offsets, what);
            }
        }
        let subject = index::Subject { path: &index_path, segment, topic, partition };
        index::check(directory, &subject, (&batches, &mut bytes), report)?;
    }
    explain_leftovers(directory, (&dir, &replica.recorded), explained, report)
}

/// A compaction that a crash interrupted leaves files behind: of a segment that never took its place,
/// or of those that were replaced. If offsets are lost, nothing is taken for that.
fn explain_leftovers(
    directory: &Directory,
    (dir, partition): (&Path, &Partition),
    explained: &mut Explained,
    report: &mut Report,
) -> Result<(), CannotCheck> {
    if !partition.quarantined.is_empty() {
        return Ok(());
    }
    for name in entries_of(directory, dir)? {
        let stem = name.strip_suffix(".log").or_else(|| name.strip_suffix(".index"));
        let Some((base, generation)) = stem.and_then(parse_stem) else { continue };
        let path = dir.join(&name);
        let replaced = partition
            .segments
            .iter()
            .any(|it| it.generation > 0 && (it.base..it.end).contains(&base));
        if !explained.knows(&path) && (generation > 0 || replaced) {
            report.note(format!("{}: left over from a compaction", path.display()));
            explained.path(&path);
        }
    }
    Ok(())
}

/// Base offset and generation of a file's stem.
fn parse_stem(stem: &str) -> Option<(i64, u32)> {
    let (base, generation) = match stem.split_once('.') {
        None => (stem, 0),
        Some((base, generation)) => (base, generation.parse().ok()?),
    };
    let is_base = base.len() == 20 && base.bytes().all(|byte| byte.is_ascii_digit());
    Some((base.parse().ok().filter(|_| is_base)?, generation))
}

/// Whether the partition's numbers fit each other.
fn check_record(dir: &Path, replica: &Replica, report: &mut Report) {
    let Partition { log_start, log_end, high_watermark, segments, epochs, .. } = &replica.recorded;
    if log_start > log_end {
        report.find_offsets((dir, 0), (*log_end, *log_start), "the log ends before it starts");
    }
    if replica.recorded.cleaned > *log_end {
        let what = format!("compacted up to {}, beyond the log end", replica.recorded.cleaned);
        report.find(dir, None, what);
    }
    if high_watermark > log_end {
        let what = format!("the high watermark {high_watermark} is beyond the log end {log_end}");
        report.find(dir, None, what);
    }
    for pair in segments.windows(2) {
        if pair[1].base < pair[0].end {
            let what = format!("segments {} and {} overlap", pair[0].base, pair[1].base);
            report.find_offsets((dir, 0), (pair[1].base, pair[0].end), what);
        }
    }
    for pair in epochs.windows(2) {
        if pair[1].0 <= pair[0].0 || pair[1].1 < pair[0].1 {
            report.find(
                dir,
                None,
                format!("epochs {} and {} are out of order", pair[0].0, pair[1].0),
            );
        }
    }
}

struct Walk<'a> {
    path: &'a Path,
    segment: &'a Segment,
    partition: &'a Partition,
    is_cut: bool,
    bytes: SegmentBytes<'a>,
    /// The offset expected next.
    next: i64,
    /// The largest epoch so far in the partition.
    epoch: &'a mut i32,
    batches: Vec<Batch>,
}

impl Walk<'_> {
    fn run(&mut self, directory: &Directory, report: &mut Report) -> Result<(), CannotCheck> {
        let length = u64::from(self.segment.length);
        let mut position = 0;
        let mut hole_from = None;
        while position < length {
            if self.is_cut && self.next >= self.segment.end {
                break;
            }
            let step = self
                .step(position, length, report)
                .map_err(|error| directory.unreadable(self.path, error))?;
            match step {
                Step::Batch { end } => {
                    if let Some(from) = hole_from.take() {
                        self.report_hole(from, position, report);
                    }
                    position = end;
                }
                Step::None => {
                    let aligned = (position + 1).next_multiple_of(BLOCK);
                    self.check_padding(position, aligned.min(length), hole_from.is_some(), report)
                        .map_err(|error| directory.unreadable(self.path, error))?;
                    if position.is_multiple_of(BLOCK) {
                        hole_from.get_or_insert(position);
                    }
                    position = aligned;
                }
            }
        }
        if let Some(from) = hole_from {
            self.report_hole(from, length, report);
        }
        if self.next < self.segment.end {
            self.report_missing(self.segment.end, length, report);
        }
        // A sealed segment is flushed with the padding that fills its last block.
        self.check_padding(length, self.segment.flushed.into(), false, report)
            .map_err(|error| directory.unreadable(self.path, error))
    }

    /// Looks for a batch at `position`.
    fn step(&mut self, position: u64, length: u64, report: &mut Report) -> std::io::Result<Step> {
        if position + HEADER_BYTES as u64 > length {
            return Ok(Step::None);
        }
        let Some(bytes) = self.bytes.get(position, HEADER_BYTES)? else { return Ok(Step::None) };
        let Some(header) = header_at(bytes, self.next) else { return Ok(Step::None) };
        let end = position + header.bytes;
        if end > length || (position > 0 && header.base == 0) {
            return Ok(Step::None);
        }
        let after = header.after();
        let Some(bytes) = self.bytes.get(position, header.bytes as usize)? else {
            return Ok(Step::None);
        };
        let here = (self.path, position);
        let crc = crc32c::crc32c(&bytes[21..]);
        report.counts.batches += 1;
        report.counts.bytes += header.bytes;
        report.counts.records += u64::try_from(header.count).unwrap_or(0);
        if crc != header.crc {
            let what = "the batch's checksum does not hold";
            report.find_offsets(here, (header.base, after.max(header.base)), what);
        }
        if header.last_delta < 0
            || header.count < 0
            || header.count > header.last_delta.saturating_add(1)
        {
            let what = "the batch's offsets and number of records contradict each other";
            report.find_offsets(here, (header.base, after), what);
        }
        self.check_epoch(here.1, &header, report);
        // Compaction leaves gaps.
        if header.base > self.next && self.segment.generation == 0 {
            self.report_missing(header.base, position, report);
        }
        self.next = after.max(self.next);
        let max_timestamp = header.max_timestamp;
        self.batches.push(Batch { position, end, base: header.base, max_timestamp });
        Ok(Step::Batch { end })
    }

    fn check_epoch(&mut self, position: u64, header: &Header, report: &mut Report) {
        let offsets = (header.base, header.base.saturating_add(1));
        if header.epoch < *self.epoch {
            let what = format!("leader epoch {} after {}", header.epoch, *self.epoch);
            report.find_offsets((self.path, position), offsets, what);
        }
        *self.epoch = header.epoch.max(*self.epoch);
        let in_force = self.partition.epochs.iter().rev().find(|(_, start)| *start <= header.base);
        if let Some((epoch, _)) = in_force
            && *epoch != header.epoch
        {
            let what = format!("leader epoch {} where the journal knows {epoch}", header.epoch);
            report.find_offsets((self.path, position), offsets, what);
        }
    }

    /// Padding is zeros, except in a hole, where anything may lie.
    fn check_padding(
        &mut self,
        position: u64,
        end: u64,
        in_hole: bool,
        report: &mut Report,
    ) -> std::io::Result<()> {
        if in_hole || position.is_multiple_of(BLOCK) || end <= position {
            return Ok(());
        }
        let count = (end - position) as usize;
        let padding = self.bytes.get(position, count)?;
        if padding.is_some_and(|bytes| bytes.iter().any(|&byte| byte != 0)) {
            let what = "neither a batch nor padding";
            report.find_offsets((self.path, position), (self.next, self.next), what);
        }
        Ok(())
    }

    /// Reports offsets that are in no batch, unless they are known to be lost or trimmed.
    fn report_missing(&self, until: i64, position: u64, report: &mut Report) {
        let mut from = self.next;
        let mut known: Vec<(i64, i64)> = self.partition.quarantined.clone();
        known.push((i64::MIN, self.partition.log_start));
        known.sort_unstable();
        for (first, next) in known {
            if first <= from && next > from {
                from = next;
            }
        }
        if from < until {
            report.find_offsets(
                (self.path, position),
                (from, until),
                "no batch holds these offsets",
            );
        }
    }

    /// Reports a hole in the file; which offsets it cost is reported by what follows it.
    fn report_hole(&self, from: u64, until: u64, report: &mut Report) {
        let is_known = self
            .partition
            .quarantined
            .iter()
            .any(|(first, next)| *first <= self.next && self.next < *next);
        if !is_known {
            let what = format!("no batch up to {until}");
            report.find_offsets((self.path, from), (self.next, self.next), what);
        }
    }
}

enum Step {
    Batch { end: u64 },
    None,
}
