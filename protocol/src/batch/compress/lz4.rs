//! LZ4 as Kafka clients write it: one frame.
//!
//! ```text
//! magic 0x184D2204 │ FLG BD [content size 8] [dictionary 4] HC │ { size block [checksum 4] } │ 0 │ [checksum 4]
//!           4        1   1                                  1      4                           4
//! ```
//! Little-endian. The frame is scanned before it is decoded, because the decoder ends without an
//! error after the first of several frames and at some cuts.

use std::io::{self, Write};

use lz4_flex::frame::{BlockMode, BlockSize, Error, FrameDecoder, FrameEncoder, FrameInfo};

use super::{DecompressError, read_bounded};

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

/// What a frame's outside says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Blocks refer to their predecessors; Java's reader refuses such frames.
    pub(super) linked_blocks: bool,
}

/// Walks the frame's blocks by their sizes, and proves that it is whole and alone.
pub(super) fn scan(input: &[u8]) -> Result<Frame, DecompressError> {
    let cut = DecompressError::Truncated;
    let (magic, rest) = input.split_first_chunk::<4>().ok_or(cut.clone())?;
    if *magic != MAGIC {
        return Err(DecompressError::Corrupt("lz4 magic"));
    }
    let ([flags, descriptor], rest) = rest.split_first_chunk::<2>().ok_or(cut.clone())?;
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
    let header_bytes = if flags & CONTENT_SIZE != 0 { 9 } else { 1 };
    let mut rest = rest.get(header_bytes..).ok_or(cut.clone())?;
    loop {
        let (size, after) = rest.split_first_chunk::<4>().ok_or(cut.clone())?;
        let size = u32::from_le_bytes(*size);
        if size == 0 {
            rest = after;
            break;
        }
        let block_bytes = (size & !STORED) as usize;
        if block_bytes > block_bytes_max {
            return Err(DecompressError::Corrupt("lz4 block larger than its frame allows"));
        }
        let checksum_bytes = if flags & BLOCK_CHECKSUM != 0 { 4 } else { 0 };
        rest = after.get(block_bytes + checksum_bytes..).ok_or(cut.clone())?;
    }
    let checksum_bytes = if flags & CONTENT_CHECKSUM != 0 { 4 } else { 0 };
    let rest = rest.get(checksum_bytes..).ok_or(cut)?;
    if !rest.is_empty() {
        return Err(DecompressError::Trailing { trailing_bytes: rest.len() });
    }
    Ok(Frame { linked_blocks: flags & INDEPENDENT == 0 })
}

pub(super) fn decompress(
    input: &[u8],
    limit_bytes: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    scan(input)?;
    read_bounded(FrameDecoder::new(input), limit_bytes, output, |_error| {
        DecompressError::Corrupt("lz4 frame")
    })
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
