//! The journal's ring files: every block looked at, and the chain of groups through them (`docs/format.md` 3).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::bytes::{BLOCK, Fields, u32_at, u64_at};
use super::entry::{Row, rows};
use super::superblock::Superblock;
use super::{CannotCheck, Directory, Report};

const HEADER_BYTES: usize = 128;
const HEADER_CRC_AT: usize = 8;
/// More ring files than that there never are.
const SLOTS_MAX: u32 = 1024;

/// A group whose checksums hold and that lies where it says.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) file: PathBuf,
    /// Where in the file.
    pub(super) at: u64,
    pub(super) position: u64,
    pub(super) sequence: u64,
    pub(super) incarnation: u32,
    pub(super) prev_hash: u64,
    pub(super) hash: u64,
    pub(super) durable_upto: u64,
    pub(super) end: u64,
    pub(super) payload_bytes: usize,
    pub(super) entry_count: u32,
    /// The table of the group before it.
    pub(super) table: Vec<Row>,
}

/// What a ring holds.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// By sequence; of two with the same one, the newer incarnation.
    pub(super) groups: BTreeMap<u64, Group>,
    /// Groups whose checksums hold but whose place is another's.
    misplaced: Vec<(PathBuf, u64, u64)>,
    /// Blocks that begin like a group of this journal and do not hold.
    damaged: Vec<(PathBuf, u64)>,
}

/// Looks at every block of every ring file of a shard.
pub(super) fn read(
    directory: &Directory,
    (shard_dir, superblock): (&Path, &Superblock),
    slots: &[u32],
    report: &mut Report,
) -> Result<Ring, CannotCheck> {
    let mut ring = Ring::default();
    for slot in (0..superblock.ring_files.min(SLOTS_MAX)).filter(|slot| !slots.contains(slot)) {
        report.find(&shard_dir.join(format!("ring-{slot}")), None, "the ring file is missing");
    }
    for &slot in slots {
        let path = shard_dir.join(format!("ring-{slot}"));
        let bytes = directory.read(&path)?;
        if bytes.len() as u64 != superblock.ring_file_bytes {
            let (has, size) = (bytes.len(), superblock.ring_file_bytes);
            report.find(&path, None, format!("the file has {has} bytes instead of {size}"));
        }
        for at in (0..bytes.len() / BLOCK).map(|block| block * BLOCK) {
            ring.look(&bytes, at, (&path, slot), superblock);
        }
    }
    Ok(ring)
}

impl Ring {
    fn look(&mut self, file: &[u8], at: usize, (path, slot): (&Path, u32), known: &Superblock) {
        let block = &file[at..];
        if !block.starts_with(b"CLG1") || block[16..32] != known.uuid {
            return;
        }
        let Some(group) = parse(block, (path, at as u64), known.uuid) else {
            self.damaged.push((path.to_owned(), at as u64));
            return;
        };
        let its_place = group.position % known.ring_file_bytes;
        if its_place != at as u64 || u32_at(block, 52) != slot {
            self.misplaced.push((path.to_owned(), at as u64, group.sequence));
            return;
        }
        let newer =
            |held: &Group| (held.incarnation, held.position) < (group.incarnation, group.position);
        if self.groups.get(&group.sequence).is_none_or(newer) {
            self.groups.insert(group.sequence, group);
        }
    }
}

/// A group, if its header and payload hold.
pub(super) fn parse(block: &[u8], (path, at): (&Path, u64), uuid: [u8; 16]) -> Option<Group> {
    let header = block.get(..HEADER_BYTES)?;
    let position = u64_at(header, 32);
    let payload_bytes = usize::try_from(u32_at(header, 56)).ok()?;
    let blocks = usize::try_from(u32_at(header, 60)).ok()?;
    let version = Fields(&header[4..]).u16()?;
    let header_size = Fields(&header[6..]).u16()?;
    let sizes_hold = version == 1
        && usize::from(header_size) == HEADER_BYTES
        && blocks == HEADER_BYTES.checked_add(payload_bytes)?.div_ceil(BLOCK);
    if !sizes_hold {
        return None;
    }
    let seed = crc32c::crc32c_append(crc32c::crc32c(&uuid), &position.to_le_bytes());
    let mut plain = [0; HEADER_BYTES];
    plain.copy_from_slice(header);
    plain[HEADER_CRC_AT..HEADER_CRC_AT + 4].fill(0);
    let header_crc = u32_at(header, HEADER_CRC_AT);
    if crc32c::crc32c_append(seed, &plain) != header_crc {
        return None;
    }
    let payload = block.get(HEADER_BYTES..HEADER_BYTES + payload_bytes)?;
    let payload_crc = u32_at(header, 12);
    if crc32c::crc32c_append(seed, payload) != payload_crc {
        return None;
    }
    let table = rows(&mut Fields(payload), u32_at(header, 80))?;
    Some(Group {
        file: path.to_owned(),
        at,
        position,
        sequence: u64_at(header, 40),
        incarnation: u32_at(header, 48),
        prev_hash: u64_at(header, 64),
        hash: u64::from(header_crc) << 32 | u64::from(payload_crc),
        durable_upto: u64_at(header, 72),
        end: position + (blocks * BLOCK) as u64,
        payload_bytes,
        entry_count: u32_at(header, 84),
        table,
    })
}

