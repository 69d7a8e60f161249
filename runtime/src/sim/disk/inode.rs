//! One file's contents on a simulated disk: what is durable, what is visible, and the writes in
//! between.

use std::rc::Rc;

use super::CrashPlan;
use super::blocks::{Block, Blocks, ZEROS};
use crate::chunk::BLOCK_BYTES;
use crate::random::Rng;

const SECTOR_BYTES: usize = 512;
const SECTORS: usize = BLOCK_BYTES / SECTOR_BYTES;

/// Blocks are shared between versions, clones and crash images; nothing changes them in place.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    visible: Blocks,
    visible_len: u64,
    durable: Blocks,
    durable_len: u64,
    /// Blocks from the start for which space is reserved.
    reserved_blocks: u64,
    /// Writes that no sync covers, in the order in which they were submitted.
    pending: Vec<Pending>,
    /// Lengths the file had since its last sync, each with its number.
    pending_lens: Vec<(u64, u64)>,
    /// Numbers the lengths; and the newest that is durable. Syncs may end in another order than
    /// they began: an older one must not bring an older length back.
    len_number: u64,
    durable_len_number: u64,
    /// Versions that were overwritten, for reads that return old data. Kept only on request.
    overwritten: Vec<(u64, Rc<Block>)>,
}

#[derive(Clone, Debug)]
struct Pending {
    number: u64,
    first: u64,
    blocks: Vec<Option<Rc<Block>>>,
    /// Its completion was reported; else it is in flight.
    done: bool,
}

/// What a sync will make durable: taken when it starts.
pub(super) struct Covered {
    numbers: Vec<u64>,
    len: u64,
    len_number: u64,
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.visible_len
    }
    pub(super) fn block(&self, index: u64) -> &Block {
        self.visible.get(index).map_or(&ZEROS, Rc::as_ref)
    }
    /// An overwritten version of a block, if one is kept.
    pub(super) fn old_block(&self, index: u64, rng: &mut Rng) -> Option<Rc<Block>> {
        let old: Vec<_> = self.overwritten.iter().filter(|(at, _)| *at == index).collect();
        (!old.is_empty()).then(|| old[rng.below(old.len() as u64) as usize].1.clone())
    }
    /// Blocks that take space.
    pub(super) fn used_blocks(&self) -> u64 {
        self.reserved_blocks + self.visible.count_from(self.reserved_blocks)
    }
    /// Blocks of a range that would take new space.
    pub(super) fn new_blocks(&self, first: u64, count: u64) -> u64 {
        let taken =
            |index: &u64| *index < self.reserved_blocks || self.visible.get(*index).is_some();
        (first..first + count).filter(|index| !taken(index)).count() as u64
    }
    pub(super) fn reserve(&mut self, count: u64) {
        let blocks = count.div_ceil(BLOCK_BYTES as u64);
        self.reserved_blocks = self.reserved_blocks.max(blocks);
        if count > self.visible_len {
            self.set_len(count);
        }
    }

    fn set_len(&mut self, len: u64) {
        self.visible_len = len;
        if self.pending_lens.last().map(|last| last.1) != Some(len) {
            self.len_number += 1;
            self.pending_lens.push((self.len_number, len));
        }
    }

    pub(super) fn truncate(&mut self, len: u64) {
        if len < self.visible_len {
            self.visible.cut(len);
            self.reserved_blocks = self.reserved_blocks.min(len.div_ceil(BLOCK_BYTES as u64));
        }
        self.set_len(len);
    }

    /// The device has the write; whether and when it lands is open until it is done and synced.
    pub(super) fn submit(&mut self, number: u64, first: u64, bytes: &[u8]) {
        let blocks = bytes.chunks(BLOCK_BYTES).map(|part| {
            let mut block = ZEROS;
            block[..part.len()].copy_from_slice(part);
            Some(Rc::new(block))
        });
        let blocks = blocks.collect();
        self.pending.push(Pending { number, first, blocks, done: false });
    }

    /// Completes a write: everybody sees its first `blocks` blocks; the file ends at `end` at
    /// least. A synchronous one is durable too.
    pub(super) fn complete(
        &mut self,
        number: u64,
        blocks: usize,
        end: u64,
        synchronous: bool,
        keep_old: bool,
    ) {
        let Some(at) = self.pending.iter().position(|pending| pending.number == number) else {
            return;
        };
        self.pending[at].done = true;
        self.pending[at].blocks.truncate(blocks);
        let (first, written) = (self.pending[at].first, self.pending[at].blocks.clone());
        for (index, block) in (first..).zip(written) {
            // A later write to the same block is durable already: everybody sees that one.
            let Some(block) = block else { continue };
            if keep_old && let Some(old) = self.visible.get(index) {
                self.overwritten.push((index, old.clone()));
            }
            self.visible.set(index, Some(block));
        }
        if end > self.visible_len {
            self.set_len(end);
        }
        if synchronous {
            // With the write goes the file's length, as it is now.
            let (len, len_number) = (self.visible_len, self.len_number);
            let covered = Covered { numbers: vec![number], len, len_number };
            self.make_durable(&covered);
        }
    }

    /// The write went to another place and nobody noticed.
    pub(super) fn misdirect(&mut self, number: u64, to: u64) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.number == number) {
            pending.first = to;
        }
    }

    /// What a sync that starts now will cover.
    pub(super) fn covered(&self) -> Covered {
        let done = self.pending.iter().filter(|pending| pending.done);
        Covered {
            numbers: done.map(|pending| pending.number).collect(),
            len: self.visible_len,
            len_number: self.len_number,
        }
    }

    pub(super) fn make_durable(&mut self, covered: &Covered) {
        if covered.len_number >= self.durable_len_number {
            if covered.len < self.durable_len {
                self.durable.cut(covered.len);
            }
            self.durable_len = covered.len;
            self.durable_len_number = covered.len_number;
            self.pending_lens.retain(|(number, _)| *number > covered.len_number);
        }
        let (landed, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| covered.numbers.contains(&pending.number));
        self.pending = left;
        for pending in landed {
            for (index, block) in (pending.first..).zip(pending.blocks) {
                // An older write to the same block can no longer win.
                for older in &mut self.pending {
                    if older.number < pending.number && index >= older.first {
                        let inside = (index - older.first) as usize;
                        if let Some(older) = older.blocks.get_mut(inside) {
                            *older = None;
                        }
                    }
                }
                if let Some(block) = block {
                    self.durable.set(index, Some(block));
                }
            }
        }
        self.overwritten.clear();
    }

    /// A failed sync: what it would have covered is gone, and marked clean.
    pub(super) fn lose(&mut self, covered: &Covered) {
        let mut lost = Vec::new();
        self.pending.retain(|pending| {
            let gone = covered.numbers.contains(&pending.number);
            if gone {
                lost.push((pending.first, pending.blocks.len() as u64));
            }
            !gone
        });
        for (first, count) in lost {
            for index in first..first + count {
                self.visible.set(index, self.durable.get(index).cloned());
            }
        }
    }

    /// Flips one bit, everywhere.
    pub(super) fn flip(&mut self, position: u64, bit: u8) {
        let (index, byte) =
            (position / BLOCK_BYTES as u64, (position % BLOCK_BYTES as u64) as usize);
        for blocks in [&mut self.visible, &mut self.durable] {
            if let Some(block) = blocks.slot(index) {
                Rc::make_mut(block)[byte] ^= 1 << (bit % 8);
            }
        }
    }

    /// What the next process finds: completed writes are there, those in flight by chance.
    pub(super) fn killed(&self, rng: &mut Rng) -> Self {
        let mut next = self.clone();
        let flying: Vec<(u64, u64, usize)> = next
            .pending
            .iter()
            .filter(|pending| !pending.done)
            .map(|pending| (pending.number, pending.first, pending.blocks.len()))
            .collect();
        for (number, first, count) in flying {
            if rng.chance(0.5) {
                let end = (first + count as u64) * BLOCK_BYTES as u64;
                next.complete(number, count, end, false, false);
            } else {
                next.pending.retain(|pending| pending.number != number);
            }
        }
        next
    }

    pub(super) fn is_clean(&self) -> bool {
        self.pending.is_empty()
            && self.pending_lens.is_empty()
            && self.durable_len == self.visible_len
    }

    /// What a power cut leaves.
    pub(super) fn crashed(&self, plan: &CrashPlan, rng: &mut Rng) -> Self {
        let mut blocks = self.durable.clone();
        for pending in &self.pending {
            land_by_chance(&mut blocks, &self.durable, pending, plan, rng);
        }
        let mut len = self.durable_len;
        if !self.pending_lens.is_empty() {
            let choice = rng.below(self.pending_lens.len() as u64 + 1) as usize;
            len = self.pending_lens.get(choice).map_or(len, |pending| pending.1);
        }
        blocks.cut(len);
        Self {
            durable: blocks.clone(),
            visible: blocks,
            durable_len: len,
            visible_len: len,
            ..Self::default()
        }
    }
}

