//! Questions to a broker and its answers, in neither dialect's words.

use std::rc::Rc;

use bytes::Bytes;
use protocol::error_code::ErrorCode;

use crate::view::TopicRef;

/// Which topics to describe.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    All,
    Named { names: &'a [&'a str], auto_create: bool },
}

/// One batch to append.
#[derive(Debug, Clone)]
pub(crate) struct ProducePart {
    pub(crate) topic: Rc<TopicRef>,
    pub(crate) partition: i32,
    pub(crate) batch: Bytes,
}

/// What became of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) error: ErrorCode,
    pub(crate) message: Option<String>,
    /// -1 when not told.
    pub(crate) base_offset: i64,
    /// -1 when the topic keeps the producer's timestamps.
    pub(crate) log_append_time_ms: i64,
}

/// How much to fetch, and how long to wait for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchLimits {
    pub(crate) wait_ms: i32,
    pub(crate) bytes_min: i32,
    pub(crate) bytes_max: i32,
    pub(crate) partition_bytes_max: i32,
}

/// One partition to fetch.
#[derive(Debug, Clone)]
pub(crate) struct FetchPart {
    pub(crate) topic: Rc<TopicRef>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
}

/// What a fetch of one partition brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchedPart {
    pub(crate) error: ErrorCode,
    pub(crate) high_watermark: i64,
    /// Whole batches; the last may be cut off.
    pub(crate) records: Bytes,
}

/// One partition whose offset is wanted.
#[derive(Debug, Clone)]
pub(crate) struct OffsetPart {
    pub(crate) topic: Rc<TopicRef>,
    pub(crate) partition: i32,
    /// Milliseconds since 1970, or one of the constants below.
    pub(crate) timestamp: i64,
}

/// After the newest record.
pub(crate) const LATEST: i64 = -1;
/// The oldest record that is still there.
pub(crate) const EARLIEST: i64 = -2;
/// The record with the largest timestamp.
pub(crate) const MAX_TIMESTAMP: i64 = -3;

/// The offset found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetFound {
    pub(crate) error: ErrorCode,
    /// -1 when no record is that young.
    pub(crate) offset: i64,
    /// -1 when the offset is not a record's.
    pub(crate) timestamp: i64,
}

/// How a request about something ended: nothing, or the broker's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) error: ErrorCode,
    pub(crate) message: Option<String>,
}
