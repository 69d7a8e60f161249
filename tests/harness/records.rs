//! The records that every client sends and expects, written once to a file that all of them read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::seeded::Seeded;

/// Every key comes back about so often.
const KEYS: u64 = 997;

const WORDS: [&str; 8] = ["amber", "brook", "cedar", "delta", "Ähre", "fjord", "grüße", "漢字"];

/// One record, and the partition it goes to: by assignment in turn, or by Kafka's hash of its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    #[serde(rename = "k")]
    pub key: String,
    #[serde(rename = "v")]
    pub value: String,
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    pub time: i64,
    #[serde(rename = "p")]
    pub partition: u32,
    #[serde(rename = "m")]
    pub murmur2: u32,
}

/// `count` records over `partitions`; times rise from `first_time`, one millisecond each.
pub fn generate(count: usize, partitions: u32, first_time: i64, seeded: &mut Seeded) -> Vec<Row> {
    let mut rows = Vec::with_capacity(count);
    for (index, time) in (0..count).zip(first_time..) {
        let key = format!("key-{}", seeded.below(KEYS));
        let mut value = format!("{index}");
        for _ in 0..=seeded.below(20) {
            value.push(' ');
            let word = usize::try_from(seeded.below(8)).unwrap_or(0);
            value.push_str(WORDS[word]);
        }
        // Some of it must not compress.
        for _ in 0..seeded.below(3) {
            value.push_str(&format!(" {:016x}", seeded.bits()));
        }
        let partition = u32::try_from(index).unwrap_or(0) % partitions;
        let murmur2 = partition_of(key.as_bytes(), partitions);
        rows.push(Row { key, value, time, partition, murmur2 });
    }
    rows
}

/// Writes records, one line of JSON each.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, rows: &[Row]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for row in rows {
        serde_json::to_writer(&mut out, row)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// The partition to which Kafka's own producer sends a key.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7FFF_FFFF) % partitions
}

/// `MurmurHash2` with the seed that Kafka uses. Written for the tests alone, so that the client's is
/// judged by something else than itself.
fn murmur2(data: &[u8]) -> u32 {
    const MIX: u32 = 0x5BD1_E995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_B28C ^ length;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(MIX);
        k ^= k >> 24;
        hash = hash.wrapping_mul(MIX) ^ k.wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::murmur2;

    #[test]
    fn the_hash_is_the_one_that_kafka_uses() {
        // From Kafka's own tests of its hash.
        let known: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key).cast_signed(), hash, "{}", String::from_utf8_lossy(key));
        }
    }
}
