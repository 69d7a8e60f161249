//! Aligned memory that is filled once from its front and shared while it is: what journals write,
//! caches keep and sockets send.
//!
//! ```text
//! 0            len          initialized        capacity
//! ├─ published ─┼─ old bytes ─┼── never touched ──┤
//!   slices and     the appender's alone
//!   the kernel
//!   read here
//! ```
//! Soundness rests on four facts:
//! 1. Bytes below `len` never change while anything else can see them: appending writes at `len`
//!    and above only, and [`Chunk::unique`], the one way to change published bytes, wants the only
//!    reference (a write in flight holds one).
//! 2. Slices and writes to disk cover published bytes only, and hold the memory.
//! 3. `len` rises only after the bytes below it were written; `len <= initialized <= capacity`.
//! 4. Nothing here is `Send`; an append that calls back into the same chunk is refused.
#![expect(unsafe_code, reason = "shared append-only memory cannot be expressed with borrows")]

mod pool;
mod read;
#[cfg(test)]
mod tests;

pub use pool::PoolStats;
pub use read::ReadBlock;

pub(crate) use pool::{Memory, MemoryKind, Pool};

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::rc::Rc;

/// Every chunk starts at a multiple of this, and so must what goes to disk. Direct I/O may allow
/// less on some devices; we never rely on it.
pub const BLOCK_BYTES: usize = 4096;

/// `bytes` rounded up to whole blocks.
pub const fn round_up_to_block(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// A fixed piece of aligned memory, filled from its front. Clones share it.
#[derive(Clone)]
pub struct Chunk(Rc<Buffer>);

struct Buffer {
    base: NonNull<u8>,
    capacity: usize,
    /// Published bytes.
    len: Cell<usize>,
    /// Bytes that were ever written since the memory came from the allocator.
    initialized: Cell<usize>,
    /// An append runs its caller's code.
    appending: Cell<bool>,
    /// Taken in drop only.
    memory: Option<Memory>,
    pool: Rc<Pool>,
}

/// The chunk has no room for that many more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkFull;

impl fmt::Display for ChunkFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the chunk is full")
    }
}
impl std::error::Error for ChunkFull {}

impl Chunk {
    /// Takes memory of at least `capacity` bytes from the pool.
    pub(crate) fn new(pool: &Rc<Pool>, capacity: usize) -> Self {
        let (memory, initialized) = pool.take(capacity);
        Self(Rc::new(Buffer {
            base: memory.base(),
            capacity: memory.capacity(),
            len: Cell::new(0),
            initialized: Cell::new(initialized),
            appending: Cell::new(false),
            memory: Some(memory),
            pool: pool.clone(),
        }))
    }

