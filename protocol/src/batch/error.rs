//! What can be wrong with a batch or one of its records, and what Kafka answers to it.

use thiserror::Error;

use super::header::{HEADER_BYTES, LENGTH_COVERS_FROM};
use crate::error_code::ErrorCode;

/// What the length field of a batch without records says.
const LENGTH_MIN: i32 = (HEADER_BYTES - LENGTH_COVERS_FROM) as i32;

/// Why a peer's bytes are not a batch that may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Fewer bytes than a header.
    #[error("{actual_bytes} bytes are fewer than a batch header")]
    Short { actual_bytes: usize },
    /// The length field is too small for a header, or larger than what is there.
    #[error(
        "the batch declares {declared_bytes} bytes after its length, {actual_bytes} are there in all"
    )]
    Length { declared_bytes: i32, actual_bytes: usize },
    /// More bytes than the one batch.
    #[error("{trailing_bytes} bytes follow the batch")]
    Trailing { trailing_bytes: usize },
    /// A message format that Kafka 4.0 removed (KIP-724).
    #[error("message format {magic} is no longer supported")]
    OldMagic { magic: i8 },
    /// A message format that does not exist.
    #[error("message format {magic} is unknown")]
    UnknownMagic { magic: i8 },
    /// The bytes changed on their way.
    #[error("the batch's CRC-32C is {computed:#010x}, its header says {declared:#010x}")]
    Checksum { declared: u32, computed: u32 },
    /// Record count and offsets contradict each other.
    #[error("{record_count} records do not fit a last offset delta of {last_offset_delta}")]
    Count { last_offset_delta: i32, record_count: i32 },
    /// Not 0 from a client, or a number that no offset can be.
    #[error("base offset {base_offset} is invalid")]
    BaseOffset { base_offset: i64 },
    /// Bits without a meaning, or one that only brokers may set.
    #[error("attributes {attributes:#06x} are invalid")]
    Attributes { attributes: i16 },
    /// A compression codec that does not exist.
    #[error("compression codec {codec} is unknown")]
    Codec { codec: i16 },
    /// A negative producer id other than "none".
    #[error("producer id {producer_id} is invalid")]
    ProducerId { producer_id: i64 },
    /// An idempotent producer without an epoch.
    #[error("producer epoch {epoch} is invalid")]
    ProducerEpoch { epoch: i16 },
    /// An idempotent producer without a sequence.
    #[error("sequence {base_sequence} of producer {producer_id} is invalid")]
    Sequence { producer_id: i64, base_sequence: i32 },
    /// A transaction belongs to a producer.
    #[error("a transactional batch has no producer id")]
    TransactionWithoutProducer,
    /// Only brokers write control records.
    #[error("clients may not write control records")]
    ControlFromClient,
    /// Only brokers set the append time.
    #[error("clients may not set the timestamp type to append time")]
    AppendTimeFromClient,
}

impl BatchError {
    /// What Kafka 4 answers to a produce with such a batch.
    ///
    /// Two answers differ from Kafka's: for an unknown codec it lets an internal exception out
    /// (`UNKNOWN_SERVER_ERROR`), which clients retry for ever; and for lies that it does not notice
    /// we answer `INVALID_RECORD`.
    pub const fn code(self) -> ErrorCode {
        match self {
            // Kafka finds no batch at all, or more than one, or one of a removed format, while it
            // validates the request (versions 3 and up take exactly one batch of magic 2).
            Self::Short { .. }
            | Self::Trailing { .. }
            | Self::OldMagic { .. }
            | Self::Count { .. }
            | Self::BaseOffset { .. }
            | Self::Attributes { .. }
            | Self::ProducerId { .. }
            | Self::Sequence { .. }
            | Self::TransactionWithoutProducer
            | Self::ControlFromClient => ErrorCode::InvalidRecord,
            // A length past the end is, to Kafka, no batch; one below a header is a corrupt batch.
            Self::Length { declared_bytes, .. } if declared_bytes >= LENGTH_MIN => {
                ErrorCode::InvalidRecord
            }
            Self::Length { .. } | Self::UnknownMagic { .. } | Self::Checksum { .. } => {
                ErrorCode::CorruptMessage
            }
            Self::Codec { .. } => ErrorCode::UnsupportedCompressionType,
            Self::ProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::AppendTimeFromClient => ErrorCode::InvalidTimestamp,
        }
    }
}

/// Which record lies, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("record {index} of the batch: {fault}")]
pub struct RecordError {
    /// The record's place in its batch, from 0; Produce versions 8 and up report it (KIP-467).
    pub index: u32,
    /// What is wrong with it.
    pub fault: RecordFault,
}

/// How a record can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordFault {
    /// The batch ends inside the record, or before it.
    #[error("the batch ends before it does")]
    Truncated,
    /// A number does not fit its type or runs past the record.
    #[error("a varint is malformed")]
    Varint,
    /// The record's own length is negative or below what any record takes.
    #[error("its length is invalid")]
    Length,
    /// Its offset delta is not its place in the batch.
    #[error("its offset delta is out of order")]
    OffsetDelta,
    /// The key is longer than what is left of the record.
    #[error("its key is longer than the record")]
    Key,
    /// The value is longer than what is left of the record.
    #[error("its value is longer than the record")]
    Value,
    /// A negative number of headers, or more than could fit.
    #[error("its header count is invalid")]
    HeaderCount,
    /// A header has no key, or is longer than what is left of the record.
    #[error("one of its headers is invalid")]
    Header,
    /// Its fields end before its length says.
    #[error("it is longer than its fields")]
    Leftover,
    /// The batch goes on after the declared number of records.
    #[error("bytes follow the last record")]
    Trailing,
    /// It has no key, by which a compacted topic would keep it. Kafka's words.
    #[error("Compacted topic cannot accept message without key.")]
    NoKey,
    /// The record section is compressed.
    #[error("it is compressed")]
    Compressed,
}

impl RecordError {
    /// What Kafka answers to a produce with such a record.
    pub const fn code(self) -> ErrorCode {
        ErrorCode::InvalidRecord
    }
}
