//! Topic settings on their way to the log: from what was configured to what storage does.

use std::time::Duration;

use protocol::TopicId;
use protocol::batch::Compression;
use protocol::metadata::config::{
    CompressionType, Layers, TimestampType, TopicConfig, broker_key, check_broker_value, topic_key,
};
use protocol::metadata::image::ConfigMap;
use protocol::metadata::{Image, Record, Resource, Topic};
use storage::{CompactionConfig, LogConfig};

use crate::broker::Serving;
use crate::config::BrokerConfig;
use crate::decide::KAFKA_LISTENER;
use crate::shard::Shard;

/// Whether broker-wide settings are known and legal, before anything depends on them.
///
/// # Errors
/// One line that names the setting and says what is wrong with it.
pub(crate) fn check(settings: &ConfigMap) -> Result<(), String> {
    for (name, value) in settings {
        let below = topic_key(name).map(|key| key.synonyms);
        match (broker_key(name), below) {
            (Some(_), _) => {}
            (None, Some([below, ..])) => {
                let below = below.name;
                return Err(format!(
                    "setting '{name}' belongs to a topic; for all topics of a broker it is '{below}'"
                ));
            }
            (None, _) => return Err(format!("setting '{name}' is unknown")),
        }
        check_broker_value(name, value).map_err(|wrong| format!("setting '{name}': {wrong}"))?;
    }
    Ok(())
}

/// Adds what the broker is and does to the settings it reports: its id, addresses, directory and limits.
pub(crate) fn complete(config: &mut BrokerConfig, serving: &Serving) {
    let (host, port) = config
        .advertise
        .clone()
        .unwrap_or_else(|| (serving.kafka.ip().to_string(), serving.kafka.port()));
    let limits = &config.limits;
    let idle_ms = limits.idle_ms;
    let facts = [
        ("node.id", config.broker_id.to_string()),
        ("broker.id", config.broker_id.to_string()),
        ("process.roles", "broker,controller".to_owned()),
        ("listeners", format!("{KAFKA_LISTENER}://{}", serving.kafka)),
        ("advertised.listeners", format!("{KAFKA_LISTENER}://{host}:{port}")),
        ("log.dirs", config.dir.display().to_string()),
        ("socket.request.max.bytes", limits.request_max_bytes.to_string()),
        ("fetch.max.bytes", limits.fetch_max_bytes.to_string()),
        ("max.connections", limits.connections_max.to_string()),
        ("max.connections.per.ip", limits.connections_per_ip_max.to_string()),
        ("connections.max.idle.ms", idle_ms.to_string()),
    ];
    let rack = config.rack.clone().map(|rack| ("broker.rack", rack));
    let facts = facts.into_iter().chain(rack);
    // What nobody chose is reported as the default that it is.
    let chosen = facts.filter(|(name, value)| {
        config.kafka_settings.contains_key(*name)
            || broker_key(name).and_then(|key| key.default) != Some(value.as_str())
    });
    let chosen: Vec<_> = chosen.map(|(name, value)| (name.to_owned(), value)).collect();
    config.kafka_settings.extend(chosen);
}

/// A topic's settings as they count now.
pub(crate) fn topic_config(shard: &Shard, image: &Image, topic: &Topic) -> TopicConfig {
    let layers = Layers::new(image, shard.node.broker_id, &shard.config.kafka_settings);
    TopicConfig::resolve(&layers, Some(&topic.configs))
}

/// What storage needs to know of them.
pub(crate) fn log_config(config: &TopicConfig) -> LogConfig {
    let forever = |limit: Option<u64>| limit.map_or(-1, capped);
    // Without `delete` no age or size lets anything go.
    let kept = |limit| if config.cleanup.delete { forever(limit) } else { -1 };
    LogConfig {
        retention_ms: kept(config.retention_ms),
        retention_bytes: kept(config.retention_bytes),
        segment_bytes: config.segment_bytes,
        segment_ms: capped(config.segment_ms),
        segment_jitter_ms: capped(config.segment_jitter_ms),
        max_message_bytes: config.max_message_bytes as usize,
        timestamp_type: match config.timestamp_type {
            TimestampType::CreateTime => storage::TimestampType::Create,
            TimestampType::LogAppendTime => storage::TimestampType::LogAppend,
        },
        timestamp_before_max_ms: capped(config.timestamp_before_max_ms),
        timestamp_after_max_ms: capped(config.timestamp_after_max_ms),
        flush_messages: capped(config.flush_messages),
        flush_ms: capped(config.flush_ms),
        compaction: config.cleanup.compact.then(|| CompactionConfig {
            dirty_ratio_min: config.min_cleanable_dirty_ratio,
            lag_min_ms: capped(config.min_compaction_lag_ms),
            lag_max_ms: capped(config.max_compaction_lag_ms),
            delete_retention_ms: capped(config.delete_retention_ms),
        }),
        ..LogConfig::default()
    }
}

/// How long compaction rests when there is nothing to do.
pub(crate) fn compaction_backoff(shard: &Shard) -> Duration {
    let image = shard.view.image();
    let layers = Layers::new(&image, shard.node.broker_id, &shard.config.kafka_settings);
    let value = broker_key("log.cleaner.backoff.ms").and_then(|key| layers.broker_value(key).0);
    let millis = value.and_then(|text| text.trim().parse().ok()).unwrap_or(15_000);
    // Never without a pause.
    Duration::from_millis(millis).max(Duration::from_millis(10))
}

/// The memory in which all shards together hold keys while they compact, if it was set.
pub(crate) fn compaction_bytes(at_start: &ConfigMap) -> Option<u64> {
    let key = broker_key("log.cleaner.dedupe.buffer.size")?;
    let text = at_start.get(key.name).map(String::as_str).or(key.default)?;
    text.trim().parse().ok()
}

fn capped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The codec a topic insists on, and its level; none if each batch stays as it came.
pub(crate) fn codec(config: &TopicConfig) -> Option<(Compression, Option<i32>)> {
    match config.compression {
        CompressionType::Producer => None,
        CompressionType::Uncompressed => Some((Compression::None, None)),
        CompressionType::Gzip => Some((Compression::Gzip, config.gzip_level.map(i32::from))),
        CompressionType::Snappy => Some((Compression::Snappy, None)),
        CompressionType::Lz4 => Some((Compression::Lz4, None)),
        CompressionType::Zstd => Some((Compression::Zstd, Some(config.zstd_level))),
    }
}

/// The topic whose own settings a record changes.
pub(crate) fn touched_topic(record: &Record) -> Option<TopicId> {
    match record {
        Record::ConfigSet { resource: Resource::Topic(topic), .. }
        | Record::ConfigCleared { resource: Resource::Topic(topic), .. } => Some(*topic),
        _ => None,
    }
}

/// Whether a record changes settings that topics inherit.
pub(crate) fn touches_all(record: &Record) -> bool {
    matches!(
        record,
        Record::ConfigSet { resource: Resource::Broker(_) | Resource::BrokerDefault, .. }
            | Record::ConfigCleared { resource: Resource::Broker(_) | Resource::BrokerDefault, .. }
    )
}

#[cfg(test)]
mod tests;
