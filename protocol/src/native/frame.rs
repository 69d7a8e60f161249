//! One native frame: a fixed prefix, a verified header, a payload that nobody parses here.
//!
//! ```text
//!  at bytes prefix, little-endian
//!   0     4 frame length: prefix, header and payload
//!   4     2 kind
//!   6     2 flags: bit 0, this is an answer
//!   8     8 correlation id: an answer repeats its request's
//!  16     4 header length, a multiple of 8
//!  20     4 CRC-32C of the 20 bytes before it and of the header
//!  24       header (FlatBuffers), then payload
//! ```
//! The checksum guards what steers us; the payload's batches carry checksums of their own.

use std::mem::offset_of;

use flatbuffers::{Follow, Verifiable, VerifierOptions, root_with_opts};
use thiserror::Error;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::crc::{crc32c, crc32c_append};
use crate::error_code::ErrorCode;

/// Bytes of a frame before its header.
pub const PREFIX_BYTES: usize = 24;
/// The largest frame there is.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest header: no more than a quarter of a frame.
pub const HEADER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What is left for the payload beside the largest header.
pub const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES_MAX - PREFIX_BYTES;
/// How many tables one header may have.
pub const TABLES_MAX: usize = 4_096;
/// How deep tables may be nested.
pub const DEPTH_MAX: usize = 16;
/// How many entries a list of partitions, batches or topics may have in a request.
pub const ENTRIES_MAX: usize = 4_096;

const HEADER_ALIGNMENT: usize = 8;
const FLAG_ANSWER: u16 = 1;
/// How much larger than the frame a header may seem when shared parts are counted each time.
const APPARENT_SIZE_FACTOR: usize = 4;

const _: () = assert!(PREFIX_BYTES.is_multiple_of(HEADER_ALIGNMENT));
const _: () = assert!(HEADER_BYTES_MAX.is_multiple_of(HEADER_ALIGNMENT));

/// The prefix as it lies in memory.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Prefix {
    pub(super) frame_bytes: U32,
    pub(super) kind: U16,
    pub(super) flags: U16,
    pub(super) correlation: U64,
    pub(super) header_bytes: U32,
    pub(super) crc: U32,
}

const CRC_AT: usize = offset_of!(Prefix, crc);
const _: () = assert!(size_of::<Prefix>() == PREFIX_BYTES);
const _: () = assert!(offset_of!(Prefix, kind) == 4);
const _: () = assert!(offset_of!(Prefix, flags) == 6);
const _: () = assert!(offset_of!(Prefix, correlation) == 8);
const _: () = assert!(offset_of!(Prefix, header_bytes) == 16);
const _: () = assert!(CRC_AT == 20);

impl Prefix {
    /// What the checksum of this prefix and `header` must be.
    pub(super) fn checksum(&self, header: &[u8]) -> u32 {
        crc32c_append(crc32c(&self.as_bytes()[..CRC_AT]), header)
    }
}

