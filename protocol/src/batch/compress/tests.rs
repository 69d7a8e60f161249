//! The codecs: round trips, foreign framings, cuts, lies and bombs.

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;

const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Text that compresses, with a seed so that blocks differ.
fn text(bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes + 64);
    let mut state = 7_u64;
    while out.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        out.extend_from_slice(format!("{{\"user\":{},\"ok\":true}}\n", state >> 50).as_bytes());
    }
    out.truncate(bytes);
    out
}

fn packed(codec: Compression, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, input, None, &mut out).unwrap();
    out
}

#[test]
fn every_size_comes_back() {
    for codec in Compression::ALL {
        for size in [0, 1, 2, 100, 32 * 1024, 32 * 1024 + 1, 65_536, 65_537, 1_000_000] {
            let input = text(size);
            let packed = packed(codec, &input);
            let limit = output_limit(packed.len());
            assert_eq!(decompress(codec, &packed, limit).unwrap(), input, "{codec:?} {size}");
            // The limit is exact.
            assert_eq!(decompress(codec, &packed, size).unwrap(), input, "{codec:?} {size}");
            if size > 0 {
                let refused = Err(DecompressError::TooLarge { limit_bytes: size - 1 });
                assert_eq!(decompress(codec, &packed, size - 1), refused, "{codec:?} {size}");
            }
        }
    }
}

#[test]
fn every_level_that_kafka_allows_works_and_no_other() {
    let input = text(5_000);
    let valid = [
        (Compression::Gzip, vec![-1, 1, 6, 9]),
        (Compression::Lz4, vec![1, 9, 17]),
        (Compression::Zstd, vec![-131_072, -5, 0, 3, 19, 22]),
    ];
    for (codec, levels) in valid {
        for level in levels {
            let mut out = Vec::new();
            compress(codec, &input, Some(level), &mut out).unwrap();
            assert_eq!(decompress(codec, &out, 5_000).unwrap(), input, "{codec:?} {level}");
        }
    }
    let invalid = [
        (Compression::None, 0),
        (Compression::Snappy, 1),
        (Compression::Gzip, 0),
        (Compression::Gzip, 10),
        (Compression::Lz4, 0),
        (Compression::Lz4, 18),
        (Compression::Zstd, 23),
        (Compression::Zstd, -131_073),
    ];
    for (codec, level) in invalid {
        let refused = Err(CompressError::Level { codec: codec.name(), level });
        assert_eq!(compress(codec, &input, Some(level), &mut Vec::new()), refused);
    }
}

#[test]
fn names_and_numbers_come_back() {
    for codec in Compression::ALL {
        assert_eq!(Compression::from_id(codec.id()), Some(codec));
        assert_eq!(Compression::from_name(codec.name()), Some(codec));
    }
    assert_eq!(Compression::from_name("uncompressed"), Some(Compression::None));
    for unknown in ["", "GZIP", "producer", "br"] {
        assert_eq!(Compression::from_name(unknown), None);
    }
    for unknown in [-1, 5, 6, 7, 8] {
        assert_eq!(Compression::from_id(unknown), None);
    }
}

#[test]
fn no_cut_goes_unseen() {
    let input = text(3_000);
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let whole = packed(codec, &input);
        for cut in 0..whole.len() {
            let error = decompress(codec, &whole[..cut], 10_000).expect_err("a cut is an error");
            assert!(
                matches!(error, DecompressError::Truncated | DecompressError::Corrupt(_)),
                "{codec:?} {cut} {error}"
            );
        }
    }
    // Framed snappy has no end mark: a cut between blocks is a shorter stream, which the record
    // count in the batch's header then contradicts. Raw snappy says how long it is.
    let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    for cut in 0..raw.len() {
        assert!(decompress(Compression::Snappy, &raw[..cut], 10_000).is_err(), "{cut}");
    }
    let framed = packed(Compression::Snappy, &input);
    for cut in 17..framed.len() {
        let cut_off = decompress(Compression::Snappy, &framed[..cut], 10_000);
        assert_eq!(cut_off, Err(DecompressError::Truncated), "{cut}");
    }
}

