//! What the fuzz targets share: an allocator that counts, decompression under its bound, and the table of everything that
//! can be decoded.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::Compression;
use protocol::batch::compress::decompress_into;
use protocol::kafka::Api;
use protocol::wire::Version;

/// The system's allocator, with a sum of all that was ever asked of it.
struct Counting;

static ALLOCATED_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the sum is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        ALLOCATED_BYTES.fetch_add(new_bytes.saturating_sub(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, new_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `decode` on the input and insists that it allocated no more than eight bytes for each of the input's, and
/// `base_bytes` besides.
pub fn bounded<'a, T>(input: &'a [u8], base_bytes: usize, decode: impl FnOnce(&'a [u8]) -> T) -> T {
    let before = ALLOCATED_BYTES.load(Ordering::Relaxed);
    let decoded = decode(input);
    let allocated = ALLOCATED_BYTES.load(Ordering::Relaxed) - before;
    let allowed = 8 * input.len() + base_bytes;
    assert!(allocated <= allowed, "{} bytes in, {allocated} allocated", input.len());
    decoded
}

/// What the codecs allocate besides their output. zstd's own share is allocated by C and not seen here; what it may hold
/// is bounded by its window, and by the memory that `ci/fuzz` leaves the process.
const CODEC_BYTES: usize = 1 << 20;

/// Decompresses, and insists that it allocated no more than the bound, its output and the codec's buffers.
pub fn unpack(codec: Compression, packed: &[u8], limit_bytes: usize) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    // Growth doubles, so all steps together take no more than twice the last.
    let base = 2 * limit_bytes + CODEC_BYTES;
    let done = bounded(packed, base, |it| decompress_into(codec, it, limit_bytes, &mut output));
    assert!(output.len() <= limit_bytes);
    assert!(output.capacity() <= limit_bytes.max(packed.len()) * 2 + 64);
    done.is_ok().then_some(output)
}

/// Every API in every version served, in a fixed order.
pub fn versions() -> impl Iterator<Item = (Api, Version)> {
    Api::ALL.iter().flat_map(|&api| {
        api.served().filter_map(move |number| api.version(number).map(|version| (api, version)))
    })
}

/// Takes the first byte of an input as the choice of an API and a version.
pub fn choose(input: &[u8]) -> Option<(Api, Version, &[u8])> {
    let (&choice, body) = input.split_first()?;
    let count = versions().count();
    let (api, version) = versions().nth(usize::from(choice) % count)?;
    Some((api, version, body))
}
