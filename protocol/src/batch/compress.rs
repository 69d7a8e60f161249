//! Kafka's four codecs behind one enum, with a bound on everything that they can produce.
//!
//! A length inside compressed bytes is a claim, never a reservation: output grows as it is
//! produced and stops at the caller's limit. Nothing here is on the path of a plain produce or
//! fetch; batches are stored and served as they came.

use std::io::{self, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use thiserror::Error;

use crate::error_code::ErrorCode;

mod lz4;
mod snappy;

/// How a batch's records are compressed: bits 0 to 2 of its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, raw or in the framing of the Java library.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878; clients may use it from Produce version 7 and Fetch version 10 (KIP-110).
    Zstd,
}

/// No batch decompresses to more than this.
pub const DECOMPRESSED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many bytes one compressed byte may become, beyond [`DECOMPRESSED_BYTES_FREE`].
pub const DECOMPRESSED_RATIO_MAX: usize = 100;
/// What any batch may become, however well it compresses: Kafka's default batch limit.
pub const DECOMPRESSED_BYTES_FREE: usize = 1024 * 1024;
/// The largest zstd window: 8 MiB, which RFC 8878 asks every decoder to support.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Why compressed bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecompressError {
    /// They are, or claim to be, more than the limit.
    #[error("the records decompress to more than {limit_bytes} bytes")]
    TooLarge {
        /// The caller's limit.
        limit_bytes: usize,
    },
    /// They end in the middle.
    #[error("the compressed records are cut short")]
    Truncated,
    /// They are not what the codec writes.
    #[error("the compressed records are corrupt: {0}")]
    Corrupt(&'static str),
    /// Bytes follow the end of the stream, perhaps a second one.
    #[error("{trailing_bytes} bytes follow the compressed records")]
    Trailing {
        /// How many.
        trailing_bytes: usize,
    },
    /// They need more memory than a decoder has to offer (a zstd window, an lz4 dictionary).
    #[error("the compressed records ask for an unsupported feature: {0}")]
    Unsupported(&'static str),
}

impl DecompressError {
    /// What Kafka answers to a produce with such a batch.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Truncated | Self::Corrupt(_) | Self::Trailing { .. } | Self::Unsupported(_) => {
                ErrorCode::CorruptMessage
            }
        }
    }
}

/// Why records could not be compressed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompressError {
    /// The level is not one that Kafka's topic configs allow for the codec.
    #[error("level {level} is not allowed for {codec}")]
    Level {
        /// The codec's name.
        codec: &'static str,
        /// What was asked for.
        level: i32,
    },
    /// The codec's own library failed, which none does for memory-to-memory work.
    #[error("the {codec} encoder failed")]
    Encoder {
        /// The codec's name.
        codec: &'static str,
    },
}

impl Compression {
    /// Every codec.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of this number in a batch's attributes.
    pub const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The number in a batch's attributes.
    pub const fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of this name. `uncompressed` is what `compression.type` calls none.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" | "uncompressed" => Some(Self::None),
            "gzip" => Some(Self::Gzip),
            "snappy" => Some(Self::Snappy),
            "lz4" => Some(Self::Lz4),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Whether `compression.<codec>.level` may be `level` (KIP-390).
    pub const fn level_is_valid(self, level: i32) -> bool {
        match self {
            Self::None | Self::Snappy => false,
            // -1 is zlib's word for its default, 6.
            Self::Gzip => level == -1 || (1 <= level && level <= 9),
            Self::Lz4 => 1 <= level && level <= 17,
            Self::Zstd => -131_072 <= level && level <= 22,
        }
    }
}

/// The limit for [`decompress`] that a batch of `input_bytes` has earned:
/// 64 MiB, and no more than 100 times the input beyond the first MiB.
pub const fn output_limit(input_bytes: usize) -> usize {
    let earned = input_bytes.saturating_mul(DECOMPRESSED_RATIO_MAX);
    let earned = earned.saturating_add(DECOMPRESSED_BYTES_FREE);
    if earned < DECOMPRESSED_BYTES_MAX { earned } else { DECOMPRESSED_BYTES_MAX }
}

/// Decompresses a record section; no more than `limit_bytes` of output are ever held.
///
/// # Errors
/// [`DecompressError`], and nothing of the output.
pub fn decompress(
    codec: Compression,
    input: &[u8],
    limit_bytes: usize,
) -> Result<Vec<u8>, DecompressError> {
    let mut output = Vec::new();
    decompress_into(codec, input, limit_bytes, &mut output)?;
    Ok(output)
}

