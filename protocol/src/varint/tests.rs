//! Varints: round trips, edges and lies.

use proptest::prelude::*;

use super::*;

fn bytes_of_i32(value: i32) -> Vec<u8> {
    let mut out = Vec::new();
    put_i32(value, &mut out);
    out
}

fn bytes_of_i64(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_i64(value, &mut out);
    out
}

#[test]
fn known_encodings() {
    // value │ bytes, from the zigzag definition: 0, -1, 1, -2, 2 ...
    let cases: [(i32, &[u8]); 8] = [
        (0, &[0x00]),
        (-1, &[0x01]),
        (1, &[0x02]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    for (value, expected) in cases {
        assert_eq!(bytes_of_i32(value), expected, "{value}");
        assert_eq!(take_i32(expected), Some((value, &[][..])), "{value}");
        assert_eq!(take_i64(expected), Some((i64::from(value), &[][..])), "{value}");
    }
    assert_eq!(bytes_of_i64(i64::MIN), [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
}

#[test]
fn refuses_what_does_not_fit() {
    let cases: [(&str, &[u8]); 6] = [
        ("nothing", &[]),
        ("cut after one byte", &[0x80]),
        ("cut after four bytes", &[0xff; 4]),
        ("five bytes that go on", &[0xff; 5]),
        ("33 bits", &[0xff, 0xff, 0xff, 0xff, 0x1f]),
        ("six bytes", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
    ];
    for (name, bytes) in cases {
        assert_eq!(take_i32(bytes), None, "{name}");
    }
    let cases: [(&str, &[u8]); 4] = [
        ("cut after nine bytes", &[0xff; 9]),
        ("ten bytes that go on", &[0xff; 10]),
        ("65 bits", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
        ("eleven bytes", &[0x80; 11]),
    ];
    for (name, bytes) in cases {
        assert_eq!(take_i64(bytes), None, "{name}");
    }
}

proptest! {
    #[test]
    fn every_i32_comes_back(value: i32, tail: Vec<u8>) {
        let mut bytes = bytes_of_i32(value);
        prop_assert_eq!(bytes.len(), len_i32(value));
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(take_i32(&bytes), Some((value, &tail[..])));
    }

    #[test]
    fn every_i64_comes_back(value: i64, tail: Vec<u8>) {
        let mut bytes = bytes_of_i64(value);
        prop_assert_eq!(bytes.len(), len_i64(value));
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(take_i64(&bytes), Some((value, &tail[..])));
    }

    #[test]
    fn small_and_large_values_alike(shift in 0_u32..64, seed: i64) {
        let value = seed >> shift;
        let bytes = bytes_of_i64(value);
        prop_assert_eq!(bytes.len(), len_i64(value));
        prop_assert_eq!(take_i64(&bytes), Some((value, &[][..])));
    }
}
