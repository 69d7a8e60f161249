//! Writes the seeds of the batch, decompress and native targets. `ci/fuzz --seeds` runs it.

use std::fs;
use std::path::Path;

use protocol::Compression;
use protocol::batch::HEADER_BYTES;
use protocol::batch::builder::BatchBuilder;
use protocol::batch::records::Header;

const GOLDEN: &str = include_str!("../../src/native/tests/golden.txt");

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for target in ["batch", "decompress", "native"] {
        fs::create_dir_all(root.join(target))?;
    }
    for codec in Compression::ALL {
        let mut batch = BatchBuilder::new(codec);
        let header = [Header { key: b"trace", value: Some(b"1") }];
        batch.append(Some(b"key"), Some(b"value"), &header, 1_700_000_000_000).expect("small");
        batch.append(None, Some(&[b'x'; 200]), &[], 1_700_000_000_100).expect("small");
        batch.append(Some(b"gone"), None, &[], 1_700_000_000_001).expect("small");
        let mut bytes = vec![0];
        batch.build(&mut bytes).expect("a batch");
        fs::write(root.join("batch").join(codec.name()), &bytes)?;
        // Mode, limit and place of change, then the stream; and once the plain records.
        let choice = (codec.id() as u8) << 2;
        let stream = [&[choice, 19, 0, 0, 0], &bytes[1 + HEADER_BYTES..]].concat();
        fs::write(root.join("decompress").join(codec.name()), stream)?;
        let plain = [&[choice | 3, 19, 9, 0, 1], &[b'y'; 300][..]].concat();
        fs::write(root.join("decompress").join(format!("{}_plain", codec.name())), plain)?;
    }
    // Mode 1: built by the target. Two changes, a producer, some records.
    let script: Vec<u8> = (0..120).map(|at: u8| at.wrapping_mul(37) | 1).collect();
    fs::write(root.join("batch").join("script"), script)?;
    for line in GOLDEN.lines() {
        let (name, hex) = line.split_once(' ').expect("a name and bytes");
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
        let mut frame = vec![0];
        frame.extend(bytes.map(|byte| byte.expect("hex")));
        fs::write(root.join("native").join(name), frame)?;
    }
    Ok(())
}
