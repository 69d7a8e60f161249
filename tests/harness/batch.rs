//! Record batches (magic 2) by hand, so that they can lie.

/// Where the fields lie in a batch.
pub const BASE_OFFSET: usize = 0;
pub const LENGTH: usize = 8;
pub const MAGIC: usize = 16;
pub const CRC: usize = 17;
pub const ATTRIBUTES: usize = 21;
pub const LAST_OFFSET_DELTA: usize = 23;
pub const FIRST_TIMESTAMP: usize = 27;
pub const MAX_TIMESTAMP: usize = 35;
pub const PRODUCER_ID: usize = 43;
pub const PRODUCER_EPOCH: usize = 51;
pub const SEQUENCE: usize = 53;
pub const COUNT: usize = 57;
pub const RECORDS: usize = 61;

/// One record with its deltas, no headers.
pub fn record(delta: i64, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    varint(0, &mut body);
    varint(delta, &mut body);
    for bytes in [key, value] {
        varint(bytes.len() as i64, &mut body);
        body.extend(bytes);
    }
    varint(0, &mut body);
    sized(&body)
}

/// A record's bytes with their length before them.
pub fn sized(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(body.len() as i64, &mut out);
    out.extend(body);
    out
}

/// A number in Kafka's zigzag form.
pub fn varint(number: i64, out: &mut Vec<u8>) {
    let mut rest = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7F).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

/// An honest, uncompressed batch of these records, at `time` milliseconds.
pub fn batch(records: &[Vec<u8>], time: i64) -> Vec<u8> {
    let count = i32::try_from(records.len()).unwrap_or(i32::MAX);
    whole(0, count, time, &records.concat())
}

/// A batch around any record section, with honest length and checksum.
pub fn whole(attributes: i16, count: i32, time: i64, section: &[u8]) -> Vec<u8> {
    let mut out = vec![0; RECORDS];
    out[MAGIC] = 2;
    put(&mut out, ATTRIBUTES, &attributes.to_be_bytes());
    put(&mut out, LAST_OFFSET_DELTA, &(count - 1).to_be_bytes());
    put(&mut out, FIRST_TIMESTAMP, &time.to_be_bytes());
    put(&mut out, MAX_TIMESTAMP, &time.to_be_bytes());
    put(&mut out, PRODUCER_ID, &(-1_i64).to_be_bytes());
    put(&mut out, PRODUCER_EPOCH, &(-1_i16).to_be_bytes());
    put(&mut out, SEQUENCE, &(-1_i32).to_be_bytes());
    put(&mut out, COUNT, &count.to_be_bytes());
    out.extend(section);
    let length = i32::try_from(out.len() - 12).unwrap_or(i32::MAX);
    put(&mut out, LENGTH, &length.to_be_bytes());
    sign(&mut out);
    out
}

/// Writes bytes over a field.
pub fn put(batch: &mut [u8], at: usize, bytes: &[u8]) {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Makes the checksum true again.
pub fn sign(batch: &mut [u8]) {
    let crc = crc32c(&batch[ATTRIBUTES..]);
    put(batch, CRC, &crc.to_be_bytes());
}

/// CRC-32C, bit by bit: slow, and independent of the broker's.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_castagnoli_one() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn numbers_are_written_as_kafka_writes_them() {
        for (number, bytes) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (64, vec![0x80, 1])] {
            let mut out = Vec::new();
            varint(number, &mut out);
            assert_eq!(out, bytes, "{number}");
        }
    }
}
