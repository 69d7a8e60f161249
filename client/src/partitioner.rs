//! Which partition a record goes to: by its key, as Kafka's Java client does, or stickily without one.
//!
//! Keyed records use murmur2 over the key bytes, so a key lands where the Java client, franz-go and
//! kafka-python put it. librdkafka's own default is CRC-32 (`consistent_random`): the same key then lands
//! elsewhere, unless that client is set to `murmur2_random`.

#[cfg(test)]
mod tests;

/// Kafka's 32-bit murmur2 of `bytes`, with the seed and the signed reading its clients agree on.
pub fn murmur2(bytes: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const MIX: u32 = 0x5bd1_e995;
    const SHIFT: u32 = 24;

    // The reference keeps the length in an int; a key is far shorter than 2 GiB, and a longer one still hashes.
    let mut hash = SEED ^ (bytes.len() as u32);
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MIX);
        mixed = (mixed ^ (mixed >> SHIFT)).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ mixed;
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    (hash ^ (hash >> 15)) as i32
}

/// The partition of a keyed record among `partition_count` partitions; 0 when the topic has none.
pub fn partition_for_key(key: &[u8], partition_count: usize) -> i32 {
    let positive = murmur2(key) & i32::MAX;
    match i32::try_from(partition_count) {
        Ok(count) if count > 0 => positive % count,
        // A topic never has more than 2^31 partitions: metadata carries the count as an i32.
        Ok(_) | Err(_) => 0,
    }
}

/// Spreads records without a key: one partition until about a batch's worth of bytes went there, then another at
/// random (KIP-794). Sticking fills batches; counting bytes and not batches keeps the spread even when batches
/// leave early because of the linger time.
#[derive(Debug, Default)]
pub(crate) struct Sticky {
    /// The place in the list of usable partitions, with the bytes it may still take.
    current: Option<(i32, usize)>,
}

impl Sticky {
    /// The partition for the next `record_bytes`, chosen from `usable` (partitions with a known leader, never empty).
    /// `random` is asked only when it is time to move.
    pub(crate) fn choose(
        &mut self,
        usable: &[i32],
        record_bytes: usize,
        stick_bytes: usize,
        random: impl FnOnce() -> u64,
    ) -> i32 {
        if let Some((partition, left)) = &mut self.current
            && *left > 0
            && usable.binary_search(partition).is_ok()
        {
            *left = left.saturating_sub(record_bytes);
            return *partition;
        }
        let place = (random() % usable.len().max(1) as u64) as usize;
        let partition = usable.get(place).copied().unwrap_or(0);
        self.current = Some((partition, stick_bytes.saturating_sub(record_bytes)));
        partition
    }
}
