//! Where one answer ends and which request it belongs to, in both dialects; every length is bounded here.

use protocol::native;

/// How a peer's bytes are cut into answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Length (4 bytes, big-endian), correlation id (4 bytes), then the rest. In request order.
    Kafka {
        /// The largest answer accepted.
        bytes_max: usize,
    },
    /// Native frames: a prefix with length, correlation id and checksum. In any order.
    Native {
        /// The largest answer accepted.
        bytes_max: usize,
    },
}

const KAFKA_PREFIX_BYTES: usize = 4;
const KAFKA_CORRELATION_BYTES: usize = 4;

impl Framing {
    /// The size of the first frame in `buffer` with its prefix, as soon as that can be told.
    pub(super) fn frame_bytes(self, buffer: &[u8]) -> Result<Option<usize>, String> {
        match self {
            Self::Kafka { bytes_max } => {
                let Some(prefix) = buffer.first_chunk::<KAFKA_PREFIX_BYTES>() else {
                    return Ok(None);
                };
                let length = i32::from_be_bytes(*prefix);
                match usize::try_from(length) {
                    Ok(bytes) if bytes < KAFKA_CORRELATION_BYTES => {
                        Err(format!("an answer of {bytes} bytes"))
                    }
                    Ok(bytes) if bytes <= bytes_max => Ok(Some(KAFKA_PREFIX_BYTES + bytes)),
                    Ok(bytes) => Err(format!(
                        "an answer of {bytes} bytes where at most {bytes_max} are accepted"
                    )),
                    Err(_) => Err(format!("an answer of {length} bytes")),
                }
            }
            Self::Native { bytes_max } => {
                native::frame_size(buffer, bytes_max).map_err(|error| error.to_string())
            }
        }
    }

    /// Which request a whole frame answers.
    pub(super) fn correlation(self, frame: &[u8]) -> Result<i32, String> {
        match self {
            Self::Kafka { .. } => {
                let correlation = frame[KAFKA_PREFIX_BYTES..].first_chunk::<4>();
                let correlation = correlation.ok_or_else(|| "no correlation id".to_owned())?;
                Ok(i32::from_be_bytes(*correlation))
            }
            Self::Native { .. } => {
                let frame = native::Frame::parse(frame).map_err(|error| error.to_string())?;
                if !frame.is_answer() {
                    return Err("a request, where only answers may come".to_owned());
                }
                i32::try_from(frame.correlation())
                    .map_err(|_large| format!("an answer to no request ({})", frame.correlation()))
            }
        }
    }

    /// Whether answers may overtake each other.
    pub(super) fn is_unordered(self) -> bool {
        match self {
            Self::Kafka { .. } => false,
            Self::Native { .. } => true,
        }
    }
}
