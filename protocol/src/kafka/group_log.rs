//! The records of `__consumer_offsets`, byte for byte as Kafka writes them: lag tools read this topic themselves.
//!
//! A key begins with two bytes that say what kind of record it is, a value with two bytes for its version. A record
//! without a value takes back the earlier ones of its key.

use crate::ids::TopicId;
use crate::reader::{DecodeError, Limits, Reader};
use crate::wire::{EncodeError, Version, Wire};

mod modern;

pub use modern::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataValue, ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataValue,
    CurrentPartitions, PartitionRacks, TargetPartitions, TopicMetadata,
};

/// What a record of `__consumer_offsets` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupKey<'a> {
    /// How far a group has read a partition: [`OffsetCommitValue`].
    Offset {
        /// The group.
        group: &'a str,
        /// The topic, by name.
        topic: &'a str,
        /// The partition.
        partition: i32,
    },
    /// A classic group and its members: [`GroupMetadataValue`].
    Group {
        /// The group.
        group: &'a str,
    },
    /// A KIP-848 group: [`ConsumerGroupMetadataValue`].
    ConsumerGroup {
        /// The group.
        group: &'a str,
    },
    /// The topics a KIP-848 group reads: [`ConsumerGroupPartitionMetadataValue`]. Kafka 4.1 and later only delete these.
    PartitionMetadata {
        /// The group.
        group: &'a str,
    },
    /// A member of a KIP-848 group: [`ConsumerGroupMemberMetadataValue`].
    Member {
        /// The group.
        group: &'a str,
        /// The member.
        member: &'a str,
    },
    /// The epoch of a KIP-848 group's target: [`ConsumerGroupTargetAssignmentMetadataValue`].
    Target {
        /// The group.
        group: &'a str,
    },
    /// What a member shall hold: [`ConsumerGroupTargetAssignmentMemberValue`].
    TargetMember {
        /// The group.
        group: &'a str,
        /// The member.
        member: &'a str,
    },
    /// What a member holds: [`ConsumerGroupCurrentMemberAssignmentValue`].
    CurrentMember {
        /// The group.
        group: &'a str,
        /// The member.
        member: &'a str,
    },
    /// The topics that a regular expression found: [`ConsumerGroupRegularExpressionValue`].
    RegularExpression {
        /// The group.
        group: &'a str,
        /// The expression.
        expression: &'a str,
    },
    /// A kind of record that this build does not know; it is kept and passed over.
    Unknown(i16),
}

/// Keys, and values before their flexible version, have plain lengths.
const PLAIN: Version = Version { number: 0, flexible: false };

impl<'a> GroupKey<'a> {
    /// The number in front of the key.
    pub const fn kind(&self) -> i16 {
        match self {
            Self::Offset { .. } => 1,
            Self::Group { .. } => 2,
            Self::ConsumerGroup { .. } => 3,
            Self::PartitionMetadata { .. } => 4,
            Self::Member { .. } => 5,
            Self::Target { .. } => 6,
            Self::TargetMember { .. } => 7,
            Self::CurrentMember { .. } => 8,
            Self::RegularExpression { .. } => 16,
            Self::Unknown(kind) => *kind,
        }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// It is cut off or carries more than its kind does.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes, Limits::REQUEST);
        let kind = i16::decode(&mut from, PLAIN)?;
        if !matches!(kind, 0..=8 | 16) {
            return Ok(Self::Unknown(kind));
        }
        let group = Wire::decode(&mut from, PLAIN)?;
        let mut text = || -> Result<&'a str, DecodeError> { Wire::decode(&mut from, PLAIN) };
        let key = match kind {
            // Kind 0 is what kind 1 was called before 2013.
            0 | 1 => {
                let topic = text()?;
                Self::Offset { group, topic, partition: Wire::decode(&mut from, PLAIN)? }
            }
            2 => Self::Group { group },
            3 => Self::ConsumerGroup { group },
            4 => Self::PartitionMetadata { group },
            5 => Self::Member { group, member: text()? },
            6 => Self::Target { group },
            7 => Self::TargetMember { group, member: text()? },
            8 => Self::CurrentMember { group, member: text()? },
            _ => Self::RegularExpression { group, expression: text()? },
        };
        from.finish()?;
        Ok(key)
    }

    /// Appends the key.
    ///
    /// # Errors
    /// A name is longer than the format can say.
    pub fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.kind().encode(into, PLAIN)?;
        match self {
            Self::Offset { group, topic, partition } => {
                group.encode(into, PLAIN)?;
                topic.encode(into, PLAIN)?;
                partition.encode(into, PLAIN)
            }
            Self::Group { group }
            | Self::ConsumerGroup { group }
            | Self::PartitionMetadata { group }
            | Self::Target { group } => group.encode(into, PLAIN),
            Self::Member { group, member }
            | Self::TargetMember { group, member }
            | Self::CurrentMember { group, member } => {
                group.encode(into, PLAIN)?;
                member.encode(into, PLAIN)
            }
            Self::RegularExpression { group, expression } => {
                group.encode(into, PLAIN)?;
                expression.encode(into, PLAIN)
            }
            Self::Unknown(_) => Ok(()),
        }
    }

    /// The group that the record belongs to; none if its kind is not known.
    pub const fn group(&self) -> Option<&'a str> {
        match self {
            Self::Offset { group, .. }
            | Self::Group { group }
            | Self::ConsumerGroup { group }
            | Self::PartitionMetadata { group }
            | Self::Member { group, .. }
            | Self::Target { group }
            | Self::TargetMember { group, .. }
            | Self::CurrentMember { group, .. }
            | Self::RegularExpression { group, .. } => Some(group),
            Self::Unknown(_) => None,
        }
    }
}

