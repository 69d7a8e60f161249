//! The hot path into a produce request: a walk that allocates nothing and copies nothing.
//!
//! [`ProduceWalk::new`] goes over the request once and finds every fault in it, so that the walk itself cannot fail and
//! no batch is appended before the request is known to be whole. What it accepts is what the declared
//! [`ProduceRequest`](super::ProduceRequest) accepts, within the same limits.

use crate::ids::TopicId;
use crate::reader::{Cap, DecodeError, Reader};
use crate::wire::{Version, Wire, array_count};

/// A produce request that was found whole.
#[derive(Debug, Clone)]
pub struct ProduceWalk<'a> {
    /// Set by a transactional producer.
    pub transactional_id: Option<&'a str>,
    /// How many replicas must hold a batch before the answer: 0 (no answer at all), 1, or -1 for every in-sync one.
    pub acks: i16,
    /// How long the broker may take, in milliseconds.
    pub timeout_ms: i32,
    /// How many topics there are.
    pub topic_count: usize,
    /// How many partitions there are in all of them together.
    pub partition_count: usize,
    version: Version,
    /// At the first topic.
    topics: Reader<'a>,
}

/// One topic's share of the request.
#[derive(Debug, Clone)]
pub struct TopicWalk<'a> {
    /// The topic by name; empty from version 13 on.
    pub name: &'a str,
    /// The topic by id; zero before version 13.
    pub topic_id: TopicId,
    /// How many partitions there are.
    pub partition_count: usize,
    version: Version,
    /// At the first partition.
    partitions: Reader<'a>,
}

/// One partition's share of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionWalk<'a> {
    /// The partition.
    pub index: i32,
    /// What ought to be exactly one record batch of magic 2.
    pub records: Option<&'a [u8]>,
}

impl<'a> ProduceWalk<'a> {
    /// Goes over a request's body, and leaves the reader behind it.
    pub fn new(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let transactional_id = Wire::decode(from, version)?;
        let acks = Wire::decode(from, version)?;
        let timeout_ms = Wire::decode(from, version)?;
        let topic_count = count(from, version, Cap::Topics, TopicWalk::min_bytes(version))?;
        let topics = from.clone();
        let mut partition_count = 0;
        for _ in 0..topic_count {
            let topic = TopicWalk::head(from, version)?;
            partition_count += topic.partition_count;
            for _ in 0..topic.partition_count {
                PartitionWalk::read(from, version)?;
            }
            end(from, version)?;
        }
        end(from, version)?;
        Ok(Self {
            transactional_id,
            acks,
            timeout_ms,
            topic_count,
            partition_count,
            version,
            topics,
        })
    }

    /// Every topic, in the order of the request.
    pub fn topics(&self) -> impl Iterator<Item = TopicWalk<'a>> + use<'a> {
        let version = self.version;
        let mut from = self.topics.clone();
        let last = self.topic_count.wrapping_sub(1);
        // The bytes were found whole before, so nothing ends the walk early.
        (0..self.topic_count).map_while(move |place| {
            let topic = TopicWalk::head(&mut from, version).ok()?;
            // On to the next topic, if there is one.
            if place < last {
                for _ in 0..topic.partition_count {
                    PartitionWalk::read(&mut from, version).ok()?;
                }
                end(&mut from, version).ok()?;
            }
            Some(topic)
        })
    }
}

impl<'a> TopicWalk<'a> {
    /// Every partition, in the order of the request.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionWalk<'a>> + use<'a> {
        let version = self.version;
        let mut from = self.partitions.clone();
        (0..self.partition_count).map_while(move |_| PartitionWalk::read(&mut from, version).ok())
    }

    #[inline]
    fn head(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let (name, topic_id) = if version.number < 13 {
            (Wire::decode(from, version)?, TopicId::ZERO)
        } else {
            ("", Wire::decode(from, version)?)
        };
        let least = PartitionWalk::min_bytes(version);
        let partition_count = count(from, version, Cap::Partitions, least)?;
        Ok(Self { name, topic_id, partition_count, version, partitions: from.clone() })
    }

    fn min_bytes(version: Version) -> usize {
        <super::TopicProduceData<'_> as Wire<'_>>::min_bytes(version)
    }
}

impl<'a> PartitionWalk<'a> {
    #[inline]
    fn read(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let index = Wire::decode(from, version)?;
        let records = Wire::decode(from, version)?;
        end(from, version)?;
        Ok(Self { index, records })
    }

    fn min_bytes(version: Version) -> usize {
        <super::PartitionProduceData<'_> as Wire<'_>>::min_bytes(version)
    }
}

/// Reads a count within its limit; nothing will be allocated for it.
#[inline]
fn count(
    from: &mut Reader<'_>,
    version: Version,
    cap: Cap,
    item_wire_bytes: usize,
) -> Result<usize, DecodeError> {
    let count = array_count(from, version)?.ok_or(DecodeError::UnexpectedNull)?;
    from.cap_next(cap);
    from.claim(count, item_wire_bytes, 0)?;
    Ok(count)
}

/// Passes the tag section that ends a structure; produce requests have no tagged fields.
#[inline]
fn end(from: &mut Reader<'_>, version: Version) -> Result<(), DecodeError> {
    if version.flexible { from.tags(|_, _| Ok(false)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
