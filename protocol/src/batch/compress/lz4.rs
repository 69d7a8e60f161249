//! LZ4 as Kafka clients write it: one frame.
//!
//! ```text
//! magic 0x184D2204 │ FLG BD [content size 8] [dictionary 4] HC │ { size block [checksum 4] } │ 0 │ [checksum 4]
//!           4        1   1                                  1      4                           4
//! ```
//! Little-endian; checksums are xxHash32. Frames are read here and only their blocks by the library, whose frame reader
//! ends without an error after the first of several frames and at some cuts, and holds two whole blocks beside the output.

use std::io::{self, Write};

use lz4_flex::block::{DecompressError as BlockError, decompress_into_with_dict};
use lz4_flex::frame::{BlockMode, BlockSize, Error, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::{DecompressError, grow};

const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
const VERSION_MASK: u8 = 0xc0;
const VERSION: u8 = 0x40;
const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const DICTIONARY: u8 = 0x01;
/// The top bit of a block's size: it is stored, not compressed.
const STORED: u32 = 1 << 31;
/// How far back a block may refer.
const WINDOW_BYTES: usize = 64 * 1024;
/// No byte of a block stands for more: 255 in a run's length.
const RATIO_MAX: usize = 255;

/// A frame that is whole and alone, as far as its outside says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// Blocks refer to their predecessors; Java's reader refuses such frames.
    pub(super) linked_blocks: bool,
    block_checksums: bool,
    block_bytes_max: usize,
    content_size: Option<u64>,
    content_checksum: Option<u32>,
    /// The blocks up to the end mark.
    blocks: &'a [u8],
}

/// One block of a frame.
struct Block<'a> {
    stored: bool,
    bytes: &'a [u8],
    checksum: Option<u32>,
}

/// Walks the frame's blocks by their sizes, and proves that it is whole and alone.
pub(super) fn scan(input: &[u8]) -> Result<Frame<'_>, DecompressError> {
    let cut = || DecompressError::Truncated;
    let (magic, rest) = input.split_first_chunk::<4>().ok_or_else(cut)?;
    if *magic != MAGIC {
        return Err(DecompressError::Corrupt("lz4 magic"));
    }
    let &[flags, descriptor] = rest.first_chunk::<2>().ok_or_else(cut)?;
    if flags & VERSION_MASK != VERSION {
        return Err(DecompressError::Corrupt("lz4 frame version"));
    }
    if flags & DICTIONARY != 0 {
        return Err(DecompressError::Unsupported("lz4 dictionary"));
    }
    // 4 to 7 stand for 64 KiB, 256 KiB, 1 MiB and 4 MiB.
    let block_bytes_max = match descriptor >> 4 & 7 {
        size @ 4..=7 => 1_usize << (8 + 2 * size),
        _ => return Err(DecompressError::Corrupt("lz4 block size")),
    };
    let described = if flags & CONTENT_SIZE != 0 { 10 } else { 2 };
    let (described, rest) = rest.split_at_checked(described).ok_or_else(cut)?;
    let (checksum, rest) = rest.split_first().ok_or_else(cut)?;
    if *checksum != (xxhash(described) >> 8) as u8 {
        return Err(DecompressError::Corrupt("lz4 header checksum"));
    }
    let mut frame = Frame {
        linked_blocks: flags & INDEPENDENT == 0,
        block_checksums: flags & BLOCK_CHECKSUM != 0,
        block_bytes_max,
        content_size: described[2..].first_chunk().map(|size| u64::from_le_bytes(*size)),
        content_checksum: None,
        blocks: rest,
    };
    let mut after = rest;
    while let Some((_, next)) = frame.block(after)? {
        after = next;
    }
    frame.blocks = &rest[..rest.len() - after.len()];
    // Behind the end mark.
    let mut rest = &after[4..];
    if flags & CONTENT_CHECKSUM != 0 {
        let (checksum, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        frame.content_checksum = Some(u32::from_le_bytes(*checksum));
        rest = after;
    }
    if !rest.is_empty() {
        return Err(DecompressError::Trailing { trailing_bytes: rest.len() });
    }
    Ok(frame)
}

