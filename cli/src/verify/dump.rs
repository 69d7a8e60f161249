//! `corelog log dump`: what one file of a data directory holds, line by line.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use protocol::batch::compress::{Compression, decompress};
use protocol::batch::records::Records;
use protocol::batch::{BatchHeader, HEADER_BYTES, RawBatch};

use super::bytes::{BLOCK, Fields, u32_at, u64_at, uuid_text};
use super::entry::{self, Entry};
use super::overlay::{Overlay, SegmentBytes};
use super::segment::header_at;
use super::{checkpoint, index, ring, superblock};

/// Batches decompress to at most this much when their records are shown.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

/// Whether records are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Batches,
    Records,
}

/// Writes what `path` holds to `out`.
///
/// # Errors
/// It cannot be read or written out, or is no file of a data directory.
pub(crate) fn dump(path: &Path, detail: Detail, out: &mut impl Write) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let other =
        || io::Error::new(io::ErrorKind::InvalidInput, "this is no file of a data directory");
    if name == "manifest" {
        manifest(&std::fs::read(path)?, out)
    } else if name == "superblock" {
        superblocks(&std::fs::read(path)?, out)
    } else if name.starts_with("checkpoint-") {
        checkpoints(&std::fs::read(path)?, out)
    } else if name.starts_with("ring-") {
        groups(path, &std::fs::read(path)?, out)
    } else {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("log") => batches(path, detail, out),
            Some("index") => pages(&std::fs::read(path)?, out),
            Some(_) | None => Err(other()),
        }
    }
}

fn manifest(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let Some(block) = bytes.get(..BLOCK) else {
        return writeln!(out, "shorter than a block");
    };
    let uuid: [u8; 16] = block[16..32].try_into().expect("sixteen bytes");
    let length = usize::from(Fields(&block[40..]).u16().unwrap_or(0)).min(BLOCK - 42);
    writeln!(
        out,
        "version {} directory {} broker {} shards {} cluster {:?}",
        u32_at(block, 8),
        uuid_text(uuid),
        u32_at(block, 32).cast_signed(),
        u32_at(block, 36),
        String::from_utf8_lossy(&block[42..42 + length]),
    )
}

fn superblocks(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    for (copy, block) in bytes.chunks_exact(BLOCK).enumerate() {
        match superblock::parse(block, u32_at(block, 40)) {
            Ok(found) => writeln!(
                out,
                "copy {copy}: journal {} sequence {} {} ring files of {} checkpoint {} replay at {} (group {}) durable {} incarnation {}",
                uuid_text(found.uuid),
                found.sequence,
                found.ring_files,
                found.ring_file_bytes,
                found.checkpoint,
                found.replay_position,
                found.replay_sequence,
                found.durable_position,
                found.incarnation,
            )?,
            Err(what) => writeln!(out, "copy {copy}: {what}")?,
        }
    }
    Ok(())
}

fn checkpoints(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let uuid = bytes.get(16..32).and_then(|uuid| uuid.try_into().ok()).unwrap_or_default();
    let number = if bytes.len() >= 40 { u64_at(bytes, 32) } else { 0 };
    match checkpoint::parse(bytes, number, uuid) {
        Err((position, what)) => writeln!(out, "at {position}: {what}"),
        Ok(partitions) => {
            writeln!(out, "checkpoint {number} of journal {}", uuid_text(uuid))?;
            partitions.iter().try_for_each(|partition| recorded(partition, out))
        }
    }
}

fn recorded(partition: &checkpoint::Partition, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "log {} = {}/{} state {} as of group {}: offsets {}..{} high watermark {} epoch {} compacted to {} epochs {:?} quarantined {:?}",
        partition.log,
        uuid_text(partition.topic),
        partition.index,
        partition.state,
        partition.as_of,
        partition.log_start,
        partition.log_end,
        partition.high_watermark,
        partition.leader_epoch,
        partition.cleaned,
        partition.epochs,
        partition.quarantined,
    )?;
    partition.segments.iter().try_for_each(|segment| {
        writeln!(
            out,
            "  segment {} to {} generation {}: {} bytes, {} flushed, {} index pages, {} entries",
            segment.base,
            segment.end,
            segment.generation,
            segment.length,
            segment.flushed,
            segment.index_pages,
            segment.entries.len(),
        )
    })
}

