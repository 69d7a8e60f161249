//! The checksum against its published vectors.

use proptest::prelude::*;

use super::*;

#[test]
fn published_vectors() {
    // RFC 3720, appendix B.4; and the usual check string.
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    let cases: [(&str, &[u8], u32); 6] = [
        ("nothing", &[], 0),
        ("zeros", &[0; 32], 0x8a91_36aa),
        ("ones", &[0xff; 32], 0x62a8_ab43),
        ("ascending", &ascending, 0x46dd_794e),
        ("descending", &descending, 0x113f_db5c),
        ("check", b"123456789", 0xe306_9283),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(crc32c(bytes), expected, "{name}");
        let (head, tail) = bytes.split_at(bytes.len() / 3);
        assert_eq!(crc32c_append(crc32c(head), tail), expected, "{name} in two parts");
    }
}

proptest! {
    #[test]
    fn agrees_with_another_implementation(
        bytes in proptest::collection::vec(any::<u8>(), 0..5_000), cut: prop::sample::Index,
    ) {
        prop_assert_eq!(crc32c(&bytes), ::crc32c::crc32c(&bytes));
        let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert_eq!(crc32c_append(crc32c(head), tail), ::crc32c::crc32c(&bytes));
    }
}
