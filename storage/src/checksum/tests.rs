//! Joined checksums against plain ones.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn joining_equals_one_pass(
        a in prop::collection::vec(any::<u8>(), 0..300),
        b in prop::collection::vec(any::<u8>(), 0..9000),
    ) {
        let whole = crc32c_append(crc32c(&a), &b);
        prop_assert_eq!(join(crc32c(&a), crc32c(&b), b.len() as u32), whole);
    }
}

#[test]
fn seeds_differ_by_journal_and_position() {
    let base = seed(&[1; 16], 4096);
    assert_ne!(base, seed(&[2; 16], 4096));
    assert_ne!(base, seed(&[1; 16], 8192));
    assert_eq!(base, crc32c(&[&[1u8; 16][..], &4096u64.to_le_bytes()[..]].concat()));
}
