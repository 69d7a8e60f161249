//! Verifies every record of a batch in place: the produce path's only look inside.
//!
//! Two readers share the work. The quick one takes the records that nearly all records are: short
//! varints, the expected offset delta, no headers. It either proves such a record right or says
//! nothing. The careful one takes whatever is left, in full generality, and names what is wrong.
//!
//! The next record's position depends on this record's length alone, so a core works on several
//! records at once as long as branches are predictable: hence no byte-wise loops in the quick one.

use super::Restamp;
use super::error::{RecordError, RecordFault};
use super::header::{Attributes, BatchHeader, NO_TIMESTAMP};
use crate::varint::{take_i32, take_i64};

/// What a walk found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// The largest timestamp in milliseconds since 1970; -1 if no record has one.
    pub max_timestamp: i64,
    /// The offset delta of the first record that has the largest timestamp.
    pub max_timestamp_delta: u32,
    /// The smallest timestamp in milliseconds since 1970, records without one left out; -1 if no
    /// record has one.
    pub min_timestamp: i64,
    /// The place in the batch of the first record without a key, which a compacted topic refuses.
    pub first_null_key: Option<u32>,
}

impl Walk {
    /// How to correct the batch if its header misstates the largest timestamp, by which logs roll,
    /// expire and are searched. Kafka corrects it too, and does not refuse the batch.
    pub fn correction(&self, header: &BatchHeader) -> Option<Restamp> {
        let misstated = header.max_timestamp() != self.max_timestamp;
        misstated.then_some(Restamp::MaxTimestamp(self.max_timestamp))
    }
}

/// Attributes, timestamp delta, offset delta, key length, value length, header count.
const RECORD_BYTES_MIN: i32 = 6;

/// Walks `record_bytes`, the uncompressed record section that belongs to `header`.
pub(super) fn walk(header: &BatchHeader, record_bytes: &[u8]) -> Result<Walk, RecordError> {
    let count = u32::try_from(header.record_count()).unwrap_or(0);
    let base = header.base_timestamp();
    let mut rest = record_bytes;
    let (mut max, mut max_delta, mut min) = (i64::MIN, 0, i64::MAX);
    let mut first_null_key = u32::MAX;
    let mut expected = Expected::of(0);
    for index in 0..count {
        let (body, after) = match quick(rest, expected) {
            Some(found) => found,
            None => careful(rest, index).map_err(|fault| RecordError { index, fault })?,
        };
        rest = after;
        let timestamp = base.wrapping_add(body.timestamp_delta);
        if timestamp > max {
            (max, max_delta) = (timestamp, index);
        }
        if timestamp < min && timestamp != NO_TIMESTAMP {
            min = timestamp;
        }
        if body.null_key {
            first_null_key = first_null_key.min(index);
        }
        expected = expected.next(index);
    }
    if !rest.is_empty() {
        return Err(RecordError { index: count, fault: RecordFault::Trailing });
    }
    let mut walk = Walk {
        max_timestamp: if count == 0 { NO_TIMESTAMP } else { max },
        max_timestamp_delta: max_delta,
        // Left where it began unless a record has that very timestamp, which is then the largest too.
        min_timestamp: if min == i64::MAX && max != i64::MAX { NO_TIMESTAMP } else { min },
        first_null_key: (first_null_key != u32::MAX).then_some(first_null_key),
    };
    if header.attributes().has(Attributes::LOG_APPEND_TIME) {
        // Then the header's largest timestamp is every record's.
        walk.max_timestamp = header.max_timestamp();
        walk.min_timestamp = header.max_timestamp();
        walk.max_timestamp_delta = 0;
    }
    Ok(walk)
}

/// The offset delta that must come next, as it stands in the record: compared, not decoded.
#[derive(Clone, Copy)]
struct Expected {
    value: u32,
    mask: u32,
    bytes: usize,
}

