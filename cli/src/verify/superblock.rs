//! The superblock's four copies: where recovery starts (`docs/format.md` 2).

use std::path::Path;

use super::bytes::{BLOCK, crc_without, u32_at, u64_at};
use super::{CannotCheck, Directory, Report};

const COPIES: usize = 4;
const CRC_AT: usize = 12;
const RING_FILE_BYTES_MIN: u64 = 16_384;

/// A superblock that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) uuid: [u8; 16],
    pub(super) sequence: u64,
    pub(super) ring_file_bytes: u64,
    /// 0: there is none.
    pub(super) checkpoint: u64,
    pub(super) replay_position: u64,
    pub(super) replay_sequence: u64,
    pub(super) replay_prev_hash: u64,
    pub(super) durable_position: u64,
    pub(super) incarnation: u32,
    /// The directory it was made in.
    pub(super) directory: [u8; 16],
    /// 0: nobody counted them.
    pub(super) ring_files: u32,
}

/// Reads all copies, reports those that do not hold, and answers the newest that does.
pub(super) fn read(
    directory: &Directory,
    path: &Path,
    shard: u32,
    report: &mut Report,
) -> Result<Option<Superblock>, CannotCheck> {
    let Some(bytes) = directory.read_if_there(path)? else {
        report.find(path, None, "the superblock is missing: the shard cannot open");
        return Ok(None);
    };
    let mut newest: Option<Superblock> = None;
    for copy in 0..COPIES {
        let at = copy * BLOCK;
        let Some(block) = bytes.get(at..at + BLOCK) else {
            report.find(path, at as u64, format!("copy {copy} is missing"));
            continue;
        };
        match parse(block, shard) {
            Ok(found) => {
                if newest.is_none_or(|newest| found.sequence > newest.sequence) {
                    newest = Some(found);
                }
            }
            Err(what) => report.find(path, at as u64, format!("copy {copy}: {what}")),
        }
    }
    if bytes.len() > COPIES * BLOCK {
        report.find(path, (COPIES * BLOCK) as u64, "bytes follow the last copy");
    }
    if newest.is_none() {
        report.find(path, None, "no copy of the superblock holds: the shard cannot open");
    }
    Ok(newest)
}

/// Reads one copy.
pub(super) fn parse(block: &[u8], shard: u32) -> Result<Superblock, String> {
    if !block.starts_with(b"CORELOGS") {
        return Err("this is no superblock".to_owned());
    }
    if u32_at(block, CRC_AT) != crc_without(block, CRC_AT) {
        return Err("the checksum does not hold".to_owned());
    }
    if u32_at(block, 8) != 2 {
        return Err(format!("version {} is unknown", u32_at(block, 8)));
    }
    if u32_at(block, 40) != shard {
        return Err(format!("it is shard {}'s", u32_at(block, 40)));
    }
    let found = Superblock {
        uuid: block[16..32].try_into().expect("sixteen bytes"),
        sequence: u64_at(block, 32),
        ring_file_bytes: u64_at(block, 48),
        checkpoint: u64_at(block, 56),
        replay_position: u64_at(block, 64),
        replay_sequence: u64_at(block, 72),
        replay_prev_hash: u64_at(block, 80),
        durable_position: u64_at(block, 88),
        incarnation: u32_at(block, 96),
        directory: block[100..116].try_into().expect("sixteen bytes"),
        ring_files: u32_at(block, 116),
    };
    if !found.ring_file_bytes.is_power_of_two() || found.ring_file_bytes < RING_FILE_BYTES_MIN {
        return Err(format!("a ring file size of {} is not possible", found.ring_file_bytes));
    }
    if !found.replay_position.is_multiple_of(BLOCK as u64) {
        return Err("the replay position is not at a block".to_owned());
    }
    Ok(found)
}
