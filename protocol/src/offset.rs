//! A record's place in its partition.

use std::fmt;

/// The position of one record in its partition. Offsets start at zero and never repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(i64);

impl Offset {
    /// Where every partition begins.
    pub const ZERO: Self = Self(0);
    /// Beyond every record.
    pub const MAX: Self = Self(i64::MAX);

    /// Accepts only positions that can exist.
    pub const fn new(value: i64) -> Option<Self> {
        if value >= 0 { Some(Self(value)) } else { None }
    }

    /// The position `count` records later, at most [`Offset::MAX`].
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.saturating_add(count as i64))
    }

    /// How many records lie from `base` up to here; zero if `base` is not before.
    pub const fn since(self, base: Self) -> u64 {
        if self.0 > base.0 { self.0.abs_diff(base.0) } else { 0 }
    }

    /// The number as the wire carries it.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
