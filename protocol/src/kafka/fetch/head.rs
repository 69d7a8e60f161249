//! The hot path out of a fetch: everything of a response but the record bytes, so that those are sent from where they
//! lie.
//!
//! ```text
//! buffer    | head, topic, partition, records length | partition's tags, next partition, length | tags ... |
//!                                                    ^ cut 0                                    ^ cut 1
//! on wire   buffer[..cut 0]  records 0  buffer[cut 0..cut 1]  records 1  buffer[cut 1..]
//! ```
//! Joined like that, the bytes are those of the declared [`FetchResponse`](super::FetchResponse).

use super::{NodeEndpoint, PartitionData};
use crate::error_code::ErrorCode;
use crate::ids::TopicId;
use crate::wire::{
    EncodeError, Version, Wire, differs, put_array_count, put_bytes_length, put_tag, put_tag_with,
    put_uvarint,
};

/// What a response says before its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchHead {
    /// How long the client was held back because of a quota, in milliseconds.
    pub throttle_time_ms: i32,
    /// What went wrong with the whole request, if anything; from version 7 on.
    pub error_code: ErrorCode,
    /// The fetch session, or 0 for none; from version 7 on.
    pub session_id: i32,
    /// How many topics will follow.
    pub topic_count: usize,
}

/// Writes a fetch response around its records.
///
/// Topics and partitions must come in the numbers announced; [`FetchWriter::end`] says if they did not.
#[derive(Debug)]
pub struct FetchWriter<'b> {
    into: &'b mut Vec<u8>,
    version: Version,
    announced: usize,
    topics: usize,
    /// How many partitions of the current topic are yet to come.
    partitions_left: usize,
    records_bytes: usize,
}

impl<'b> FetchWriter<'b> {
    /// Appends what stands before the topics.
    pub fn begin(
        into: &'b mut Vec<u8>,
        version: Version,
        head: FetchHead,
    ) -> Result<Self, EncodeError> {
        head.throttle_time_ms.encode(into, version)?;
        if version.number >= 7 {
            head.error_code.encode(into, version)?;
            head.session_id.encode(into, version)?;
        }
        put_array_count(into, version, head.topic_count)?;
        Ok(Self {
            into,
            version,
            announced: head.topic_count,
            topics: 0,
            partitions_left: 0,
            records_bytes: 0,
        })
    }

    /// Begins the next topic: `name` counts before version 13, `topic_id` from then on.
    pub fn topic(
        &mut self,
        name: &str,
        topic_id: TopicId,
        partition_count: usize,
    ) -> Result<(), EncodeError> {
        self.end_topic()?;
        if self.version.number < 13 {
            name.encode(self.into, self.version)?;
        } else {
            topic_id.encode(self.into, self.version)?;
        }
        put_array_count(self.into, self.version, partition_count)?;
        self.topics += 1;
        self.partitions_left = partition_count;
        Ok(())
    }

    /// Appends one partition whose records, so many bytes, travel beside the buffer. Returns the position in the buffer
    /// at which they belong. `partition.records` is not looked at.
    pub fn partition(
        &mut self,
        partition: &PartitionData<'_>,
        records_bytes: usize,
    ) -> Result<usize, EncodeError> {
        let Some(left) = self.partitions_left.checked_sub(1) else {
            return Err(EncodeError::Miscounted { announced: 0, written: 1 });
        };
        self.partitions_left = left;
        let (into, version) = (&mut *self.into, self.version);
        partition.partition_index.encode(into, version)?;
        partition.error_code.encode(into, version)?;
        partition.high_watermark.encode(into, version)?;
        partition.last_stable_offset.encode(into, version)?;
        if version.number >= 5 {
            partition.log_start_offset.encode(into, version)?;
        }
        partition.aborted_transactions.encode(into, version)?;
        if version.number >= 11 {
            partition.preferred_read_replica.encode(into, version)?;
        } else if partition.preferred_read_replica != -1 {
            let field = "preferred_read_replica";
            return Err(EncodeError::NotInVersion { field, version: version.number });
        }
        put_bytes_length(into, version, Some(records_bytes))?;
        self.records_bytes += records_bytes;
        let cut = into.len();
        let PartitionData { diverging_epoch, current_leader, snapshot_id, .. } = partition;
        let tags = [
            differs(diverging_epoch, &Default::default()),
            differs(current_leader, &Default::default()),
            differs(snapshot_id, &Default::default()),
        ];
        if version.flexible {
            put_uvarint(into, tags.map(u32::from).iter().sum());
            if tags[0] {
                put_tag(into, version, 0, diverging_epoch)?;
            }
            if tags[1] {
                put_tag(into, version, 1, current_leader)?;
            }
            if tags[2] {
                put_tag(into, version, 2, snapshot_id)?;
            }
        } else if tags[0] || tags[2] {
            let field = if tags[0] { "diverging_epoch" } else { "snapshot_id" };
            return Err(EncodeError::NotInVersion { field, version: version.number });
        }
        Ok(cut)
    }

    /// Appends what stands behind the topics, and returns how many bytes of records belong in between in all.
    /// The endpoints are sent from version 16 on.
    pub fn end(mut self, node_endpoints: &[NodeEndpoint<'_>]) -> Result<usize, EncodeError> {
        self.end_topic()?;
        if self.topics != self.announced {
            return Err(EncodeError::Miscounted {
                announced: self.announced,
                written: self.topics,
            });
        }
        if self.version.number >= 16 && !node_endpoints.is_empty() {
            put_uvarint(self.into, 1);
            let version = self.version;
            put_tag_with(self.into, 0, |into| {
                put_array_count(into, version, node_endpoints.len())?;
                node_endpoints.iter().try_for_each(|endpoint| endpoint.encode(into, version))
            })?;
        } else if self.version.flexible {
            put_uvarint(self.into, 0);
        }
        Ok(self.records_bytes)
    }

    /// Closes the topic before, if there is one.
    fn end_topic(&mut self) -> Result<(), EncodeError> {
        if self.partitions_left > 0 {
            let announced = self.partitions_left;
            return Err(EncodeError::Miscounted { announced, written: 0 });
        }
        if self.topics > 0 && self.version.flexible {
            put_uvarint(self.into, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
