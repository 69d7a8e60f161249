//! A record batch (magic 2) on its way from a socket to a segment, never copied more than once.
//!
//! ```text
//! RawBatch ── check ──▶ CheckedBatch ── copy_assigned ──▶ the log's own bytes
//! bytes from a peer     what the header claims is true    offset and epoch are stamped
//! ```
//!
//! `check` holds what must be true of any stored batch, also one that compaction thinned out.
//! `check_produced` adds what a client must keep to when it produces. Records are not looked at by
//! either: [`CheckedBatch::walk`] does that for uncompressed batches, in place.

use zerocopy::FromBytes;

use crate::crc::crc32c;
use crate::epoch::{LeaderEpoch, ProducerEpoch};
use crate::ids::ProducerId;
use crate::offset::Offset;

pub mod builder;
pub mod compress;
mod error;
mod header;
pub mod records;
pub mod thin;
mod walk;

pub use compress::Compression;
pub use error::{BatchError, RecordError, RecordFault};
pub use header::{
    Attributes, BASE_OFFSET_AT, BatchHeader, CRC_AT, CRC_COVERS_FROM, HEADER_BYTES,
    LEADER_EPOCH_AT, LENGTH_AT, LENGTH_COVERS_FROM, MAGIC, MAGIC_AT, NO_PRODUCER, NO_TIMESTAMP,
};
pub use walk::Walk;

use records::Records;

/// The bytes that a peer calls one batch.
#[derive(Debug, Clone, Copy)]
pub struct RawBatch<'a>(pub &'a [u8]);

/// A batch whose header is true: length, checksum and counts hold, all attributes are known.
#[derive(Debug, Clone, Copy)]
pub struct CheckedBatch<'a> {
    bytes: &'a [u8],
    header: &'a BatchHeader,
    compression: Compression,
}

/// Who wrote a batch and where it stands in that producer's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerStamp {
    /// The producer.
    pub id: ProducerId,
    /// Which incarnation of it.
    pub epoch: ProducerEpoch,
    /// The sequence of the first record; `None` in control batches, which have none.
    pub base_sequence: Option<i32>,
    /// The sequence of the last record, after which the next batch must start.
    pub last_sequence: Option<i32>,
}

/// What a log writes over a batch's timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restamp {
    /// The topic keeps append time: every record now has this one, in milliseconds since 1970.
    LogAppendTime(i64),
    /// The topic keeps create time and the batch misstated its largest, in milliseconds since 1970.
    MaxTimestamp(i64),
}