    /// Appends `bytes`; returns where they begin.
    pub fn push(&self, bytes: &[u8]) -> Result<usize, ChunkFull> {
        let start = self.claim(bytes.len())?;
        // SAFETY: `claim` checked that [start, start + len) lies inside the allocation. `bytes`
        // cannot overlap it: whoever holds a borrow of this chunk's memory sees bytes below `len`
        // only (fact 1), and `start` is `len`.
        unsafe {
            let to = self.0.base.as_ptr().add(start);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
        self.publish(start + bytes.len());
        Ok(start)
    }

    /// Appends `count` bytes that `fill` writes in place; returns where they begin. What `fill`
    /// finds there is arbitrary (old contents or zeros). If it panics nothing is appended.
    pub fn push_with(
        &self,
        count: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<usize, ChunkFull> {
        let start = self.claim(count)?;
        self.initialize(start + count);
        assert!(!self.0.appending.replace(true), "a chunk is not appended to while it is");
        // SAFETY: inside the allocation (`claim`), initialized (the line above), and nobody else
        // sees it: slices end at `len`, which is `start`, and `appending` keeps `fill` from
        // appending to this chunk through a clone.
        let target =
            unsafe { std::slice::from_raw_parts_mut(self.0.base.as_ptr().add(start), count) };
        let guard = Appending(&self.0.appending);
        fill(target);
        drop(guard);
        self.publish(start + count);
        Ok(start)
    }

    /// Appends zeros up to the next block boundary; returns how many.
    pub fn pad_to_block(&self) -> usize {
        let count = round_up_to_block(self.len()) - self.len();
        let padded = self.push_with(count, |bytes| bytes.fill(0));
        padded.expect("a chunk's capacity is a multiple of the block, so padding always fits");
        count
    }

    /// The published bytes, to change them, if this is the only reference: no clone, no slice, no
    /// write in flight.
    pub fn unique(&mut self) -> Option<&mut [u8]> {
        let buffer = Rc::get_mut(&mut self.0)?;
        // SAFETY: published bytes are initialized and inside the allocation (fact 3); `&mut self`
        // on the only reference excludes every other access.
        Some(unsafe { std::slice::from_raw_parts_mut(buffer.base.as_ptr(), buffer.len.get()) })
    }

    /// Forgets the contents so that the memory can be filled anew, if this is the only reference.
    pub fn clear(&mut self) -> bool {
        let unique = Rc::get_mut(&mut self.0).is_some();
        if unique {
            self.0.len.set(0);
        }
        unique
    }

    /// A share of published bytes.
    ///
    /// # Panics
    /// If the range goes past [`Chunk::len`]: that is our own mistake, never input.
    pub fn slice(&self, range: Range<usize>) -> ChunkSlice {
        assert!(range.start <= range.end && range.end <= self.len(), "only published bytes");
        ChunkSlice { chunk: self.clone(), start: range.start, end: range.end }
    }

    /// The published bytes.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: published bytes are initialized, inside the allocation, and do not change while
        // this borrow lives: `unique` and `clear` want `&mut` of the only reference.
        unsafe { std::slice::from_raw_parts(self.0.base.as_ptr(), self.len()) }
    }

    /// Bytes published so far.
    pub fn len(&self) -> usize {
        self.0.len.get()
    }
    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Bytes it can hold: at least what was asked for, a multiple of [`BLOCK_BYTES`].
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }
    /// Bytes that can still be appended.
    pub fn room(&self) -> usize {
        self.0.capacity - self.len()
    }
    /// Whether clones, slices or writes in flight share this memory.
    pub fn is_shared(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
    /// Whether both are the same memory.
    pub fn same_as(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn memory(&self) -> &Memory {
        self.0.memory.as_ref().expect("memory is taken in drop only")
    }
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.0.pool
    }

    /// Where the next `count` bytes go.
    fn claim(&self, count: usize) -> Result<usize, ChunkFull> {
        assert!(!self.0.appending.get(), "a chunk is not appended to while it is");
        if count > self.room() { Err(ChunkFull) } else { Ok(self.len()) }
    }

    fn publish(&self, len: usize) {
        self.0.len.set(len);
        self.0.initialized.set(self.0.initialized.get().max(len));
    }

    /// Zeroes what was never written below `end`, once in the life of the memory.
    fn initialize(&self, end: usize) {
        let from = self.0.initialized.get();
        if from < end {
            // SAFETY: [from, end) lies inside the allocation (the caller claimed up to `end`) and
            // above `len`, so nobody else sees it.
            unsafe { std::ptr::write_bytes(self.0.base.as_ptr().add(from), 0, end - from) };
            self.0.initialized.set(end);
        }
    }
}

struct Appending<'a>(&'a Cell<bool>);

impl Drop for Appending<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} of {} bytes)", self.len(), self.capacity())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.pool.put(memory, self.initialized.get());
        }
    }
}

/// A share of a chunk's published bytes. Cheap to clone; keeps the whole chunk's memory.
#[derive(Clone)]
pub struct ChunkSlice {
    chunk: Chunk,
    start: usize,
    end: usize,
}

impl ChunkSlice {
    /// A share of a part, counted from this slice's start.
    ///
    /// # Panics
    /// If the range goes past the end: that is our own mistake, never input.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "inside the slice");
        let (start, end) = (self.start + range.start, self.start + range.end);
        Self { chunk: self.chunk.clone(), start, end }
    }
    /// The chunk it is a share of.
    pub fn chunk(&self) -> &Chunk {
        &self.chunk
    }
    /// Which bytes of the chunk it covers.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

impl Deref for ChunkSlice {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.chunk.as_bytes()[self.start..self.end]
    }
}

impl AsRef<[u8]> for ChunkSlice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for ChunkSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkSlice({}..{})", self.start, self.end)
    }
}
