//! Memory that glommio can hand to the kernel.
//!
//! glommio writes whole `DmaBuffer`s only, and its length cannot grow again once trimmed. To write
//! the front of a chunk without a copy we make an [`Alias`]: a bitwise copy of the buffer's handle,
//! trimmed to the bytes to be written, that is never dropped (only its original frees the memory).
//! A write that does not start at the chunk's front goes through a pooled copy instead: the handle
//! offers no way to move its start.
#![expect(unsafe_code, reason = "aliases of a buffer handle, see above")]

use std::mem::ManuallyDrop;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::rc::Rc;

use glommio::io::{DmaBuffer, ReadResult};

/// Fresh memory from this size on gets all its pages at once: a quarter of what a fault for each
/// costs. Whoever takes as much is about to fill it.
const POPULATE_BYTES: usize = 64 << 10;
/// `MADV_POPULATE_WRITE`, which the C library's headers may be too old to name.
const POPULATE_WRITE: libc::c_int = 23;

/// One allocation, 4096-aligned, outside the memory that is registered with the rings: that is
/// small, pinned, and meant for reads.
pub(crate) struct DmaMemory {
    buffer: DmaBuffer,
    base: NonNull<u8>,
}

impl DmaMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        let mut buffer = glommio::allocate_dma_buffer_global(bytes);
        let base = NonNull::new(buffer.as_mut_ptr()).expect("an allocation is never null");
        assert!(
            base.addr().get().is_multiple_of(crate::BLOCK_BYTES),
            "direct I/O needs whole blocks"
        );
        if bytes >= POPULATE_BYTES {
            // SAFETY: our own, freshly allocated memory, in whole pages; nothing is read or changed.
            let populated = unsafe { libc::madvise(base.as_ptr().cast(), bytes, POPULATE_WRITE) };
            // A kernel before 5.14 does not know how; then each page comes when it is touched.
            let _by_and_by = populated;
        }
        Self { buffer, base }
    }
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// The first `len` bytes, for one write. The caller keeps this memory until the alias is
    /// released.
    pub(crate) fn alias(&self, len: usize) -> Alias {
        // SAFETY: a bitwise copy of the handle. It is never dropped as a `DmaBuffer` (see `Alias`),
        // so the memory is freed once, by `self`; it is only read from, by glommio, which takes its
        // pointer and length; and its owner outlives it (the caller's duty).
        let mut copy = unsafe { std::ptr::read(&raw const self.buffer) };
        copy.trim_to_size(len);
        Alias { buffer: ManuallyDrop::new(Rc::new(copy)), released: false }
    }
}

/// A second handle of memory, lent to a write. Must be released, or kept together with the chunk.
pub(crate) struct Alias {
    buffer: ManuallyDrop<Rc<DmaBuffer>>,
    released: bool,
}

impl Alias {
    /// What glommio gets.
    pub(crate) fn share(&self) -> Rc<DmaBuffer> {
        Rc::clone(&self.buffer)
    }

    /// Ends the loan if glommio (hence the kernel) no longer holds it.
    pub(crate) fn try_release(&mut self) -> bool {
        if self.released {
            return true;
        }
        if Rc::strong_count(&self.buffer) > 1 {
            return false;
        }
        // SAFETY: `released` is set right here, so the `Rc` is taken once.
        let buffer = unsafe { ManuallyDrop::take(&mut self.buffer) };
        self.released = true;
        if let Ok(copy) = Rc::try_unwrap(buffer) {
            // The original handle frees the memory.
            std::mem::forget(copy);
        }
        true
    }
}

/// What a read returned, or a part of it.
#[derive(Clone)]
pub(crate) struct DmaRead(pub(crate) ReadResult);

impl DmaRead {
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let part = ReadResult::slice(&self.0, range.start, range.len());
        Self(part.expect("the caller checked the range"))
    }
}

impl Deref for DmaRead {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
