//! Snapshots in a log of their own: what lets the metadata log below them go.
//!
//! A snapshot is a run of batches: a mark that says which version of the image it holds and how many records that
//! takes, the records, and the same mark again. Only a run that begins and ends with its mark and has every record
//! between them counts, so a snapshot that was cut short, or that lost a batch, is as good as none and the one before
//! it is taken.

use crate::Offset;
use crate::batch::CheckedBatch;
use crate::batch::builder::{BatchBuilder, BuildError};
use crate::batch::compress::Compression;

use super::image::Image;
use super::log::ReadError;
use super::record::Record;

/// A batch is closed when it holds this much.
const BATCH_BYTES: usize = 256 << 10;
const BEGIN: &[u8] = b"begin";
const END: &[u8] = b"end";
/// Bytes of a mark's value: version and number of records, big-endian.
const MARK_BYTES: usize = 12;

/// A whole snapshot, as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The image it holds: every record of the metadata log below is in it.
    pub version: Offset,
    /// Where it begins in the log of snapshots.
    pub start: Offset,
    /// What builds the image.
    pub records: Vec<Record>,
}

/// The batches of a snapshot of `image`, in order.
///
/// # Errors
/// See [`BuildError`].
pub fn write(image: &Image, now_ms: i64) -> Result<Vec<Vec<u8>>, BuildError> {
    let records = image.snapshot();
    let mark = mark(image.version(), records.len());
    let mut batches = Vec::new();
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(Some(BEGIN), Some(&mark), &[], now_ms)?;
    let (mut value, mut bytes) = (Vec::new(), 0);
    for record in &records {
        value.clear();
        record.encode(&mut value);
        batch.append(None, Some(&value), &[], now_ms)?;
        bytes += value.len();
        if bytes >= BATCH_BYTES {
            bytes = 0;
            let full = std::mem::replace(&mut batch, BatchBuilder::new(Compression::None));
            batches.push(built(&full)?);
        }
    }
    batch.append(Some(END), Some(&mark), &[], now_ms)?;
    batches.push(built(&batch)?);
    Ok(batches)
}

fn built(batch: &BatchBuilder) -> Result<Vec<u8>, BuildError> {
    let mut bytes = Vec::new();
    batch.build(&mut bytes)?;
    Ok(bytes)
}

fn mark(version: Offset, records: usize) -> [u8; MARK_BYTES] {
    let mut mark = [0; MARK_BYTES];
    mark[..8].copy_from_slice(&version.get().to_be_bytes());
    mark[8..].copy_from_slice(&(records as u32).to_be_bytes());
    mark
}

/// Finds the newest whole snapshot of a log that is given to it batch by batch.
#[derive(Debug, Default)]
pub struct SnapshotReader {
    open: Option<Open>,
    newest: Option<Snapshot>,
}

#[derive(Debug)]
struct Open {
    mark: Vec<u8>,
    snapshot: Snapshot,
}

impl SnapshotReader {
    /// Takes the next batch.
    ///
    /// # Errors
    /// The batch is none of a snapshot's, or holds a record that this program does not know.
    pub fn take(&mut self, batch: &CheckedBatch<'_>) -> Result<(), ReadError> {
        if batch.compression() != Compression::None || batch.is_control() {
            return Err(ReadError::Foreign);
        }
        for record in batch.records() {
            let record = record?;
            let value = record.value.ok_or(ReadError::Foreign)?;
            match record.key {
                Some(BEGIN) => {
                    let version = value.first_chunk().map(|it| i64::from_be_bytes(*it));
                    let version = version.filter(|_| value.len() == MARK_BYTES);
                    let version = version.and_then(Offset::new).ok_or(ReadError::Foreign)?;
                    let start = Offset::new(record.offset).ok_or(ReadError::Foreign)?;
                    let snapshot = Snapshot { version, start, records: Vec::new() };
                    self.open = Some(Open { mark: value.to_vec(), snapshot });
                }
                Some(END) => {
                    let Some(Open { mark: begun, snapshot }) = self.open.take() else { continue };
                    let whole = mark(snapshot.version, snapshot.records.len());
                    if begun == value && value == whole {
                        self.newest = Some(snapshot);
                    }
                }
                Some(_) => return Err(ReadError::Foreign),
                None => {
                    let Some(open) = &mut self.open else { continue };
                    let read = Record::decode(value);
                    let read =
                        read.map_err(|source| ReadError::Record { offset: record.offset, source })?;
                    open.snapshot.records.push(read);
                }
            }
        }
        Ok(())
    }

    /// What lies between the batch before and the next one is lost.
    pub fn skip(&mut self) {
        self.open = None;
    }

    /// The newest whole snapshot.
    pub fn newest(self) -> Option<Snapshot> {
        self.newest
    }
}

#[cfg(test)]
mod tests;
