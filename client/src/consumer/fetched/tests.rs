use protocol::batch::builder::BatchBuilder;
use protocol::{LeaderEpoch, Offset};

use super::*;

fn batch(base: i64, count: i64, codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    builder.set_place(Offset::new(base).unwrap(), LeaderEpoch::ZERO);
    for nth in 0..count {
        builder.append(None, Some(&(base + nth).to_be_bytes()), &[], 7).unwrap();
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes
}

fn parse_from(bytes: Vec<u8>, from: i64) -> Result<Parsed, String> {
    parse((&Rc::from("t"), 0), &bytes.into(), from)
}

fn offsets(parsed: &Parsed) -> Vec<i64> {
    parsed.fetched.iter().flat_map(Fetched::records).map(|record| record.offset).collect()
}

#[test]
fn records_before_the_one_asked_for_are_not_shown() {
    for codec in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let bytes = [batch(0, 5, codec), batch(5, 5, codec)].concat();
        let parsed = parse_from(bytes, 3).unwrap();
        assert_eq!((offsets(&parsed), parsed.next), ((3..10).collect(), Some(10)), "{codec:?}");
    }
}

#[test]
fn a_batch_that_is_cut_off_is_passed_over_unless_it_is_the_first() {
    let (first, second) = (batch(0, 5, Compression::None), batch(5, 5, Compression::None));
    for cut in 1..second.len() {
        let bytes = [&first[..], &second[..cut]].concat();
        let parsed = parse_from(bytes, 0).unwrap();
        assert_eq!((parsed.next, parsed.is_cut), (Some(5), false), "{cut}");
        let parsed = parse_from(second[..cut].to_vec(), 5).unwrap();
        assert_eq!((parsed.next, parsed.is_cut), (None, true), "{cut}");
    }
    let nothing = parse_from(Vec::new(), 0).unwrap();
    assert_eq!((nothing.next, nothing.is_cut), (None, false));
}

#[test]
fn no_flipped_byte_gets_through_unnoticed_and_none_panics() {
    let whole = batch(0, 5, Compression::Zstd);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        let outcome = parse_from(bytes, 0);
        // Base offset, length and epoch are outside the checksum: they may only change what they say.
        let may_pass = at < 16;
        let noticed = outcome.map_or(true, |parsed| offsets(&parsed) != [0, 1, 2, 3, 4]);
        assert!(noticed || may_pass, "byte {at}");
    }
}