#[test]
fn snappy_is_read_in_every_framing() {
    let input = text(100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, 100_000).unwrap(), input);

    // Two framed streams joined, the second with its own header.
    let framed = packed(Compression::Snappy, &input);
    let joined = [framed.clone(), framed].concat();
    let twice = decompress(Compression::Snappy, &joined, 200_000).unwrap();
    assert_eq!(twice, [input.clone(), input.clone()].concat());
    let refused = Err(DecompressError::TooLarge { limit_bytes: 199_999 });
    assert_eq!(decompress(Compression::Snappy, &joined, 199_999), refused);

    // A frame that the Java library wrote: version 1, compatible with 1, one block.
    let java = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x0f\x0d\x30\x18\0\0\0\x01\x0csdfdsf\0";
    let record = [0x18, 0, 0, 0, 1, 0x0c, b's', b'd', b'f', b'd', b's', b'f', 0];
    assert_eq!(decompress(Compression::Snappy, java, 100).unwrap(), record);
}

#[test]
fn snappy_claims_are_not_believed() {
    // 64 MiB, 1 GiB and 4 GiB - 1 as a varint, then next to nothing.
    let cases: [(&[u8], DecompressError); 4] = [
        (
            &[0x80, 0x80, 0x80, 0x20, 0],
            DecompressError::Corrupt("snappy block that claims the impossible"),
        ),
        (&[0x80, 0x80, 0x80, 0x80, 0x04, 0], DecompressError::TooLarge { limit_bytes: 64 << 20 }),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], DecompressError::TooLarge { limit_bytes: 64 << 20 }),
        (&[0xff, 0xff, 0xff, 0xff, 0xff], DecompressError::Corrupt("snappy block")),
    ];
    for (claim, expected) in cases {
        let refused = Err(expected);
        assert_eq!(decompress(Compression::Snappy, claim, 64 << 20), refused);
        let length = u32::try_from(claim.len()).unwrap().to_be_bytes();
        let framed = [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", &length[..], claim].concat();
        assert_eq!(decompress(Compression::Snappy, &framed, 64 << 20), refused);
    }
    let long_block = [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", &[255; 4][..], b"x"].concat();
    let cut = Err(DecompressError::Truncated);
    assert_eq!(decompress(Compression::Snappy, &long_block, 64 << 20), cut);
}

fn lz4_with(info: FrameInfo, input: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(input).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn lz4_is_written_as_other_clients_do_and_read_in_every_shape() {
    let input = text(300_000);
    let ours = packed(Compression::Lz4, &input);
    assert_eq!(ours[..6], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40]);

    let shapes = [
        FrameInfo::new().block_checksums(true),
        FrameInfo::new().content_checksum(true),
        FrameInfo::new().content_size(Some(300_000)),
        FrameInfo::new().block_size(BlockSize::Max4MB).content_checksum(true),
        FrameInfo::new().block_mode(BlockMode::Linked),
    ];
    for info in shapes {
        let linked = info.block_mode == BlockMode::Linked;
        let frame = lz4_with(info, &input);
        assert_eq!(decompress(Compression::Lz4, &frame, 300_000).unwrap(), input);
        let framing = check_framing(Compression::Lz4, &frame);
        assert_eq!(framing.is_err(), linked, "{framing:?}");
    }
}

#[test]
fn lz4_frames_that_go_on_or_lie_are_refused() {
    use DecompressError as E;
    let frame = packed(Compression::Lz4, &text(1_000));
    let twice = [frame.clone(), frame.clone()].concat();
    let changed = |at: usize, to: u8| {
        let mut bytes = frame.clone();
        bytes[at] = to;
        bytes
    };
    let cases = [
        ("second frame", twice, E::Trailing { trailing_bytes: frame.len() }),
        ("trailing byte", [&frame[..], &[0]].concat(), E::Trailing { trailing_bytes: 1 }),
        ("wrong magic", changed(0, 5), E::Corrupt("lz4 magic")),
        ("skippable frame", [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].to_vec(), E::Corrupt("lz4 magic")),
        ("version 2", changed(4, 0xa0), E::Corrupt("lz4 frame version")),
        ("dictionary", changed(4, 0x61), E::Unsupported("lz4 dictionary")),
        ("block size 3", changed(5, 0x30), E::Corrupt("lz4 block size")),
        ("header checksum", changed(6, frame[6] ^ 1), E::Corrupt("lz4 header checksum")),
        ("block of 2 GiB", changed(10, 0x7f), E::Corrupt("lz4 block larger than its frame allows")),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(decompress(Compression::Lz4, &bytes, 1 << 20), Err(expected), "{name}");
    }
}

/// Makes the header's checksum true again.
fn seal_lz4(frame: &mut [u8]) {
    let end = if frame[4] & 0x08 != 0 { 14 } else { 6 };
    frame[end] = (twox_hash::XxHash32::oneshot(0, &frame[4..end]) >> 8) as u8;
}

#[test]
fn lz4_checksums_and_sizes_are_believed_only_if_they_are_true() {
    use DecompressError as E;
    let input = text(1_000);
    let info = FrameInfo::new().content_size(Some(1_000)).content_checksum(true);
    let good = lz4_with(info.block_checksums(true), &input);
    assert_eq!(decompress(Compression::Lz4, &good, 1_000).unwrap(), input);
    let end = good.len();
    // Where │ what stands there, and the error once it is false.
    let cases = [
        (14, E::Corrupt("lz4 header checksum")),
        (end - 9, E::Corrupt("lz4 block checksum")),
        (end - 1, E::Corrupt("lz4 content checksum")),
    ];
    for (at, expected) in cases {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert_eq!(decompress(Compression::Lz4, &bytes, 1_000), Err(expected), "{at}");
    }
    let claims = [
        (999, E::Corrupt("lz4 content size")),
        (0, E::Corrupt("lz4 content size")),
        (1_001, E::Corrupt("lz4 content size")),
        (64 << 20, E::Corrupt("lz4 content size")),
        ((64 << 20) + 1, E::TooLarge { limit_bytes: 64 << 20 }),
        (u64::MAX, E::TooLarge { limit_bytes: 64 << 20 }),
    ];
    for (claim, expected) in claims {
        let mut bytes = good.clone();
        bytes[6..14].copy_from_slice(&claim.to_le_bytes());
        seal_lz4(&mut bytes);
        assert_eq!(decompress(Compression::Lz4, &bytes, 64 << 20), Err(expected), "{claim}");
    }
}

#[test]
fn lz4_blocks_stay_inside_their_frame() {
    // Literals 0, a match of 19 bytes at distance 1: before anything was written.
    let before_the_start = [0x0f, 1, 0, 0];
    // One literal, then a match at distance 2.
    let before_the_literal = [0x10, b'a', 2, 0, 0];
    // Distance 0 does not exist; a literal run goes past the block.
    let no_distance = [0x10, b'a', 0, 0, 0];
    let past_the_end = [0xf0, 255, 255, 1, b'a'];
    let blocks: [&[u8]; 4] = [&before_the_start, &before_the_literal, &no_distance, &past_the_end];
    for block in blocks {
        for flags in [0x60, 0x40] {
            let mut frame = vec![0x04, 0x22, 0x4d, 0x18, flags, 0x70, 0];
            seal_lz4(&mut frame);
            frame.extend_from_slice(&u32::try_from(block.len()).unwrap().to_le_bytes());
            frame.extend_from_slice(block);
            frame.extend_from_slice(&[0; 4]);
            let corrupt = Err(DecompressError::Corrupt("lz4 block"));
            assert_eq!(decompress(Compression::Lz4, &frame, 1 << 20), corrupt, "{block:?}");
        }
    }
}

#[test]
fn we_read_lz4_like_the_library_does() {
    use std::io::Read as _;
    for size in [0, 1, 70_000, 300_000] {
        let input = text(size);
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            let frame = lz4_with(FrameInfo::new().block_mode(mode), &input);
            let mut theirs = Vec::new();
            lz4_flex::frame::FrameDecoder::new(&frame[..]).read_to_end(&mut theirs).unwrap();
            assert_eq!(decompress(Compression::Lz4, &frame, size).unwrap(), theirs);
        }
    }
}

