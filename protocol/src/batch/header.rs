//! The 61 bytes that open a record batch (magic 2), field by field.
//!
//! ```text
//!  at  bytes field
//!   0      8 base offset            ─┐
//!   8      4 length (bytes after it) │ outside the checksum: the leader stamps
//!  12      4 leader epoch            │ base offset and epoch in place
//!  16      1 magic = 2               │
//!  17      4 CRC-32C of bytes 21..  ─┘
//!  21      2 attributes
//!  23      4 last offset delta
//!  27      8 base timestamp
//!  35      8 max timestamp
//!  43      8 producer id
//!  51      2 producer epoch
//!  53      4 base sequence
//!  57      4 record count
//!  61        records, compressed as attributes say
//! ```
//! Everything is big-endian, as KIP-98 defines it.

use std::mem::offset_of;

use zerocopy::big_endian::{I16, I32, I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Where the base offset stands; eight bytes, outside the checksum.
pub const BASE_OFFSET_AT: usize = 0;
/// Where the length stands; it counts the bytes after itself.
pub const LENGTH_AT: usize = 8;
/// What the length field does not count: base offset and length.
pub const LENGTH_COVERS_FROM: usize = 12;
/// Where the leader epoch stands; four bytes, outside the checksum.
pub const LEADER_EPOCH_AT: usize = 12;
/// Where the magic byte stands, in every version of the format.
pub const MAGIC_AT: usize = 16;
/// Where the checksum stands.
pub const CRC_AT: usize = 17;
/// Where the checksummed bytes begin.
pub const CRC_COVERS_FROM: usize = 21;
/// The only batch format there is since Kafka 4.0.
pub const MAGIC: i8 = 2;

/// "No timestamp", as Kafka writes it.
pub const NO_TIMESTAMP: i64 = -1;
/// "No producer id", "no epoch" and "no sequence", as Kafka writes them.
pub const NO_PRODUCER: i64 = -1;

/// A batch header as it lies in memory: alignment 1, big-endian.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BatchHeader {
    pub(super) base_offset: I64,
    pub(super) length: I32,
    pub(super) leader_epoch: I32,
    pub(super) magic: i8,
    pub(super) crc: U32,
    pub(super) attributes: I16,
    pub(super) last_offset_delta: I32,
    pub(super) base_timestamp: I64,
    pub(super) max_timestamp: I64,
    pub(super) producer_id: I64,
    pub(super) producer_epoch: I16,
    pub(super) base_sequence: I32,
    pub(super) record_count: I32,
}

const _: () = assert!(size_of::<BatchHeader>() == HEADER_BYTES);
const _: () = assert!(align_of::<BatchHeader>() == 1);
const _: () = assert!(offset_of!(BatchHeader, base_offset) == BASE_OFFSET_AT);
const _: () = assert!(offset_of!(BatchHeader, length) == LENGTH_AT);
const _: () = assert!(LENGTH_AT + size_of::<i32>() == LENGTH_COVERS_FROM);
const _: () = assert!(offset_of!(BatchHeader, leader_epoch) == LEADER_EPOCH_AT);
const _: () = assert!(offset_of!(BatchHeader, magic) == MAGIC_AT);
const _: () = assert!(offset_of!(BatchHeader, crc) == CRC_AT);
const _: () = assert!(offset_of!(BatchHeader, attributes) == CRC_COVERS_FROM);
const _: () = assert!(offset_of!(BatchHeader, last_offset_delta) == 23);
const _: () = assert!(offset_of!(BatchHeader, base_timestamp) == 27);
const _: () = assert!(offset_of!(BatchHeader, max_timestamp) == 35);
const _: () = assert!(offset_of!(BatchHeader, producer_id) == 43);
const _: () = assert!(offset_of!(BatchHeader, producer_epoch) == 51);
const _: () = assert!(offset_of!(BatchHeader, base_sequence) == 53);
const _: () = assert!(offset_of!(BatchHeader, record_count) == 57);

impl BatchHeader {
    /// Views the front of `bytes`; `None` if they are shorter than a header.
    ///
    /// Nothing is checked: a header is only as true as the batch's checksum.
    pub fn peek(bytes: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(bytes).ok().map(|(header, _)| header)
    }

    /// The offset of the first record; any number a peer may have written.
    pub const fn base_offset(&self) -> i64 {
        self.base_offset.get()
    }

    /// The declared bytes after the length field; may lie.
    pub const fn length(&self) -> i32 {
        self.length.get()
    }

    /// The epoch of the leader that appended the batch, -1 if none has.
    pub const fn leader_epoch(&self) -> i32 {
        self.leader_epoch.get()
    }

    /// The format version.
    pub const fn magic(&self) -> i8 {
        self.magic
    }

    /// The declared CRC-32C of everything behind it.
    pub const fn crc(&self) -> u32 {
        self.crc.get()
    }

    /// Codec, timestamp type and flags.
    pub const fn attributes(&self) -> Attributes {
        Attributes(self.attributes.get())
    }

    /// The last record's offset less the base offset.
    pub const fn last_offset_delta(&self) -> i32 {
        self.last_offset_delta.get()
    }

    /// What record timestamps are relative to, in milliseconds since 1970.
    pub const fn base_timestamp(&self) -> i64 {
        self.base_timestamp.get()
    }

    /// The declared largest timestamp, in milliseconds since 1970.
    pub const fn max_timestamp(&self) -> i64 {
        self.max_timestamp.get()
    }

    /// The producer's id, -1 if it is not idempotent.
    pub const fn producer_id(&self) -> i64 {
        self.producer_id.get()
    }

    /// The producer's epoch; without a producer id it means nothing.
    pub const fn producer_epoch(&self) -> i16 {
        self.producer_epoch.get()
    }

    /// The first record's sequence; without a producer id it means nothing.
    pub const fn base_sequence(&self) -> i32 {
        self.base_sequence.get()
    }

    /// The declared number of records.
    pub const fn record_count(&self) -> i32 {
        self.record_count.get()
    }
}

/// The attributes field of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    /// Bits 0 to 2: the codec.
    pub const COMPRESSION: i16 = 0x07;
    /// Bit 3: timestamps are the broker's append time, not the producer's.
    pub const LOG_APPEND_TIME: i16 = 0x08;
    /// Bit 4: part of a transaction.
    pub const TRANSACTIONAL: i16 = 0x10;
    /// Bit 5: control records, which only brokers write.
    pub const CONTROL: i16 = 0x20;
    /// Bit 6: the base timestamp is the delete horizon (KIP-534), which only compaction writes.
    pub const DELETE_HORIZON: i16 = 0x40;
    /// Every bit that has a meaning.
    pub const KNOWN: i16 = 0x7f;

    /// Whether all bits of `flag` are set.
    pub const fn has(self, flag: i16) -> bool {
        self.0 & flag == flag
    }
}
