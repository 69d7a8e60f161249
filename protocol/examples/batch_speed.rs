//! Prints what a produced batch costs on one core: checksum, check, walk, copy.
//!
//! `cargo run --release -p protocol --example batch_speed`
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measurement on a terminal, outside every shard"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use protocol::batch::builder::BatchBuilder;
use protocol::{Compression, LeaderEpoch, Offset, RawBatch};

const BATCH_BYTES: usize = 1024 * 1024;

fn main() {
    println!("crc32c, GB/s:");
    for size in [64, 256, 1024, 4096, 16 * 1024, 64 * 1024, 1024 * 1024] {
        let bytes = vec![0x5a_u8; size];
        let each = time(|| {
            black_box(protocol::crc::crc32c(black_box(&bytes)));
        });
        println!("  {size:>8} B  {:6.1}", size as f64 / each.as_secs_f64() / 1e9);
    }
    println!("one batch of about 1 MiB, ns per record (and GB/s):");
    for (name, key, value_bytes) in [
        ("10 B", false, 10),
        ("100 B", false, 100),
        ("100 B + key", true, 100),
        ("1 KiB", false, 1024),
    ] {
        let bytes = batch(key, value_bytes);
        let batch = RawBatch(&bytes).check_produced().unwrap();
        let mut out = vec![0; bytes.len()];
        let per_record = |each: Duration| {
            let ns = each.as_nanos() as f64 / f64::from(batch.record_count());
            format!("{ns:7.2} ({:5.1})", bytes.len() as f64 / each.as_secs_f64() / 1e9)
        };
        let check = time(|| {
            black_box(RawBatch(black_box(&bytes)).check_produced()).unwrap();
        });
        let walk = time(|| {
            black_box(batch.walk()).unwrap();
        });
        let copy =
            time(|| batch.copy_assigned(Offset::ZERO, LeaderEpoch::ZERO, black_box(&mut out)));
        let read = time(|| {
            let bytes: usize =
                batch.records().map(|it| it.unwrap().value.map_or(0, <[u8]>::len)).sum();
            black_box(bytes);
        });
        println!(
            "  {name:>12}  check {}  walk {}  copy {}  iterate {}",
            per_record(check),
            per_record(walk),
            per_record(copy),
            per_record(read)
        );
    }
}

fn batch(key: bool, value_bytes: usize) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Compression::None);
    let mut timestamp = 1_700_000_000_000;
    let mut state = 1_u64;
    while batch.uncompressed_bytes() < BATCH_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let key_bytes = state.to_be_bytes();
        timestamp += i64::from(state >> 60 == 0);
        let key = key.then_some(&key_bytes[..]);
        batch.append(key, Some(&vec![7; value_bytes]), &[], timestamp).unwrap();
    }
    let mut bytes = Vec::new();
    batch.build(&mut bytes).unwrap();
    bytes
}

/// The best of several rounds: other work on the machine only ever adds.
fn time(mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let rounds = 20_u32;
        let start = Instant::now();
        for _ in 0..rounds {
            work();
        }
        best = best.min(start.elapsed() / rounds);
    }
    best
}