#[test]
fn zstd_windows_above_the_limit_are_refused() {
    // Window logs: 23 is 8 MiB, 24 is 16 MiB. One raw block of one byte, the last.
    let frame =
        |window_log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, (window_log - 10) << 3, 0x09, 0, 0, b'x'];
    assert_eq!(decompress(Compression::Zstd, &frame(23), 100).unwrap(), b"x");
    for window_log in [24, 27, 31] {
        let refused = Err(DecompressError::Unsupported("a zstd window above 8 MiB"));
        assert_eq!(decompress(Compression::Zstd, &frame(window_log), 100), refused);
    }
}

#[test]
fn streams_in_a_row_are_one_where_java_reads_them_so() {
    for codec in [Compression::Gzip, Compression::Zstd] {
        let both = [packed(codec, b"first "), packed(codec, b"second")].concat();
        assert_eq!(decompress(codec, &both, 100).unwrap(), b"first second", "{codec:?}");
        let trailing = [packed(codec, b"first"), vec![1, 2, 3]].concat();
        assert!(decompress(codec, &trailing, 100).is_err(), "{codec:?}");
    }
}

#[test]
fn nothing_is_not_a_stream() {
    for codec in CODECS {
        assert!(decompress(codec, &[], 100).is_err(), "{codec:?}");
    }
    assert_eq!(decompress(Compression::None, &[], 100).unwrap(), []);
}

