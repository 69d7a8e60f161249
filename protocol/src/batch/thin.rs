//! Thinning: what compaction leaves of a batch. Offsets, sequences and epoch stay as they are.
//!
//! ```text
//! CheckedBatch ── thin ──▶ Untouched │ Emptied │ Thinned ── pack ──▶ the batch's new bytes
//! ```
//!
//! A record that stays keeps its very bytes, unless its batch gets a delete horizon (KIP-534): that
//! takes the place of the base timestamp, to which record timestamps are relative.

use zerocopy::{FromBytes, IntoBytes};

use super::CheckedBatch;
use super::compress::{CompressError, Compression, compress};
use super::error::{RecordError, RecordFault};
use super::header::{
    Attributes, BatchHeader, CRC_COVERS_FROM, HEADER_BYTES, LENGTH_COVERS_FROM, NO_TIMESTAMP,
};
use super::records::{Record, Records};
use crate::crc::crc32c;
use crate::varint::{len_i64, put_i32, put_i64, take_i32, take_i64};

/// What is left of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remains {
    /// Everything, as it is.
    Untouched,
    /// Some records, or all with a delete horizon.
    Some(Thinned),
    /// No record.
    Nothing,
}

/// A batch without the records that went, not yet compressed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thinned {
    header: [u8; HEADER_BYTES],
    compression: Compression,
    records: Vec<u8>,
}

impl CheckedBatch<'_> {
    /// When the batch's tombstones may go, in milliseconds since 1970, if a compaction has said so
    /// already.
    pub fn delete_horizon(&self) -> Option<i64> {
        let set = self.header.attributes().has(Attributes::DELETE_HORIZON);
        set.then(|| self.header.base_timestamp())
    }

    /// Leaves the records that `keep` wants. If a tombstone stays and the batch has no delete
    /// horizon, it gets `horizon`.
    ///
    /// `section` is the record section without compression.
    ///
    /// # Errors
    /// The first record that lies.
    pub fn thin(
        &self,
        section: &[u8],
        horizon: i64,
        mut keep: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Remains, RecordError> {
        let mut kept = Vec::new();
        let (mut count, mut tombstones) = (0, false);
        let mut max_timestamp = NO_TIMESTAMP;
        // Neighbours that stay are copied together.
        let mut run = 0..0;
        let mut records = Records::new(self.header, section);
        let position = |records: &Records<'_>| section.len() - records.remaining().len();
        loop {
            let start = position(&records);
            let Some(record) = records.next() else { break };
            let record = record?;
            if !keep(&record) {
                continue;
            }
            count += 1;
            tombstones |= record.value.is_none();
            max_timestamp = max_timestamp.max(record.timestamp);
            if run.end != start {
                kept.extend_from_slice(&section[run]);
                run = start..start;
            }
            run.end = position(&records);
        }
        let sets_horizon = tombstones && self.delete_horizon().is_none();
        if count == self.header.record_count() && !sets_horizon {
            return Ok(Remains::Untouched);
        }
        if count == 0 {
            return Ok(Remains::Nothing);
        }
        kept.extend_from_slice(&section[run]);
        let mut header = *self.header;
        header.record_count.set(count);
        if !self.is_log_append_time() {
            header.max_timestamp.set(max_timestamp);
        }
        if sets_horizon {
            kept = retimed(&kept, self.header.base_timestamp(), horizon)?;
            header.base_timestamp.set(horizon);
            header.attributes.set(header.attributes.get() | Attributes::DELETE_HORIZON);
        }
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(header.as_bytes());
        Ok(Remains::Some(Thinned { header: bytes, compression: self.compression, records: kept }))
    }

    /// The batch without its records: it holds its offsets' place, and its producer's.
    pub fn emptied(&self) -> [u8; HEADER_BYTES] {
        let mut header = *self.header;
        let cleared = Attributes::COMPRESSION | Attributes::DELETE_HORIZON;
        header.attributes.set(header.attributes.get() & !cleared);
        header.base_timestamp.set(NO_TIMESTAMP);
        header.record_count.set(0);
        header.length.set((HEADER_BYTES - LENGTH_COVERS_FROM) as i32);
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(header.as_bytes());
        seal(&mut bytes);
        bytes
    }
}

impl Thinned {
    /// Bytes of its records before they are compressed.
    pub fn uncompressed_bytes(&self) -> usize {
        self.records.len()
    }

    /// The batch's new bytes, compressed with its own codec at the codec's default level.
    ///
    /// # Errors
    /// The encoder failed, which none does.
    pub fn pack(&self) -> Result<Vec<u8>, CompressError> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.records.len());
        out.extend_from_slice(&self.header);
        compress(self.compression, &self.records, None, &mut out)?;
        let length = i32::try_from(out.len() - LENGTH_COVERS_FROM)
            .map_err(|_too_large| CompressError::Encoder { codec: self.compression.name() })?;
        if let Ok((header, _)) = BatchHeader::mut_from_prefix(&mut out) {
            header.length.set(length);
        }
        seal(&mut out);
        Ok(out)
    }
}

/// Renews the checksum of a batch.
fn seal(batch: &mut [u8]) {
    let crc = crc32c(&batch[CRC_COVERS_FROM..]);
    if let Ok((header, _)) = BatchHeader::mut_from_prefix(batch) {
        header.crc.set(crc);
    }
}

/// The same records, their timestamps relative to `to` instead of `from`.
fn retimed(section: &[u8], from: i64, to: i64) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::with_capacity(section.len() + section.len() / 8);
    let mut rest = section;
    let mut index = 0;
    while !rest.is_empty() {
        let fault = |fault| RecordError { index, fault };
        let (length, after) = take_i32(rest).ok_or(fault(RecordFault::Varint))?;
        let length = usize::try_from(length).map_err(|_negative| fault(RecordFault::Length))?;
        let (body, after) = after.split_at_checked(length).ok_or(fault(RecordFault::Truncated))?;
        let (attributes, body) = body.split_first().ok_or(fault(RecordFault::Length))?;
        let (delta, body) = take_i64(body).ok_or(fault(RecordFault::Varint))?;
        let delta = from.wrapping_add(delta).wrapping_sub(to);
        let length = i32::try_from(1 + len_i64(delta) + body.len())
            .map_err(|_too_large| fault(RecordFault::Length))?;
        put_i32(length, &mut out);
        out.push(*attributes);
        put_i64(delta, &mut out);
        out.extend_from_slice(body);
        rest = after;
        index += 1;
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