impl Group {
    /// Where the entries begin, counted from the group's start.
    pub(super) fn entries_at(&self) -> usize {
        HEADER_BYTES + self.table.len() * 24
    }

    /// Where they end.
    pub(super) fn payload_end(&self) -> usize {
        HEADER_BYTES + self.payload_bytes
    }

    /// The group's entries as bytes, behind the table.
    pub(super) fn entries(&self, directory: &Directory) -> Result<Vec<u8>, CannotCheck> {
        use std::os::unix::fs::FileExt;
        let skipped = self.entries_at();
        let mut bytes = vec![0; self.payload_end() - skipped];
        let read = std::fs::File::open(directory.root.join(&self.file))
            .and_then(|file| file.read_exact_at(&mut bytes, self.at + skipped as u64));
        read.map_err(|error| directory.unreadable(&self.file, error))?;
        Ok(bytes)
    }
}

/// The groups that count, in order, and how the journal ends.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub(super) groups: Vec<&'a Group>,
    /// Offsets of damaged groups, as their successors name them.
    pub(super) lost: Vec<Row>,
}

/// Follows the chain, and tells a torn tail from corruption.
pub(super) fn chain<'a>(
    ring: &'a Ring,
    superblock: &Superblock,
    (shard_dir, shard): (&Path, u32),
    report: &mut Report,
) -> Chain<'a> {
    let mut groups: Vec<&Group> = Vec::new();
    let mut lost = Vec::new();
    // Where the next group starts, its sequence, and the hash and incarnation of the one before.
    let mut position = superblock.replay_position;
    let mut sequence = superblock.replay_sequence;
    let mut link = Some(superblock.replay_prev_hash);
    let mut incarnation = 0;
    let durable = ring.groups.values().map(|group| group.durable_upto);
    let durable = durable.max().unwrap_or(0).max(superblock.durable_position);
    loop {
        let generation_end = position.next_multiple_of(superblock.ring_file_bytes);
        let fits = |group: &Group| {
            (group.position == position || group.position == generation_end)
                && link.is_none_or(|hash| hash == group.prev_hash)
                && group.incarnation >= incarnation
        };
        if let Some(group) = ring.groups.get(&sequence).filter(|group| fits(group)) {
            position = group.end;
            (sequence, link, incarnation) = (sequence + 1, Some(group.hash), group.incarnation);
            groups.push(group);
            continue;
        }
        if position >= durable {
            break;
        }
        let beyond =
            |group: &&Group| group.incarnation >= incarnation && group.position >= position;
        let Some(next) = ring.groups.range(sequence..).map(|(_, group)| group).find(beyond) else {
            let what = format!(
                "groups from {sequence} on, below the durable position {durable}, are damaged or missing"
            );
            report.find(&place(ring, shard_dir, position, superblock), None, what);
            break;
        };
        let what = format!(
            "groups {sequence} to {} are damaged, below the durable position {durable}",
            next.sequence - 1
        );
        report.find(
            &place(ring, shard_dir, position, superblock),
            position % superblock.ring_file_bytes,
            what,
        );
        lost.extend(next.table.iter().copied());
        (position, sequence, link) = (next.position, next.sequence, None);
    }
    for (file, at, sequence) in &ring.misplaced {
        report.find(file, *at, format!("group {sequence} lies in the wrong place"));
    }
    let dropped = ring.groups.values().filter(|group| group.position >= position).count();
    let torn = ring.damaged.iter().any(|(file, at)| {
        *at == position % superblock.ring_file_bytes
            && groups.last().is_some_and(|last| last.file == *file)
    });
    if dropped > 0 || torn {
        report.note(format!(
            "shard {shard}: the journal ends in a torn tail at position {position} ({dropped} groups dropped); none of it was acknowledged"
        ));
    }
    Chain { groups, lost }
}

/// The ring file that holds a position, as far as groups around it tell.
fn place(ring: &Ring, shard_dir: &Path, position: u64, superblock: &Superblock) -> PathBuf {
    let generation = |position: u64| position / superblock.ring_file_bytes;
    let same = |group: &&Group| generation(group.position) == generation(position);
    ring.groups.values().find(same).map_or_else(|| shard_dir.to_owned(), |group| group.file.clone())
}