macro_rules! kinds {
    ($($number:literal $name:ident: $about:literal;)*) => {
        /// What a frame is about. A request and its answer have the same kind.
        ///
        /// Numbers 64 to 95 are kept for replication (replica fetch, epoch ends, in-sync-set
        /// changes), 96 to 127 for the coordinators (broker registration and heartbeat, metadata
        /// snapshots and deltas), 128 to 159 for their Raft, 160 to 191 for groups and
        /// transactions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $(
                #[doc = $about]
                $name = $number,
            )*
        }

        impl Kind {
            /// Every kind that this release speaks.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The kind of this number; `None` if this release has none.
            pub const fn new(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    0 Error: "Only as an answer, to any kind: the whole request failed.";
    1 Hello: "The first frame of a connection, both ways.";
    16 Metadata: "The cluster, its brokers, and topics by name, by id or all of them.";
    32 Produce: "Record batches to append; the payload holds them.";
    33 Fetch: "Record batches to read; the answer's payload holds them.";
    34 ListOffsets: "Offsets by timestamp, first and last.";
    35 InitProducer: "An id and epoch for an idempotent or transactional producer.";
    36 DeleteRecords: "Raise the start of partitions.";
    48 CreateTopics: "New topics.";
    49 DeleteTopics: "Remove topics.";
    50 CreatePartitions: "More partitions for topics.";
    51 DescribeConfigs: "What is configured, and where it comes from.";
    52 AlterConfigs: "Change single configurations.";
}

impl Kind {
    /// The number in a frame's prefix.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// Why bytes are not a frame, or a frame not the message it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The lengths in the prefix contradict each other or a limit.
    #[error("a frame of {frame_bytes} bytes with a header of {header_bytes} is not possible")]
    Size { frame_bytes: u32, header_bytes: u32 },
    /// Fewer bytes than the frame declares.
    #[error("{actual_bytes} bytes are not the frame's {frame_bytes}")]
    Incomplete { frame_bytes: usize, actual_bytes: usize },
    /// The bytes changed on their way, or they are another protocol's.
    #[error("the frame's CRC-32C is {computed:#010x}, its prefix says {declared:#010x}")]
    Checksum { declared: u32, computed: u32 },
    /// Flags without a meaning.
    #[error("flags {flags:#06x} are unknown")]
    Flags { flags: u16 },
    /// A kind that this release does not have. Answer it and go on.
    #[error("kind {number} is unknown")]
    UnknownKind { number: u16, correlation: u64 },
    /// Another kind, or direction, than the caller asked for.
    #[error("a frame of kind {actual:?} where {expected:?} was due")]
    WrongKind { expected: Kind, actual: Kind },
    /// The header is not a valid FlatBuffer of its kind.
    #[error("the header of a {kind:?} frame is malformed")]
    Header { kind: Kind },
    /// A field of the header has a value that cannot be.
    #[error("the header of a {kind:?} frame is wrong: {what}")]
    Field { kind: Kind, what: &'static str },
    /// What should be sent is too large for a frame.
    #[error("{bytes} bytes are too many for a frame")]
    TooLarge { bytes: usize },
}

impl FrameError {
    /// Whether the stream has lost its step: nothing after this frame can be trusted, so the
    /// connection ends. Otherwise the peer gets [`Self::code`] and the connection goes on.
    pub const fn is_fatal(self) -> bool {
        match self {
            Self::Size { .. }
            | Self::Incomplete { .. }
            | Self::Checksum { .. }
            | Self::Flags { .. }
            | Self::Header { .. } => true,
            Self::UnknownKind { .. }
            | Self::WrongKind { .. }
            | Self::Field { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// The error to answer with.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::UnknownKind { .. } => ErrorCode::UnsupportedVersion,
            Self::Checksum { .. } => ErrorCode::CorruptMessage,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Size { .. }
            | Self::Incomplete { .. }
            | Self::Flags { .. }
            | Self::WrongKind { .. }
            | Self::Header { .. }
            | Self::Field { .. } => ErrorCode::InvalidRequest,
        }
    }
}

/// A whole frame whose prefix is true. Its header is verified when it is read as a message.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    kind: Kind,
    answer: bool,
    correlation: u64,
    header: &'a [u8],
    payload: &'a [u8],
}

/// How long the frame at the front of `bytes` is, once enough bytes are there to say.
///
/// Ask before reading on, so that no more is buffered than `frame_bytes_max` allows.
///
/// # Errors
/// [`FrameError::Size`] if its prefix contradicts itself or the limit.
pub fn frame_size(bytes: &[u8], frame_bytes_max: usize) -> Result<Option<usize>, FrameError> {
    let Ok((prefix, _)) = Prefix::ref_from_prefix(bytes) else { return Ok(None) };
    let size = FrameError::Size {
        frame_bytes: prefix.frame_bytes.get(),
        header_bytes: prefix.header_bytes.get(),
    };
    let frame_bytes = usize::try_from(prefix.frame_bytes.get()).map_err(|_too_large| size)?;
    let header_bytes = usize::try_from(prefix.header_bytes.get()).map_err(|_too_large| size)?;
    let possible = frame_bytes <= frame_bytes_max.min(FRAME_BYTES_MAX)
        && header_bytes <= HEADER_BYTES_MAX
        && header_bytes.is_multiple_of(HEADER_ALIGNMENT)
        && header_bytes > 0
        && PREFIX_BYTES + header_bytes <= frame_bytes;
    if possible { Ok(Some(frame_bytes)) } else { Err(size) }
}

impl<'a> Frame<'a> {
    /// Takes `bytes` as one frame.
    ///
    /// # Errors
    /// [`FrameError`]; see [`FrameError::is_fatal`] for what to do then.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let incomplete =
            |frame_bytes| FrameError::Incomplete { frame_bytes, actual_bytes: bytes.len() };
        let frame_bytes =
            frame_size(bytes, FRAME_BYTES_MAX)?.ok_or_else(|| incomplete(PREFIX_BYTES))?;
        if frame_bytes != bytes.len() {
            return Err(incomplete(frame_bytes));
        }
        let (prefix, rest) =
            Prefix::ref_from_prefix(bytes).map_err(|_short| incomplete(PREFIX_BYTES))?;
        // `frame_size` proved that the header lies inside the frame.
        let (header, payload) = rest.split_at(prefix.header_bytes.get() as usize);
        let (declared, computed) = (prefix.crc.get(), prefix.checksum(header));
        if declared != computed {
            return Err(FrameError::Checksum { declared, computed });
        }
        let flags = prefix.flags.get();
        if flags & !FLAG_ANSWER != 0 {
            return Err(FrameError::Flags { flags });
        }
        let (number, correlation) = (prefix.kind.get(), prefix.correlation.get());
        let kind = Kind::new(number).ok_or(FrameError::UnknownKind { number, correlation })?;
        Ok(Self { kind, answer: flags & FLAG_ANSWER != 0, correlation, header, payload })
    }

    /// What the frame is about.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it answers a request.
    pub const fn is_answer(&self) -> bool {
        self.answer
    }

    /// Which request it is or answers.
    pub const fn correlation(&self) -> u64 {
        self.correlation
    }

    /// The bulk bytes behind the header.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Verifies the header and views it as `T`.
    pub(super) fn table<T>(&self, expected: Kind, answer: bool) -> Result<T::Inner, FrameError>
    where
        T: Follow<'a> + Verifiable + 'a,
    {
        if self.kind != expected || self.answer != answer {
            return Err(FrameError::WrongKind { expected, actual: self.kind });
        }
        let options = VerifierOptions {
            max_depth: DEPTH_MAX,
            max_tables: TABLES_MAX,
            max_apparent_size: APPARENT_SIZE_FACTOR
                * (PREFIX_BYTES + self.header.len() + self.payload.len()),
            ignore_missing_null_terminator: false,
        };
        root_with_opts::<T>(&options, self.header)
            .map_err(|_trace| FrameError::Header { kind: self.kind })
    }

    /// The error that a field's value is wrong.
    pub(super) const fn wrong(&self, what: &'static str) -> FrameError {
        FrameError::Field { kind: self.kind, what }
    }

    /// Refuses a list that is longer than any request needs.
    pub(super) fn bounded(&self, entries: usize) -> Result<(), FrameError> {
        if entries <= ENTRIES_MAX { Ok(()) } else { Err(self.wrong("too many entries")) }
    }
}

/// The flags of a request or an answer.
pub(super) const fn flags(answer: bool) -> u16 {
    if answer { FLAG_ANSWER } else { 0 }
}

/// The padding that brings a header to its alignment.
pub(super) const fn padding(header_bytes: usize) -> usize {
    header_bytes.next_multiple_of(HEADER_ALIGNMENT) - header_bytes
}
