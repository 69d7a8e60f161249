//! CRC-32C: seeded with where the bytes belong, and joined without reading bytes twice.

use protocol::crc::{crc32c, crc32c_append};

/// A checksum that holds only for `journal` at `position`.
pub(crate) fn seed(journal: &[u8; 16], position: u64) -> u32 {
    crc32c_append(crc32c(journal), &position.to_le_bytes())
}

/// The reflected Castagnoli polynomial.
const POLY: u32 = 0x82f6_3b78;

/// a·b modulo the polynomial; bit 31 is x^0, as reflected CRCs number their bits.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 1u32 << 31;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = if b & 1 != 0 { b >> 1 ^ POLY } else { b >> 1 };
        bit >>= 1;
    }
    product
}

/// x^(8·2^k) modulo the polynomial.
const SHIFTS: [u32; 32] = {
    let mut table = [0u32; 32];
    // x^8.
    table[0] = 1 << 23;
    let mut k = 1;
    while k < 32 {
        table[k] = multiply(table[k - 1], table[k - 1]);
        k += 1;
    }
    table
};

/// Below this many bytes a second pass over them is cheaper than joining.
pub(crate) const JOIN_FROM_BYTES: usize = 4096;

/// The CRC-32C of A followed by B, given those of A and of B and B's length.
pub(crate) fn join(first: u32, second: u32, second_bytes: u32) -> u32 {
    let mut shifted = first;
    let mut rest = second_bytes;
    let mut k = 0;
    while rest != 0 {
        if rest & 1 != 0 {
            shifted = multiply(SHIFTS[k], shifted);
        }
        rest >>= 1;
        k += 1;
    }
    shifted ^ second
}

#[cfg(test)]
mod tests;
