//! The frame splitter: however a stream is cut into chunks, the same frames and the same fault come out.
#![no_main]

use fuzz::bounded;
use libfuzzer_sys::fuzz_target;
use protocol::frame::{FrameError, Front, front};

const MAX_BYTES: usize = 512;

/// What a stream holds: the lengths of its frames, then how it ends.
type Cut = (Vec<usize>, Result<usize, FrameError>);

/// All at once.
fn whole(mut stream: &[u8]) -> Cut {
    let mut frames = Vec::new();
    loop {
        match bounded(stream, 0, |it| front(it, MAX_BYTES)) {
            Ok(Front::Frame { frame, rest }) => {
                assert_eq!(stream.len(), 4 + frame.len() + rest.len());
                assert!((8..=MAX_BYTES).contains(&frame.len()));
                frames.push(frame.len());
                stream = rest;
            }
            Ok(Front::Partial { needed_bytes }) => {
                assert!(needed_bytes > stream.len() && needed_bytes <= MAX_BYTES + 4);
                return (frames, Ok(stream.len()));
            }
            Err(error) => return (frames, Err(error)),
        }
    }
}

/// In chunks, as a socket gives them.
fn chunked(stream: &[u8], mut lengths: u32) -> Cut {
    let (mut frames, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        match bounded(&stream[start..end], 0, |it| front(it, MAX_BYTES)) {
            Ok(Front::Frame { frame, .. }) => {
                frames.push(frame.len());
                start += 4 + frame.len();
            }
            Ok(Front::Partial { .. }) if end == stream.len() => return (frames, Ok(end - start)),
            Ok(Front::Partial { .. }) => {
                lengths = lengths.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                end = stream.len().min(end + 1 + (lengths >> 26) as usize);
            }
            Err(error) => return (frames, Err(error)),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&seed, stream)) = input.split_first_chunk::<4>() else { return };
    assert_eq!(chunked(stream, u32::from_le_bytes(seed)), whole(stream));
});
