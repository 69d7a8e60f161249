//! The records inside a batch, for those who must look: consumers, compaction, tools.
//!
//! Reading is lenient where logs are: offsets may have gaps and a batch may hold fewer records than
//! offsets. It is strict about bounds: nothing is read outside its record.

use super::error::{RecordError, RecordFault};
use super::header::{Attributes, BatchHeader};
use super::walk::cut;
use crate::varint::{take_i32, take_i64};

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970; -1 for none.
    pub timestamp: i64,
    /// Eight bits without a meaning yet.
    pub attributes: i8,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null: a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order; keys may repeat.
    pub headers: Headers<'a>,
}

/// A record's header: a name and a nullable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name, UTF-8 by convention and not checked.
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

/// A record's headers, already known to be well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: u32,
    bytes: &'a [u8],
}

/// Goes through an uncompressed record section. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    base_offset: i64,
    base_timestamp: i64,
    append_time: Option<i64>,
    count: u32,
    index: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Compressed,
    Ended,
}

impl<'a> Records<'a> {
    /// Reads `record_bytes`, the uncompressed (or decompressed) record section behind `header`.
    pub fn new(header: &BatchHeader, record_bytes: &'a [u8]) -> Self {
        let append_time =
            header.attributes().has(Attributes::LOG_APPEND_TIME).then(|| header.max_timestamp());
        Self {
            rest: record_bytes,
            base_offset: header.base_offset(),
            base_timestamp: header.base_timestamp(),
            append_time,
            count: u32::try_from(header.record_count()).unwrap_or(0),
            index: 0,
            state: State::Reading,
        }
    }

    /// Yields the one error that the records are compressed.
    pub(super) fn compressed(header: &BatchHeader) -> Self {
        Self { state: State::Compressed, ..Self::new(header, &[]) }
    }

    /// The bytes that are still to be read.
    pub const fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self) -> Result<Record<'a>, RecordFault> {
        let (length, rest) = take_i32(self.rest).ok_or_else(|| cut(self.rest))?;
        let length = usize::try_from(length).map_err(|_negative| RecordFault::Length)?;
        let (body, rest) = rest.split_at_checked(length).ok_or(RecordFault::Truncated)?;
        let (attributes, body) = body.split_first().ok_or(RecordFault::Length)?;
        let (timestamp_delta, body) = take_i64(body).ok_or(RecordFault::Varint)?;
        let (offset_delta, body) = take_i32(body).ok_or(RecordFault::Varint)?;
        let offset = self
            .base_offset
            .checked_add(i64::from(offset_delta))
            .filter(|_| offset_delta >= 0)
            .ok_or(RecordFault::OffsetDelta)?;
        let (key, body) = take_field(body, RecordFault::Key)?;
        let (value, body) = take_field(body, RecordFault::Value)?;
        let headers = Headers::take(body)?;
        self.rest = rest;
        Ok(Record {
            offset,
            timestamp: self
                .append_time
                .unwrap_or_else(|| self.base_timestamp.wrapping_add(timestamp_delta)),
            attributes: attributes.cast_signed(),
            key,
            value,
            headers,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = match self.state {
            State::Ended => return None,
            State::Compressed => Err(RecordFault::Compressed),
            State::Reading if self.index < self.count => self.take(),
            State::Reading if self.rest.is_empty() => {
                self.state = State::Ended;
                return None;
            }
            State::Reading => Err(RecordFault::Trailing),
        };
        let index = self.index;
        match outcome {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(fault) => {
                self.state = State::Ended;
                Some(Err(RecordError { index, fault }))
            }
        }
    }
}

impl<'a> Headers<'a> {
    /// How many headers there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order.
    pub fn iter(&self) -> HeadersIter<'a> {
        HeadersIter(*self)
    }

    /// Takes a header count and that many headers, which must fill `bytes`.
    fn take(bytes: &'a [u8]) -> Result<Self, RecordFault> {
        let (count, bytes) = take_i32(bytes).ok_or(RecordFault::Varint)?;
        // A header takes at least two bytes.
        let count = u32::try_from(count)
            .ok()
            .filter(|count| *count as usize <= bytes.len() / 2)
            .ok_or(RecordFault::HeaderCount)?;
        let mut rest = bytes;
        for _ in 0..count {
            (_, rest) = take_header(rest)?;
        }
        if rest.is_empty() { Ok(Self { count, bytes }) } else { Err(RecordFault::Leftover) }
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

/// Goes through a record's headers.
#[derive(Debug, Clone)]
pub struct HeadersIter<'a>(Headers<'a>);

impl<'a> Iterator for HeadersIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.0.count = self.0.count.checked_sub(1)?;
        let (header, rest) =
            take_header(self.0.bytes).expect("the headers were read once when the record was");
        self.0.bytes = rest;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

fn take_header(bytes: &[u8]) -> Result<(Header<'_>, &[u8]), RecordFault> {
    let (key, bytes) = take_field(bytes, RecordFault::Header)?;
    let key = key.ok_or(RecordFault::Header)?;
    let (value, bytes) = take_field(bytes, RecordFault::Header)?;
    Ok((Header { key, value }, bytes))
}

/// Takes a nullable field: a varint length, -1 for null, then the bytes.
fn take_field(bytes: &[u8], fault: RecordFault) -> Result<(Option<&[u8]>, &[u8]), RecordFault> {
    let (length, bytes) = take_i32(bytes).ok_or(RecordFault::Varint)?;
    if length == -1 {
        return Ok((None, bytes));
    }
    let length = usize::try_from(length).map_err(|_negative| fault)?;
    let (field, rest) = bytes.split_at_checked(length).ok_or(fault)?;
    Ok((Some(field), rest))
}
