//! Batches made of a few templates, with as little work per batch as there can be.
//!
//! Records of one size differ only in what is patched into them, and a batch of fewer records is the front of a
//! larger one: so a template's bytes are built once, and a batch is a slice of them. Where records carry when they
//! were due, or keys, the slice is copied and these are written into the copy.

use std::iter;
use std::rc::Rc;

use bytes::Bytes;
use protocol::batch::builder::{BatchBuilder, BuildError};
use protocol::batch::compress::compress;
use protocol::batch::{Compression, HEADER_BYTES};
use protocol::crc::{crc32c, crc32c_append};
use protocol::varint::len_i32;
use runtime::Nanos;

use crate::payload::{KEY_BYTES, Values, key};
use crate::{BenchError, ProducePlan};

/// All templates together, about; a few, so that no two batches in a row are the same.
const TEMPLATES_BYTES: usize = 4 << 20;
const TEMPLATES_MAX: usize = 4;
/// Where the checksum stands in a header, and where what it covers begins.
const CRC_AT: usize = 17;
const CRC_COVERS_FROM: usize = 21;
/// What a batch's length field does not count.
const LENGTH_COVERS_FROM: usize = 12;

/// Records that were due at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) due: Nanos,
    pub(crate) records: u32,
}

/// What a batch will hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) records: u32,
    /// In the records' order.
    pub(crate) waits: Vec<Wait>,
    /// One per record, or none if they have no keys.
    pub(crate) keys: Vec<u32>,
}

/// A batch to send.
pub(crate) struct Batch {
    pub(crate) partition: u32,
    pub(crate) head: [u8; HEADER_BYTES],
    pub(crate) body: Bytes,
    pub(crate) records: u32,
    pub(crate) waits: Vec<Wait>,
}

/// What differs from batch to batch although the records are the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    pub(crate) now_ms: i64,
    /// Producer id, epoch and the first record's sequence; -1 each without idempotence.
    pub(crate) producer: (i64, i16, i32),
}

/// Makes batches. A clone shares the templates.
#[derive(Clone)]
pub(crate) struct Mint {
    templates: Rc<[Template]>,
    next: usize,
    codec: Compression,
    value_bytes: usize,
    /// What marks the records of this run, if records carry when they were due.
    run: Option<u64>,
}

struct Template {
    /// The records of a full batch.
    records: Bytes,
    /// Where each of them ends.
    ends: Vec<usize>,
    full: Sealed,
}

/// The records of a full batch as they are sent, and what the checksum makes of them.
struct Sealed {
    body: Bytes,
    crc: Tail,
}

/// The checksum of a fixed tail behind any head: CRC is affine, so 33 values say what it does to every state.
struct Tail {
    zero: u32,
    columns: [u32; 32],
}

impl Tail {
    fn new(tail: &[u8]) -> Self {
        let zero = crc32c_append(0, tail);
        let column = |bit: usize| crc32c_append(1 << bit, tail) ^ zero;
        Self { zero, columns: std::array::from_fn(column) }
    }

    /// The checksum of what gave `head`, followed by the tail.
    fn after(&self, mut head: u32) -> u32 {
        let mut crc = self.zero;
        while head != 0 {
            crc ^= self.columns[head.trailing_zeros() as usize];
            head &= head - 1;
        }
        crc
    }
}

impl Mint {
    /// `run` is the mark to put into records that carry when they were due.
    pub(crate) fn new(plan: &ProducePlan, seed: u64, run: Option<u64>) -> Result<Self, BenchError> {
        let mut values = Values::new(plan.payload, seed);
        let count = (TEMPLATES_BYTES / plan.batch_bytes.max(1) as usize).clamp(1, TEMPLATES_MAX);
        let templates: Rc<[Template]> =
            (0..count).map(|_| Template::new(plan, &mut values)).collect::<Result<_, _>>()?;
        let value_bytes = plan.record_bytes as usize;
        Ok(Self { templates, next: 0, codec: plan.compression, value_bytes, run })
    }

    /// How many records a full batch has.
    pub(crate) fn batch_records(&self) -> u32 {
        u32::try_from(self.templates[0].ends.len()).unwrap_or(u32::MAX)
    }

