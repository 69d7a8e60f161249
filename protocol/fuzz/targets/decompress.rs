//! Decompressors: no input makes one panic, pass its limit, or allocate far beyond it; and what was compressed here comes
//! back, unless it was changed, and then no more of it than the limit.
#![no_main]

use fuzz::{bounded, unpack};
use libfuzzer_sys::fuzz_target;
use protocol::Compression;
use protocol::batch::compress::{check_framing, compress, output_limit};

fuzz_target!(|input: &[u8]| {
    let Some((&[choice, limit, at_low, at_high, to], bytes)) = input.split_first_chunk::<5>()
    else {
        return;
    };
    let codec = Compression::ALL[usize::from(choice >> 2) % Compression::ALL.len()];
    let limit_bytes = 1 << (limit % 20);
    if choice & 1 == 0 {
        let _framing = bounded(bytes, 0, |it| check_framing(codec, it));
        unpack(codec, bytes, limit_bytes);
        unpack(codec, bytes, output_limit(bytes.len()));
        return;
    }
    let mut packed = Vec::new();
    // Two levels of gzip: the first writes other blocks than the default, and costs less.
    let level = (codec == Compression::Gzip && limit < 192).then_some(1);
    compress(codec, bytes, level, &mut packed).expect("a valid level");
    bounded(&packed, 0, |it| check_framing(codec, it)).expect("our own framing");
    let whole = unpack(codec, &packed, bytes.len().max(1)).expect("our own stream");
    assert_eq!(whole, bytes);
    assert_eq!(unpack(codec, &packed, limit_bytes).is_some(), bytes.len() <= limit_bytes);
    if choice & 2 != 0 && !packed.is_empty() {
        let at = usize::from(u16::from_le_bytes([at_low, at_high])) % packed.len();
        packed[at] = to;
        unpack(codec, &packed, limit_bytes);
    }
});
