//! Changes a batch's codec, for topics whose `compression.type` is not `producer`.
//!
//! Offsets, timestamps and producer fields stay; attributes, length and checksum are written anew.

use protocol::ErrorCode;
use protocol::batch::compress::{compress, decompress, output_limit};
use protocol::batch::{
    Attributes, CRC_AT, CRC_COVERS_FROM, CheckedBatch, Compression, HEADER_BYTES, LENGTH_AT,
    LENGTH_COVERS_FROM,
};
use protocol::crc::crc32c;

use crate::append::Refusal;

/// Where the attributes lie in a batch.
const ATTRIBUTES_AT: usize = CRC_COVERS_FROM;

/// The same records under `codec`. Whatever is inside is looked at, since it must be unpacked anyway.
pub(crate) fn recompress(
    batch: &CheckedBatch<'_>,
    codec: Compression,
    level: Option<i32>,
) -> Result<Vec<u8>, Refusal> {
    let packed = batch.record_bytes();
    let records = decompress(batch.compression(), packed, output_limit(packed.len()))
        .map_err(|error| Refusal::new(error.code(), error.to_string()))?;
    batch
        .walk_decompressed(&records)
        .map_err(|error| Refusal::new(ErrorCode::InvalidRecord, error.to_string()))?;

    let mut out = Vec::with_capacity(HEADER_BYTES + records.len());
    out.extend_from_slice(&batch.bytes()[..HEADER_BYTES]);
    compress(codec, &records, level, &mut out)
        .map_err(|error| Refusal::new(ErrorCode::CorruptMessage, error.to_string()))?;

    let length = i32::try_from(out.len() - LENGTH_COVERS_FROM)
        .map_err(|_too_large| Refusal::from(ErrorCode::MessageTooLarge))?;
    out[LENGTH_AT..LENGTH_COVERS_FROM].copy_from_slice(&length.to_be_bytes());
    let kept = batch.header().attributes().0 & !Attributes::COMPRESSION;
    let attributes = kept | codec.id();
    out[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    let crc = crc32c(&out[CRC_COVERS_FROM..]);
    out[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use protocol::batch::RawBatch;
    use protocol::batch::builder::BatchBuilder;

    use super::*;

    #[test]
    fn records_survive_every_change_of_codec() {
        let codecs = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ];
        for from in codecs {
            let mut builder = BatchBuilder::new(from);
            for value in [&b"one"[..], b"two", &[7; 5000]] {
                builder.append(Some(b"k"), Some(value), &[], 1_700_000_000_000).unwrap();
            }
            let mut bytes = Vec::new();
            builder.build(&mut bytes).unwrap();
            let batch = RawBatch(&bytes).check_produced().unwrap();
            for to in codecs {
                let changed = recompress(&batch, to, None).unwrap();
                let changed = RawBatch(&changed).check_produced().unwrap();
                assert_eq!(changed.compression(), to, "{from:?}");
                let records = |batch: &CheckedBatch<'_>| {
                    let packed = batch.record_bytes();
                    decompress(batch.compression(), packed, 1 << 20).unwrap()
                };
                assert_eq!(records(&changed), records(&batch), "{from:?} {to:?}");
            }
        }
    }
}
