//! What the fuzz targets share: an allocator that counts, and the table of everything that can be decoded.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

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
