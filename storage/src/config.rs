//! Settings of a store and of a log, as meant.

use std::path::PathBuf;

use protocol::ids::BrokerId;
use runtime::ShardId;

/// Whose directory this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id, at most 256 bytes.
    pub cluster: String,
    /// The broker.
    pub broker: BrokerId,
}

/// How a shard keeps its logs.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The log directory, which all shards of a broker share.
    pub dir: PathBuf,
    /// Whose journal this is.
    pub shard: ShardId,
    /// Bytes the ring may grow to.
    pub journal_bytes: u64,
    /// Memory for bytes of logs, those that are in the journal only included: the tails that readers
    /// get without the disk.
    pub cache_bytes: u64,
    /// Memory for bytes that are in the journal only; beyond it nobody gets room for a while.
    pub unflushed_bytes: u64,
    /// What somebody who was given room may append at most, in bytes. Beyond both together appends
    /// are refused.
    pub request_bytes: u64,
    /// Memory for the keys of one pass of compaction.
    pub compaction_bytes: u64,
    /// Producers remembered, over all logs of the shard.
    pub producers_max: usize,
    /// Forget a producer that was silent this long (`producer.id.expiration.ms`).
    pub producer_expiration_ms: i64,
    /// Open segment files.
    pub open_files_max: usize,
    /// Sizes that tests make tiny.
    pub tuning: Tuning,
}

/// Sizes inside the machine; their defaults are measured.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Bytes of a ring file; a power of two. Fixed when the journal is made.
    pub ring_file_bytes: u64,
    /// A group is closed when it has gathered this much.
    pub group_bytes: usize,
    /// Groups in flight.
    pub groups_in_flight: usize,
    /// A log's share of a group from which it goes straight to its segment.
    pub direct_bytes: u32,
    /// The largest piece of memory an appender fills, and of a segment write.
    pub chunk_bytes: usize,
    /// Space reserved ahead in a segment at most.
    pub allocate_bytes: u64,
    /// Idle time after which an empty group says that everything is durable.
    pub marker_ms: u64,
    /// Reads from disk take at least this much, growing while a reader goes on.
    pub read_ahead_bytes: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            ring_file_bytes: 8 << 20,
            group_bytes: 2 << 20,
            groups_in_flight: 4,
            direct_bytes: 64 << 10,
            chunk_bytes: 1 << 20,
            allocate_bytes: 16 << 20,
            marker_ms: 40,
            read_ahead_bytes: 128 << 10,
        }
    }
}

impl StoreConfig {
    /// The defaults of a broker's shard.
    pub fn new(dir: impl Into<PathBuf>, shard: ShardId) -> Self {
        Self {
            dir: dir.into(),
            shard,
            journal_bytes: 512 << 20,
            cache_bytes: 448 << 20,
            unflushed_bytes: 256 << 20,
            request_bytes: 100 << 20,
            compaction_bytes: 64 << 20,
            producers_max: 100_000,
            producer_expiration_ms: 24 * 60 * 60 * 1000,
            open_files_max: 512,
            tuning: Tuning::default(),
        }
    }
}

/// Which time a batch carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's (`CreateTime`).
    #[default]
    Create,
    /// The broker's (`LogAppendTime`).
    LogAppend,
}

/// A topic's settings as far as its logs are concerned, with Kafka's names and defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `retention.ms`; negative: for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; negative: any size.
    pub retention_bytes: i64,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `max.message.bytes`: of a batch as sent.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `flush.messages`: accepted; every append is on disk before it is acknowledged.
    pub flush_messages: i64,
    /// `flush.ms`: accepted, as above.
    pub flush_ms: i64,
    /// How it is compacted, if `cleanup.policy` has `compact`.
    pub compaction: Option<CompactionConfig>,
}

/// How a log is compacted, with Kafka's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompactionConfig {
    /// `min.cleanable.dirty.ratio`: a pass is due when more of the log is not compacted.
    pub dirty_ratio_min: f64,
    /// `min.compaction.lag.ms`: younger records stay as they are.
    pub lag_min_ms: i64,
    /// `max.compaction.lag.ms`: no record waits longer, whatever the ratio.
    pub lag_max_ms: i64,
    /// `delete.retention.ms`: how long a tombstone stays once older records of its key are gone.
    pub delete_retention_ms: i64,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            dirty_ratio_min: 0.5,
            lag_min_ms: 0,
            lag_max_ms: i64::MAX,
            delete_retention_ms: 24 * 60 * 60 * 1000,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            retention_ms: 7 * 24 * 60 * 60 * 1000,
            retention_bytes: -1,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            segment_jitter_ms: 0,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::Create,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 60 * 60 * 1000,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            compaction: None,
        }
    }
}