impl Expected {
    /// Deltas beyond three bytes, of which no batch of ours has so many, match nothing here.
    const NOTHING: Self = Self { value: 1, mask: 0, bytes: 0 };

    fn of(index: u32) -> Self {
        let low = index << 1 & 0x7f;
        let middle = index << 2 & 0x7f00;
        if index < 1 << 6 {
            Self { value: low, mask: 0xff, bytes: 1 }
        } else if index < 1 << 13 {
            Self { value: low | middle | 0x80, mask: 0xffff, bytes: 2 }
        } else if index < 1 << 20 {
            let high = index << 3 & 0x7f_0000;
            Self { value: low | middle | high | 0x8080, mask: 0xff_ffff, bytes: 3 }
        } else {
            Self::NOTHING
        }
    }

    /// What follows the delta `index`: one more, which in zigzag is two more.
    #[inline(always)]
    fn next(self, index: u32) -> Self {
        let value = self.value.wrapping_add(2);
        if value & 0x7f <= 1 { Self::of(index + 1) } else { Self { value, ..self } }
    }
}

/// What the quick reader needs to see at once: the fields before the key, and some more.
const HEAD_BYTES: usize = 32;
type Head = [u8; HEAD_BYTES];

/// Takes a usual record; `None` for any other, right or wrong.
///
/// The head may reach past the record, never past the batch; what is read from it counts only
/// because the fields' sizes add up to the record's length in the end. Each step knows the sizes
/// of the fields before it as constants, so positions cost nothing.
#[inline(always)]
fn quick(bytes: &[u8], expected: Expected) -> Option<(Body, &[u8])> {
    let head: &Head = bytes.first_chunk()?;
    let length = low::<0>(head.first_chunk()?);
    if length & 0x81 == 0 {
        quick_timestamp::<1>(bytes, head, (length >> 1 & 0x3f) as usize, expected)
    } else if length & 0x8001 == 0 {
        let length = length >> 1 & 0x3f | length >> 2 & 0x1fc0;
        quick_timestamp::<2>(bytes, head, length as usize, expected)
    } else if length & 0x80_0001 == 0 {
        let length = length >> 1 & 0x3f | length >> 2 & 0x1fc0 | length >> 3 & 0xf_e000;
        quick_timestamp::<3>(bytes, head, length as usize, expected)
    } else {
        None
    }
}

/// Behind a length of `L` bytes: attributes, then the timestamp delta.
#[inline(always)]
fn quick_timestamp<'a, const L: usize>(
    bytes: &'a [u8],
    head: &Head,
    length: usize,
    expected: Expected,
) -> Option<(Body, &'a [u8])> {
    let delta = low::<1>(head.get(L..)?.first_chunk()?);
    let (zigzag, at) = if delta & 0x80 == 0 {
        (delta & 0x7f, L + 2)
    } else if delta & 0x8000 == 0 {
        (delta & 0x7f | delta >> 1 & 0x3f80, L + 3)
    } else if delta & 0x80_0000 == 0 {
        (delta & 0x7f | delta >> 1 & 0x3f80 | delta >> 2 & 0x1f_c000, L + 4)
    } else {
        return None;
    };
    let after = bytes.get(L + length..)?;
    let null_key = quick_rest(bytes, head, at, L + length, expected)?;
    let timestamp_delta = i64::from(zigzag >> 1) ^ -i64::from(zigzag & 1);
    Some((Body { timestamp_delta, null_key }, after))
}

