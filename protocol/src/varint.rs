//! The zigzag varints inside a record: seven bits per byte, least significant group first.
//!
//! One- and two-byte values are the rule (lengths below 8,192, small deltas), so they are decoded
//! inline; longer ones go through a cold loop. Numbers that do not fit their type are refused; a
//! longer encoding than necessary is accepted, as Kafka accepts it.

/// The most bytes that a 32-bit varint may take.
pub const VARINT_BYTES_MAX: usize = 5;
/// The most bytes that a 64-bit varint may take.
pub const VARLONG_BYTES_MAX: usize = 10;

/// Takes a signed 32-bit varint off the front; `None` if it is cut short or does not fit.
#[inline]
pub fn take_i32(bytes: &[u8]) -> Option<(i32, &[u8])> {
    match bytes {
        [a, rest @ ..] if *a < 0x80 => Some((unzigzag(u32::from(*a)), rest)),
        [a, b, rest @ ..] if *b < 0x80 => {
            Some((unzigzag(u32::from(*a & 0x7f) | u32::from(*b) << 7), rest))
        }
        _ => take_long_i32(bytes),
    }
}

/// Takes a signed 64-bit varint off the front; `None` if it is cut short or does not fit.
#[inline]
pub fn take_i64(bytes: &[u8]) -> Option<(i64, &[u8])> {
    match bytes {
        [a, rest @ ..] if *a < 0x80 => Some((unzigzag64(u64::from(*a)), rest)),
        [a, b, rest @ ..] if *b < 0x80 => {
            Some((unzigzag64(u64::from(*a & 0x7f) | u64::from(*b) << 7), rest))
        }
        _ => take_long_i64(bytes),
    }
}

/// Appends a signed 32-bit varint.
#[inline]
pub fn put_i32(value: i32, out: &mut Vec<u8>) {
    put_u64(u64::from(zigzag(value)), out);
}

/// Appends a signed 64-bit varint.
#[inline]
pub fn put_i64(value: i64, out: &mut Vec<u8>) {
    put_u64(zigzag64(value), out);
}

/// How many bytes [`put_i32`] writes.
#[inline]
pub const fn len_i32(value: i32) -> usize {
    len_u64(zigzag(value) as u64)
}

/// How many bytes [`put_i64`] writes.
#[inline]
pub const fn len_i64(value: i64) -> usize {
    len_u64(zigzag64(value))
}

#[cold]
fn take_long_i32(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (value, rest) = take_long(bytes, VARINT_BYTES_MAX)?;
    Some((unzigzag(u32::try_from(value).ok()?), rest))
}

#[cold]
fn take_long_i64(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (value, rest) = take_long(bytes, VARLONG_BYTES_MAX)?;
    Some((unzigzag64(value), rest))
}

fn take_long(bytes: &[u8], bytes_max: usize) -> Option<(u64, &[u8])> {
    let mut value: u64 = 0;
    for (at, byte) in bytes.iter().take(bytes_max).enumerate() {
        let shift = 7 * u32::try_from(at).expect("at most ten bytes are looked at");
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for a single bit.
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if *byte < 0x80 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

fn put_u64(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const fn len_u64(value: u64) -> usize {
    // Nine bits are (9 + 6) / 7 = 2 bytes; zero still takes one.
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[inline]
const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline]
const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
const fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

#[inline]
const fn unzigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests;
