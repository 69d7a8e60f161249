//! The ring of files: which generation lies where, and where the next group goes.

use std::collections::VecDeque;
use std::rc::Rc;

use runtime::File;

use crate::journal::group::TableRow;
use crate::journal::superblock::Anchor;
use crate::limits::BLOCK_BYTES;

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
        self.files.iter().flatten().count()
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

    /// Whether old files should be released now.
    pub(crate) fn wants_release(&self) -> bool {
        self.live.len() >= (self.slots() / 2).max(2)
    }

    /// Which generation to release up to: a quarter of the ring stays, at least the newest.
    pub(crate) fn cut(&self) -> Option<Generation> {
        let keep = (self.slots() / 4).max(1);
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

    /// Whether the ring should and may grow.
    pub(crate) fn wants_growth(&self) -> bool {
        self.slots() < self.slots_wanted && self.free.len() < self.slots() / 2
    }
}