/// A value of the topic, which begins with its version.
pub trait GroupValue<'a>: Wire<'a> {
    /// The newest version that can be read.
    const NEWEST: i16;
    /// The version that is written: the newest that every reader in the field knows.
    const WRITTEN: i16;
    /// The first version with compact lengths and tags.
    const FLEXIBLE_FROM: i16;

    /// Reads a value.
    ///
    /// # Errors
    /// It is cut off, of a version that is not known, or carries more than it should.
    fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes, Limits::RESPONSE);
        let number = i16::decode(&mut from, PLAIN)?;
        if !(0..=Self::NEWEST).contains(&number) {
            return Err(DecodeError::BadLength(i64::from(number)));
        }
        let version = Version { number, flexible: number >= Self::FLEXIBLE_FROM };
        let value = Self::decode(&mut from, version)?;
        from.finish()?;
        Ok(value)
    }

    /// Appends the value in the version that is written.
    ///
    /// # Errors
    /// A name or a list is longer than the format can say.
    fn write(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.write_in(Self::WRITTEN, into)
    }

    /// Appends the value in another version.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn write_in(&self, number: i16, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        number.encode(into, PLAIN)?;
        self.encode(into, Version { number, flexible: number >= Self::FLEXIBLE_FROM })
    }
}

crate::message! {
    /// How far a group has read a partition.
    struct OffsetCommitValue<'a> {
        /// The next offset to read.
        offset: i64, in 0..;
        /// The leader epoch of the last record read, or -1.
        leader_epoch: i32 = -1, in 3.., else ignored;
        /// What the client wants to be told again.
        metadata: &'a str, in 0..;
        /// When it was committed, in milliseconds.
        commit_timestamp: i64, in 0..;
        /// When it is to be forgotten, if the client said so.
        expire_timestamp: i64 = -1, in 1..=1, else ignored;
    } tagged {
        /// The topic, by id.
        0 => topic_id: TopicId, in 4.., else ignored;
    }

    /// A classic group and its members.
    struct GroupMetadataValue<'a> {
        /// What kind of group it is.
        protocol_type: &'a str, in 0..;
        /// Its generation.
        generation: i32, in 0..;
        /// The protocol all members know; null if it has none.
        protocol: Option<&'a str>, in 0..;
        /// The member that shares the work out; null if it has none.
        leader: Option<&'a str>, in 0..;
        /// Since when it is in this state, in milliseconds.
        current_state_timestamp: i64 = -1, in 2.., else ignored;
        /// Its members.
        members: Vec<MemberMetadata<'a>>, in 0..;
    }

    /// One member of a classic group.
    struct MemberMetadata<'a> {
        /// Its id.
        member_id: &'a str, in 0..;
        /// The name by which a static member comes back.
        group_instance_id: Option<&'a str>, in 3.., else ignored;
        /// What the client calls itself.
        client_id: &'a str, in 0..;
        /// Where it connects from.
        client_host: &'a str, in 0..;
        /// How long a rebalance waits for it, in milliseconds.
        rebalance_timeout: i32, in 1.., else ignored;
        /// A member that is silent for longer is dead, in milliseconds.
        session_timeout: i32, in 0..;
        /// What it sent for the chosen protocol.
        subscription: &'a [u8], in 0..;
        /// Its share of the work.
        assignment: &'a [u8], in 0..;
    }
}

impl OffsetCommitValue<'_> {
    /// The version that can say all of it: only version 1 knows when to forget.
    pub const fn version(&self) -> i16 {
        if self.expire_timestamp >= 0 { 1 } else { 3 }
    }
}

impl<'a> GroupValue<'a> for OffsetCommitValue<'a> {
    const NEWEST: i16 = 4;
    const WRITTEN: i16 = 3;
    const FLEXIBLE_FROM: i16 = 4;
}

impl<'a> GroupValue<'a> for GroupMetadataValue<'a> {
    const NEWEST: i16 = 4;
    const WRITTEN: i16 = 3;
    const FLEXIBLE_FROM: i16 = 4;
}

/// The partition of `__consumer_offsets` that a group belongs to: Java's hash of its UTF-16 form, as Kafka has it.
pub fn home_of(group: &str, partitions: u32) -> u32 {
    let hash = group
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's `abs` of the smallest number is zero.
    let positive = if hash == i32::MIN { 0 } else { hash.unsigned_abs() };
    positive % partitions.max(1)
}

#[cfg(test)]
mod tests;
