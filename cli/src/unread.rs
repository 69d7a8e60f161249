//! What a group has not read yet: how old it is, and until when retention keeps it.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Admin, Cluster, ConfigEntry, ConsumeError, Consumer, ConsumerConfig, Seek};

/// How long to wait for the oldest unread records. A partition whose record did not come is shown without.
const PATIENCE: Duration = Duration::from_secs(10);
/// One record is wanted of each partition.
const PARTITION_BYTES: usize = 16 << 10;

/// A partition and the offset from which on it is unread.
pub(crate) type Place = (String, i32, i64);

/// Reads the timestamp of the first unread record of each place, in milliseconds since 1970 UTC.
///
/// # Errors
/// The cluster refuses; what cannot be read is left out.
pub(crate) async fn first_timestamps(
    cluster: &Cluster,
    places: &[Place],
) -> Result<BTreeMap<(String, i32), i64>, ConsumeError> {
    let mut found = BTreeMap::new();
    if places.is_empty() {
        return Ok(found);
    }
    let consumer = Consumer::new(
        cluster,
        ConsumerConfig { partition_bytes_max: PARTITION_BYTES, ..ConsumerConfig::default() },
    );
    for (topic, partition, offset) in places {
        consumer.assign(topic, *partition, Seek::Offset(*offset)).await?;
    }
    let deadline = cluster.world().now() + PATIENCE;
    while found.len() < places.len() {
        let left = deadline.since(cluster.world().now());
        match consumer.poll(left).await {
            Ok(Some(fetched)) => {
                let Some(record) = fetched.records().next() else { continue };
                let place = (record.topic.to_owned(), record.partition);
                consumer.pause(&place.0, place.1)?;
                found.entry(place).or_insert(record.timestamp_ms);
            }
            Ok(None) => break,
            // Of one partition; the others can be read on.
            Err(ConsumeError::Damaged { .. } | ConsumeError::OutOfRange { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// How long a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Milliseconds from a record's time on; `None` is for ever.
    time_ms: Option<i64>,
    /// Old records go sooner when a partition is larger than the topic allows.
    pub(crate) by_size: bool,
}

impl Retention {
    /// What a topic's configuration says.
    fn of(configs: &[ConfigEntry]) -> Self {
        let value = |name: &str| {
            let entry = configs.iter().find(|entry| entry.name == name);
            entry.and_then(|entry| entry.value.as_deref())
        };
        let number = |name: &str| value(name).and_then(|text| text.parse::<i64>().ok());
        let deletes =
            value("cleanup.policy").is_none_or(|it| it.split(',').any(|it| it.trim() == "delete"));
        Self {
            time_ms: number("retention.ms").filter(|ms| deletes && *ms >= 0),
            by_size: deletes && number("retention.bytes").is_some_and(|bytes| bytes >= 0),
        }
    }

    /// Until when a record of this time is kept at least, in milliseconds since 1970 UTC. It goes with
    /// its segment, whose newest record decides, so it may stay longer.
    pub(crate) fn keeps_until(self, timestamp_ms: i64) -> Option<i64> {
        Some(timestamp_ms.saturating_add(self.time_ms?))
    }
}

/// The retention of each topic; one that is gone has none.
pub(crate) async fn retentions<'a>(
    admin: &Admin,
    topics: impl Iterator<Item = &'a str>,
) -> BTreeMap<String, Retention> {
    let mut found = BTreeMap::new();
    for topic in topics {
        if found.contains_key(topic) {
            continue;
        }
        if let Ok(configs) = admin.describe_configs(topic).await {
            found.insert(topic.to_owned(), Retention::of(&configs));
        }
    }
    found
}

/// A span of time for people: the two largest units that count.
pub(crate) fn human_span(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {}s", seconds % 60),
        3600..86_400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use client::ConfigSource;

    use super::*;

    #[test]
    fn spans_are_told_in_two_units() {
        let told = [0, 59_999, 61_000, 3_600_000, 90_000_000, -5].map(human_span);
        assert_eq!(told, ["0s", "59s", "1m 1s", "1h 0m", "1d 1h", "0s"]);
    }

    #[test]
    fn retention_is_what_the_topic_says() {
        let of = |settings: &[(&str, &str)]| {
            let entries = settings.iter().map(|(name, value)| ConfigEntry {
                name: (*name).to_owned(),
                value: Some((*value).to_owned()),
                source: ConfigSource::Topic,
                is_read_only: false,
                is_sensitive: false,
            });
            Retention::of(&entries.collect::<Vec<_>>())
        };
        let week = of(&[("retention.ms", "604800000"), ("retention.bytes", "-1")]);
        assert_eq!((week.keeps_until(1000), week.by_size), (Some(604_801_000), false));
        let both = [("cleanup.policy", "compact, delete"), ("retention.ms", "5")];
        assert_eq!(of(&both).keeps_until(1), Some(6));
        assert_eq!(of(&[("retention.ms", "-1")]).keeps_until(1), None);
        let compacted =
            of(&[("cleanup.policy", "compact"), ("retention.ms", "5"), ("retention.bytes", "9")]);
        assert_eq!((compacted.keeps_until(1), compacted.by_size), (None, false));
        assert!(of(&[("retention.bytes", "9")]).by_size);
    }
}
