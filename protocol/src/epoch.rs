//! Counters of who came last: the higher always wins, the lower is fenced.

use std::fmt;

/// Counts the leaders a partition has had. Stamped into every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaderEpoch(i32);

impl LeaderEpoch {
    /// What the wire carries where an epoch is unknown.
    pub const NONE: i32 = -1;
    /// A partition's first leader.
    pub const ZERO: Self = Self(0);

    /// Accepts only counts that a partition can have reached.
    pub const fn new(value: i32) -> Option<Self> {
        if value >= 0 { Some(Self(value)) } else { None }
    }

    /// The next leader's epoch, or `None` after two thousand million leaders.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// The number as the wire carries it.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the incarnations of one producer id, so that an older one can be fenced (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProducerEpoch(i16);

impl ProducerEpoch {
    /// What the wire carries where there is no producer.
    pub const NONE: i16 = -1;
    /// A producer's first incarnation.
    pub const ZERO: Self = Self(0);

    /// Accepts only counts that a producer can have reached.
    pub const fn new(value: i16) -> Option<Self> {
        if value >= 0 { Some(Self(value)) } else { None }
    }

    /// The next incarnation, or `None` when the id is used up and a new one is needed.
    ///
    /// Kafka never hands out `i16::MAX` to a client: it is kept for fencing.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 < i16::MAX - 1 { Some(Self(self.0 + 1)) } else { None }
    }

    /// The number as the wire carries it.
    pub const fn get(self) -> i16 {
        self.0
    }
}

impl fmt::Display for ProducerEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
