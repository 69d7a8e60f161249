//! Writing tagged fields (KIP-482).

use super::length::{put_count, put_uvarint};
use super::{EncodeError, Version, Wire};

/// Writes one tagged field: tag, length, value.
pub(crate) fn put_tag<'a>(
    into: &mut Vec<u8>,
    version: Version,
    tag: u32,
    field: &impl Wire<'a>,
) -> Result<(), EncodeError> {
    put_tag_with(into, tag, |into| field.encode(into, version))
}

/// Writes one tagged field whose value `put` appends.
///
/// The length is known only afterwards. One byte is kept for it, and the rare value of 128 bytes or more is moved up to
/// make room, so that no second buffer is needed.
pub(crate) fn put_tag_with(
    into: &mut Vec<u8>,
    tag: u32,
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    put_uvarint(into, tag);
    let start = into.len();
    into.push(0);
    put(into)?;
    let bytes = into.len() - start - 1;
    match u8::try_from(bytes) {
        Ok(short) if short < 0x80 => into[start] = short,
        _ => {
            into.remove(start);
            let end = into.len();
            put_count(into, bytes)?;
            let length_bytes = into.len() - end;
            // The length now stands behind the value: turn it to the front.
            into[start..].rotate_right(length_bytes);
        }
    }
    Ok(())
}
