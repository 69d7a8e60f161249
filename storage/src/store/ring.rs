//! The ring of files: which generation lies where, and where the next group goes.

use std::collections::VecDeque;
use std::rc::Rc;

use runtime::File;

use crate::journal::group::TableRow;
use crate::journal::superblock::Anchor;
use crate::limits::BLOCK_BYTES;

/// Files that a ring has in any case, if it may.
const SMALL_SLOTS: usize = 8;
/// Bytes of the ring for each log that has something in it.
const LAP_BYTES: u64 = 512 << 10;

/// A generation whose groups may still be needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) slot: u32,
    /// Its first group.
    pub(crate) first: Anchor,
}

/// Where a group goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) slot: u32,
    pub(crate) position: u64,
    pub(crate) generation: u64,
}

pub(crate) struct Ring {
    pub(crate) file_bytes: u64,
    /// By slot; `None` for a slot that cannot be used.
    pub(crate) files: Vec<Option<Rc<File>>>,
    /// Slots that can.
    pub(crate) usable: usize,
    /// Slots that hold nothing needed, the one freed longest ago first.
    pub(crate) free: VecDeque<u32>,
    /// Oldest first; the last one is being written.
    pub(crate) live: VecDeque<Generation>,
    /// What the next group carries on from.
    pub(crate) next: Anchor,
    /// The runs of the newest group.
    pub(crate) rows: Vec<TableRow>,
    pub(crate) slots_wanted: usize,
}

impl Ring {
    /// Files there are.
    pub(crate) fn slots(&self) -> usize {
        self.usable
    }

    /// Places a group of that many blocks, or `None` if a file must be released first. The last
    /// free file is kept for groups without which nothing could be released (`reserve`).
    pub(crate) fn place(&mut self, blocks: u32, reserve: bool) -> Option<Spot> {
        let group_bytes = u64::from(blocks) * u64::from(BLOCK_BYTES);
        let at = self.next.position % self.file_bytes;
        let generation = self.next.position / self.file_bytes;
        let current = self.live.back().filter(|it| it.number == generation);
        if let Some(current) = current
            && at + group_bytes <= self.file_bytes
        {
            return Some(Spot { slot: current.slot, position: self.next.position, generation });
        }
        let number = if at == 0 { generation } else { generation + 1 };
        if self.free.len() < 2 && !reserve {
            return None;
        }
        let slot = self.free.pop_front()?;
        let position = number * self.file_bytes;
        self.next.position = position;
        self.live.push_back(Generation { number, slot, first: self.next });
        Some(Spot { slot, position, generation: number })
    }

    /// Notes what the group that was just placed looks like.
    pub(crate) fn advance(&mut self, end: u64, hash: u64, rows: Vec<TableRow>) {
        self.next = Anchor { position: end, sequence: self.next.sequence + 1, prev_hash: hash };
        self.rows = rows;
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.slots() as u64 * self.file_bytes
    }

    /// Bytes in generations below `number`.
    pub(crate) fn bytes_below(&self, number: u64) -> u64 {
        let below = self.live.iter().take_while(|it| it.number < number);
        below.count() as u64 * self.file_bytes
    }

    /// Whether old files should be released now: while there are still enough free ones to go on
    /// with until it is done.
    pub(crate) fn wants_release(&self) -> bool {
        let slots = self.slots();
        self.live.len() >= (slots * 3 / 4).min(slots.saturating_sub(4)).max(slots / 2).max(2)
    }

    /// Which generation to release up to: half of the ring stays, at least the newest.
    pub(crate) fn cut(&self) -> Option<Generation> {
        let slots = self.slots();
        let keep = if slots > SMALL_SLOTS { slots / 2 } else { (slots / 4).max(1) };
        let at = self.live.len().checked_sub(keep)?;
        if at == 0 { None } else { self.live.get(at).copied() }
    }

    /// Releases the files of generations below `number`.
    pub(crate) fn release(&mut self, number: u64) {
        while self.live.front().is_some_and(|it| it.number < number) {
            let freed = self.live.pop_front().expect("one was just looked at");
            self.free.push_back(freed.slot);
        }
    }

    /// Whether the ring should and may grow, with so many logs that share it.
    pub(crate) fn wants_growth(&self, busy: usize) -> bool {
        self.may_grow(busy) && self.free.len() < self.slots() / 2
    }

    /// Whether it is still smaller than so many logs are worth: the more of them there are, the
    /// longer a lap must be for each to gather enough for a write of its own.
    pub(crate) fn may_grow(&self, busy: usize) -> bool {
        let small = self.slots() < SMALL_SLOTS || self.bytes() < busy as u64 * LAP_BYTES;
        small && self.slots() < self.slots_wanted
    }
}