impl<'a> RawBatch<'a> {
    /// Splits the first batch off `bytes`, by its length field alone.
    ///
    /// # Errors
    /// [`BatchError::OldMagic`] and [`BatchError::UnknownMagic`] for other formats, `Short` and
    /// `Length` when no whole batch is there.
    pub fn split_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let Some(magic) = bytes.get(MAGIC_AT) else {
            return Err(BatchError::Short { actual_bytes: bytes.len() });
        };
        check_magic(i8::from_be_bytes([*magic]))?;
        let Some(header) = BatchHeader::peek(bytes) else {
            return Err(BatchError::Short { actual_bytes: bytes.len() });
        };
        let length =
            BatchError::Length { declared_bytes: header.length(), actual_bytes: bytes.len() };
        let size =
            usize::try_from(header.length()).ok().and_then(|it| it.checked_add(LENGTH_COVERS_FROM));
        match size {
            Some(size) if size >= HEADER_BYTES => match bytes.split_at_checked(size) {
                Some((batch, rest)) => Ok((Self(batch), rest)),
                None => Err(length),
            },
            _ => Err(length),
        }
    }

    /// Proves what must hold for any batch in a log, or says what does not.
    ///
    /// A batch may hold fewer records than its offsets span, even none: compaction removes records
    /// and leaves the offsets alone. Control batches and append time are accepted.
    ///
    /// # Errors
    /// The first rule that is broken, in the order magic, length, checksum, counts, attributes,
    /// producer fields.
    pub fn check(self) -> Result<CheckedBatch<'a>, BatchError> {
        let (_, rest) = Self::split_first(self.0)?;
        if !rest.is_empty() {
            return Err(BatchError::Trailing { trailing_bytes: rest.len() });
        }
        let (header, _) = BatchHeader::ref_from_prefix(self.0)
            .map_err(|_short| BatchError::Short { actual_bytes: self.0.len() })?;
        let computed = crc32c(&self.0[CRC_COVERS_FROM..]);
        if header.crc() != computed {
            return Err(BatchError::Checksum { declared: header.crc(), computed });
        }
        let (delta, count) = (header.last_offset_delta(), header.record_count());
        // Every number is an i32, so their sums fit an i64.
        if delta < 0 || count < 0 || i64::from(count) > i64::from(delta) + 1 {
            return Err(BatchError::Count { last_offset_delta: delta, record_count: count });
        }
        if header.base_offset() < 0
            || header.base_offset().checked_add(i64::from(delta) + 1).is_none()
        {
            return Err(BatchError::BaseOffset { base_offset: header.base_offset() });
        }
        let attributes = header.attributes();
        if attributes.0 & !Attributes::KNOWN != 0 {
            return Err(BatchError::Attributes { attributes: attributes.0 });
        }
        let codec = attributes.0 & Attributes::COMPRESSION;
        let Some(compression) = Compression::from_id(codec) else {
            return Err(BatchError::Codec { codec });
        };
        let checked = CheckedBatch { bytes: self.0, header, compression };
        checked.check_producer()?;
        Ok(checked)
    }

    /// Proves what must hold for a batch that a client produces: all of [`Self::check`], and
    /// the base offset is 0, there is at least one record and as many as offsets, no control
    /// record, no append time or delete horizon, and a sequence if there is a producer id.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_produced(self) -> Result<CheckedBatch<'a>, BatchError> {
        let batch = self.check()?;
        let (header, attributes) = (batch.header, batch.header.attributes());
        if header.base_offset() != 0 {
            return Err(BatchError::BaseOffset { base_offset: header.base_offset() });
        }
        let (delta, count) = (header.last_offset_delta(), header.record_count());
        // `check` saw that the delta is not negative.
        if count < 1 || delta != count - 1 {
            return Err(BatchError::Count { last_offset_delta: delta, record_count: count });
        }
        if attributes.has(Attributes::CONTROL) {
            return Err(BatchError::ControlFromClient);
        }
        if attributes.has(Attributes::LOG_APPEND_TIME) {
            return Err(BatchError::AppendTimeFromClient);
        }
        if attributes.has(Attributes::DELETE_HORIZON) {
            return Err(BatchError::Attributes { attributes: attributes.0 });
        }
        Ok(batch)
    }
}

