//! One shard's journal: superblock, checkpoint, ring, and the partitions that follow from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::replay::{Replica, replay};
use super::tree::{Explained, entries_of};
use super::{CannotCheck, Directory, Report, checkpoint, ring, superblock};

/// Reads a shard's journal and answers its partitions as they stand at its end.
pub(super) fn read(
    directory: &Directory,
    (shard, uuid): (u32, [u8; 16]),
    explained: &mut Explained,
    report: &mut Report,
) -> Result<Vec<Replica>, CannotCheck> {
    let dir = PathBuf::from(format!("shards/{shard}"));
    let path = dir.join("superblock");
    explained.path(&path);
    let Some(superblock) = superblock::read(directory, &path, shard, report)? else {
        return Ok(Vec::new());
    };
    if superblock.directory != uuid {
        report.find(&path, 100, "the journal is not of the directory that the manifest names");
    }
    let recorded = if superblock.checkpoint == 0 {
        Some(Vec::new())
    } else {
        for number in [superblock.checkpoint, superblock.checkpoint - 1] {
            explained.path(&checkpoint::path_of(&dir, number, "a"));
            explained.path(&checkpoint::path_of(&dir, number, "b"));
        }
        checkpoint::read(directory, (&dir, superblock.checkpoint, superblock.uuid), report)?
    };
    let slots = slots(directory, &dir, explained)?;
    let ring = ring::read(directory, (&dir, &superblock), &slots, report)?;
    let chain = ring::chain(&ring, &superblock, (&dir, shard), report);
    // Without the checkpoint nobody knows what the groups apply to.
    let Some(recorded) = recorded else { return Ok(Vec::new()) };
    let replicas = replay(directory, (shard, recorded), &chain, report)?;
    if !replicas.was_clean {
        report.note(format!("shard {shard}: it was not shut down cleanly"));
    }
    for row in &chain.lost {
        if let Some(replica) = replicas.by_log.get(&row.log) {
            let what = format!("records of {} were in a damaged journal group", replica.name());
            report.find_offsets((&dir, 0), (row.first, row.next), what);
        }
    }
    Ok(replicas.by_log.into_values().collect())
}

/// The numbers of the shard's ring files.
fn slots(
    directory: &Directory,
    dir: &Path,
    explained: &mut Explained,
) -> Result<Vec<u32>, CannotCheck> {
    let mut slots = Vec::new();
    for name in entries_of(directory, dir)? {
        let slot = name.strip_prefix("ring-").and_then(|number| number.parse::<u32>().ok());
        if let Some(slot) = slot.filter(|slot| name == format!("ring-{slot}")) {
            explained.path(&dir.join(&name));
            slots.push(slot);
        }
    }
    slots.sort_unstable();
    Ok(slots)
}

/// Reports partitions that live in two journals.
pub(super) fn find_doubles(partitions: &[Replica], report: &mut Report) {
    let mut seen: BTreeMap<([u8; 16], i32), u32> = BTreeMap::new();
    for replica in partitions.iter().filter(|replica| replica.recorded.state == 1) {
        let key = (replica.recorded.topic, replica.recorded.index);
        if let Some(other) = seen.insert(key, replica.shard) {
            let what = format!(
                "{} is in the journals of shards {other} and {}",
                replica.name(),
                replica.shard
            );
            report.find(Path::new("shards"), None, what);
        }
    }
}
