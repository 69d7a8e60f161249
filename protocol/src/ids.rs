//! Who is meant: topics, partitions, brokers and producers, each with a type of its own.

use std::fmt;
use std::str::FromStr;

/// Names a topic for ever. A name may be used again after deletion; an id never is.
///
/// Sixteen bytes as Kafka sends a UUID (KIP-516). All zeros means "no id" on the wire and never names a real topic.
/// Shown and parsed as Kafka does: URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId([u8; 16]);

impl TopicId {
    /// What the wire carries where a topic id is missing.
    pub const ZERO: Self = Self([0; 16]);

    /// Takes the sixteen bytes in wire order.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes in wire order.
    pub const fn get(self) -> [u8; 16] {
        self.0
    }

    /// Whether this is the placeholder that names no topic.
    pub const fn is_zero(self) -> bool {
        u128::from_be_bytes(self.0) == 0
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = [b'A'; 22];
        // Twenty-one digits of six bits hold 126; the last one holds the two that are left, shifted up.
        for (place, digit) in text.iter_mut().enumerate() {
            let six =
                if place < 21 { bits >> (122 - 6 * place) & 0x3f } else { (bits & 0b11) << 4 };
            *digit = BASE64[six as usize];
        }
        f.pad(std::str::from_utf8(&text).expect("the base64 alphabet is ASCII"))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

/// Text that is no topic id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a topic id is 22 characters of URL-safe base64")]
pub struct InvalidTopicId;

impl FromStr for TopicId {
    type Err = InvalidTopicId;

    fn from_str(text: &str) -> Result<Self, InvalidTopicId> {
        if text.len() != 22 {
            return Err(InvalidTopicId);
        }
        let mut bits = 0u128;
        for (place, byte) in text.bytes().enumerate() {
            let six = BASE64.iter().position(|&digit| digit == byte).ok_or(InvalidTopicId)? as u128;
            if place < 21 {
                bits = bits << 6 | six;
            } else if six & 0x0f == 0 {
                bits = bits << 2 | six >> 4;
            } else {
                return Err(InvalidTopicId);
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

/// A partition's number within its topic, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PartitionIndex(i32);

impl PartitionIndex {
    /// The first partition of every topic.
    pub const ZERO: Self = Self(0);

    /// Accepts only numbers that a partition can have.
    pub const fn new(value: i32) -> Option<Self> {
        if value >= 0 { Some(Self(value)) } else { None }
    }

    /// The number as the wire carries it.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for PartitionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition of one topic: the unit of order, leadership and placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// Which of its partitions.
    pub index: PartitionIndex,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// Names a broker within its cluster. Kafka calls it the node id.
///
/// Not negative, and below 2^30: Kafka's clients give the connection to a group's coordinator the id
/// `i32::MAX - node id`, which must not meet a broker's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BrokerId(i32);

impl BrokerId {
    /// The first number that no broker may have.
    pub const END: i32 = 1 << 30;

    /// Accepts only numbers that a broker may have.
    pub const fn new(value: i32) -> Option<Self> {
        if value >= 0 && value < Self::END { Some(Self(value)) } else { None }
    }

    /// The number as the wire carries it.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names an idempotent or transactional producer (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(i64);

impl ProducerId {
    /// What batches carry that no idempotent producer wrote.
    pub const NONE: i64 = -1;

    /// Accepts only numbers that a producer can have.
    pub const fn new(value: i64) -> Option<Self> {
        if value >= 0 { Some(Self(value)) } else { None }
    }

    /// The number as the wire carries it.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