    /// Makes the batch that `draft` asks for.
    pub(crate) fn batch(
        &mut self,
        partition: u32,
        draft: Draft,
        label: Label,
    ) -> Result<Batch, BenchError> {
        self.next = (self.next + 1) % self.templates.len();
        let template = &self.templates[self.next];
        let is_patched = self.run.is_some() || !draft.keys.is_empty();
        let records = draft.records as usize;
        let mut head = head(draft.records, self.codec, label);
        let body = if !is_patched && records == template.ends.len() {
            finish_head(&mut head, template.full.body.len(), |crc| template.full.crc.after(crc));
            template.full.body.clone()
        } else {
            let front = template.records.slice(..template.ends[records - 1]);
            let front = if is_patched {
                let mut copy = front.to_vec();
                self.patch(&mut copy, &template.ends, &draft);
                copy.into()
            } else {
                front
            };
            let body = pack(self.codec, front)?;
            finish_head(&mut head, body.len(), |crc| crc32c_append(crc, &body));
            body
        };
        Ok(Batch { partition, head, body, records: draft.records, waits: draft.waits })
    }

    /// Writes dues and keys into the records.
    fn patch(&self, records: &mut [u8], ends: &[usize], draft: &Draft) {
        let dues =
            draft.waits.iter().flat_map(|wait| iter::repeat_n(wait.due, wait.records as usize));
        let length_bytes = len_i32(i32::try_from(self.value_bytes).unwrap_or(i32::MAX));
        for (place, due) in dues.enumerate() {
            // A record ends with its value and the number of its headers, which is one byte.
            let value_at = ends[place] - 1 - self.value_bytes;
            if let Some(run) = self.run {
                records[value_at..value_at + 8].copy_from_slice(&due.get().to_le_bytes());
                records[value_at + 8..value_at + 16].copy_from_slice(&run.to_le_bytes());
            }
            if let Some(number) = draft.keys.get(place) {
                let key_at = value_at - length_bytes - KEY_BYTES;
                records[key_at..key_at + KEY_BYTES].copy_from_slice(&key(*number));
            }
        }
    }
}

/// When a record was due, if it is one of the run `run`.
pub(crate) fn due_of(value: &[u8], run: u64) -> Option<Nanos> {
    let (due, rest) = value.split_first_chunk::<8>()?;
    let mark = rest.first_chunk::<8>()?;
    (u64::from_le_bytes(*mark) == run).then(|| Nanos::new(u64::from_le_bytes(*due)))
}

impl Template {
    fn new(plan: &ProducePlan, values: &mut Values) -> Result<Self, BenchError> {
        let wrong = |error: BuildError| BenchError::Plan(error.to_string());
        let mut builder = BatchBuilder::new(Compression::None);
        let mut value = vec![0; plan.record_bytes as usize];
        let key = key(0);
        let key = (plan.keys > 0).then_some(&key[..]);
        let mut ends = Vec::new();
        loop {
            let most = builder.uncompressed_bytes()
                + BatchBuilder::record_bytes_max(key, Some(&value), &[]);
            if most > plan.batch_bytes as usize && !ends.is_empty() {
                break;
            }
            values.fill(&mut value);
            builder.append(key, Some(&value), &[], 0).map_err(wrong)?;
            ends.push(builder.uncompressed_bytes() - HEADER_BYTES);
        }
        let mut bytes = Vec::new();
        builder.build(&mut bytes).map_err(wrong)?;
        let records = Bytes::from(bytes).slice(HEADER_BYTES..);
        let body = pack(plan.compression, records.clone())?;
        let full = Sealed { crc: Tail::new(&body), body };
        Ok(Self { records, ends, full })
    }
}

fn pack(codec: Compression, records: Bytes) -> Result<Bytes, BenchError> {
    if codec == Compression::None {
        return Ok(records);
    }
    let mut packed = Vec::new();
    compress(codec, &records, None, &mut packed)
        .map_err(|error| BenchError::Plan(error.to_string()))?;
    Ok(packed.into())
}

