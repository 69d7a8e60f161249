//! Reading a log for compaction: its batches in order, verified, unpacked where they must be looked
//! into, with rests in between so that those who wait for an answer do not notice.

use std::rc::Rc;
use std::time::Duration;

use protocol::batch::compress::{decompress, output_limit};
use protocol::batch::{CheckedBatch, Compression};
use runtime::Nanos;

use crate::compact::Stopped;
use crate::log::Log;
use crate::log::disk::Regions;
use crate::log::state::SegmentState;
use crate::segment::walk::Walk;
use crate::store::Inner;

/// Bytes read at a time while clients append: what comes meanwhile waits for no more than that.
const SMALL_READ_BYTES: usize = 64 << 10;
/// Bytes read at a time while nobody waits: fewer reads, less work for each byte.
const READ_BYTES: usize = 256 << 10;
/// From this size on a batch is unpacked, and packed, on a thread of its own.
const THREAD_FROM_BYTES: usize = 32 << 10;
/// While clients append, a rest is as long as the work before it times this.
const REST_FACTOR: u32 = 4;
/// And no longer than this.
const REST_MAX: Duration = Duration::from_millis(50);

/// The regions of a segment from an offset on, verified.
pub(crate) async fn read(
    log: &Log,
    segment: &SegmentState,
    from: i64,
    pace: &Pace,
) -> Result<Rc<Regions>, Stopped> {
    log.verified_regions(segment.name(), from, pace.read_bytes).await?.ok_or(Stopped::Changed)
}

/// The batches of regions.
pub(crate) fn batches(regions: &Regions) -> Walk<'_> {
    // It starts with a batch, whatever its offset; after that the walk knows what to expect.
    Walk::new(&regions.block, regions.start, 0)
}

/// A batch's record section without compression. `None`: it cannot be unpacked within its bound, so
/// it cannot be looked into.
pub(crate) async fn unpack(store: &Inner, batch: &CheckedBatch<'_>) -> Option<Vec<u8>> {
    let (codec, packed) = (batch.compression(), batch.record_bytes());
    debug_assert_ne!(codec, Compression::None);
    if packed.len() < THREAD_FROM_BYTES {
        return decompress(codec, packed, output_limit(packed.len())).ok();
    }
    let packed = packed.to_vec();
    let unpacked = store
        .world
        .blocking(move || decompress(codec, &packed, output_limit(packed.len())).ok())
        .await;
    unpacked.ok().flatten()
}

/// Work that may take long is better done elsewhere.
pub(crate) async fn pack(
    store: &Inner,
    thinned: protocol::batch::thin::Thinned,
) -> Option<Vec<u8>> {
    if thinned.uncompressed_bytes() < THREAD_FROM_BYTES {
        return thinned.pack().ok();
    }
    store.world.blocking(move || thinned.pack().ok()).await.ok().flatten()
}

/// When to rest, and how long.
pub(crate) struct Pace {
    since: Nanos,
    batches: u64,
    /// How much is read at a time now.
    read_bytes: usize,
}

impl Pace {
    pub(crate) fn new(store: &Inner) -> Self {
        let (since, batches) = (store.world.now(), store.counters.batches.get());
        Self { since, batches, read_bytes: SMALL_READ_BYTES }
    }

    /// After a piece of work: hands over, and rests if clients append.
    pub(crate) async fn rest(&mut self, store: &Inner) -> Result<(), Stopped> {
        let took = store.world.now().since(self.since);
        let appended = store.counters.batches.get();
        if appended == self.batches {
            self.read_bytes = READ_BYTES;
            store.world.turn().await;
        } else {
            self.read_bytes = SMALL_READ_BYTES;
            store.world.sleep((took * REST_FACTOR).min(REST_MAX)).await;
        }
        self.batches = store.counters.batches.get();
        self.since = store.world.now();
        if store.refuses() { Err(Stopped::Changed) } else { Ok(()) }
    }
}