#[test]
fn the_limit_grows_with_the_input_and_ends() {
    let cases = [
        (0, 1 << 20),
        (1, (1 << 20) + 100),
        (32 << 10, (1 << 20) + (3200 << 10)),
        (usize::MAX, 64 << 20),
    ];
    for (input, expected) in cases {
        assert_eq!(output_limit(input), expected, "{input}");
    }
}

#[test]
fn errors_have_kafkas_codes() {
    let too_large = DecompressError::TooLarge { limit_bytes: 1 };
    assert_eq!(too_large.code(), ErrorCode::MessageTooLarge);
    for error in [
        DecompressError::Truncated,
        DecompressError::Corrupt("x"),
        DecompressError::Trailing { trailing_bytes: 1 },
        DecompressError::Unsupported("x"),
    ] {
        assert_eq!(error.code(), ErrorCode::CorruptMessage);
    }
}

proptest! {
    #[test]
    fn garbage_stays_below_the_limit(
        bytes in proptest::collection::vec(any::<u8>(), 0..600), limit in 0_usize..2_000,
    ) {
        for codec in CODECS {
            let mut out = Vec::new();
            let done = decompress_into(codec, &bytes, limit, &mut out);
            prop_assert!(done.is_err() || out.len() <= limit);
            prop_assert!(out.len() <= limit);
            let _framing = check_framing(codec, &bytes);
        }
    }

    #[test]
    fn changed_streams_never_panic_nor_pass_the_limit(
        size in 0_usize..3_000, at: prop::sample::Index, to: u8, codec in 0_usize..4,
    ) {
        let codec = CODECS[codec];
        let mut bytes = packed(codec, &text(size));
        let at = at.index(bytes.len());
        bytes[at] = to;
        let mut out = Vec::new();
        let _done = decompress_into(codec, &bytes, 2_000, &mut out);
        prop_assert!(out.len() <= 2_000);
    }
}
