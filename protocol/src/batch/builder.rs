//! Builds record batches: for clients, for tests, and for the control records that brokers write.

use thiserror::Error;

use super::compress::{CompressError, Compression, compress};
use super::header::{
    Attributes, BatchHeader, CRC_COVERS_FROM, HEADER_BYTES, LENGTH_COVERS_FROM, MAGIC, NO_PRODUCER,
    NO_TIMESTAMP,
};
use super::records::{Header, Record};
use crate::crc::crc32c;
use crate::epoch::{LeaderEpoch, ProducerEpoch};
use crate::ids::ProducerId;
use crate::offset::Offset;
use crate::varint::{len_i32, len_i64, put_i32, put_i64};
use zerocopy::IntoBytes;

/// Collects records and builds one batch of them.
///
/// ```text
/// let mut batch = BatchBuilder::new(Compression::Lz4);
/// batch.append(Some(b"key"), Some(b"value"), &[], 1_700_000_000_000)?;
/// batch.build(&mut bytes)?;
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    compression: Compression,
    level: Option<i32>,
    records: Vec<u8>,
    record_count: i32,
    base_offset: i64,
    leader_epoch: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    flags: i16,
}

/// How a transaction ended, as a control record says it (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlMarker {
    /// Its records never happened.
    Abort,
    /// Its records count from here on.
    Commit,
}

/// Why a batch could not be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// One field or the whole batch would exceed what 32 bits can say.
    #[error("the batch would be larger than its format can express")]
    TooLarge,
    /// There is nothing to build.
    #[error("a batch needs at least one record")]
    Empty,
    /// The codec refused.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

impl BatchBuilder {
    /// Starts an empty batch: base offset 0, no producer, no leader epoch.
    pub const fn new(compression: Compression) -> Self {
        Self {
            compression,
            level: None,
            records: Vec::new(),
            record_count: 0,
            base_offset: 0,
            leader_epoch: LeaderEpoch::NONE,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: NO_PRODUCER,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
            flags: 0,
        }
    }

    /// A control batch that ends a producer's transaction. Only brokers append such.
    pub fn marker(
        marker: ControlMarker,
        producer: (ProducerId, ProducerEpoch),
        coordinator_epoch: i32,
        timestamp: i64,
    ) -> Self {
        let mut batch = Self::new(Compression::None);
        batch.producer_id = producer.0.get();
        batch.producer_epoch = producer.1.get();
        batch.flags = Attributes::TRANSACTIONAL | Attributes::CONTROL;
        let value = marker_value(coordinator_epoch);
        batch
            .append(Some(&marker.key()), Some(&value), &[], timestamp)
            .expect("a marker is a few bytes");
        batch
    }

    /// Compresses at `level` instead of the codec's default.
    pub const fn set_level(&mut self, level: i32) -> &mut Self {
        self.level = Some(level);
        self
    }

    /// Makes the batch idempotent: `base_sequence` is its first record's.
    pub const fn set_producer(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        base_sequence: i32,
    ) -> &mut Self {
        self.producer_id = id.get();
        self.producer_epoch = epoch.get();
        self.base_sequence = base_sequence;
        self
    }

    /// Makes the batch part of its producer's transaction.
    pub const fn set_transactional(&mut self) -> &mut Self {
        self.flags |= Attributes::TRANSACTIONAL;
        self
    }

    /// Gives the batch a place, as a log would.
    pub const fn set_place(&mut self, base: Offset, epoch: LeaderEpoch) -> &mut Self {
        self.base_offset = base.get();
        self.leader_epoch = epoch.get();
        self
    }

    /// Adds a record and returns its place in the batch, from 0. The timestamp is in milliseconds
    /// since 1970; -1 is none.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`] if a length or the count no longer fits 31 bits.
    pub fn append(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
        timestamp: i64,
    ) -> Result<u32, BuildError> {
        let index = self.record_count;
        let base_timestamp = if index == 0 { timestamp } else { self.base_timestamp };
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let body = body_bytes(index, timestamp_delta, key, value, headers)?;
        let total = self.records.len().saturating_add(body).saturating_add(HEADER_BYTES + 5);
        if i32::try_from(total).is_err() || index == i32::MAX {
            return Err(BuildError::TooLarge);
        }
        let out = &mut self.records;
        out.reserve(body + 5);
        put_i32(length_of(body)?, out);
        let body_at = out.len();
        out.push(0);
        put_i64(timestamp_delta, out);
        put_i32(index, out);
        put_field(key, out)?;
        put_field(value, out)?;
        put_i32(length_of(headers.len())?, out);
        for header in headers {
            put_field(Some(header.key), out)?;
            put_field(header.value, out)?;
        }
        debug_assert_eq!(out.len() - body_at, body, "the length was computed before the bytes");
        self.base_timestamp = base_timestamp;
        self.max_timestamp = if index == 0 { timestamp } else { self.max_timestamp.max(timestamp) };
        self.record_count = index + 1;
        Ok(index.cast_unsigned())
    }

