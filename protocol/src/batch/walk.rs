//! Verifies every record of a batch in place: the produce path's only look inside.
//!
//! The next record's position depends on this record's length alone, so a modern core works on
//! several records at once as long as the branches are predictable; hence slices and small
//! matches instead of a cursor.

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

/// Attributes, timestamp delta, offset delta, key length, value length, header count.
const RECORD_BYTES_MIN: i32 = 6;

/// Walks `record_bytes`, the uncompressed record section that belongs to `header`.
pub(super) fn walk(header: &BatchHeader, record_bytes: &[u8]) -> Result<Walk, RecordError> {
    let count = u32::try_from(header.record_count()).unwrap_or(0);
    let base = header.base_timestamp();
    let mut rest = record_bytes;
    let (mut max, mut max_delta, mut min) = (i64::MIN, 0, i64::MAX);
    let mut first_null_key = u32::MAX;
    for index in 0..count {
        let at = |fault| RecordError { index, fault };
        let (length, after) = take_i32(rest).ok_or_else(|| at(cut(rest)))?;
        if length < RECORD_BYTES_MIN {
            return Err(at(RecordFault::Length));
        }
        let (body, after) =
            after.split_at_checked(length as usize).ok_or_else(|| at(RecordFault::Truncated))?;
        rest = after;
        let record = body_of(body, index).map_err(at)?;
        let timestamp = base.wrapping_add(record.timestamp_delta);
        if timestamp > max {
            (max, max_delta) = (timestamp, index);
        }
        if timestamp < min && timestamp != NO_TIMESTAMP {
            min = timestamp;
        }
        if record.null_key && first_null_key == u32::MAX {
            first_null_key = index;
        }
    }
    if !rest.is_empty() {
        return Err(RecordError { index: count, fault: RecordFault::Trailing });
    }
    let mut walk = Walk {
        max_timestamp: if count == 0 { NO_TIMESTAMP } else { max },
        max_timestamp_delta: max_delta,
        min_timestamp: if min == i64::MAX { NO_TIMESTAMP } else { min },
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

struct Body {
    timestamp_delta: i64,
    null_key: bool,
}

#[inline(always)]
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
#[inline(always)]
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
