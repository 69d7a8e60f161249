//! Recycled memory: fresh memory costs a page fault per 4 KiB (1.6 us), recycled memory none.

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

use super::{BLOCK_BYTES, Chunk, round_up_to_block};
use crate::real;

/// Sizes that are kept: 4 KiB, 8 KiB, .. 4 MiB.
const CLASS_COUNT: usize = 11;
const CLASS_BYTES_MAX: usize = BLOCK_BYTES << (CLASS_COUNT - 1);

/// One shard's free memory, by size. Last in, first out, so that warm memory is used first.
pub(crate) struct Pool {
    kind: MemoryKind,
    free: RefCell<[Vec<(Memory, usize)>; CLASS_COUNT]>,
    free_bytes_max: usize,
    free_bytes: Cell<usize>,
    used_bytes: Cell<usize>,
    fresh_count: Cell<u64>,
    recycled_count: Cell<u64>,
    /// Aliases of memory whose write was abandoned by its caller while the kernel still reads.
    abandoned: RefCell<Vec<(real::memory::Alias, Chunk)>>,
}

/// Where memory comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MemoryKind {
    /// What glommio can write to disk without a copy.
    Dma,
    /// The allocator.
    Heap,
}

/// What a shard's memory pool holds and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Bytes in chunks that are in use.
    pub used_bytes: usize,
    /// Bytes kept for reuse.
    pub free_bytes: usize,
    /// Chunks that came from the allocator.
    pub fresh_count: u64,
    /// Chunks that were served from kept memory.
    pub recycled_count: u64,
}

impl Pool {
    pub(crate) fn new(kind: MemoryKind, free_bytes_max: usize) -> Rc<Self> {
        Rc::new(Self {
            kind,
            free: RefCell::default(),
            free_bytes_max,
            free_bytes: Cell::new(0),
            used_bytes: Cell::new(0),
            fresh_count: Cell::new(0),
            recycled_count: Cell::new(0),
            abandoned: RefCell::default(),
        })
    }

    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats {
            used_bytes: self.used_bytes.get(),
            free_bytes: self.free_bytes.get(),
            fresh_count: self.fresh_count.get(),
            recycled_count: self.recycled_count.get(),
        }
    }

    /// Memory for at least `bytes`, and how much of it was written before.
    pub(super) fn take(&self, bytes: usize) -> (Memory, usize) {
        if !self.abandoned.borrow().is_empty() {
            self.sweep();
        }
        let bytes = class_bytes(bytes);
        self.used_bytes.set(self.used_bytes.get() + bytes);
        let kept = class_of(bytes).and_then(|class| self.free.borrow_mut()[class].pop());
        if let Some(kept) = kept {
            self.free_bytes.set(self.free_bytes.get() - bytes);
            self.recycled_count.set(self.recycled_count.get() + 1);
            return kept;
        }
        self.fresh_count.set(self.fresh_count.get() + 1);
        (Memory::new(self.kind, bytes), 0)
    }

    /// Keeps the memory for reuse, or frees it when enough is kept.
    pub(super) fn put(&self, memory: Memory, initialized: usize) {
        let bytes = memory.capacity();
        self.used_bytes.set(self.used_bytes.get() - bytes);
        let Some(class) = class_of(bytes) else { return };
        if self.free_bytes.get() + bytes <= self.free_bytes_max {
            self.free_bytes.set(self.free_bytes.get() + bytes);
            self.free.borrow_mut()[class].push((memory, initialized));
        }
    }

    /// Keeps memory alive that the kernel may still read although its writer went away.
    pub(crate) fn abandon(&self, alias: real::memory::Alias, chunk: Chunk) {
        self.abandoned.borrow_mut().push((alias, chunk));
    }

    /// Lets go of abandoned memory that the kernel is done with.
    fn sweep(&self) {
        let mut done = Vec::new();
        self.abandoned.borrow_mut().retain_mut(|(alias, chunk)| {
            let released = alias.try_release();
            if released {
                done.push(chunk.clone());
            }
            !released
        });
        // Dropping a chunk comes back to `put`; no borrow is held here.
        drop(done);
    }
}

fn class_bytes(bytes: usize) -> usize {
    if bytes > CLASS_BYTES_MAX {
        return round_up_to_block(bytes);
    }
    bytes.max(BLOCK_BYTES).next_power_of_two()
}

fn class_of(bytes: usize) -> Option<usize> {
    let class = (bytes / BLOCK_BYTES).trailing_zeros() as usize;
    (bytes.is_power_of_two() && class < CLASS_COUNT).then_some(class)
}

/// Memory that starts at a block boundary and is freed when dropped.
pub(crate) enum Memory {
    Dma(real::memory::DmaMemory),
    Heap(HeapMemory),
}

impl Memory {
    fn new(kind: MemoryKind, bytes: usize) -> Self {
        match kind {
            MemoryKind::Dma => Self::Dma(real::memory::DmaMemory::new(bytes)),
            MemoryKind::Heap => Self::Heap(HeapMemory::new(bytes)),
        }
    }
    pub(super) fn base(&self) -> NonNull<u8> {
        match self {
            Self::Dma(memory) => memory.base(),
            Self::Heap(memory) => memory.base,
        }
    }
    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::Dma(memory) => memory.capacity(),
            Self::Heap(memory) => memory.layout.size(),
        }
    }
}

/// Plain aligned memory.
pub(crate) struct HeapMemory {
    base: NonNull<u8>,
    layout: Layout,
}

impl HeapMemory {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, BLOCK_BYTES)
            .expect("chunk sizes are bounded far below the address space");
        // SAFETY: the size is at least one block, never zero.
        let base = unsafe { std::alloc::alloc(layout) };
        let Some(base) = NonNull::new(base) else { std::alloc::handle_alloc_error(layout) };
        Self { base, layout }
    }
}

impl Drop for HeapMemory {
    fn drop(&mut self) {
        // SAFETY: `base` came from `alloc` with this layout and is freed once.
        unsafe { std::alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}