    /// How many records there are.
    pub const fn record_count(&self) -> u32 {
        self.record_count.cast_unsigned()
    }

    /// Whether there is no record yet.
    pub const fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// How large the batch would be without compression, in bytes.
    pub const fn uncompressed_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// How many bytes a record adds at most, before compression.
    pub fn record_bytes_max(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> usize {
        let field = |field: Option<&[u8]>| 5 + field.map_or(0, <[u8]>::len);
        let headers: usize = headers.iter().map(|it| field(Some(it.key)) + field(it.value)).sum();
        // Length, attributes, timestamp delta, offset delta, header count.
        5 + 1 + 10 + 5 + 5 + field(key) + field(value) + headers
    }

    /// Appends the batch to `out` and returns its size. The builder keeps its records.
    ///
    /// # Errors
    /// [`BuildError::Empty`], a level that the codec refuses, or a batch above 2 GiB.
    pub fn build(&self, out: &mut Vec<u8>) -> Result<usize, BuildError> {
        if self.record_count == 0 {
            return Err(BuildError::Empty);
        }
        let at = out.len();
        out.resize(at + HEADER_BYTES, 0);
        let appended = compress(self.compression, &self.records, self.level, out);
        let size = out.len() - at;
        let length = match (appended, i32::try_from(size - LENGTH_COVERS_FROM)) {
            (Ok(()), Ok(length)) => length,
            (Err(error), _) => {
                out.truncate(at);
                return Err(error.into());
            }
            (Ok(()), Err(_)) => {
                out.truncate(at);
                return Err(BuildError::TooLarge);
            }
        };
        let mut header = BatchHeader {
            base_offset: self.base_offset.into(),
            length: length.into(),
            leader_epoch: self.leader_epoch.into(),
            magic: MAGIC,
            crc: 0.into(),
            attributes: (self.flags | self.compression.id()).into(),
            last_offset_delta: (self.record_count - 1).into(),
            base_timestamp: self.base_timestamp.into(),
            max_timestamp: self.max_timestamp.into(),
            producer_id: self.producer_id.into(),
            producer_epoch: self.producer_epoch.into(),
            base_sequence: self.base_sequence.into(),
            record_count: self.record_count.into(),
        };
        out[at..at + HEADER_BYTES].copy_from_slice(header.as_bytes());
        header.crc = crc32c(&out[at + CRC_COVERS_FROM..]).into();
        out[at..at + HEADER_BYTES].copy_from_slice(header.as_bytes());
        Ok(size)
    }

    /// Forgets the records and keeps everything else, and the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.record_count = 0;
        self.base_timestamp = NO_TIMESTAMP;
        self.max_timestamp = NO_TIMESTAMP;
    }
}

impl ControlMarker {
    /// Reads a control record's key; `None` for kinds other than the two.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        // A later version may add fields, never change these (KIP-98).
        match record.key? {
            [version_high, _, kind @ ..] if *version_high < 0x80 => match kind.first_chunk()? {
                [0, 0] => Some(Self::Abort),
                [0, 1] => Some(Self::Commit),
                _ => None,
            },
            _ => None,
        }
    }

    /// Version 0, then the kind; both 16 bits.
    const fn key(self) -> [u8; 4] {
        match self {
            Self::Abort => [0, 0, 0, 0],
            Self::Commit => [0, 0, 0, 1],
        }
    }
}

/// Version 0 (16 bits), then the coordinator's epoch (32 bits).
fn marker_value(coordinator_epoch: i32) -> [u8; 6] {
    let mut value = [0; 6];
    value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
    value
}

fn length_of(bytes: usize) -> Result<i32, BuildError> {
    i32::try_from(bytes).map_err(|_too_large| BuildError::TooLarge)
}

fn body_bytes(
    index: i32,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> Result<usize, BuildError> {
    let field = |field: Option<&[u8]>| -> Result<usize, BuildError> {
        let length = field.map_or(Ok(-1), |bytes| length_of(bytes.len()))?;
        Ok(len_i32(length).saturating_add(field.map_or(0, <[u8]>::len)))
    };
    let mut bytes = 1 + len_i64(timestamp_delta) + len_i32(index);
    bytes = bytes.saturating_add(field(key)?).saturating_add(field(value)?);
    bytes = bytes.saturating_add(len_i32(length_of(headers.len())?));
    for header in headers {
        bytes = bytes.saturating_add(field(Some(header.key))?).saturating_add(field(header.value)?);
    }
    Ok(bytes)
}

fn put_field(field: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), BuildError> {
    match field {
        None => put_i32(-1, out),
        Some(bytes) => {
            put_i32(length_of(bytes.len())?, out);
            out.extend_from_slice(bytes);
        }
    }
    Ok(())
}
