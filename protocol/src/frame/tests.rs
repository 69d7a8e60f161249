//! Frames are found however the bytes arrive, and what is no frame is named.

use super::*;

#[test]
fn a_length_is_judged_before_anything_is_waited_for() {
    let max_bytes = REQUEST_BYTES_MAX;
    let too_large = |bytes| Err(FrameError::TooLarge { bytes, max_bytes });
    let cases: [(&[u8; 4], Result<usize, FrameError>); 14] = [
        (&[0, 0, 0, 8], Ok(8)),
        (&[0x06, 0x40, 0, 0], Ok(REQUEST_BYTES_MAX)),
        (&[0x06, 0x40, 0, 1], too_large(REQUEST_BYTES_MAX + 1)),
        (&[0x7f, 0xff, 0xff, 0xff], too_large(0x7fff_ffff)),
        (&[0xff, 0xff, 0xff, 0xff], Err(FrameError::TooSmall(-1))),
        (&[0x80, 0, 0, 0], Err(FrameError::TooSmall(i32::MIN))),
        (&[0, 0, 0, 0], Err(FrameError::TooSmall(0))),
        (&[0, 0, 0, 7], Err(FrameError::TooSmall(7))),
        (&[0x16, 0x03, 0x01, 0x01], Err(FrameError::Tls)),
        (&[0x16, 0x03, 0x03, 0x02], Err(FrameError::Tls)),
        (&[0x16, 0x09, 0x01, 0x01], too_large(0x1609_0101)),
        (b"GET ", Err(FrameError::Http)),
        (b"PRI ", Err(FrameError::Http)),
        (b"SSH-", too_large(0x5353_482d)),
    ];
    for (prefix, expected) in cases {
        assert_eq!(request_bytes(*prefix, max_bytes), expected, "{prefix:x?}");
    }
    // Where frames may be as large as that, it is a length like any other.
    assert_eq!(request_bytes(*b"GET ", i32::MAX as usize), Ok(0x4745_5420));
}

#[test]
fn a_frame_says_how_much_is_missing() {
    let stream = [0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0];
    for have in 0..4 {
        assert_eq!(front(&stream[..have], 100), Ok(Front::Partial { needed_bytes: 4 }));
    }
    for have in 4..13 {
        assert_eq!(front(&stream[..have], 100), Ok(Front::Partial { needed_bytes: 13 }));
    }
    let frame = &stream[4..13];
    assert_eq!(front(&stream, 100), Ok(Front::Frame { frame, rest: &stream[13..] }));
    assert_eq!(front(&stream, 8), Err(FrameError::TooLarge { bytes: 9, max_bytes: 8 }));
}

proptest::proptest! {
    #[test]
    fn frames_come_out_whole_however_they_arrive(
        frames in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 8..40), 0..8),
        chunks in proptest::collection::vec(1usize..20, 1..64),
    ) {
        let mut wire = Vec::new();
        for frame in &frames {
            wire.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            wire.extend_from_slice(frame);
        }
        let mut pending = Vec::new();
        let mut seen = Vec::new();
        let mut left = &wire[..];
        for &chunk in chunks.iter().cycle() {
            let (arrived, rest) = left.split_at(chunk.min(left.len()));
            left = rest;
            pending.extend_from_slice(arrived);
            while let Ok(Front::Frame { frame, rest }) = front(&pending, 64) {
                seen.push(frame.to_vec());
                pending = rest.to_vec();
            }
            if left.is_empty() {
                break;
            }
        }
        proptest::prop_assert_eq!(seen, frames);
        proptest::prop_assert!(pending.is_empty());
    }
}
