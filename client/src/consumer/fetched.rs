//! What a fetch brought: batches checked and unpacked once, then read without copying.

use std::rc::Rc;

use bytes::Bytes;
use protocol::batch::compress::{Compression, decompress};
use protocol::batch::records::{Headers, Records};
use protocol::batch::{BatchHeader, CheckedBatch, HEADER_BYTES, RawBatch};

#[cfg(test)]
mod tests;

/// The most that one batch may be after decompression. A broker accepts batches of a few MiB at most; this leaves
/// room for those that compress very well, and none for a bomb.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

/// Records of one partition, in offset order.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub(super) topic: Rc<str>,
    pub(super) partition: i32,
    batches: Vec<Unpacked>,
    /// Records before it were fetched because their batch was, and are not shown.
    from: i64,
}

#[derive(Debug, Clone)]
struct Unpacked {
    /// The whole batch, of which only the header is used when it is compressed.
    batch: Bytes,
    /// Its records, decompressed.
    records: Bytes,
}

/// One record, borrowed from what was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970; -1 if it has none.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: Headers<'a>,
}

impl Fetched {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The records, in offset order.
    pub fn records(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.batches.iter().flat_map(|unpacked| {
            let header = BatchHeader::peek(&unpacked.batch).expect("checked when it arrived");
            Records::new(header, &unpacked.records)
                .map_while(Result::ok)
                .filter(|record| record.offset >= self.from)
                .map(|record| RecordView {
                    topic: &self.topic,
                    partition: self.partition,
                    offset: record.offset,
                    timestamp_ms: record.timestamp,
                    key: record.key,
                    value: record.value,
                    headers: record.headers,
                })
        })
    }
}

/// What the records bytes of an answer hold.
#[derive(Debug)]
pub(super) struct Parsed {
    /// `None` if there is nothing to show: only control batches, or no whole batch.
    pub(super) fetched: Option<Fetched>,
    /// What it takes in memory.
    pub(super) bytes: usize,
    /// The offset after the last whole batch; `None` without a whole batch.
    pub(super) next: Option<i64>,
    /// The first batch alone is larger than the answer.
    pub(super) is_cut: bool,
}

/// Takes an answer apart. `from` is the offset that was asked for.
///
/// # Errors
/// What is wrong with a batch, and nothing of what came before it.
pub(super) fn parse(
    (topic, partition): (&Rc<str>, i32),
    records: &Bytes,
    from: i64,
) -> Result<Parsed, String> {
    let mut batches = Vec::new();
    let mut bytes = 0;
    let mut next = None;
    let mut rest: &[u8] = records;
    while let Some(length) = whole_batch_bytes(rest)? {
        let (first, behind) = rest.split_at(length);
        rest = behind;
        let checked = RawBatch(first).check().map_err(|error| error.to_string())?;
        let end = checked.header().base_offset() + i64::from(checked.offset_count());
        next = Some(end);
        if end <= from || checked.is_control() {
            continue;
        }
        let unpacked = unpack(records.slice_ref(first), &checked)?;
        bytes += unpacked.batch.len() + unpacked.records.len();
        batches.push(unpacked);
    }
    let is_cut = next.is_none() && !rest.is_empty();
    let shown = Fetched { topic: Rc::clone(topic), partition, batches, from };
    let fetched = Some(shown).filter(|fetched| !fetched.batches.is_empty());
    Ok(Parsed { fetched, bytes, next, is_cut })
}

/// The size of the first batch if it is whole. A broker may cut the last one off.
fn whole_batch_bytes(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(header) = BatchHeader::peek(bytes) else { return Ok(None) };
    let length =
        usize::try_from(header.length()).map_err(|_negative| "a batch of negative length")?;
    let whole = length + protocol::batch::LENGTH_COVERS_FROM;
    if whole < HEADER_BYTES {
        return Err(format!("a batch of {whole} bytes"));
    }
    Ok((whole <= bytes.len()).then_some(whole))
}

fn unpack(batch: Bytes, checked: &CheckedBatch<'_>) -> Result<Unpacked, String> {
    let packed = batch.slice(HEADER_BYTES..);
    let records = match checked.compression() {
        Compression::None => packed,
        codec => decompress(codec, &packed, UNPACKED_BYTES_MAX)
            .map_err(|error| error.to_string())?
            .into(),
    };
    // Looked at once here, so that reading them cannot fail.
    for record in Records::new(checked.header(), &records) {
        record.map_err(|error| error.to_string())?;
    }
    Ok(Unpacked { batch, records })
}
