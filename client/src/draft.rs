//! Batches on their way out: one that takes records, and one that is closed and only waits to be delivered.

use bytes::{Bytes, BytesMut};
use protocol::batch::builder::BatchBuilder;
use protocol::batch::compress::{Compression, decompress};
use protocol::batch::records::{Header, Records};
use protocol::batch::{BatchHeader, CRC_AT, CRC_COVERS_FROM, HEADER_BYTES};
use protocol::crc::crc32c;

use crate::accumulator::Identity;
use crate::record::Record;

#[cfg(test)]
mod tests;

const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const _: () = assert!(BASE_SEQUENCE_AT + size_of::<i32>() + size_of::<i32>() == HEADER_BYTES);

/// How batches are built.
#[derive(Debug, Clone)]
pub(crate) struct DraftLimits {
    /// A batch takes no record that would make it larger than this, before compression, unless it is empty.
    pub(crate) batch_bytes: usize,
    /// A record, with its batch's header, may not be larger.
    pub(crate) record_bytes_max: usize,
    pub(crate) compression: Compression,
    pub(crate) level: Option<i32>,
}

/// A batch that takes records.
#[derive(Debug)]
pub(crate) struct Draft {
    builder: BatchBuilder,
}

impl Draft {
    pub(crate) fn new(limits: &DraftLimits) -> Self {
        let mut builder = BatchBuilder::new(limits.compression);
        if let Some(level) = limits.level {
            builder.set_level(level);
        }
        Self { builder }
    }

    /// What a record needs at most, with a batch's header.
    pub(crate) fn record_bytes_max(record: &Record<'_>) -> usize {
        HEADER_BYTES + BatchBuilder::record_bytes_max(record.key, record.value, record.headers)
    }

    pub(crate) fn has_room(&self, record_bytes: usize, limits: &DraftLimits) -> bool {
        self.builder.uncompressed_bytes() + record_bytes <= limits.batch_bytes
    }

    pub(crate) fn count(&self) -> u32 {
        self.builder.record_count()
    }

    pub(crate) fn push(&mut self, record: &Record<'_>, timestamp_ms: i64) {
        let appended = self.builder.append(record.key, record.value, record.headers, timestamp_ms);
        appended.expect("record and batch are bounded far below what the format can say");
    }

    pub(crate) fn close(self) -> Built {
        let mut bytes = Vec::with_capacity(self.builder.uncompressed_bytes());
        let built = self.builder.build(&mut bytes);
        built.expect(
            "the level was checked with the settings, and encoders into memory do not fail",
        );
        bytes.shrink_to_fit();
        Built { bytes: bytes.into(), count: self.count() }
    }
}

/// A closed batch: the bytes that go over the wire.
#[derive(Debug)]
pub(crate) struct Built {
    bytes: Bytes,
    count: u32,
}

impl Built {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The batch, shared and not copied.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Numbers the batch: `base_sequence` is its first record's number under `identity`.
    pub(crate) fn stamp(&mut self, identity: Identity, base_sequence: i32) {
        let shared = std::mem::take(&mut self.bytes);
        // Copied only when an earlier sending still holds the bytes.
        let mut bytes =
            shared.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        bytes[PRODUCER_ID_AT..PRODUCER_EPOCH_AT].copy_from_slice(&identity.id.get().to_be_bytes());
        bytes[PRODUCER_EPOCH_AT..BASE_SEQUENCE_AT]
            .copy_from_slice(&identity.epoch.get().to_be_bytes());
        bytes[BASE_SEQUENCE_AT..BASE_SEQUENCE_AT + 4].copy_from_slice(&base_sequence.to_be_bytes());
        let crc = crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        self.bytes = bytes.freeze();
    }

    /// Cuts the batch in two with the same records in the same order; the halves carry no numbers.
    ///
    /// For a topic whose `max.message.bytes` is smaller than this producer's batches.
    pub(crate) fn split(&self, limits: &DraftLimits) -> [Self; 2] {
        let header = BatchHeader::peek(&self.bytes).expect("a built batch has its header");
        let codec = Compression::from_id(header.attributes().0 & 0x07).expect("we set it");
        let plain = decompress(codec, &self.bytes[HEADER_BYTES..], usize::MAX)
            .expect("what we compressed decompresses");
        let mut halves = [Draft::new(limits), Draft::new(limits)];
        let mut headers: Vec<Header<'_>> = Vec::new();
        for (place, record) in Records::new(header, &plain).enumerate() {
            let record = record.expect("what we built can be read");
            headers.clear();
            headers.extend(record.headers);
            let copied = Record {
                topic: "",
                partition: None,
                key: record.key,
                value: record.value,
                headers: &headers,
                timestamp_ms: None,
            };
            let half = usize::from(place as u64 >= u64::from(self.count / 2));
            halves[half].push(&copied, record.timestamp);
        }
        halves.map(Draft::close)
    }
}