/// Behind a timestamp delta that ends at `at`: offset delta, key, value, no headers.
#[inline(always)]
fn quick_rest(
    bytes: &[u8],
    head: &Head,
    at: usize,
    end: usize,
    expected: Expected,
) -> Option<bool> {
    let offset = u32::from_le_bytes(*head.get(at..)?.first_chunk()?);
    if offset & expected.mask != expected.value {
        return None;
    }
    let at = at + expected.bytes;
    let key = *head.get(at)?;
    let null_key = key == 1;
    let at = if null_key { at + 1 } else { at + 1 + (key >> 1) as usize };
    if key & 0x81 != 0 && !null_key {
        return None;
    }
    let value = u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let at = if value & 0x81 == 0 {
        at + 1 + (value >> 1 & 0x3f) as usize
    } else if value & 0x8001 == 0 {
        at + 2 + (value >> 1 & 0x3f | value >> 2 & 0x1fc0) as usize
    } else {
        return None;
    };
    // One byte is left, and it says that there are no headers.
    (at + 1 == end && bytes.get(at) == Some(&0)).then_some(null_key)
}

/// The four bytes from `AT` on, the first one lowest.
#[inline(always)]
fn low<const AT: usize>(bytes: &[u8; 8]) -> u32 {
    bytes[AT..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Takes any record, or says what is wrong with it.
#[inline(never)]
fn careful(bytes: &[u8], index: u32) -> Result<(Body, &[u8]), RecordFault> {
    let (length, after) = take_i32(bytes).ok_or_else(|| cut(bytes))?;
    if length < RECORD_BYTES_MIN {
        return Err(RecordFault::Length);
    }
    let (body, after) = after.split_at_checked(length as usize).ok_or(RecordFault::Truncated)?;
    Ok((body_of(body, index)?, after))
}

struct Body {
    timestamp_delta: i64,
    null_key: bool,
}

fn body_of(body: &[u8], index: u32) -> Result<Body, RecordFault> {
    // The attributes of a record have no meaning yet; Kafka ignores them too.
    let [_attributes, body @ ..] = body else { return Err(RecordFault::Length) };
    let (timestamp_delta, body) = take_i64(body).ok_or(RecordFault::Varint)?;
    let (offset_delta, body) = take_i32(body).ok_or(RecordFault::Varint)?;
    if offset_delta.cast_unsigned() != index {
        return Err(RecordFault::OffsetDelta);
    }
    let (key_bytes, body) = take_i32(body).ok_or(RecordFault::Varint)?;
    let body = skip(body, key_bytes).ok_or(RecordFault::Key)?;
    let (value_bytes, body) = take_i32(body).ok_or(RecordFault::Varint)?;
    let body = skip(body, value_bytes).ok_or(RecordFault::Value)?;
    match body {
        // No headers, and nothing after: what nearly every record looks like.
        [0] => {}
        _ => headers(body)?,
    }
    Ok(Body { timestamp_delta, null_key: key_bytes < 0 })
}

/// Skips a nullable field; -1 is null and takes no bytes.
#[inline]
fn skip(bytes: &[u8], length: i32) -> Option<&[u8]> {
    if length < -1 {
        return None;
    }
    bytes.get(length.max(0) as usize..)
}

fn headers(body: &[u8]) -> Result<(), RecordFault> {
    let (count, mut body) = take_i32(body).ok_or(RecordFault::Varint)?;
    // A header takes at least two bytes.
    if count < 0 || count as usize > body.len() / 2 {
        return Err(RecordFault::HeaderCount);
    }
    for _ in 0..count {
        let (key_bytes, after) = take_i32(body).ok_or(RecordFault::Varint)?;
        if key_bytes < 0 {
            return Err(RecordFault::Header);
        }
        let after = skip(after, key_bytes).ok_or(RecordFault::Header)?;
        let (value_bytes, after) = take_i32(after).ok_or(RecordFault::Varint)?;
        body = skip(after, value_bytes).ok_or(RecordFault::Header)?;
    }
    if body.is_empty() { Ok(()) } else { Err(RecordFault::Leftover) }
}

/// Tells a record that is not there from one whose length is malformed.
#[cold]
pub(super) fn cut(bytes: &[u8]) -> RecordFault {
    if bytes.len() < crate::varint::VARINT_BYTES_MAX && bytes.iter().all(|byte| *byte >= 0x80) {
        RecordFault::Truncated
    } else {
        RecordFault::Varint
    }
}
