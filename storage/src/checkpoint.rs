//! A checkpoint: every log's state at one moment (`docs/format.md` 4).

use protocol::crc::crc32c;
use protocol::ids::{PartitionIndex, TopicId, TopicPartition};

use crate::bytes::{Decoder, Encode, Short};
use crate::journal::group::JournalId;
use crate::limits::{BLOCK_BYTES, PRODUCER_BATCHES};
use crate::log::epochs::Epochs;
use crate::log::producers::{ProducedBatch, Producer, Producers};
use crate::log::state::{Lifecycle, LogState, SegmentState};
use crate::segment::index::{ENTRY_BYTES, IndexEntry};

const MAGIC: [u8; 8] = *b"CORELOGC";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;

/// A log's record in a checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) state: LogState,
    /// Entries for this log in groups below this sequence are already reflected.
    pub(crate) as_of: u64,
}

/// A checkpoint as read.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) next_log: u32,
    pub(crate) logs: Vec<Recorded>,
}

/// Collects records; logs are added one by one so that other tasks may run in between.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    body: Vec<u8>,
    count: u32,
}

impl Writer {
    pub(crate) fn add(&mut self, state: &LogState, as_of: u64) {
        encode_record(&mut self.body, state, as_of);
        self.count += 1;
    }

    /// The whole file, padded to blocks.
    pub(crate) fn finish(self, journal: &JournalId, number: u64, next_log: u32) -> Vec<u8> {
        let mut file = Vec::with_capacity(HEADER_BYTES + self.body.len() + BLOCK_BYTES as usize);
        file.put(&MAGIC);
        file.put_u32(VERSION);
        file.put_u32(0);
        file.put(journal);
        file.put_u64(number);
        file.put_u64(self.body.len() as u64);
        file.put_u32(crc32c(&self.body));
        file.put_u32(self.count);
        file.put_u32(next_log);
        file.put_u32(0);
        let crc = crc32c(&file);
        file[12..16].copy_from_slice(&crc.to_le_bytes());
        file.put(&self.body);
        file.resize(file.len().next_multiple_of(BLOCK_BYTES as usize), 0);
        file
    }
}

/// Reads a checkpoint file; `None` if it is not intact or not this one.
pub(crate) fn decode(file: &[u8], journal: &JournalId, number: u64) -> Option<Checkpoint> {
    let mut header = *file.first_chunk::<HEADER_BYTES>()?;
    let mut fields = Decoder(&file[8..HEADER_BYTES]);
    let (version, crc) = (fields.u32().ok()?, fields.u32().ok()?);
    header[12..16].fill(0);
    if header[..8] != MAGIC || version != VERSION || crc32c(&header) != crc {
        return None;
    }
    let found_journal: JournalId = fields.array().ok()?;
    let (found_number, body_bytes) = (fields.u64().ok()?, fields.u64().ok()?);
    let (body_crc, count, next_log) = (fields.u32().ok()?, fields.u32().ok()?, fields.u32().ok()?);
    let body = file.get(HEADER_BYTES..)?.get(..usize::try_from(body_bytes).ok()?)?;
    if found_journal != *journal || found_number != number || crc32c(body) != body_crc {
        return None;
    }
    let mut records = Decoder(body);
    let mut logs = Vec::new();
    for _ in 0..count {
        logs.push(decode_record(&mut records).ok()?);
    }
    Some(Checkpoint { next_log, logs })
}

/// Appends one record.
pub(crate) fn encode_record(out: &mut Vec<u8>, state: &LogState, as_of: u64) {
    let start = out.len();
    out.put_u32(0);
    out.put_u32(state.id);
    out.put_i32(state.partition.index.get());
    out.put(&state.partition.topic.get());
    let lifecycle = match state.lifecycle {
        Lifecycle::Live => 1,
        Lifecycle::Deleting => 2,
        Lifecycle::Straying => 3,
    };
    out.put(&[lifecycle, 0, 0, 0]);
    out.put_u64(as_of);
    out.put_i64(state.log_start);
    out.put_i64(state.end);
    out.put_i64(state.high_watermark);
    out.put_i32(state.epoch);
    out.put_i64(state.cleaned);
    out.put_count(state.epochs.pairs().len());
    for (epoch, start) in state.epochs.pairs() {
        out.put_i32(*epoch);
        out.put_i64(*start);
    }
    out.put_count(state.quarantined.len());
    for lost in &state.quarantined {
        out.put_i64(lost.start);
        out.put_i64(lost.end);
    }
    out.put_count(state.segments.len());
    for segment in &state.segments {
        encode_segment(out, segment);
    }
    out.put_count(state.producers.len());
    for (id, producer) in state.producers.iter() {
        out.put_i64(id);
        out.put_i16(producer.epoch);
        out.put_u16(0);
        out.put_i64(producer.seen_ms);
        out.put_count(producer.batches().len());
        for batch in producer.batches() {
            out.put_i32(batch.first_sequence);
            out.put_i32(batch.last_sequence);
            out.put_i64(batch.base);
            out.put_i64(batch.last);
            out.put_i64(batch.timestamp);
        }
    }
    let size = u32::try_from(out.len() - start - 4).expect("a record is far below 4 GiB");
    out[start..start + 4].copy_from_slice(&size.to_le_bytes());
}