/// A header without length and checksum. The layout stands in `protocol/src/batch/header.rs`.
fn head(records: u32, codec: Compression, label: Label) -> [u8; HEADER_BYTES] {
    let mut head = [0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    let (id, epoch, sequence) = label.producer;
    put(12, &(-1i32).to_be_bytes());
    put(16, &[2]);
    put(21, &codec.id().to_be_bytes());
    put(23, &(records - 1).to_be_bytes());
    put(27, &label.now_ms.to_be_bytes());
    put(35, &label.now_ms.to_be_bytes());
    put(43, &id.to_be_bytes());
    put(51, &epoch.to_be_bytes());
    put(53, &sequence.to_be_bytes());
    put(57, &records.to_be_bytes());
    head
}

fn finish_head(head: &mut [u8; HEADER_BYTES], body_bytes: usize, crc: impl FnOnce(u32) -> u32) {
    let length = u32::try_from(HEADER_BYTES - LENGTH_COVERS_FROM + body_bytes).unwrap_or(u32::MAX);
    head[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc(crc32c(&head[CRC_COVERS_FROM..]));
    head[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use protocol::batch::RawBatch;
    use protocol::batch::compress::decompress;
    use protocol::batch::records::Records;

    use super::*;

    const LABEL: Label = Label { now_ms: 1_700_000_000_000, producer: (7, 3, 40) };

    /// Everything a broker checks, and the records of the batch.
    fn check(batch: &Batch) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
        let bytes = [&batch.head[..], &batch.body].concat();
        let checked = RawBatch(&bytes).check_produced().unwrap();
        let producer = checked.producer().unwrap();
        assert_eq!(
            (producer.id.get(), producer.epoch.get(), producer.base_sequence),
            (7, 3, Some(40))
        );
        assert_eq!(checked.max_timestamp(), LABEL.now_ms);
        assert_eq!(checked.record_count(), batch.records);
        let unpacked = match checked.compression() {
            Compression::None => batch.body.to_vec(),
            codec => decompress(codec, &batch.body, 64 << 20).unwrap(),
        };
        let own = |bytes: &[u8]| bytes.to_vec();
        Records::new(checked.header(), &unpacked)
            .map(|record| record.unwrap())
            .map(|record| (record.key.map(own), record.value.map(own).unwrap()))
            .collect()
    }

    fn draft(records: u32, keys: &[u32]) -> Draft {
        let waits =
            (0..records).map(|n| Wait { due: Nanos::new(1_000 + u64::from(n)), records: 1 });
        Draft { records, waits: waits.collect(), keys: keys.to_vec() }
    }

    #[test]
    fn full_and_partial_batches_pass_a_brokers_check_with_every_codec() {
        for codec in Compression::ALL {
            let plan =
                ProducePlan { record_bytes: 100, compression: codec, ..ProducePlan::default() };
            let mut mint = Mint::new(&plan, 1, None).unwrap();
            let full = mint.batch_records();
            assert!((130..160).contains(&full), "{full}");
            for records in [1, 2, 63, 64, 65, 100, full] {
                let batch = mint.batch(5, draft(records, &[]), LABEL).unwrap();
                let found = check(&batch);
                assert_eq!(found.len(), records as usize);
                assert!(found.iter().all(|(key, value)| key.is_none() && value.len() == 100));
                assert_ne!(found[0].1, [0; 100]);
            }
        }
    }

    #[test]
    fn a_full_batch_fits_and_one_record_more_would_not() {
        for record_bytes in [16, 100, 1024, 10_000] {
            let plan = ProducePlan { record_bytes, ..ProducePlan::default() };
            let mut mint = Mint::new(&plan, 1, None).unwrap();
            let batch = mint.batch(0, draft(mint.batch_records(), &[]), LABEL).unwrap();
            let bytes = HEADER_BYTES + batch.body.len();
            assert!(bytes <= 16_384 && bytes + record_bytes as usize + 40 > 16_384, "{bytes}");
        }
    }

    #[test]
    fn records_carry_when_they_were_due_and_their_keys() {
        let plan = ProducePlan { record_bytes: 16, keys: 1_000, ..ProducePlan::default() };
        let mut mint = Mint::new(&plan, 1, Some(99)).unwrap();
        let keys: Vec<u32> = (0..mint.batch_records()).map(|n| n % 1_000).collect();
        let batch = mint.batch(0, draft(mint.batch_records(), &keys), LABEL).unwrap();
        for (place, (found, value)) in check(&batch).iter().enumerate() {
            assert_eq!(found.as_deref(), Some(&key(keys[place])[..]));
            assert_eq!(due_of(value, 99), Some(Nanos::new(1_000 + place as u64)));
            assert_eq!(due_of(value, 98), None);
        }
    }
}
