//! Bytes to send, and histograms as text.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};

/// Payloads are slices of this many bytes: more than any compressor's window of a batch.
const POOL_BYTES: usize = 4 << 20;

/// A supply of payloads; neighbours differ.
pub(crate) struct Payloads {
    pool: Vec<u8>,
    at: usize,
    bytes: usize,
}

impl Payloads {
    /// Noise, or text that compresses as text does.
    pub(crate) fn new(bytes: usize, text: bool) -> Self {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut pool = Vec::with_capacity(POOL_BYTES + 16);
        while pool.len() < POOL_BYTES.max(bytes) {
            if text {
                pool.extend_from_slice(WORDS[random.below(WORDS.len())].as_bytes());
                let number = random.below(1_000);
                pool.extend_from_slice(format!("={number} ").as_bytes());
            } else {
                pool.extend_from_slice(&random.next().to_le_bytes());
            }
        }
        Self { pool, at: 0, bytes }
    }

    pub(crate) fn next(&mut self) -> &[u8] {
        if self.at + self.bytes > self.pool.len() {
            // Another start, so that rounds differ from each other.
            self.at = (self.at + 13) % self.bytes.max(1);
        }
        let payload = &self.pool[self.at..self.at + self.bytes];
        self.at += self.bytes;
        payload
    }
}

const WORDS: [&str; 12] = [
    "temperature",
    "device",
    "status",
    "pressure",
    "region",
    "latency",
    "session",
    "request",
    "northwest",
    "accepted",
    "error",
    "humidity",
];

/// xorshift64: fast, and the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }
}

/// A histogram as `HdrHistogram` V2 in base64.
pub(crate) fn encoded(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail, and the value range was chosen to fit.
    if V2Serializer::new().serialize(histogram, &mut bytes).is_err() {
        return String::new();
    }
    base64(&bytes)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= group.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_one_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn payloads_have_their_size_and_differ() {
        for text in [false, true] {
            let mut payloads = Payloads::new(1_024, text);
            let first = payloads.next().to_vec();
            assert_eq!(first.len(), 1_024);
            // More than the pool holds.
            for _ in 0..5_000 {
                let next = payloads.next();
                assert_eq!(next.len(), 1_024);
                assert_ne!(next, first, "text {text}");
            }
        }
    }
}