/// Appends a segment as it stands in a record.
pub(crate) fn encode_segment(out: &mut impl Encode, segment: &SegmentState) {
    out.put_i64(segment.base);
    out.put_u32(segment.generation);
    out.put_i64(segment.end);
    out.put_u32(segment.length);
    out.put_u32(segment.flushed);
    out.put_i64(segment.max_timestamp);
    out.put_i64(segment.max_timestamp_offset);
    out.put_i64(segment.created_ms);
    out.put_u32(segment.pages);
    out.put_i64(segment.paged_timestamp);
    out.put_count(segment.pending.len());
    for entry in &segment.pending {
        entry.encode(out);
    }
}

/// Takes one record off the front.
pub(crate) fn decode_record(from: &mut Decoder<'_>) -> Result<Recorded, Short> {
    let size = from.u32()? as usize;
    let mut fields = Decoder(from.take(size)?);
    let fields = &mut fields;
    let id = fields.u32()?;
    let index = PartitionIndex::new(fields.i32()?).ok_or(Short)?;
    let partition = TopicPartition { topic: TopicId::new(fields.array()?), index };
    let lifecycle = match fields.u8()? {
        1 => Lifecycle::Live,
        2 => Lifecycle::Deleting,
        3 => Lifecycle::Straying,
        _ => return Err(Short),
    };
    fields.take(3)?;
    let as_of = fields.u64()?;
    let mut state = LogState::new(id, partition, -1, 0);
    state.lifecycle = lifecycle;
    state.log_start = fields.i64()?;
    state.end = fields.i64()?;
    state.high_watermark = fields.i64()?;
    state.epoch = fields.i32()?;
    state.cleaned = fields.i64()?;
    let mut epochs = Vec::new();
    for _ in 0..fields.count(12)? {
        epochs.push((fields.i32()?, fields.i64()?));
    }
    state.epochs = Epochs::from_pairs(epochs);
    for _ in 0..fields.count(16)? {
        state.quarantined.push(fields.i64()?..fields.i64()?);
    }
    for _ in 0..fields.count(68)? {
        state.segments.push_back(decode_segment(fields)?);
    }
    state.producers = decode_producers(fields)?;
    Ok(Recorded { state, as_of })
}

/// Takes a segment off the front.
pub(crate) fn decode_segment(fields: &mut Decoder<'_>) -> Result<SegmentState, Short> {
    let mut segment = SegmentState::new(fields.i64()?, 0);
    segment.generation = fields.u32()?;
    segment.end = fields.i64()?;
    segment.length = fields.u32()?;
    segment.flushed = fields.u32()?;
    segment.max_timestamp = fields.i64()?;
    segment.max_timestamp_offset = fields.i64()?;
    segment.created_ms = fields.i64()?;
    segment.pages = fields.u32()?;
    segment.paged_timestamp = fields.i64()?;
    for _ in 0..fields.count(ENTRY_BYTES)? {
        segment.pending.push(IndexEntry::decode(fields)?);
    }
    Ok(segment)
}

fn decode_producers(fields: &mut Decoder<'_>) -> Result<Producers, Short> {
    let mut producers = Producers::default();
    for _ in 0..fields.count(24)? {
        let (id, epoch) = (fields.i64()?, fields.i16()?);
        fields.u16()?;
        let mut producer = Producer::new(epoch, fields.i64()?);
        let count = fields.count(32)?;
        if count > PRODUCER_BATCHES {
            return Err(Short);
        }
        for _ in 0..count {
            producer.push(ProducedBatch {
                first_sequence: fields.i32()?,
                last_sequence: fields.i32()?,
                base: fields.i64()?,
                last: fields.i64()?,
                timestamp: fields.i64()?,
            });
        }
        producers.insert(id, producer);
    }
    Ok(producers)
}

#[cfg(test)]
mod tests;
