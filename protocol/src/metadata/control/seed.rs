//! Numbers that look random and follow from a seed: the same wish in the same place is decided the same way.

use crate::{Offset, TopicId};

/// Splitmix64 (Steele, Lea and Flood, 2014).
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn new(seed: u64, version: Offset) -> Self {
        Self(seed ^ version.get().unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An id in the form of a random UUID (RFC 9562, version 4), which is never all zeros.
    pub(super) fn topic_id(&mut self) -> TopicId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        TopicId::new(bytes)
    }
}
