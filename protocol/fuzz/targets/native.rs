//! Native frames: whatever a header says, reading it to the last field neither panics nor allocates beyond the bound.
//! Half of the inputs get true lengths and a true checksum, so that they reach the verifier.
#![no_main]

use fuzz::bounded;
use libfuzzer_sys::fuzz_target;
use protocol::crc::{crc32c, crc32c_append};
use protocol::native::visit::visit;
use protocol::native::{Encoder, Frame, FrameError, PREFIX_BYTES, frame_size, refusal::Refusal};

/// What FlatBuffers' verifier may spend on saying what is wrong.
const TRACE_BYTES: usize = 16 * 1024;

/// Writes true lengths and a true checksum over a frame's own.
fn seal(bytes: &mut [u8]) {
    let size = bytes.len();
    if size < PREFIX_BYTES + 8 {
        return;
    }
    let most = (size - PREFIX_BYTES) / 8;
    let declared = u32::from_le_bytes(*bytes[16..].first_chunk().expect("a prefix")) as usize;
    let header_bytes = (declared / 8).clamp(1, most) * 8;
    bytes[..4].copy_from_slice(&(size as u32).to_le_bytes());
    bytes[7] = 0;
    bytes[6] &= 1;
    bytes[16..20].copy_from_slice(&(header_bytes as u32).to_le_bytes());
    let crc =
        crc32c_append(crc32c(&bytes[..20]), &bytes[PREFIX_BYTES..PREFIX_BYTES + header_bytes]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, frame)) = input.split_first() else { return };
    let mut frame = frame.to_vec();
    if choice & 1 == 0 {
        seal(&mut frame);
    }
    let read = bounded(&frame, TRACE_BYTES, visit);
    if let Ok(size) = frame_size(&frame, usize::MAX) {
        assert!(size.is_none_or(|size| (32..=16 << 20).contains(&size)));
    }
    match read {
        Ok(seen) => assert!(seen <= 64 * frame.len(), "{seen} things in {} bytes", frame.len()),
        // Whatever was wrong can be answered.
        Err(FrameError::UnknownKind { correlation, .. }) => {
            let mut encoder = Encoder::new();
            let refusal =
                Refusal { code: read.expect_err("it is").code(), message: "unknown kind" };
            let answer = refusal.encode(correlation, &mut encoder).expect("a refusal is small");
            let answer = Frame::parse(answer).expect("our own frame");
            assert_eq!(Refusal::read(&answer), Ok(Some(refusal)));
        }
        Err(_) => {}
    }
});
