//! The vocabulary, one word at a time, and the rules that `message!` derives.

use super::*;
use crate::reader::Cap;

const PLAIN: Version = Version { number: 1, flexible: false };
const COMPACT: Version = Version { number: 9, flexible: true };

/// The bytes of one value, and the value read back from them.
fn check<'a, T: Wire<'a> + PartialEq + std::fmt::Debug>(
    value: &T,
    version: Version,
    bytes: &'a [u8],
) {
    let mut written = Vec::new();
    value.encode(&mut written, version).expect("it can be said");
    assert_eq!(written, bytes, "{value:?}");
    let mut from = Reader::request(bytes);
    assert_eq!(T::decode(&mut from, version).as_ref(), Ok(value));
    assert_eq!(from.finish(), Ok(()));
    assert!(T::min_bytes(version) <= bytes.len(), "{value:?}");
}

#[test]
fn every_word_has_its_bytes() {
    check(&-2i8, PLAIN, &[0xfe]);
    check(&0x0102i16, PLAIN, &[1, 2]);
    check(&0xfffeu16, PLAIN, &[0xff, 0xfe]);
    check(&-1i32, PLAIN, &[0xff; 4]);
    check(&0xdead_beefu32, PLAIN, &[0xde, 0xad, 0xbe, 0xef]);
    check(&i64::MIN, PLAIN, &[0x80, 0, 0, 0, 0, 0, 0, 0]);
    check(&1.5f64, PLAIN, &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0]);
    check(&true, PLAIN, &[1]);
    check(&[7u8; 16], PLAIN, &[7; 16]);
    check(&TopicId::new([9; 16]), COMPACT, &[9; 16]);
    check(&ErrorCode::NotLeaderOrFollower, PLAIN, &[0, 6]);
    check(&"ab", PLAIN, &[0, 2, b'a', b'b']);
    check(&"ab", COMPACT, &[3, b'a', b'b']);
    check(&None::<&str>, PLAIN, &[0xff, 0xff]);
    check(&None::<&str>, COMPACT, &[0]);
    check(&Some(""), COMPACT, &[1]);
    check(&Some(b"ab".as_slice()), PLAIN, &[0, 0, 0, 2, b'a', b'b']);
    check(&None::<&[u8]>, PLAIN, &[0xff; 4]);
    check(&None::<&[u8]>, COMPACT, &[0]);
    check(&vec![1i16, 2], PLAIN, &[0, 0, 0, 2, 0, 1, 0, 2]);
    check(&vec![1i16, 2], COMPACT, &[3, 0, 1, 0, 2]);
    check(&None::<Vec<i32>>, PLAIN, &[0xff; 4]);
    check(&None::<Vec<i32>>, COMPACT, &[0]);
}

#[test]
fn nulls_and_lengths_that_must_not_be_are_refused() {
    let null_text = <&str>::decode(&mut Reader::request(&[0xff, 0xff]), PLAIN);
    assert_eq!(null_text, Err(DecodeError::UnexpectedNull));
    let null_list = Vec::<i32>::decode(&mut Reader::request(&[0]), COMPACT);
    assert_eq!(null_list, Err(DecodeError::UnexpectedNull));
    let negative = <Option<&str>>::decode(&mut Reader::request(&[0xff, 0xfe]), PLAIN);
    assert_eq!(negative, Err(DecodeError::BadLength(-2)));
    let long = "x".repeat(32_768);
    assert_eq!(long.as_str().encode(&mut Vec::new(), COMPACT), Err(EncodeError::TooLong(32_768)));
}

#[test]
fn an_error_number_that_nobody_knows_reads_as_unknown() {
    let read = ErrorCode::decode(&mut Reader::request(&[0x7f, 0x00]), PLAIN);
    assert_eq!(read, Ok(ErrorCode::UnknownServerError));
}

crate::message! {
    /// One of everything that `message!` can declare.
    struct Everything<'a> {
        always: i32, in 0..;
        with_default: i64 = -1, in 0..;
        dropped: i32 = 7, in 2..=3, else ignored;
        kept: i32, in 2..=3;
        maybe_null: Option<&'a str>, in 0.., nullable 2..;
        list: Vec<Item>, in 0.., capped Partitions;
        nested: Option<Item>, in 3..;
    } tagged {
        0 => hint: i32 = -1, in 9..;
        5 => text: &'a str, in 9.., else ignored;
        6 => items: Vec<Item>, in 10.., capped Topics;
    }

    /// A structure that borrows nothing.
    struct Item {
        number: i16, in 0..;
    }
}

fn said(message: &Everything<'_>, number: i16) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    let version = Version { number, flexible: number >= 9 };
    message.encode(&mut bytes, version).map(|()| bytes)
}

