//! Index files, against an index rebuilt from the batches (`docs/format.md` 5.2).

use std::path::Path;

use super::bytes::{BLOCK, Fields, crc_without, u32_at, u64_at};
use super::checkpoint::{INDEX_ENTRY_BYTES, IndexEntry, Segment, index_entry};
use super::overlay::SegmentBytes;
use super::segment::Batch;
use super::{CannotCheck, Directory, Report};

const CRC_AT: usize = 8;
const ENTRIES_AT: usize = 64;
const ENTRIES_MAX: u16 = 168;

/// Whose index it is.
pub(super) struct Subject<'a> {
    pub(super) path: &'a Path,
    pub(super) segment: &'a Segment,
    pub(super) topic: [u8; 16],
    pub(super) partition: i32,
}

/// A page that holds.
pub(super) struct Page {
    pub(super) entries: Vec<IndexEntry>,
    pub(super) end_position: u32,
    pub(super) end_offset: i64,
    /// In the segment up to the end of the page.
    pub(super) max_timestamp: i64,
}

/// A region that an entry claims.
struct Claim<'a> {
    entry: &'a IndexEntry,
    /// Where the region before it ends.
    before: u64,
    /// Where it ends.
    end: u64,
}

/// Checks the pages of an index file, and the entries that are only in the checkpoint.
pub(super) fn check(
    directory: &Directory,
    subject: &Subject<'_>,
    (batches, bytes): (&[Batch], &mut SegmentBytes<'_>),
    report: &mut Report,
) -> Result<(), CannotCheck> {
    let file = directory.read_if_there(subject.path)?.unwrap_or_default();
    let expected = subject.segment.index_pages as usize;
    if file.len() / BLOCK < expected {
        let what = format!("{} pages of {expected}: it must be rebuilt", file.len() / BLOCK);
        report.find(subject.path, None, what);
    }
    let mut covered = 0;
    for (number, page) in file.chunks_exact(BLOCK).enumerate() {
        let at = (number * BLOCK) as u64;
        // Space that was allocated ahead.
        if number >= expected && page.iter().all(|&byte| byte == 0) {
            continue;
        }
        let owner = (subject.topic, subject.partition, subject.segment.base);
        let page = match parse(page, number, owner) {
            Ok(page) => page,
            Err(what) => {
                report.find(subject.path, at, what);
                covered = u64::MAX;
                continue;
            }
        };
        report.counts.index_pages += 1;
        let mut check =
            Check { directory, subject, batches, bytes: &mut *bytes, report: &mut *report };
        check.entries(&page.entries, (covered, page.end_position.into()), at)?;
        let end_offset = batches
            .iter()
            .rev()
            .find(|batch| batch.end <= u64::from(page.end_position))
            .and_then(|last| batches.iter().find(|batch| batch.position >= last.end))
            .map_or(subject.segment.end, |next| next.base);
        if page.end_offset != end_offset {
            let what = format!(
                "the page claims to end at offset {}, its last batch at {end_offset}",
                page.end_offset
            );
            report.find(subject.path, at, what);
        }
        let pages_batches = batches.iter().filter(|batch| batch.end <= page.end_position.into());
        let max = pages_batches.map(|batch| batch.max_timestamp).max().unwrap_or(-1);
        if page.max_timestamp != max {
            let what = format!("the page's largest timestamp is {}, not {max}", page.max_timestamp);
            report.find(subject.path, at, what);
        }
        covered = page.end_position.into();
    }
    let entries = &subject.segment.entries;
    if !entries.is_empty() && covered != u64::MAX && expected * BLOCK == file.len() / BLOCK * BLOCK
    {
        let end = subject.segment.entries_end.into();
        let mut check = Check { directory, subject, batches, bytes, report };
        check.entries(entries, (covered, end), 0)?;
    }
    Ok(())
}

/// Reads a page that should be number `number` of the segment `base` of a partition.
pub(super) fn parse(
    page: &[u8],
    number: usize,
    (topic, partition, base): ([u8; 16], i32, i64),
) -> Result<Page, String> {
    if !page.starts_with(b"CLIX") {
        return Err("this is no index page".to_owned());
    }
    if u32_at(page, CRC_AT) != crc_without(page, CRC_AT) {
        return Err("the page's checksum does not hold".to_owned());
    }
    let mut fields = Fields(&page[4..]);
    let (version, count) = (fields.u16(), fields.u16());
    let Some(count) = count.filter(|count| version == Some(1) && *count <= ENTRIES_MAX) else {
        return Err("a page of an unknown version, or with too many entries".to_owned());
    };
    let is_its = page[16..32] == topic
        && u32_at(page, 32) == partition.cast_unsigned()
        && u64_at(page, 40).cast_signed() == base;
    if !is_its {
        return Err("the page belongs to another partition or segment".to_owned());
    }
    if u64::from(u32_at(page, 12)) != number as u64 {
        return Err(format!("the page is number {}, not {number}", u32_at(page, 12)));
    }
    let mut fields = Fields(&page[ENTRIES_AT..ENTRIES_AT + usize::from(count) * INDEX_ENTRY_BYTES]);
    let entries = (0..count).map_while(|_| index_entry(&mut fields)).collect();
    let end_offset = u64_at(page, 48).cast_signed();
    let (end_position, max_timestamp) = (u32_at(page, 36), u64_at(page, 56).cast_signed());
    Ok(Page { entries, end_position, end_offset, max_timestamp })
}

struct Check<'a, 'b> {
    directory: &'a Directory,
    subject: &'a Subject<'a>,
    batches: &'a [Batch],
    bytes: &'a mut SegmentBytes<'b>,
    report: &'a mut Report,
}

impl Check<'_, '_> {
    /// Checks a row of entries that covers `[covered, end)`; `covered` is unknown when it is the largest number.
    fn entries(
        &mut self,
        entries: &[IndexEntry],
        (covered, end): (u64, u64),
        at: u64,
    ) -> Result<(), CannotCheck> {
        let mut before = covered;
        for (nth, entry) in entries.iter().enumerate() {
            let next = entries.get(nth + 1);
            let region_end =
                next.map_or(end, |next| u64::from(next.position.saturating_sub(next.gap)));
            let claim = Claim { entry, before, end: region_end };
            if let Some(what) = self.entry(&claim)? {
                let base = self.subject.segment.base + i64::from(entry.relative_offset);
                let what = format!("the entry for position {}: {what}", entry.position);
                self.report.find_offsets((self.subject.path, at), (base, base), what);
            }
            before = region_end;
        }
        Ok(())
    }

    /// What is wrong with one entry.
    fn entry(&mut self, claim: &Claim<'_>) -> Result<Option<String>, CannotCheck> {
        let Claim { entry, before, end } = *claim;
        let start = u64::from(entry.position);
        let first = self.batches.partition_point(|batch| batch.position < start);
        let last = self.batches.partition_point(|batch| batch.position < end);
        let Some(region) = self.batches.get(first..last).filter(|region| !region.is_empty()) else {
            return Ok(Some("there is no batch".to_owned()));
        };
        let (opening, closing) = (region[0], region[region.len() - 1]);
        if opening.position != start {
            return Ok(Some(format!("the next batch starts at {}", opening.position)));
        }
        let base = self.subject.segment.base + i64::from(entry.relative_offset);
        if opening.base != base {
            return Ok(Some(format!("the batch there has offset {}, not {base}", opening.base)));
        }
        if closing.end != end {
            return Ok(Some(format!("its last batch ends at {}, not at {end}", closing.end)));
        }
        let max = region.iter().map(|batch| batch.max_timestamp).max().unwrap_or(-1);
        if max != entry.max_timestamp {
            return Ok(Some(format!(
                "the largest timestamp is {max}, not {}",
                entry.max_timestamp
            )));
        }
        if before != u64::MAX && start != before + u64::from(entry.gap) {
            return Ok(Some(format!("a gap of {} does not lead there from {before}", entry.gap)));
        }
        let read = self.bytes.get(start, (end - start) as usize);
        let read = read.map_err(|error| self.directory.unreadable(self.subject.path, error))?;
        let Some(read) = read else { return Ok(Some("its bytes are nowhere".to_owned())) };
        let holds = crc32c::crc32c(read) == entry.crc;
        Ok((!holds).then(|| "the region's checksum does not hold".to_owned()))
    }
}
