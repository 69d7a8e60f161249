//! Finding groups in ring files: every block is looked at, nothing is believed by its place alone.

use crate::journal::group::{GroupHeader, JournalId, NoGroup};
use crate::limits::BLOCK_BYTES;

/// A group whose checksums hold, and where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) header: GroupHeader,
    /// The ring file it was found in.
    pub(crate) slot: u32,
    /// Bytes into that file.
    pub(crate) at: u32,
}

/// What a ring holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct RingScan {
    /// Groups in their place.
    pub(crate) groups: Vec<Found>,
    /// Groups whose checksums hold but which lie where they do not belong (R5).
    pub(crate) misplaced: Vec<Found>,
    /// Blocks that say they start a group of this journal and do not: (slot, bytes into the file).
    pub(crate) damaged: Vec<(u32, u32)>,
    /// Blocks the device would not give (R6), and what they count as: damaged.
    pub(crate) unreadable: u32,
    /// Those blocks: (slot, bytes into the file).
    pub(crate) unreadable_blocks: Vec<(u32, u32)>,
    /// A group of a newer format lies here.
    pub(crate) newer: bool,
}

impl RingScan {
    /// Adds what one ring file holds. `unreadable` blocks were read as zeros.
    pub(crate) fn add(&mut self, journal: &JournalId, slot: u32, file: &[u8]) {
        let file_bytes = file.len() as u64;
        let mut at = 0usize;
        while at < file.len() {
            match GroupHeader::parse(journal, &file[at..]) {
                Ok(header) => {
                    let found = Found { header, slot, at: at as u32 };
                    if header.position % file_bytes == at as u64 && header.slot == slot {
                        self.groups.push(found);
                    } else {
                        self.misplaced.push(found);
                    }
                }
                Err(NoGroup::Damaged) => self.damaged.push((slot, at as u32)),
                Err(NoGroup::Newer) => self.newer = true,
                Err(NoGroup::Zero | NoGroup::Other) => {}
            }
            at += BLOCK_BYTES as usize;
        }
    }
}

#[cfg(test)]
mod tests;