fn groups(path: &Path, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    for at in (0..bytes.len() / BLOCK).map(|block| block * BLOCK) {
        let block = &bytes[at..];
        if !block.starts_with(b"CLG1") {
            continue;
        }
        let uuid: [u8; 16] = block[16..32].try_into().expect("a block is longer");
        let Some(group) = ring::parse(block, (path, at as u64), uuid) else {
            writeln!(out, "at {at}: a group that does not hold")?;
            continue;
        };
        writeln!(
            out,
            "at {at}: group {} position {}..{} incarnation {} durable up to {} entries {}",
            group.sequence,
            group.position,
            group.end,
            group.incarnation,
            group.durable_upto,
            group.entry_count,
        )?;
        let mut payload = Fields(&block[group.entries_at()..group.payload_end()]);
        for _ in 0..group.entry_count {
            match entry::next(&mut payload) {
                Ok(entry) => show_entry(&entry, out)?,
                Err(what) => {
                    writeln!(out, "  {what}")?;
                    break;
                }
            }
        }
    }
    Ok(())
}

fn show_entry(entry: &Entry<'_>, out: &mut impl Write) -> io::Result<()> {
    match entry {
        Entry::Bytes(run, bytes) => writeln!(
            out,
            "  bytes of log {}: offsets {}..{}, {} bytes at {} of segment {}",
            run.log,
            run.first,
            run.next,
            bytes.len(),
            run.position,
            run.segment,
        ),
        Entry::Create { log, partition, topic, epoch, first } => writeln!(
            out,
            "  create log {log} = {}/{partition} epoch {epoch} from offset {first}",
            uuid_text(*topic),
        ),
        Entry::Adopt(partition) => {
            write!(out, "  adopt ")?;
            recorded(partition, out)
        }
        other => writeln!(out, "  {other:?}"),
    }
}

fn pages(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    for (number, page) in bytes.chunks_exact(BLOCK).enumerate() {
        let topic: [u8; 16] = page[16..32].try_into().expect("a page is a block");
        let (partition, base) = (u32_at(page, 32).cast_signed(), u64_at(page, 40).cast_signed());
        match index::parse(page, number, (topic, partition, base)) {
            Err(what) => writeln!(out, "page {number}: {what}")?,
            Ok(page) => {
                writeln!(
                    out,
                    "page {number} of {}/{partition} segment {base}: {} entries, to position {} offset {}",
                    uuid_text(topic),
                    page.entries.len(),
                    page.end_position,
                    page.end_offset,
                )?;
                for entry in &page.entries {
                    writeln!(
                        out,
                        "  offset {} at {} largest timestamp {} crc {:#010x} gap {}",
                        base + i64::from(entry.relative_offset),
                        entry.position,
                        entry.max_timestamp,
                        entry.crc,
                        entry.gap,
                    )?;
                }
            }
        }
    }
    Ok(())
}

/// Walks a segment by itself: how much of it counts only the journal knows, so it goes on as long as batches follow.
fn batches(path: &Path, detail: Detail, out: &mut impl Write) -> io::Result<()> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let none = Overlay::default();
    let mut bytes = SegmentBytes::new(Some(&file), length, &none);
    let (mut position, mut next) = (0, 0);
    while position + HEADER_BYTES as u64 <= length {
        let found = bytes.get(position, HEADER_BYTES)?.and_then(|header| header_at(header, next));
        let Some(header) = found.filter(|header| position + header.bytes <= length) else {
            position = (position + 1).next_multiple_of(BLOCK as u64);
            continue;
        };
        let Some(batch) = bytes.get(position, header.bytes as usize)? else { break };
        let checked = RawBatch(batch).check();
        let verdict = checked.as_ref().map_or_else(ToString::to_string, |_| "holds".to_owned());
        writeln!(
            out,
            "at {position}: offsets {}..{} records {} bytes {} epoch {} largest timestamp {} {verdict}",
            header.base,
            header.after(),
            header.count,
            header.bytes,
            header.epoch,
            header.max_timestamp,
        )?;
        if let (Detail::Records, Ok(checked)) = (detail, checked) {
            let codec = checked.compression();
            show_records(checked.header(), codec, checked.record_bytes(), out)?;
        }
        next = header.after().max(next);
        position += header.bytes;
    }
    Ok(())
}

fn show_records(
    header: &BatchHeader,
    codec: Compression,
    packed: &[u8],
    out: &mut impl Write,
) -> io::Result<()> {
    let plain = match decompress(codec, packed, UNPACKED_BYTES_MAX) {
        Ok(plain) => plain,
        Err(error) => return writeln!(out, "  {error}"),
    };
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or_else(|| "null".to_owned(), |bytes| format!("\"{}\"", bytes.escape_ascii()))
    };
    for record in Records::new(header, &plain) {
        match record {
            Ok(record) => writeln!(
                out,
                "  offset {} timestamp {} key {} value {} headers {}",
                record.offset,
                record.timestamp,
                text(record.key),
                text(record.value),
                record.headers.len(),
            )?,
            Err(error) => writeln!(out, "  {error}")?,
        }
    }
    Ok(())
}
