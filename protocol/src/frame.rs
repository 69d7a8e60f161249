//! Cuts a byte stream into Kafka's frames, and recognises peers that speak something else.
//!
//! A frame is a big-endian 32-bit length and so many bytes. The length is judged before a byte of the frame is waited
//! for, so that a lie costs nothing.

use crate::kafka::RequestHead;

/// How many bytes the length takes.
pub const PREFIX_BYTES: usize = 4;

/// The largest request that Kafka's brokers take by default.
pub const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;

/// A first length that no Kafka peer sends. The connection cannot go on: where the next frame begins is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More than the limit in force.
    #[error("a frame of {bytes} bytes where at most {max_bytes} are allowed")]
    TooLarge {
        /// What was announced.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Less than any request has, or a negative length.
    #[error("a frame of {0} bytes is no request")]
    TooSmall(i32),
    /// The peer begins a TLS handshake on a port without TLS.
    #[error("the peer speaks TLS to a port without it (check security.protocol)")]
    Tls,
    /// The peer speaks HTTP.
    #[error("the peer speaks HTTP to a Kafka port")]
    Http,
}

/// How many bytes follow the prefix; judged for a request, which is at least [`RequestHead::BYTES`] long.
pub fn request_bytes(prefix: [u8; PREFIX_BYTES], max_bytes: usize) -> Result<usize, FrameError> {
    let length = i32::from_be_bytes(prefix);
    let Ok(bytes) = usize::try_from(length) else { return Err(FrameError::TooSmall(length)) };
    if bytes < RequestHead::BYTES {
        return Err(FrameError::TooSmall(length));
    }
    if bytes <= max_bytes {
        return Ok(bytes);
    }
    Err(match prefix {
        // A handshake record, of TLS 1.0 to 1.3 or SSL 3.
        [0x16, 0x03, 0..=4, _] => FrameError::Tls,
        _ if HTTP.contains(&&prefix) => FrameError::Http,
        _ => FrameError::TooLarge { bytes, max_bytes },
    })
}

/// How requests of HTTP begin; the last one is HTTP/2.
const HTTP: [&[u8; 4]; 10] =
    [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"CONN", b"OPTI", b"TRAC", b"PATC", b"PRI "];

/// What stands at the front of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front<'a> {
    /// A whole frame, without its prefix; the next one begins at `rest`.
    Frame {
        /// Header and body.
        frame: &'a [u8],
        /// What came after it.
        rest: &'a [u8],
    },
    /// Not yet a whole frame.
    Partial {
        /// How many bytes the stream must have before there can be more to say: the prefix, then the whole frame.
        needed_bytes: usize,
    },
}

/// Looks at what a peer sent so far.
pub fn front(stream: &[u8], max_bytes: usize) -> Result<Front<'_>, FrameError> {
    let Some((&prefix, behind)) = stream.split_first_chunk() else {
        return Ok(Front::Partial { needed_bytes: PREFIX_BYTES });
    };
    let bytes = request_bytes(prefix, max_bytes)?;
    Ok(match behind.split_at_checked(bytes) {
        Some((frame, rest)) => Front::Frame { frame, rest },
        None => Front::Partial { needed_bytes: PREFIX_BYTES + bytes },
    })
}

#[cfg(test)]
mod tests;