fn sane<'a>() -> Everything<'a> {
    Everything { maybe_null: Some(""), ..Default::default() }
}

#[test]
fn a_field_travels_only_in_its_versions() {
    let message = Everything { always: 1, dropped: 2, list: vec![Item { number: 3 }], ..sane() };
    let head = [&[0, 0, 0, 1][..], &[0xff; 8]].concat();
    let old = [&head[..], &[0, 0], &[0, 0, 0, 1, 0, 3]].concat();
    assert_eq!(said(&message, 0), Ok(old));
    let kept = Everything { kept: 9, ..message.clone() };
    assert_eq!(said(&kept, 0), Err(EncodeError::NotInVersion { field: "kept", version: 0 }));
    let middle = [&head[..], &[0, 0, 0, 2, 0, 0, 0, 9], &[0, 0], &[0, 0, 0, 1, 0, 3]].concat();
    assert_eq!(said(&kept, 2), Ok(middle));
}

#[test]
fn null_is_said_only_where_it_may_be() {
    let null = Everything::default();
    let expected = Err(EncodeError::NullInVersion { field: "maybe_null", version: 0 });
    assert_eq!(said(&null, 0), expected);
    let bytes = said(&null, 2).expect("null from version 2 on");
    let version = |number| Version { number, flexible: false };
    assert_eq!(Everything::decode(&mut Reader::request(&bytes), version(2)), Ok(null));
    let mut old = said(&sane(), 0).expect("it can be said");
    old[12..14].copy_from_slice(&[0xff, 0xff]);
    let read = Everything::decode(&mut Reader::request(&old), version(0));
    assert_eq!(read, Err(DecodeError::UnexpectedNull));
}

#[test]
fn a_structure_that_may_be_null_has_a_byte_before_it() {
    let bytes = said(&sane(), 3).expect("it can be said");
    assert_eq!(bytes.last(), Some(&0xff));
    let bytes = said(&Everything { nested: Some(Item { number: 4 }), ..sane() }, 3);
    assert!(bytes.expect("it can be said").ends_with(&[1, 0, 4]));
}

#[test]
fn tagged_fields_travel_only_when_they_say_something() {
    let plain = said(&sane(), 9).expect("it can be said");
    assert_eq!(plain.last(), Some(&0), "an empty tag section");
    let tagged = Everything { hint: 1, text: "t", ..sane() };
    let expected = [&plain[..plain.len() - 1], &[2, 0, 4, 0, 0, 0, 1, 5, 2, 2, b't']].concat();
    assert_eq!(said(&tagged, 9), Ok(expected.clone()));
    let read = Everything::decode(&mut Reader::request(&expected), COMPACT);
    assert_eq!(read, Ok(tagged));
    // Before their version one is an error, the other is dropped.
    assert_eq!(
        said(&Everything { hint: 1, ..sane() }, 3),
        Err(EncodeError::NotInVersion { field: "hint", version: 3 })
    );
    assert_eq!(said(&Everything { text: "t", ..sane() }, 3), said(&sane(), 3));
}

#[test]
fn long_tagged_values_are_moved_up_to_make_room_for_their_length() {
    for count in [62, 63, 64, 127, 8_190, 8_191, 8_192, 9_000] {
        let items: Vec<Item> = (0..count).map(|number| Item { number }).collect();
        let message = Everything { items, ..sane() };
        let bytes = said(&message, 10).expect("it can be said");
        let version = Version { number: 10, flexible: true };
        let mut from = Reader::request(&bytes);
        assert_eq!(Everything::decode(&mut from, version), Ok(message), "{count} items");
        assert_eq!(from.finish(), Ok(()));
    }
}

#[test]
fn a_count_is_held_against_the_limit_it_is_declared_with() {
    let version = Version { number: 10, flexible: true };
    let with = |list: usize, items: usize| {
        let item = Item { number: 1 };
        let message =
            Everything { list: vec![item.clone(); list], items: vec![item; items], ..sane() };
        let bytes = said(&message, 10).expect("it can be said");
        Everything::decode(&mut Reader::request(&bytes), version).map(|_| ())
    };
    assert_eq!(with(100_000, 10_000), Ok(()));
    assert_eq!(with(100_001, 0), Err(DecodeError::OverCap(Cap::Partitions)));
    assert_eq!(with(0, 10_001), Err(DecodeError::OverCap(Cap::Topics)));
}

#[test]
fn the_fewest_bytes_are_those_of_the_emptiest_value() {
    for number in [0, 2, 3, 9, 10] {
        let version = Version { number, flexible: number >= 9 };
        let bytes = said(&sane(), number).expect("it can be said").len();
        assert_eq!(Everything::min_bytes(version), bytes, "v{number}");
    }
}
