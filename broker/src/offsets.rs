//! Where a partition begins, ends and stood at a time, and raising its beginning; for both dialects.

use std::rc::Rc;

use protocol::{ErrorCode, Offset};

use crate::partition::Partition;
use crate::shard::Shard;

/// What to look for in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    /// The end: the next offset a consumer would read.
    Latest,
    /// The beginning.
    Earliest,
    /// The record with the largest timestamp (KIP-734).
    LargestTimestamp,
    /// The first record whose timestamp is not below this one.
    From(i64),
    /// A place in remote storage. There is none, so nothing was moved there and nothing waits to be.
    Remote,
}

/// An offset, the timestamp that goes with it, and the epoch of its leader; -1 for each that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) epoch: i32,
}

impl Place {
    /// Nowhere.
    pub(crate) const NONE: Self = Self { offset: -1, timestamp: -1, epoch: -1 };
}

/// What a client asks one partition: the leader epoch it knows or -1, and what it looks for. An error in place of
/// the latter is told only to those whose epoch is right.
pub(crate) type Question = (i32, Result<Sought, ErrorCode>);

/// Finds a place in `partition`, for [`crate::ask::each`].
///
/// # Errors
/// The epoch is not the leader's, or the log cannot be read.
pub(crate) async fn look_up(
    _shard: Rc<Shard>,
    partition: Rc<Partition>,
    (current, sought): Question,
) -> Result<Place, ErrorCode> {
    partition.check_epoch(current)?;
    let high_watermark = partition.high_watermark();
    let epoch = partition.epoch().get();
    let at = |offset| Place { offset, timestamp: -1, epoch };
    let found = match sought? {
        Sought::Latest => return Ok(at(high_watermark)),
        Sought::Earliest => return Ok(at(partition.log.log_start_offset().get())),
        Sought::Remote => return Ok(Place::NONE),
        Sought::LargestTimestamp => partition.max_timestamp().await?,
        Sought::From(timestamp) => partition.offset_for_time(timestamp).await?,
    };
    // What consumers cannot read yet does not exist for them.
    let found = found.filter(|(offset, _)| offset.get() < high_watermark);
    Ok(found.map_or(Place::NONE, |(offset, timestamp)| Place {
        offset: offset.get(),
        timestamp,
        epoch,
    }))
}

/// Stands for the high watermark in [`trim`].
const ALL: i64 = -1;

/// Raises the log start to `offset`, -1 for all there is, and gives where it is then; for [`crate::ask::each`].
///
/// # Errors
/// The broker's own topics are no client's to trim; compacted topics keep what they have; an offset beyond the end is nowhere; a fenced directory changes no more.
pub(crate) async fn trim(
    shard: Rc<Shard>,
    partition: Rc<Partition>,
    offset: i64,
) -> Result<i64, ErrorCode> {
    if partition.is_internal {
        return Err(ErrorCode::InvalidTopicException);
    }
    if !partition.config().cleanup.delete && partition.config().cleanup.compact {
        return Err(ErrorCode::PolicyViolation);
    }
    let high_watermark = partition.high_watermark();
    let to = if offset == ALL { high_watermark } else { offset };
    let to = Offset::new(to).filter(|to| to.get() <= high_watermark);
    let to = to.ok_or(ErrorCode::OffsetOutOfRange)?;
    if to > partition.log.log_start_offset() {
        let ticket = partition.log.trim(to).map_err(|_fenced| ErrorCode::KafkaStorageError)?;
        shard.store.durable(ticket).await.map_err(|_fenced| ErrorCode::KafkaStorageError)?;
    }
    Ok(partition.log.log_start_offset().get())
}
