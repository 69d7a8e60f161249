//! Metadata records in and out of record batches: the value of each record of a batch is one metadata record.

use crate::batch::builder::{BatchBuilder, BuildError};
use crate::batch::compress::Compression;
use crate::batch::{CheckedBatch, RecordError};

use super::record::{DecodeError, Record};

/// A batch of the metadata log that cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// Metadata batches are plain data batches without compression.
    #[error("the metadata log holds a batch that no controller writes")]
    Foreign,
    /// The batch's records are damaged.
    #[error(transparent)]
    Batch(#[from] RecordError),
    /// A record is none that this program can apply.
    #[error("metadata record {offset}: {source}")]
    Record {
        /// Its place in the log.
        offset: i64,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// Appends the records as one batch, so that all of them are committed or none is.
///
/// # Errors
/// [`BuildError::Empty`] if there are none, [`BuildError::TooLarge`] above 2 GiB.
pub fn write_batch(records: &[Record], now_ms: i64, out: &mut Vec<u8>) -> Result<(), BuildError> {
    let mut batch = BatchBuilder::new(Compression::None);
    let mut value = Vec::new();
    for record in records {
        value.clear();
        record.encode(&mut value);
        batch.append(None, Some(&value), &[], now_ms)?;
    }
    batch.build(out).map(drop)
}

/// The records of one batch, in order.
pub fn read_batch(batch: &CheckedBatch<'_>) -> Result<Vec<Record>, ReadError> {
    if batch.compression() != Compression::None || batch.is_control() || batch.is_transactional() {
        return Err(ReadError::Foreign);
    }
    let mut records = Vec::new();
    for record in batch.records() {
        let record = record?;
        let value = record.value.ok_or(ReadError::Foreign)?;
        let read = Record::decode(value);
        records.push(read.map_err(|source| ReadError::Record { offset: record.offset, source })?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests;
