//! Every bound of this crate, and how they relate.

/// What direct I/O reads and writes in, and what a crash may tear.
pub const BLOCK_BYTES: u32 = 4096;
/// Bytes of a group header.
pub(crate) const GROUP_HEADER_BYTES: usize = 128;
/// Bytes of an entry before its body.
pub(crate) const ENTRY_HEADER_BYTES: usize = 8;
/// Bytes of a row in the table of the previous group.
pub(crate) const TABLE_ROW_BYTES: usize = 24;
/// The smallest ring file: a group of the smallest cap and its neighbours fit.
pub const RING_FILE_BYTES_MIN: u64 = 16 * 1024;
/// Ring files of one shard: 8 TiB of journal at 8 MiB each would be absurd, a thousand is plenty.
pub const RING_SLOTS_MAX: u32 = 1024;
/// Largest ring file: a group's size is a u32.
pub const RING_FILE_BYTES_MAX: u64 = 1 << 30;
/// Index entries in one page.
pub(crate) const INDEX_PAGE_ENTRIES: usize = 168;
/// Entries that make a page worth writing.
pub(crate) const INDEX_PAGE_ENTRIES_WANTED: usize = 64;
/// Log bytes that make a page worth writing.
pub(crate) const INDEX_PAGE_SPAN_WANTED: u32 = 1 << 20;
/// Batches remembered per producer, as in Kafka: a producer has at most five in flight.
pub(crate) const PRODUCER_BATCHES: usize = 5;
/// A segment's bytes and an index entry's position: Kafka's `segment.bytes` is an i32.
pub(crate) const SEGMENT_BYTES_MAX: u32 = i32::MAX as u32;
/// Damaged ranges of a ring beyond which the shard does not open (R6).
pub const READ_ERRORS_MAX: u32 = 8;
/// Bytes of a superblock or manifest.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Copies of the superblock.
pub(crate) const SUPERBLOCK_COPIES: usize = 4;
/// Version of the format: of the manifest and the superblock. Parts that are read after them have
/// numbers of their own.
pub(crate) const FORMAT_VERSION: u32 = 2;
/// Clusters name themselves in at most this many bytes.
pub const CLUSTER_ID_BYTES_MAX: usize = 256;

const _: () = assert!(64 + INDEX_PAGE_ENTRIES * 24 <= PAGE_BYTES);
const _: () = assert!(INDEX_PAGE_ENTRIES_WANTED <= INDEX_PAGE_ENTRIES);
const _: () =
    assert!(RING_FILE_BYTES_MIN.is_power_of_two() && RING_FILE_BYTES_MAX.is_power_of_two());

/// `bytes` rounded up to whole blocks.
pub(crate) const fn round_up(bytes: u32) -> u32 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// `bytes` rounded down to whole blocks.
pub(crate) const fn round_down(bytes: u32) -> u32 {
    bytes / BLOCK_BYTES * BLOCK_BYTES
}
