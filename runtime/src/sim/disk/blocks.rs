//! A file's blocks in groups that are shared until changed: a copy costs one count per group.

use std::rc::Rc;

use crate::chunk::BLOCK_BYTES;

pub(super) type Block = [u8; BLOCK_BYTES];
pub(super) const ZEROS: Block = [0; BLOCK_BYTES];

const GROUP: usize = 64;
type Group = [Option<Rc<Block>>; GROUP];

/// Blocks by index. A block that is not there was never written and reads as zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks(Vec<Option<Rc<Group>>>);

impl Blocks {
    pub(super) fn get(&self, index: u64) -> Option<&Rc<Block>> {
        let (group, inside) = place(index);
        self.0.get(group)?.as_ref()?[inside].as_ref()
    }

    /// Where a block is, to change it.
    pub(super) fn slot(&mut self, index: u64) -> &mut Option<Rc<Block>> {
        let (group, inside) = place(index);
        if self.0.len() <= group {
            self.0.resize(group + 1, None);
        }
        let group = self.0[group].get_or_insert_with(|| Rc::new([const { None }; GROUP]));
        &mut Rc::make_mut(group)[inside]
    }

    /// Puts a block there, or takes it away.
    pub(super) fn set(&mut self, index: u64, block: Option<Rc<Block>>) {
        if block.is_some() || self.get(index).is_some() {
            *self.slot(index) = block;
        }
    }

    /// How many blocks from `first` on are there.
    pub(super) fn count_from(&self, first: u64) -> u64 {
        let (group, inside) = place(first);
        let mut count = 0;
        for (at, blocks) in self.0.iter().enumerate().skip(group) {
            let skip = if at == group { inside } else { 0 };
            count += blocks.iter().flat_map(|blocks| &blocks[skip..]).flatten().count();
        }
        count as u64
    }

    /// Ends the blocks at `len` bytes, zeroing the rest of the last.
    pub(super) fn cut(&mut self, len: u64) {
        let end = len.div_ceil(BLOCK_BYTES as u64);
        let (group, inside) = place(end);
        self.0.truncate(group + usize::from(inside > 0));
        if inside > 0
            && let Some(Some(last)) = self.0.get_mut(group)
            && last[inside..].iter().any(Option::is_some)
        {
            Rc::make_mut(last)[inside..].fill(None);
        }
        let used = (len % BLOCK_BYTES as u64) as usize;
        let last = len / BLOCK_BYTES as u64;
        let dirty = |block: &Rc<Block>| block[used..].iter().any(|&byte| byte != 0);
        if used > 0
            && self.get(last).is_some_and(dirty)
            && let Some(block) = self.slot(last)
        {
            Rc::make_mut(block)[used..].fill(0);
        }
    }
}

fn place(index: u64) -> (usize, usize) {
    let index = index as usize;
    (index / GROUP, index % GROUP)
}
