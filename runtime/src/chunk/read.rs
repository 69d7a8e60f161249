//! What a read from disk returns: shared bytes, wherever they live.

use std::fmt;
use std::ops::{Deref, Range};

use super::ChunkSlice;
use crate::real;

/// Bytes read from a file, or taken from a chunk: both can be cached and sent without a copy.
/// Cheap to clone; not `Send`.
#[derive(Clone)]
pub struct ReadBlock(Source);

#[derive(Clone)]
enum Source {
    Dma(real::memory::DmaRead),
    Chunk(ChunkSlice),
}

impl ReadBlock {
    pub(crate) fn dma(read: real::memory::DmaRead) -> Self {
        Self(Source::Dma(read))
    }

    /// A share of a part.
    ///
    /// # Panics
    /// If the range goes past the end: that is our own mistake, never input.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "inside the block");
        match &self.0 {
            Source::Dma(read) => Self(Source::Dma(read.slice(range))),
            Source::Chunk(slice) => Self(Source::Chunk(slice.slice(range))),
        }
    }
}

impl From<ChunkSlice> for ReadBlock {
    fn from(slice: ChunkSlice) -> Self {
        Self(Source::Chunk(slice))
    }
}

impl Deref for ReadBlock {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Dma(read) => read,
            Source::Chunk(slice) => slice,
        }
    }
}

impl AsRef<[u8]> for ReadBlock {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for ReadBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadBlock({} bytes)", self.len())
    }
}
