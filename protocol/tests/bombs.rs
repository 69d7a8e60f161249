//! Decompression bombs: 32 KiB that would become a GiB, and what they are allowed to cost.
//!
//! One test in a process of its own, because it watches the process's memory.
#![expect(unsafe_code, reason = "an allocator that counts is written with unsafe")]
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;

use protocol::Compression;
use protocol::batch::compress::{DecompressError, decompress, output_limit};

thread_local! {
    // Each thread counts for itself: the test runner's own thread allocates whenever it likes.
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.get().wrapping_add(layout.size());
        HELD.set(held);
        PEAK.set(PEAK.get().max(held));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const BOMB_BYTES: usize = 32 * 1024;

/// A zstd frame of 8,191 run-length blocks of 128 KiB each, four bytes a block.
fn zstd_bomb() -> Vec<u8> {
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (23 - 10) << 3];
    let blocks = 8_191_u32;
    for block in 1..=blocks {
        let header = u32::from(block == blocks) | 1 << 1 | (128 * 1024) << 3;
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(0);
    }
    bomb
}

/// A gzip stream of zeros, at deflate's best ratio of about 1,030.
fn gzip_bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..31 {
        encoder.write_all(&vec![0; 1024 * 1024]).unwrap();
    }
    encoder.finish().unwrap()
}

/// An lz4 frame of 4 MiB blocks of zeros, at lz4's best ratio of about 255.
fn lz4_bomb() -> Vec<u8> {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max4MB);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&vec![0; 8 * 1024 * 1024]).unwrap();
    encoder.finish().unwrap()
}

/// Framed snappy blocks of zeros, each claiming truthfully, at snappy's best ratio of about 21.
fn snappy_bomb() -> Vec<u8> {
    let block = snap::raw::Encoder::new().compress_vec(&vec![0; 1024 * 1024]).unwrap();
    let mut bomb = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for _ in 0..16 {
        bomb.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
        bomb.extend_from_slice(&block);
    }
    bomb
}

/// What the process has ever had in memory, in bytes, C libraries included.
fn resident_peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_bomb_costs_no_more_than_its_limit() {
    let bombs = [
        (Compression::Zstd, zstd_bomb()),
        (Compression::Gzip, gzip_bomb()),
        (Compression::Lz4, lz4_bomb()),
        (Compression::Snappy, snappy_bomb()),
    ];
    // Building the bombs took memory: from here on, only what is new counts.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let resident_before = resident_peak();
    for (codec, bomb) in bombs {
        let limit_bytes = output_limit(bomb.len().min(BOMB_BYTES));
        if codec != Compression::Snappy {
            assert!(bomb.len() <= BOMB_BYTES + BOMB_BYTES / 64, "{codec:?}: {}", bomb.len());
        }
        let before = HELD.get();
        PEAK.set(before);
        let error = decompress(codec, &bomb, limit_bytes).expect_err("a bomb exceeds any limit");
        assert_eq!(error, DecompressError::TooLarge { limit_bytes }, "{codec:?}");
        let peak = PEAK.get() - before;
        assert_eq!(HELD.get(), before, "{codec:?} keeps nothing");
        // The output twice, while it moves to a larger place, and the codec's own buffers.
        let allowed = 2 * limit_bytes + 9 * 1024 * 1024;
        println!("{codec:?}: {} B, limit {limit_bytes} B, peak {peak} B", bomb.len());
        assert!(peak <= allowed, "{codec:?}: {peak} bytes for a limit of {limit_bytes}");
    }
    let grown = resident_peak().saturating_sub(resident_before);
    println!("resident memory grew by {grown} B");
    assert!(grown < 64 * 1024 * 1024, "{grown}");
}
