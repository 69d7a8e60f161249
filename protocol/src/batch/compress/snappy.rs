//! Snappy as Kafka clients write it: one raw block, or the Java library's chain of blocks.
//!
//! ```text
//! raw     one snappy block                                    librdkafka, franz-go
//! framed  "\x82SNAPPY\0" version compatible { length block }  Java, Python, Go
//!          8 bytes       i32     i32          u32, all big-endian
//! ```
//! A framed stream may start again in its middle, which is how two are joined.

use std::io;

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{DecompressError, grow};

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const FRAME_HEADER_BYTES: usize = 16;
/// What the Java library puts into one block.
const BLOCK_BYTES: usize = 32 * 1024;
/// No snappy element of three bytes yields more than 64, nor one of two more than 11.
const RATIO_MAX: usize = 22;

pub(super) fn decompress(
    input: &[u8],
    limit_bytes: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    if input.is_empty() {
        return Err(DecompressError::Truncated);
    }
    if !input.starts_with(MAGIC) {
        return block(input, limit_bytes, output);
    }
    let mut rest = input;
    while !rest.is_empty() {
        if rest.starts_with(MAGIC) {
            rest = rest.get(FRAME_HEADER_BYTES..).ok_or(DecompressError::Truncated)?;
            continue;
        }
        let (length, after) = rest.split_first_chunk::<4>().ok_or(DecompressError::Truncated)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (bytes, after) = after.split_at_checked(length).ok_or(DecompressError::Truncated)?;
        block(bytes, limit_bytes, output)?;
        rest = after;
    }
    Ok(())
}

pub(super) fn compress(input: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    output.extend_from_slice(MAGIC);
    // The version of the framing, and the oldest version that can read it.
    output.extend_from_slice(&1_i32.to_be_bytes());
    output.extend_from_slice(&1_i32.to_be_bytes());
    let mut encoder = Encoder::new();
    for chunk in input.chunks(BLOCK_BYTES) {
        let at = output.len();
        output.resize(at + 4 + max_compress_len(chunk.len()), 0);
        let written = encoder.compress(chunk, &mut output[at + 4..])?;
        let length = u32::try_from(written).expect("a block is far below 4 GiB");
        output[at..at + 4].copy_from_slice(&length.to_be_bytes());
        output.truncate(at + 4 + written);
    }
    Ok(())
}

/// Appends one raw block.
fn block(input: &[u8], limit_bytes: usize, output: &mut Vec<u8>) -> Result<(), DecompressError> {
    let corrupt = |_cause| DecompressError::Corrupt("snappy block");
    // A claim: believed only if these bytes could yield so much, and the limit allows it.
    let claimed = decompress_len(input).map_err(corrupt)?;
    if claimed > limit_bytes.saturating_sub(output.len()) {
        return Err(DecompressError::TooLarge { limit_bytes });
    }
    if claimed > input.len().saturating_mul(RATIO_MAX) {
        return Err(DecompressError::Corrupt("snappy block that claims the impossible"));
    }
    let at = output.len();
    grow(output, claimed, limit_bytes);
    output.resize(at + claimed, 0);
    let written = Decoder::new().decompress(input, &mut output[at..]).map_err(corrupt)?;
    output.truncate(at + written);
    Ok(())
}
