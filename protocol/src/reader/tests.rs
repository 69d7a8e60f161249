//! The reader's bounds: what is refused, and with which error.

use super::*;

#[test]
fn a_varint_is_read_up_to_its_largest_value_and_no_further() {
    let cases: [(&[u8], Result<u32, DecodeError>); 7] = [
        (&[0x00], Ok(0)),
        (&[0x7f], Ok(127)),
        (&[0x80, 0x01], Ok(128)),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], Ok(u32::MAX)),
        (&[0xff, 0xff, 0xff, 0xff, 0x1f], Err(DecodeError::BadVarint)),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Err(DecodeError::BadVarint)),
        (&[0x80], Err(DecodeError::Truncated { wanted_bytes: 1, left_bytes: 0 })),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Reader::request(bytes).uvarint(), expected, "{bytes:x?}");
    }
}

#[test]
fn text_is_utf8_and_of_bounded_length() {
    let long = vec![b'x'; 32_768];
    let mut from = Reader::request(&long);
    assert_eq!(from.text(32_768), Err(DecodeError::OverCap(Cap::StringBytes)));
    assert_eq!(from.text(32_767).map(str::len), Ok(32_767));
    assert_eq!(Reader::request(&[0xff]).text(1), Err(DecodeError::BadText));
}

#[test]
fn a_claim_is_held_against_the_bytes_the_limits_and_the_budget() {
    let bytes = vec![0; 400_000];
    let mut from = Reader::request(&bytes);
    assert_eq!(
        from.claim(200_001, 2, 0),
        Err(DecodeError::BadCount { count: 200_001, left_bytes: 400_000 })
    );
    assert_eq!(
        from.claim(usize::MAX, 0, 0),
        Err(DecodeError::BadCount { count: usize::MAX, left_bytes: 400_000 })
    );

    // Limits are for the whole message: two arrays share one.
    for (cap, max) in [(Cap::Topics, 10_000), (Cap::Partitions, 100_000), (Cap::Groups, 1_000)] {
        let mut from = Reader::request(&bytes);
        from.cap_next(cap);
        assert_eq!(from.claim(max - 1, 1, 0), Ok(()));
        from.cap_next(cap);
        assert_eq!(from.claim(2, 1, 0), Err(DecodeError::OverCap(cap)));
        from.cap_next(cap);
        assert_eq!(from.claim(1, 1, 0), Ok(()));
        // The limit is for the arrays that say so, and for one array at a time.
        assert_eq!(from.claim(max, 1, 0), Ok(()));
    }

    let mut from = Reader::request(&bytes[..100]);
    assert_eq!(from.claim(100, 1, 18), Ok(()));
    assert_eq!(from.claim(25, 1, 1), Err(DecodeError::OverBudget), "1800 of 1824 bytes are spent");
    assert_eq!(from.claim(24, 1, 1), Ok(()));
}

#[test]
fn a_tag_section_is_walked_field_by_field() {
    // Three fields: 1 with two bytes, 7 empty, 9 with one byte; then a byte that is not of the section.
    let bytes = [3, 1, 2, 0xaa, 0xbb, 7, 0, 9, 1, 0xcc, 0x55];
    let mut from = Reader::request(&bytes);
    let mut seen = Vec::new();
    from.tags(|tag, field| {
        seen.push((tag, field.left_bytes()));
        if tag == 1 {
            field.take(2)?;
            return Ok(true);
        }
        Ok(false)
    })
    .expect("the section is whole");
    assert_eq!(seen, [(1, 2), (7, 0), (9, 1)]);
    assert_eq!(from.rest(), [0x55]);
    assert_eq!(from.finish(), Err(DecodeError::Trailing(1)));
}

#[test]
fn a_tag_section_that_lies_is_refused() {
    let known = |_, field: &mut Reader<'_>| field.take(1).map(|_| true);
    let left = Reader::request(&[1, 5, 2, 0, 0]).tags(known);
    assert_eq!(left, Err(DecodeError::BadTag { tag: 5, left_bytes: 1 }));
    // A value may not reach beyond its field, even where more bytes follow.
    let beyond = Reader::request(&[1, 5, 0, 0, 0]).tags(known);
    assert_eq!(beyond, Err(DecodeError::Truncated { wanted_bytes: 1, left_bytes: 0 }));
    let mut many = vec![65];
    many.extend([0, 0].repeat(65));
    assert_eq!(Reader::request(&many).tags(known), Err(DecodeError::OverCap(Cap::Tags)));
    many[0] = 64;
    assert_eq!(Reader::request(&many).tags(|_, _| Ok(false)), Ok(()));
}