/// Like [`decompress`], into a buffer that may be used again. It is cleared first, and its
/// content after an error is whatever was produced until then.
///
/// # Errors
/// [`DecompressError`].
pub fn decompress_into(
    codec: Compression,
    input: &[u8],
    limit_bytes: usize,
    output: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    output.clear();
    match codec {
        Compression::None if input.len() > limit_bytes => {
            Err(DecompressError::TooLarge { limit_bytes })
        }
        Compression::None => {
            output.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => gzip(input, limit_bytes, output),
        Compression::Snappy => snappy::decompress(input, limit_bytes, output),
        Compression::Lz4 => lz4::decompress(input, limit_bytes, output),
        Compression::Zstd => zstd(input, limit_bytes, output),
    }
}

/// Appends `input`, compressed, to `output`. Without a level it is Kafka's default one:
/// gzip -1, lz4 9, zstd 3. The lz4 encoder here has one level and takes any valid one.
///
/// Snappy is written in the Java library's framing and lz4 as one frame of independent 64 KiB
/// blocks, which every client reads.
///
/// # Errors
/// [`CompressError::Level`] for a level that the codec does not have.
pub fn compress(
    codec: Compression,
    input: &[u8],
    level: Option<i32>,
    output: &mut Vec<u8>,
) -> Result<(), CompressError> {
    if let Some(level) = level
        && !codec.level_is_valid(level)
    {
        return Err(CompressError::Level { codec: codec.name(), level });
    }
    let failed = |_cause: io::Error| CompressError::Encoder { codec: codec.name() };
    match codec {
        Compression::None => output.extend_from_slice(input),
        Compression::Gzip => {
            let level = level.and_then(|level| u32::try_from(level).ok());
            let level = level.map_or(flate2::Compression::default(), flate2::Compression::new);
            let mut encoder = GzEncoder::new(output, level);
            encoder.write_all(input).map_err(failed)?;
            encoder.finish().map_err(failed)?;
        }
        Compression::Snappy => snappy::compress(input, output).map_err(failed)?,
        Compression::Lz4 => lz4::compress(input, output).map_err(failed)?,
        Compression::Zstd => {
            let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
            let mut encoder = zstd::Encoder::new(output, level).map_err(failed)?;
            // The size in the frame header lets readers, and the encoder, use a small window.
            encoder.set_pledged_src_size(Some(input.len() as u64)).map_err(failed)?;
            encoder.write_all(input).map_err(failed)?;
            encoder.finish().map_err(failed)?;
        }
    }
    Ok(())
}

/// Looks at the framing of compressed records from a producer, without decompressing them, for
/// what Java consumers cannot read: lz4 frames of linked blocks, and more than one frame.
///
/// # Errors
/// [`DecompressError`]: what is wrong with the frame.
pub fn check_framing(codec: Compression, input: &[u8]) -> Result<(), DecompressError> {
    match codec {
        Compression::None | Compression::Gzip | Compression::Snappy | Compression::Zstd => Ok(()),
        Compression::Lz4 => {
            let frame = lz4::scan(input)?;
            if frame.linked_blocks {
                return Err(DecompressError::Unsupported("lz4 blocks that depend on each other"));
            }
            Ok(())
        }
    }
}

fn gzip(input: &[u8], limit_bytes: usize, output: &mut Vec<u8>) -> Result<(), DecompressError> {
    // Several members in a row are one stream, as RFC 1952 says and Java reads them.
    read_bounded(MultiGzDecoder::new(input), limit_bytes, output, |_error| {
        DecompressError::Corrupt("gzip stream")
    })
}

fn zstd(input: &[u8], limit_bytes: usize, output: &mut Vec<u8>) -> Result<(), DecompressError> {
    if input.is_empty() {
        return Err(DecompressError::Truncated);
    }
    let internal = |_error| DecompressError::Corrupt("zstd decoder");
    let mut decoder = zstd::Decoder::with_buffer(input).map_err(internal)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(internal)?;
    read_bounded(decoder, limit_bytes, output, |error| {
        // The library's errors come as text alone.
        if error.to_string().contains("too much memory") {
            DecompressError::Unsupported("a zstd window above 8 MiB")
        } else {
            DecompressError::Corrupt("zstd frame")
        }
    })
}

/// The first reservation, and the smallest step by which output grows.
const STEP_BYTES: usize = 16 * 1024;

/// Makes room for `more` bytes: by doubling, so that many small steps stay cheap, and by no more than that or the limit.
fn grow(output: &mut Vec<u8>, more: usize, limit_bytes: usize) {
    let needed = output.len() + more;
    if needed > output.capacity() {
        let roomy = output.len().saturating_mul(2).min(limit_bytes);
        output.reserve_exact(needed.max(roomy) - output.len());
    }
}

/// Appends all of `reader` to `output`, which grows by doubling and never past the limit.
fn read_bounded(
    mut reader: impl Read,
    limit_bytes: usize,
    output: &mut Vec<u8>,
    other: impl Fn(&io::Error) -> DecompressError,
) -> Result<(), DecompressError> {
    let failed = |error: &io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => DecompressError::Truncated,
        _ => other(error),
    };
    let mut filled = output.len();
    loop {
        if filled == output.len() {
            let step = filled.clamp(STEP_BYTES, DECOMPRESSED_BYTES_MAX);
            let grown = filled.saturating_add(step).min(limit_bytes);
            if grown == filled {
                // Full to the limit: only the end may follow.
                let more = reader.read(&mut [0]).map_err(|error| failed(&error))?;
                output.truncate(filled);
                return if more == 0 {
                    Ok(())
                } else {
                    Err(DecompressError::TooLarge { limit_bytes })
                };
            }
            output.reserve_exact(grown - filled);
            output.resize(grown, 0);
        }
        match reader.read(&mut output[filled..]) {
            Ok(0) => {
                output.truncate(filled);
                return Ok(());
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(&error)),
        }
    }
}

#[cfg(test)]
mod tests;
