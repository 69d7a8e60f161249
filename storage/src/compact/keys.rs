//! The newest offset of each key, in bounded memory: an open-addressed table of 128-bit hashes.
//!
//! Keys themselves are not kept, so two that hash alike would count as one. At 128 bits that does
//! not happen by chance; and it cannot be arranged, for the hash is keyed with a seed that nobody
//! outside knows.

use std::hash::{DefaultHasher, Hasher};

/// Bytes of a slot: the hash, and the offset plus one; all zero is empty.
const SLOT_BYTES: u64 = 24;

/// Offsets by key.
pub(crate) struct KeyMap {
    slots: Vec<[u64; 3]>,
    len: usize,
    len_max: usize,
    hashers: [DefaultHasher; 2],
}

/// There is no room for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyMapFull;

impl KeyMap {
    /// A map for `keys_wanted` keys, or as many as fit `bytes_max`.
    pub(crate) fn new(keys_wanted: u64, bytes_max: u64, seed: [u64; 2]) -> Self {
        let most = (bytes_max / SLOT_BYTES).max(2);
        let most = 1 << most.ilog2();
        // Three quarters full, a look-up still takes a few steps.
        let wanted = keys_wanted.saturating_add(keys_wanted / 3).saturating_add(2);
        let slots = wanted.checked_next_power_of_two().unwrap_or(most).min(most) as usize;
        let hashers = seed.map(|seed| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(seed);
            hasher
        });
        Self { slots: vec![[0; 3]; slots], len: 0, len_max: slots / 4 * 3, hashers }
    }

    /// Notes that a key stands at an offset; offsets rise.
    pub(crate) fn put(&mut self, key: &[u8], offset: i64) -> Result<(), KeyMapFull> {
        let hash = self.hash(key);
        let at = self.find(hash);
        let slot = &mut self.slots[at];
        if slot[2] == 0 {
            if self.len >= self.len_max.max(1) {
                return Err(KeyMapFull);
            }
            self.len += 1;
        }
        *slot = [hash[0], hash[1], offset.cast_unsigned() + 1];
        Ok(())
    }

    /// The newest offset of a key, if it was noted.
    pub(crate) fn get(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots[self.find(self.hash(key))];
        slot[2].checked_sub(1).map(u64::cast_signed)
    }

    /// The slot of a hash, or the empty one where it belongs. At least a slot is always empty.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash[0] as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot[2] == 0 || slot[..2] == hash {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        [0, 1].map(|at| {
            let mut hasher = self.hashers[at].clone();
            hasher.write(key);
            hasher.finish()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_newest_offset_of_each_key_is_found() {
        let mut map = KeyMap::new(1000, 1 << 20, [1, 2]);
        let mut model = BTreeMap::new();
        for offset in 0..5000_i64 {
            let key = (offset * offset % 997).to_string();
            map.put(key.as_bytes(), offset).unwrap();
            model.insert(key, offset);
        }
        assert_eq!(map.len, model.len());
        for (key, offset) in &model {
            assert_eq!(map.get(key.as_bytes()), Some(*offset));
        }
        assert_eq!(map.get(b"another"), None);
        map.put(b"", 9999).unwrap();
        assert_eq!(map.get(b""), Some(9999));
    }

    #[test]
    fn a_full_map_takes_known_keys_only() {
        for bytes_max in [0, 48, 96, 1000, 5000] {
            let mut map = KeyMap::new(u64::MAX, bytes_max, [3, 4]);
            let slots = map.slots.len() as u64;
            assert!(slots.is_power_of_two() && slots * SLOT_BYTES <= bytes_max.max(48));
            let mut taken = 0_i64;
            while map.put(&taken.to_be_bytes(), taken).is_ok() {
                taken += 1;
            }
            assert!(taken >= 1 && (taken as u64) < slots, "{taken} of {slots}");
            assert_eq!(map.put(&0_i64.to_be_bytes(), 77), Ok(()));
            assert_eq!(map.get(&0_i64.to_be_bytes()), Some(77));
            assert_eq!(map.get(&taken.to_be_bytes()), None);
        }
    }

    #[test]
    fn it_is_no_larger_than_the_keys_need() {
        assert_eq!(KeyMap::new(10, 1 << 30, [0; 2]).slots.len(), 16);
        assert_eq!(KeyMap::new(0, 1 << 30, [0; 2]).slots.len(), 2);
        // A million keys in 50 MB.
        let large = KeyMap::new(1_000_000, 1 << 30, [0; 2]);
        assert_eq!(large.slots.len(), 1 << 21);
        assert!(large.len_max > 1_000_000);
    }
}