impl<'a> CheckedBatch<'a> {
    /// The whole batch.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The header.
    pub const fn header(&self) -> &'a BatchHeader {
        self.header
    }

    /// The bytes after the header: records, compressed as [`Self::compression`] says.
    pub fn record_bytes(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// How many records the batch holds. After compaction it may be fewer than
    /// [`Self::offset_count`], down to none.
    pub fn record_count(&self) -> u32 {
        u32::try_from(self.header.record_count()).expect("check refuses a negative count")
    }

    /// How many offsets the batch spans: the next batch starts that many after its base offset.
    pub fn offset_count(&self) -> u32 {
        u32::try_from(self.header.last_offset_delta()).expect("check refuses a negative delta") + 1
    }

    /// The first offset, as the header states it.
    pub fn base_offset(&self) -> Offset {
        Offset::new(self.header.base_offset()).expect("check refuses a negative base offset")
    }

    /// The largest timestamp as the header states it, in milliseconds since 1970; -1 for none.
    ///
    /// Clients compute it; [`Self::walk`] says what it is.
    pub const fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp()
    }

    /// The producer, if it is idempotent.
    pub fn producer(&self) -> Option<ProducerStamp> {
        let header = self.header;
        if header.producer_id() == NO_PRODUCER {
            return None;
        }
        let base_sequence = Some(header.base_sequence()).filter(|sequence| *sequence >= 0);
        Some(ProducerStamp {
            id: ProducerId::new(header.producer_id()).expect("check refuses other negative ids"),
            epoch: ProducerEpoch::new(header.producer_epoch())
                .expect("check refuses a negative epoch beside an id"),
            base_sequence,
            last_sequence: base_sequence
                .map(|base| sequence_plus(base, header.last_offset_delta())),
        })
    }

    /// How the records are compressed.
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(&self) -> bool {
        self.header.attributes().has(Attributes::TRANSACTIONAL)
    }

    /// Whether the batch holds a transaction marker instead of records.
    pub const fn is_control(&self) -> bool {
        self.header.attributes().has(Attributes::CONTROL)
    }

    /// Whether the timestamps are the broker's append time.
    pub const fn is_log_append_time(&self) -> bool {
        self.header.attributes().has(Attributes::LOG_APPEND_TIME)
    }

    /// Looks at every record of an uncompressed batch, in place: lengths, varints, header counts
    /// and offset deltas hold, and nothing is left over. Allocates nothing.
    ///
    /// # Errors
    /// The first record that lies. A compressed batch is [`RecordFault::Compressed`].
    pub fn walk(&self) -> Result<Walk, RecordError> {
        if self.compression != Compression::None {
            return Err(RecordError { index: 0, fault: RecordFault::Compressed });
        }
        walk::walk(self.header, self.record_bytes())
    }

    /// Looks at every record of a compressed batch, given its decompressed record section.
    ///
    /// # Errors
    /// The first record that lies.
    pub fn walk_decompressed(&self, record_bytes: &[u8]) -> Result<Walk, RecordError> {
        walk::walk(self.header, record_bytes)
    }

    /// The records of an uncompressed batch; those of a compressed one are not readable before
    /// they are decompressed, so the first item is then [`RecordFault::Compressed`].
    pub fn records(&self) -> Records<'a> {
        match self.compression {
            Compression::None => Records::new(self.header, self.record_bytes()),
            Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {
                Records::compressed(self.header)
            }
        }
    }

    /// Copies the batch to `out` and stamps its place. The checksum covers neither field.
    ///
    /// # Panics
    /// If `out` is not as long as the batch.
    pub fn copy_assigned(&self, base: Offset, epoch: LeaderEpoch, out: &mut [u8]) {
        out.copy_from_slice(self.bytes);
        stamp(base, epoch, out);
    }

    /// Copies the batch to `out`, stamps its place, corrects its timestamps and renews the
    /// checksum, which covers them.
    ///
    /// # Panics
    /// If `out` is not as long as the batch.
    pub fn copy_restamped(
        &self,
        base: Offset,
        epoch: LeaderEpoch,
        restamp: Restamp,
        out: &mut [u8],
    ) {
        self.copy_assigned(base, epoch, out);
        let (header, _) =
            BatchHeader::mut_from_prefix(out).expect("a checked batch is longer than a header");
        let max_timestamp = match restamp {
            Restamp::LogAppendTime(at) => {
                header.attributes.set(header.attributes.get() | Attributes::LOG_APPEND_TIME);
                at
            }
            Restamp::MaxTimestamp(at) => at,
        };
        header.max_timestamp.set(max_timestamp);
        let crc = crc32c(&out[CRC_COVERS_FROM..]);
        out[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    }

    fn check_producer(&self) -> Result<(), BatchError> {
        let header = self.header;
        let (id, sequence) = (header.producer_id(), header.base_sequence());
        if id < NO_PRODUCER {
            return Err(BatchError::ProducerId { producer_id: id });
        }
        if id == NO_PRODUCER {
            // Epoch and sequence mean nothing then, and clients leave zeros or -1 there.
            if self.is_transactional() {
                return Err(BatchError::TransactionWithoutProducer);
            }
            return Ok(());
        }
        if header.producer_epoch() < 0 {
            return Err(BatchError::ProducerEpoch { epoch: header.producer_epoch() });
        }
        // A marker has no sequence; everything else of a producer has one.
        if sequence < 0 && !(self.is_control() && sequence == -1) {
            return Err(BatchError::Sequence { producer_id: id, base_sequence: sequence });
        }
        Ok(())
    }
}

/// Stamps base offset and leader epoch over those of the batch at the front of `out`.
///
/// # Panics
/// If `out` is shorter than a header.
pub fn stamp(base: Offset, epoch: LeaderEpoch, out: &mut [u8]) {
    out[BASE_OFFSET_AT..LENGTH_AT].copy_from_slice(&base.get().to_be_bytes());
    out[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&epoch.get().to_be_bytes());
}

/// The sequence `count` records after `sequence`; sequences wrap from `i32::MAX` to 0.
pub const fn sequence_plus(sequence: i32, count: i32) -> i32 {
    // In two's complement, clearing the sign after a wrapping sum is the sum modulo 2^31.
    sequence.wrapping_add(count) & i32::MAX
}

fn check_magic(magic: i8) -> Result<(), BatchError> {
    match magic {
        MAGIC => Ok(()),
        0 | 1 => Err(BatchError::OldMagic { magic }),
        _ => Err(BatchError::UnknownMagic { magic }),
    }
}

#[cfg(test)]
mod tests;
