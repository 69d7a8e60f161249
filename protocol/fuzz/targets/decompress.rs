//! Decompressors: no input makes one panic, pass its limit, or allocate far beyond it; and what was compressed here comes
//! back, unless it was changed, and then no more of it than the limit.
#![no_main]

use fuzz::bounded;
use libfuzzer_sys::fuzz_target;
use protocol::Compression;
use protocol::batch::compress::{check_framing, compress, decompress_into, output_limit};

/// What the codecs hold besides their output.
const BUFFERS_BYTES: usize = 1 << 20;

fn unpack(codec: Compression, packed: &[u8], limit_bytes: usize) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    // Growth doubles, so all steps together take no more than twice the last.
    let base = 2 * limit_bytes + BUFFERS_BYTES;
    let done = bounded(packed, base, |it| decompress_into(codec, it, limit_bytes, &mut output));
    assert!(output.len() <= limit_bytes);
    assert!(output.capacity() <= limit_bytes.max(packed.len()) * 2 + 64);
    done.is_ok().then_some(output)
}

fuzz_target!(|input: &[u8]| {
    let Some((&[choice, limit, at_low, at_high, to], bytes)) = input.split_first_chunk::<5>()
    else {
        return;
    };
    let codec = Compression::ALL[usize::from(choice >> 2) % Compression::ALL.len()];
    let limit_bytes = 1 << (limit % 20);
    if choice & 1 == 0 {
        let _framing = check_framing(codec, bytes);
        unpack(codec, bytes, limit_bytes);
        unpack(codec, bytes, output_limit(bytes.len()));
        return;
    }
    let mut packed = Vec::new();
    compress(codec, bytes, None, &mut packed).expect("the default level is valid");
    check_framing(codec, &packed).expect("our own framing");
    let whole = unpack(codec, &packed, bytes.len().max(1)).expect("our own stream");
    assert_eq!(whole, bytes);
    assert_eq!(unpack(codec, &packed, limit_bytes).is_some(), bytes.len() <= limit_bytes);
    if choice & 2 != 0 && !packed.is_empty() {
        let at = usize::from(u16::from_le_bytes([at_low, at_high])) % packed.len();
        packed[at] = to;
        unpack(codec, &packed, limit_bytes);
    }
});
