//! Writes the head of a frame, prefix and header; the payload follows from wherever it lies.

use std::fmt;

use flatbuffers::{FlatBufferBuilder, WIPOffset};
use zerocopy::IntoBytes;

use super::frame::{
    FRAME_BYTES_MAX, FrameError, HEADER_BYTES_MAX, Kind, PREFIX_BYTES, Prefix, flags, padding,
};

pub(super) type Builder = FlatBufferBuilder<'static>;

/// Encodes one frame after the other in memory that it keeps.
#[derive(Default)]
pub struct Encoder {
    builder: Builder,
    head: Vec<u8>,
}

/// Which frame a head is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) answer: bool,
    pub(super) correlation: u64,
    pub(super) payload_bytes: usize,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("head_bytes", &self.head.len()).finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder without memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds a header and puts its prefix before it. The result is what to send before the
    /// payload's bytes; it stays valid until the next frame is encoded.
    pub(super) fn head<T>(
        &mut self,
        subject: Subject,
        build: impl FnOnce(&mut Builder) -> WIPOffset<T>,
    ) -> Result<&[u8], FrameError> {
        self.builder.reset();
        let root = build(&mut self.builder);
        self.builder.finish(root, None);
        let header = self.builder.finished_data();
        let header_bytes = header.len() + padding(header.len());
        let frame_bytes = (PREFIX_BYTES + header_bytes).saturating_add(subject.payload_bytes);
        if header_bytes > HEADER_BYTES_MAX || frame_bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { bytes: frame_bytes });
        }
        self.head.clear();
        self.head.resize(PREFIX_BYTES, 0);
        self.head.extend_from_slice(header);
        self.head.resize(PREFIX_BYTES + header_bytes, 0);
        let length = |bytes: usize| u32::try_from(bytes).expect("a frame is at most 16 MiB");
        let mut prefix = Prefix {
            frame_bytes: length(frame_bytes).into(),
            kind: subject.kind.number().into(),
            flags: flags(subject.answer).into(),
            correlation: subject.correlation.into(),
            header_bytes: length(header_bytes).into(),
            crc: 0.into(),
        };
        prefix.crc = prefix.checksum(&self.head[PREFIX_BYTES..]).into();
        self.head[..PREFIX_BYTES].copy_from_slice(prefix.as_bytes());
        Ok(&self.head)
    }

    /// A request's head.
    pub(super) fn request<T>(
        &mut self,
        kind: Kind,
        correlation: u64,
        payload_bytes: usize,
        build: impl FnOnce(&mut Builder) -> WIPOffset<T>,
    ) -> Result<&[u8], FrameError> {
        self.head(Subject { kind, answer: false, correlation, payload_bytes }, build)
    }

    /// An answer's head.
    pub(super) fn answer<T>(
        &mut self,
        kind: Kind,
        correlation: u64,
        payload_bytes: usize,
        build: impl FnOnce(&mut Builder) -> WIPOffset<T>,
    ) -> Result<&[u8], FrameError> {
        self.head(Subject { kind, answer: true, correlation, payload_bytes }, build)
    }
}
