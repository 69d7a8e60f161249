//! What several messages share: ids, partitions, and the bytes behind a header.

use super::frame::{Frame, FrameError};
use super::generated::corelog::native as generated;
use crate::ids::{PartitionIndex, TopicId, TopicPartition};

pub(super) fn uuid(id: TopicId) -> generated::Uuid {
    generated::Uuid::new(&id.get())
}

pub(super) fn topic_id(id: &generated::Uuid) -> TopicId {
    TopicId::new(id.bytes().into())
}

/// A partition from a struct whose index [`check_index`] has seen.
pub(super) fn partition(topic: &generated::Uuid, index: i32) -> TopicPartition {
    let index = PartitionIndex::new(index).expect("reading the frame refused negative indexes");
    TopicPartition { topic: topic_id(topic), index }
}

pub(super) fn check_index(frame: &Frame<'_>, index: i32) -> Result<(), FrameError> {
    if index >= 0 { Ok(()) } else { Err(frame.wrong("a negative partition index")) }
}

/// Proves that the entries' shares add up to the payload.
pub(super) fn check_payload(
    frame: &Frame<'_>,
    shares: impl Iterator<Item = u32>,
) -> Result<(), FrameError> {
    let total: u64 = shares.map(u64::from).sum();
    if usize::try_from(total) == Ok(frame.payload().len()) {
        Ok(())
    } else {
        Err(frame.wrong("the entries' batches are not the payload's length"))
    }
}

/// The sum of the entries' shares, for a frame that is being written.
pub(super) fn payload_bytes(shares: impl Iterator<Item = u32>) -> usize {
    shares.map(|bytes| bytes as usize).fold(0, usize::saturating_add)
}

/// Cuts the next share off the payload.
pub(super) fn share<'a>(rest: &mut &'a [u8], bytes: u32) -> &'a [u8] {
    let (share, after) =
        rest.split_at_checked(bytes as usize).expect("the shares were added up when read");
    *rest = after;
    share
}

/// Refuses bytes behind the header of a message that has none.
pub(super) fn no_payload(frame: &Frame<'_>) -> Result<(), FrameError> {
    if frame.payload().is_empty() { Ok(()) } else { Err(frame.wrong("a payload")) }
}
