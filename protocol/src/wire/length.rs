//! Lengths and counts: fixed and plain, or varints and one more than they say.

use super::{EncodeError, Version, Wire};
use crate::reader::{DecodeError, Reader};

/// A length or count as non-flexible versions write it.
pub(super) trait PlainLength: Wire<'static> + Into<i64> + TryFrom<usize> {
    fn read(from: &mut Reader<'_>) -> Result<i64, DecodeError>;
}

impl PlainLength for i16 {
    fn read(from: &mut Reader<'_>) -> Result<i64, DecodeError> {
        Ok(Self::from_be_bytes(from.array()?).into())
    }
}

impl PlainLength for i32 {
    fn read(from: &mut Reader<'_>) -> Result<i64, DecodeError> {
        Ok(Self::from_be_bytes(from.array()?).into())
    }
}

/// Reads a length: `None` is null. Compact lengths are stored plus one.
#[inline]
pub(super) fn length<L: PlainLength>(
    from: &mut Reader<'_>,
    version: Version,
) -> Result<Option<usize>, DecodeError> {
    let length = if version.flexible { i64::from(from.uvarint()?) - 1 } else { L::read(from)? };
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(DecodeError::BadLength(length)),
    }
}

/// Reads the count of an array that is then read item by item.
pub(crate) fn array_count(
    from: &mut Reader<'_>,
    version: Version,
) -> Result<Option<usize>, DecodeError> {
    length::<i32>(from, version)
}

#[inline]
pub(super) fn put_length<L: PlainLength>(
    into: &mut Vec<u8>,
    version: Version,
    length: usize,
) -> Result<(), EncodeError> {
    if version.flexible {
        put_count(into, length.saturating_add(1))
    } else {
        match L::try_from(length) {
            Ok(length) => length.encode(into, version),
            Err(_) => Err(EncodeError::TooLong(length)),
        }
    }
}

pub(super) fn put_null<L: PlainLength>(into: &mut Vec<u8>, version: Version) {
    into.resize(into.len() + if version.flexible { 1 } else { size_of::<L>() }, {
        if version.flexible { 0 } else { 0xff }
    });
}

pub(super) fn min_length<L>(version: Version) -> usize {
    if version.flexible { 1 } else { size_of::<L>() }
}

/// Writes the count of an array whose items the caller writes next.
pub(crate) fn put_array_count(
    into: &mut Vec<u8>,
    version: Version,
    count: usize,
) -> Result<(), EncodeError> {
    put_length::<i32>(into, version, count)
}

/// Writes the length of bytes that travel outside the buffer.
pub(crate) fn put_bytes_length(
    into: &mut Vec<u8>,
    version: Version,
    length: Option<usize>,
) -> Result<(), EncodeError> {
    match length {
        Some(length) => put_length::<i32>(into, version, length),
        None => {
            put_null::<i32>(into, version);
            Ok(())
        }
    }
}

/// Appends an unsigned varint, lowest seven bits first.
#[inline]
pub(crate) fn put_uvarint(into: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

#[inline]
pub(crate) fn put_count(into: &mut Vec<u8>, count: usize) -> Result<(), EncodeError> {
    match u32::try_from(count) {
        Ok(count) => put_uvarint(into, count),
        Err(_) => return Err(EncodeError::TooLong(count)),
    }
    Ok(())
}