impl<'a> Frame<'a> {
    /// Takes a block off the front of `bytes`; `None` at the end mark.
    fn block(&self, bytes: &'a [u8]) -> Result<Option<(Block<'a>, &'a [u8])>, DecompressError> {
        let cut = || DecompressError::Truncated;
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let size = u32::from_le_bytes(*size);
        if size == 0 {
            return Ok(None);
        }
        let block_bytes = (size & !STORED) as usize;
        if block_bytes > self.block_bytes_max {
            return Err(DecompressError::Corrupt("lz4 block larger than its frame allows"));
        }
        let (bytes, rest) = rest.split_at_checked(block_bytes).ok_or_else(cut)?;
        let (checksum, rest) = if self.block_checksums {
            let (checksum, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            (Some(u32::from_le_bytes(*checksum)), rest)
        } else {
            (None, rest)
        };
        Ok(Some((Block { stored: size & STORED != 0, bytes, checksum }, rest)))
    }

    /// Appends what a block stands for.
    fn unpack(
        &self,
        block: &Block<'_>,
        limit_bytes: usize,
        output: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        let at = output.len();
        let left = limit_bytes.saturating_sub(at);
        let too_large = DecompressError::TooLarge { limit_bytes };
        if block.stored {
            if block.bytes.len() > left {
                return Err(too_large);
            }
            grow(output, block.bytes.len(), limit_bytes);
            output.extend_from_slice(block.bytes);
            return Ok(());
        }
        let possible = block.bytes.len().saturating_mul(RATIO_MAX).min(self.block_bytes_max);
        let room = possible.min(left);
        grow(output, room, limit_bytes);
        output.resize(at + room, 0);
        let (before, fresh) = output.split_at_mut(at);
        let window: &[u8] = if self.linked_blocks {
            &before[before.len().saturating_sub(WINDOW_BYTES)..]
        } else {
            &[]
        };
        match decompress_into_with_dict(block.bytes, fresh, window) {
            Ok(written) => {
                output.truncate(at + written);
                Ok(())
            }
            Err(error) => {
                output.truncate(at);
                Err(match error {
                    BlockError::OutputTooSmall { .. } if room < possible => too_large,
                    _ => DecompressError::Corrupt("lz4 block"),
                })
            }
        }
    }
}

pub(super) fn decompress(
    input: &[u8],
    limit_bytes: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    let frame = scan(input)?;
    // A claim, good enough to refuse by but not to reserve by.
    if frame.content_size.is_some_and(|size| size > limit_bytes as u64) {
        return Err(DecompressError::TooLarge { limit_bytes });
    }
    let from = output.len();
    let mut rest = frame.blocks;
    while !rest.is_empty() {
        let Some((block, after)) = frame.block(rest)? else { break };
        if block.checksum.is_some_and(|checksum| checksum != xxhash(block.bytes)) {
            return Err(DecompressError::Corrupt("lz4 block checksum"));
        }
        frame.unpack(&block, from.saturating_add(limit_bytes), output)?;
        rest = after;
    }
    let content = &output[from..];
    if frame.content_size.is_some_and(|size| size != content.len() as u64) {
        return Err(DecompressError::Corrupt("lz4 content size"));
    }
    if frame.content_checksum.is_some_and(|checksum| checksum != xxhash(content)) {
        return Err(DecompressError::Corrupt("lz4 content checksum"));
    }
    Ok(())
}

pub(super) fn compress(input: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    // FLG 0x60 and BD 0x40: what librdkafka writes and Java's reader takes.
    let frame = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(frame, output);
    encoder.write_all(input)?;
    encoder.finish().map(|_output| ()).map_err(|error| match error {
        Error::IoError(error) => error,
        other => io::Error::other(other),
    })
}

fn xxhash(bytes: &[u8]) -> u32 {
    XxHash32::oneshot(0, bytes)
}
