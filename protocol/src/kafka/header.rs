//! What stands before every request and response.
//!
//! ```text
//! request    length i32 | key i16, version i16, correlation id i32 | client id, nullable string | tags | body
//!                         the head, the same in every version        ...the rest of the header
//! response   length i32 | correlation id i32 | tags | body
//! ```
//! The tag sections are there in flexible versions only, and never in the header of an ApiVersions response: a client
//! reads it before it knows what the broker speaks. The client id keeps its two-byte length even in flexible versions.

use super::api::Api;
use crate::reader::{DecodeError, Reader};
use crate::wire::{EncodeError, Version, Wire};

/// The first eight bytes of a request, which say how to read the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// Which API; it may be one that nobody knows.
    pub api_key: i16,
    /// Which version of it; it may be one that is not served.
    pub api_version: i16,
    /// Chosen by the client, and sent back with the response.
    pub correlation_id: i32,
}

impl RequestHead {
    /// How many bytes it takes: no request is shorter.
    pub const BYTES: usize = 8;

    /// Reads the head and nothing more.
    pub fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            api_key: i16::from_be_bytes(from.array()?),
            api_version: i16::from_be_bytes(from.array()?),
            correlation_id: i32::from_be_bytes(from.array()?),
        })
    }
}

/// Why a request's body must not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The header itself is damaged.
    #[error("the request's header: {0}")]
    Malformed(#[from] DecodeError),
    /// An API that this crate does not speak.
    #[error("API key {} is not served", .0.api_key)]
    UnknownApi(RequestHead),
    /// A version of it that is not served. An ApiVersions request is still answered, with a body of version 0.
    #[error("version {} of {api} is not served", .head.api_version)]
    UnsupportedVersion {
        /// The API.
        api: Api,
        /// The head as it came.
        head: RequestHead,
    },
}

/// What a request says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// Which API.
    pub api: Api,
    /// Which of its served versions.
    pub version: Version,
    /// Chosen by the client, and sent back with the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
}

/// The encoding of a header's own strings: never compact.
const PLAIN: Version = Version { number: 1, flexible: false };

impl<'a> RequestHeader<'a> {
    /// Reads the header and leaves the reader at the body.
    pub fn decode(from: &mut Reader<'a>) -> Result<Self, HeaderError> {
        let head = RequestHead::decode(from)?;
        let api = Api::new(head.api_key).ok_or(HeaderError::UnknownApi(head))?;
        let version =
            api.version(head.api_version).ok_or(HeaderError::UnsupportedVersion { api, head })?;
        let client_id = Wire::decode(from, PLAIN)?;
        if version.flexible {
            from.tags(|_, _| Ok(false))?;
        }
        Ok(Self { api, version, correlation_id: head.correlation_id, client_id })
    }

    /// Appends the header.
    pub fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        into.extend_from_slice(&self.api.key().to_be_bytes());
        into.extend_from_slice(&self.version.number.to_be_bytes());
        into.extend_from_slice(&self.correlation_id.to_be_bytes());
        self.client_id.encode(into, PLAIN)?;
        if self.version.flexible {
            into.push(0);
        }
        Ok(())
    }

    /// Appends a whole frame: length, header and body. On an error `into` is left as it was.
    pub fn encode_frame<'b>(
        &self,
        into: &mut Vec<u8>,
        body: &impl Wire<'b>,
    ) -> Result<(), EncodeError> {
        let start = into.len();
        into.extend_from_slice(&[0; 4]);
        let written = self.encode(into).and_then(|()| body.encode(into, self.version));
        end_frame(into, start, 0, written)
    }
}

/// What a response says about itself: which request it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The request's.
    pub correlation_id: i32,
}

/// Whether the header of a response has a tag section.
const fn tagged(api: Api, version: Version) -> bool {
    version.flexible && !matches!(api, Api::ApiVersions)
}

impl ResponseHeader {
    /// Reads the header of a response to such a request and leaves the reader at the body.
    pub fn decode(from: &mut Reader<'_>, api: Api, version: Version) -> Result<Self, DecodeError> {
        let correlation_id = i32::from_be_bytes(from.array()?);
        if tagged(api, version) {
            from.tags(|_, _| Ok(false))?;
        }
        Ok(Self { correlation_id })
    }

    /// Appends the header.
    pub fn encode(&self, into: &mut Vec<u8>, api: Api, version: Version) {
        into.extend_from_slice(&self.correlation_id.to_be_bytes());
        if tagged(api, version) {
            into.push(0);
        }
    }
}

/// A response frame under construction at the end of a buffer: the length is filled in last.
#[derive(Debug)]
#[must_use = "the frame has no length before its end"]
pub struct ResponseFrame {
    start: usize,
}

impl ResponseFrame {
    /// Appends room for the length, and the header.
    pub fn begin(into: &mut Vec<u8>, api: Api, version: Version, correlation_id: i32) -> Self {
        let start = into.len();
        into.extend_from_slice(&[0; 4]);
        ResponseHeader { correlation_id }.encode(into, api, version);
        Self { start }
    }

    /// Fills in the length: all that was appended since, and `outside_bytes` that travel beside the buffer.
    pub fn end(self, into: &mut Vec<u8>, outside_bytes: usize) -> Result<(), EncodeError> {
        end_frame(into, self.start, outside_bytes, Ok(()))
    }

    /// Takes back everything since the beginning.
    pub fn abandon(self, into: &mut Vec<u8>) {
        into.truncate(self.start);
    }

    /// Appends a whole frame. On an error `into` is left as it was.
    pub fn write<'b>(
        into: &mut Vec<u8>,
        api: Api,
        version: Version,
        correlation_id: i32,
        body: &impl Wire<'b>,
    ) -> Result<(), EncodeError> {
        let frame = Self::begin(into, api, version, correlation_id);
        let written = body.encode(into, version);
        end_frame(into, frame.start, 0, written)
    }
}

fn end_frame(
    into: &mut Vec<u8>,
    start: usize,
    outside_bytes: usize,
    written: Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let bytes = (into.len() - start - 4).saturating_add(outside_bytes);
    let ended = written.and_then(|()| {
        let length = i32::try_from(bytes).ok().ok_or(EncodeError::TooLong(bytes))?;
        into[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    });
    if ended.is_err() {
        into.truncate(start);
    }
    ended
}

#[cfg(test)]
mod tests;
