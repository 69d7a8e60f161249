//! What records carry: values and keys, generated once from a seed, so that a load draws no random number per record.

use crate::plan::{KeyDistribution, Payload};

/// Values are cut out of this many bytes.
const POOL_BYTES: usize = 1 << 20;
/// Words that text is made of.
const WORDS: usize = 4_096;
/// Keys are drawn in advance; then the draws come again.
const DRAWS: usize = 1 << 18;
/// A key's size: its number in hexadecimal digits.
pub(crate) const KEY_BYTES: usize = 8;

/// splitmix64: one multiplication chain a number, and any seed will do.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// In `0..1`.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Cuts values one after the other out of a pool that was filled once.
pub(crate) struct Values {
    pool: Vec<u8>,
    at: usize,
}

impl Values {
    pub(crate) fn new(payload: Payload, seed: u64) -> Self {
        let mut random = Random(seed);
        let pool = match payload {
            Payload::Random => {
                let mut pool = Vec::with_capacity(POOL_BYTES);
                while pool.len() < POOL_BYTES {
                    pool.extend_from_slice(&random.next().to_le_bytes());
                }
                pool
            }
            Payload::Text => text(&mut random),
        };
        Self { pool, at: 0 }
    }

    /// Fills `value` with the next bytes of the pool.
    pub(crate) fn fill(&mut self, value: &mut [u8]) {
        let mut rest = value;
        while !rest.is_empty() {
            let count = rest.len().min(self.pool.len() - self.at);
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&self.pool[self.at..self.at + count]);
            self.at = (self.at + count) % self.pool.len();
            rest = later;
        }
    }
}

fn text(random: &mut Random) -> Vec<u8> {
    let words: Vec<Vec<u8>> = (0..WORDS)
        .map(|_| (0..2 + random.below(9)).map(|_| b'a' + random.below(26) as u8).collect())
        .collect();
    let mut pool = Vec::with_capacity(POOL_BYTES + 16);
    while pool.len() < POOL_BYTES {
        // The product of two even shares: some words come far more often than others, as in text.
        let word = (random.share() * random.share() * WORDS as f64) as usize;
        pool.extend_from_slice(&words[word]);
        pool.push(b' ');
    }
    pool.truncate(POOL_BYTES);
    pool
}

/// Which key comes next, and to which partition it belongs.
pub(crate) struct Keys {
    draws: Vec<u32>,
    partitions: Vec<u32>,
}

impl Keys {
    pub(crate) fn new(
        (keys, distribution): (u32, KeyDistribution),
        partitions: u32,
        seed: u64,
    ) -> Self {
        let mut random = Random(seed ^ 0x6b65_7973);
        let draws = match distribution {
            KeyDistribution::RoundRobin => (0..keys).collect(),
            KeyDistribution::Uniform => {
                (0..DRAWS).map(|_| random.below(keys as usize) as u32).collect()
            }
            KeyDistribution::Zipf => zipf(keys, &mut random),
        };
        let partition = |number: u32| {
            let partition =
                client::partitioner::partition_for_key(&key(number), partitions as usize);
            u32::try_from(partition).unwrap_or(0)
        };
        Self { draws, partitions: (0..keys).map(partition).collect() }
    }

    /// The `count`-th record's key and its partition.
    pub(crate) fn draw(&self, count: u64) -> (u32, u32) {
        let key = self.draws[(count % self.draws.len() as u64) as usize];
        (key, self.partitions[key as usize])
    }
}

/// Draws by inversion of the summed frequencies.
fn zipf(keys: u32, random: &mut Random) -> Vec<u32> {
    let mut sums = Vec::with_capacity(keys as usize);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += 1.0 / f64::from(rank);
        sums.push(sum);
    }
    let draw = |_| {
        let wanted = random.share() * sum;
        sums.partition_point(|reached| *reached < wanted).min(sums.len() - 1) as u32
    };
    (0..DRAWS).map(draw).collect()
}

/// A key's bytes.
pub(crate) fn key(number: u32) -> [u8; KEY_BYTES] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut key = [0; KEY_BYTES];
    for (place, digit) in key.iter_mut().enumerate() {
        *digit = DIGITS[((number >> (28 - 4 * place)) & 15) as usize];
    }
    key
}

#[cfg(test)]
mod tests {
    use protocol::batch::Compression;
    use protocol::batch::compress::compress;

    use super::*;

    fn squeezed(payload: Payload, codec: Compression) -> f64 {
        let mut value = vec![0; 64 * 1024];
        Values::new(payload, 1).fill(&mut value);
        let mut out = Vec::new();
        compress(codec, &value, None, &mut out).unwrap();
        out.len() as f64 / value.len() as f64
    }

    #[test]
    fn text_compresses_as_text_does_and_random_bytes_do_not() {
        let lz4 = squeezed(Payload::Text, Compression::Lz4);
        let zstd = squeezed(Payload::Text, Compression::Zstd);
        assert!((0.3..0.8).contains(&lz4), "{lz4}");
        assert!((0.25..0.6).contains(&zstd), "{zstd}");
        assert!(squeezed(Payload::Random, Compression::Zstd) > 0.99);
    }

    #[test]
    fn the_seed_alone_decides() {
        let value = |seed| {
            let mut value = [0; 100];
            Values::new(Payload::Text, seed).fill(&mut value);
            value
        };
        assert_eq!(value(7), value(7));
        assert_ne!(value(7), value(8));
    }

    #[test]
    fn keys_come_as_often_as_their_distribution_says() {
        let counts = |distribution| {
            let keys = Keys::new((10, distribution), 4, 1);
            let mut counts = [0u32; 10];
            for count in 0..DRAWS as u64 {
                counts[keys.draw(count).0 as usize] += 1;
            }
            counts.map(|count| f64::from(count) / DRAWS as f64)
        };
        for share in
            counts(KeyDistribution::Uniform).iter().chain(&counts(KeyDistribution::RoundRobin))
        {
            assert!((0.095..0.105).contains(share), "{share}");
        }
        let zipf = counts(KeyDistribution::Zipf);
        assert!((zipf[0] / zipf[1] - 2.0).abs() < 0.1, "{zipf:?}");
        assert!((zipf[0] / zipf[9] - 10.0).abs() < 0.8, "{zipf:?}");
    }

    #[test]
    fn a_key_goes_where_kafka_clients_send_it() {
        let keys = Keys::new((1_000, KeyDistribution::RoundRobin), 7, 1);
        for number in 0..1_000 {
            let (key_number, partition) = keys.draw(u64::from(number));
            let expected = client::partitioner::partition_for_key(&key(key_number), 7);
            assert_eq!((key_number, partition as i32), (number, expected));
        }
        assert_eq!(&key(0x0123_abcd), b"0123abcd");
    }
}