/// One unsynced write meets a power cut: it may be whole, lost, or torn by sectors in any order.
fn land_by_chance(
    blocks: &mut Blocks,
    durable: &Blocks,
    pending: &Pending,
    plan: &CrashPlan,
    rng: &mut Rng,
) {
    let survive = match rng.below(4) {
        0 => 0.0,
        1 => 1.0,
        _ => plan.survive,
    };
    // Space that was never synced: the file system may not know yet that it was written, and then
    // it reads as zeros, whatever the device holds.
    let forgotten = rng.chance(0.5);
    for (index, block) in (pending.first..).zip(&pending.blocks) {
        let Some(block) = block else { continue };
        let was_durable = durable.get(index).is_some();
        if (forgotten && !was_durable) || survive == 0.0 {
            continue;
        }
        if survive == 1.0 && plan.garbage == 0.0 {
            blocks.set(index, Some(block.clone()));
            continue;
        }
        let mut torn = blocks.get(index).map_or(ZEROS, |block| **block);
        let mut changed = false;
        for sector in 0..SECTORS {
            let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            if rng.chance(plan.garbage) {
                for word in torn[range].chunks_exact_mut(8) {
                    word.copy_from_slice(&rng.next().to_le_bytes());
                }
                changed = true;
            } else if survive == 1.0 || rng.chance(survive) {
                torn[range.clone()].copy_from_slice(&block[range]);
                changed = true;
            }
        }
        if changed {
            blocks.set(index, Some(Rc::new(torn)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_completes_after_a_later_durable_one_hides_nothing() {
        let mut inode = Inode::default();
        inode.submit(1, 0, &[1; 2 * BLOCK_BYTES]);
        inode.submit(2, 0, &[2; BLOCK_BYTES]);
        inode.complete(2, 1, BLOCK_BYTES as u64, true, false);
        inode.complete(1, 2, 2 * BLOCK_BYTES as u64, false, false);
        assert_eq!((inode.block(0)[0], inode.block(1)[0]), (2, 1));
    }
}
