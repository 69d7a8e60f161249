//! A topic's configs as the data path uses them: resolved, parsed, typed.

use super::{ConfigKey, Layers, list_items, topic_key};
use crate::metadata::image::ConfigMap;

/// What counts for one topic on one broker. Times are milliseconds, sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    /// What becomes of old records.
    pub cleanup: Cleanup,
    /// The age at which a segment goes; `None` keeps it.
    pub retention_ms: Option<u64>,
    /// The size of a partition above which its oldest segments go; `None` sets no limit.
    pub retention_bytes: Option<u64>,
    /// The size at which a new segment begins.
    pub segment_bytes: u32,
    /// The age at which a new segment begins.
    pub segment_ms: u64,
    /// The most by which `segment_ms` is shortened at random.
    pub segment_jitter_ms: u64,
    /// The largest batch that is taken, with its header.
    pub max_message_bytes: u32,
    /// How many replicas must be in sync for acks=all.
    pub min_insync_replicas: u32,
    /// The codec in which batches are kept.
    pub compression: CompressionType,
    /// How hard gzip tries; `None` is the library's choice.
    pub gzip_level: Option<u8>,
    /// How hard zstd tries.
    pub zstd_level: i32,
    /// Whose timestamps count.
    pub timestamp_type: TimestampType,
    /// How far a record's timestamp may lie behind the clock.
    pub timestamp_before_max_ms: u64,
    /// How far a record's timestamp may lie ahead of the clock.
    pub timestamp_after_max_ms: u64,
    /// After how many records a sync is due.
    pub flush_messages: u64,
    /// After how long a sync is due.
    pub flush_ms: u64,
    /// How long tombstones stay readable.
    pub delete_retention_ms: u64,
    /// How much must be uncompacted before a pass is worth it, from 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// How long a record stays uncompacted at least.
    pub min_compaction_lag_ms: u64,
    /// How long a record may stay uncompacted.
    pub max_compaction_lag_ms: u64,
    /// Whether a replica that is not in sync may lead.
    pub unclean_leader_election: bool,
}

/// What becomes of old records. Neither: all are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleanup {
    /// Whole segments go by age and size.
    pub delete: bool,
    /// The newest record of each key stays.
    pub compact: bool,
}

/// The codec in which a topic keeps its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionType {
    /// Each as it came.
    Producer,
    /// None.
    Uncompressed,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Whose timestamps a topic's records carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The moment of the append.
    LogAppendTime,
}

impl TopicConfig {
    /// Resolves every config of a topic: `own` is what was set on the topic itself.
    ///
    /// Values were checked when they were set. One that cannot be read now (an older release took it) counts as its
    /// default: a log must open.
    pub fn resolve(layers: &Layers<'_>, own: Option<&ConfigMap>) -> Self {
        let values = Values { layers, own };
        Self {
            cleanup: values.cleanup(),
            retention_ms: values.limit("retention.ms"),
            retention_bytes: values.limit("retention.bytes"),
            segment_bytes: values.get("segment.bytes"),
            segment_ms: values.get("segment.ms"),
            segment_jitter_ms: values.get("segment.jitter.ms"),
            max_message_bytes: values.get("max.message.bytes"),
            min_insync_replicas: values.get("min.insync.replicas"),
            compression: values.compression(),
            gzip_level: values
                .limit("compression.gzip.level")
                .and_then(|level| level.try_into().ok()),
            zstd_level: values.get("compression.zstd.level"),
            timestamp_type: values.timestamp_type(),
            timestamp_before_max_ms: values.get("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: values.get("message.timestamp.after.max.ms"),
            flush_messages: values.get("flush.messages"),
            flush_ms: values.get("flush.ms"),
            delete_retention_ms: values.get("delete.retention.ms"),
            min_cleanable_dirty_ratio: values.get("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: values.get("min.compaction.lag.ms"),
            max_compaction_lag_ms: values.get("max.compaction.lag.ms"),
            unclean_leader_election: values
                .text("unclean.leader.election.enable", |text| text.eq_ignore_ascii_case("true")),
        }
    }
}

struct Values<'a> {
    layers: &'a Layers<'a>,
    own: Option<&'a ConfigMap>,
}

impl Values<'_> {
    fn text<T>(&self, name: &str, read: impl Fn(&str) -> T) -> T {
        let (value, _) = self.layers.topic_value(self.own, key(name));
        read(value.trim())
    }

    /// The number that counts, or the default if that is none.
    fn get<T: std::str::FromStr + Default>(&self, name: &str) -> T {
        let default = || key(name).default.and_then(|text| text.parse().ok()).unwrap_or_default();
        self.text(name, |text| text.parse().ok()).unwrap_or_else(default)
    }

    /// The number that counts, where a negative one means that there is no limit.
    fn limit(&self, name: &str) -> Option<u64> {
        u64::try_from(self.get::<i64>(name)).ok()
    }

    fn cleanup(&self) -> Cleanup {
        self.text("cleanup.policy", |text| Cleanup {
            delete: list_items(text).any(|item| item == "delete"),
            compact: list_items(text).any(|item| item == "compact"),
        })
    }

    fn compression(&self) -> CompressionType {
        self.text("compression.type", |text| match text {
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip,
            "snappy" => CompressionType::Snappy,
            "lz4" => CompressionType::Lz4,
            "zstd" => CompressionType::Zstd,
            _ => CompressionType::Producer,
        })
    }

    fn timestamp_type(&self) -> TimestampType {
        self.text("message.timestamp.type", |text| match text {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        })
    }
}

fn key(name: &str) -> &'static ConfigKey {
    topic_key(name).expect("every name above stands in the table (a test resolves them all)")
}
