//! The tables are whole and sorted, values are judged as Kafka judges them, and the nearest setting counts.

use super::*;
use crate::metadata::image::{ConfigMap, Image};
use crate::metadata::record::{Record, Resource};
use crate::{BrokerId, Offset, TopicId};

#[test]
fn tables_are_sorted_and_their_defaults_are_legal() {
    for (table, check) in [
        (TOPIC_CONFIGS, check_topic_value as fn(&str, &str) -> _),
        (BROKER_CONFIGS, check_broker_value),
    ] {
        assert!(table.is_sorted_by(|one, other| one.name < other.name));
        for key in table {
            if let Some(default) = key.default {
                assert_eq!(check(key.name, default), Ok(()), "{}", key.name);
            }
            assert!(key.doc.ends_with('.') && !key.doc.contains('\n'), "{}", key.name);
        }
    }
}

#[test]
fn every_broker_config_below_a_topics_exists_and_has_the_same_default() {
    for key in TOPIC_CONFIGS {
        for synonym in key.synonyms {
            let below = broker_key(synonym.name).unwrap_or_else(|| panic!("{}", synonym.name));
            let Some(default) = below.default else { continue };
            let scaled = default.parse::<i64>().map_or(default.to_owned(), |number| {
                number.saturating_mul(synonym.scale).to_string()
            });
            assert_eq!(Some(scaled.as_str()), key.default, "{}", synonym.name);
        }
    }
}

#[test]
fn values_are_refused_with_kafkas_words() {
    // config │ value │ reason as Kafka 4.3.1 gives it
    let cases = [
        ("segment.bytes", "1000", "Value must be at least 1048576"),
        ("segment.bytes", "abc", "Not a number of type INT"),
        ("segment.bytes", "", "Not a number of type INT"),
        ("segment.bytes", "99999999999", "Not a number of type INT"),
        ("retention.ms", "-2", "Value must be at least -1"),
        ("retention.ms", "9223372036854775808", "Not a number of type LONG"),
        ("retention.ms", "0x10", "Not a number of type LONG"),
        ("cleanup.policy", "foo", "String must be one of: compact, delete"),
        (
            "compression.type",
            "none",
            "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        ("min.insync.replicas", "0", "Value must be at least 1"),
        ("message.timestamp.type", "Foo", "String must be one of: CreateTime, LogAppendTime"),
        ("min.cleanable.dirty.ratio", "1.5", "Value must be no more than 1"),
        ("min.cleanable.dirty.ratio", "-0.1", "Value must be at least 0"),
        ("min.cleanable.dirty.ratio", "NaN", "Not a number of type DOUBLE"),
        ("preallocate", "yes", "Expected value to be either true or false"),
        ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
        ("compression.lz4.level", "18", "Value must be no more than 17"),
        ("compression.zstd.level", "-131073", "Value must be at least -131072"),
        ("flush.messages", "0", "Value must be at least 1"),
    ];
    for (name, value, reason) in cases {
        let error = check_topic_value(name, value).unwrap_err().to_string();
        assert_eq!(error, format!("Invalid value {value} for configuration {name}: {reason}"));
    }
    let message = |name, value| check_topic_value(name, value).unwrap_err().to_string();
    assert_eq!(message("nope", "1"), "Unknown topic config name: nope");
    assert_eq!(
        message("cleanup.policy", "delete,"),
        "Configuration 'cleanup.policy' values must not be empty."
    );
    assert_eq!(
        message("leader.replication.throttled.replicas", "x"),
        "Invalid value [x] for configuration leader.replication.throttled.replicas: \
         leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the \
         following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    );
    assert!(message("remote.storage.enable", "TRUE").contains("Tiered Storage"));
    assert!(message("retention.ms", &"1".repeat(32_768)).contains("32767 bytes"));
}

#[test]
fn values_are_taken_that_kafka_takes() {
    for (name, value) in [
        ("segment.bytes", " 2097152 "),
        ("retention.ms", "-1"),
        ("retention.ms", "+5"),
        ("retention.bytes", "-5"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "compact , delete"),
        ("cleanup.policy", "delete,delete"),
        ("compression.type", " uncompressed"),
        ("preallocate", "TRUE"),
        ("leader.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", "0:1,1:1"),
        ("message.format.version", "2.0"),
        ("local.retention.ms", "999999999999"),
        ("compression.gzip.level", "-1"),
    ] {
        assert_eq!(check_topic_value(name, value), Ok(()), "{name}={value}");
    }
}

#[test]
fn lags_of_compaction_must_not_cross() {
    let configs = |pairs: &[(&str, &str)]| -> ConfigMap {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let both = configs(&[("min.compaction.lag.ms", "100"), ("max.compaction.lag.ms", "50")]);
    assert_eq!(
        check_topic_configs(&both).unwrap_err().to_string(),
        "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)"
    );
    assert_eq!(check_topic_configs(&configs(&[("min.compaction.lag.ms", "100")])), Ok(()));
}

#[test]
fn values_are_kept_as_kafka_shows_them() {
    let shown = |name: &str, value| canonical(topic_key(name), value);
    assert_eq!(shown("cleanup.policy", " compact , delete ,compact"), "compact,delete");
    assert_eq!(shown("preallocate", "TRUE"), "true");
    assert_eq!(shown("retention.ms", " +5 "), "5");
    assert_eq!(shown("compression.type", " gzip "), "gzip");
}

/// An image with a topic and these configs, and what the broker was started with.
fn layered(dynamic: &[(Resource, &str, &str)], at_start: &[(&str, &str)]) -> (Image, ConfigMap) {
    let created = Record::TopicCreated { topic: topic(), name: "t".to_owned() };
    let set = |(resource, key, value): &(Resource, &str, &str)| Record::ConfigSet {
        resource: resource.clone(),
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    let records: Vec<_> = std::iter::once(created).chain(dynamic.iter().map(set)).collect();
    let at_start = at_start.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    (Image::restore(Offset::ZERO, &records).unwrap(), at_start.collect())
}

fn topic() -> TopicId {
    TopicId::new([1; 16])
}

fn broker() -> BrokerId {
    BrokerId::new(1).unwrap()
}

#[test]
fn the_nearest_setting_counts() {
    let own = (Resource::Topic(topic()), "retention.ms", "1");
    let on_broker = (Resource::Broker(broker()), "log.retention.ms", "2");
    let on_all = (Resource::BrokerDefault, "log.retention.ms", "3");
    let at_start = ("log.retention.hours", "4");
    // what is set │ the value │ its source
    let hours = "14400000";
    let cases: [(&[_], &[_], _, _); 6] = [
        (&[own, on_broker.clone(), on_all.clone()], &[at_start], "1", Source::DynamicTopic),
        (&[on_broker, on_all.clone()], &[at_start], "2", Source::DynamicBroker),
        (&[on_all], &[at_start], "3", Source::DynamicDefaultBroker),
        // As in Kafka, what is set in another unit counts, but is not told.
        (&[], &[at_start], hours, Source::Default),
        (&[], &[("log.retention.minutes", "-1"), at_start], "-1", Source::Default),
        (&[], &[], "604800000", Source::Default),
    ];
    for (dynamic, at_start, value, source) in cases {
        let (image, at_start) = layered(dynamic, at_start);
        let layers = Layers::new(&image, broker(), &at_start);
        let own = image.configs(&Resource::Topic(topic()));
        let key = topic_key("retention.ms").unwrap();
        assert_eq!(layers.topic_value(own, key), (value.into(), source));
        let described = layers.describe_topic(own);
        let retention = described.iter().find(|config| config.key.name == "retention.ms").unwrap();
        assert_eq!((retention.value.as_deref(), retention.source), (Some(value), source));
        let resolved = TopicConfig::resolve(&layers, own);
        assert_eq!(resolved.retention_ms, value.parse().ok());
    }
}

#[test]
fn every_config_is_described_with_its_synonyms() {
    let own = (Resource::Topic(topic()), "segment.bytes", "2097152");
    let on_all = (Resource::BrokerDefault, "log.segment.bytes", "3145728");
    let (image, at_start) = layered(&[own, on_all], &[]);
    let layers = Layers::new(&image, broker(), &at_start);
    let described = layers.describe_topic(image.configs(&Resource::Topic(topic())));
    assert_eq!(described.len(), 33, "as many as Kafka 4.3.1 lists");
    let segment = described.iter().find(|config| config.key.name == "segment.bytes").unwrap();
    let synonyms: Vec<_> = segment
        .synonyms
        .iter()
        .map(|synonym| (synonym.name, synonym.value.as_deref().unwrap(), synonym.source))
        .collect();
    assert_eq!(
        synonyms,
        [
            ("segment.bytes", "2097152", Source::DynamicTopic),
            ("log.segment.bytes", "3145728", Source::DynamicDefaultBroker),
            ("log.segment.bytes", "1073741824", Source::Default),
        ]
    );
    assert!(described.iter().all(|config| config.value.is_some()));
}

#[test]
fn a_config_in_another_unit_is_told_below_the_first_only() {
    let on_all = (Resource::BrokerDefault, "log.retention.ms", "3");
    let hours = ("log.retention.hours", "4");
    // what is set │ the synonyms of a topic's retention.ms
    let cases: [(&[_], &[_], &[_]); 4] = [
        (&[], &[], &[]),
        (&[], &[hours], &[]),
        (
            std::slice::from_ref(&on_all),
            &[],
            &[
                ("log.retention.ms", "3", Source::DynamicDefaultBroker),
                ("log.retention.hours", "168", Source::Default),
            ],
        ),
        (
            std::slice::from_ref(&on_all),
            &[hours],
            &[
                ("log.retention.ms", "3", Source::DynamicDefaultBroker),
                ("log.retention.hours", "4", Source::StaticBroker),
                ("log.retention.hours", "168", Source::Default),
            ],
        ),
    ];
    for (dynamic, at_start, expected) in cases {
        let (image, at_start) = layered(dynamic, at_start);
        let described = Layers::new(&image, broker(), &at_start).describe_topic(None);
        let retention = described.iter().find(|config| config.key.name == "retention.ms").unwrap();
        let synonyms: Vec<_> = retention
            .synonyms
            .iter()
            .map(|synonym| (synonym.name, synonym.value.as_deref().unwrap(), synonym.source))
            .collect();
        assert_eq!(synonyms, expected);
    }
}

#[test]
fn names_of_the_past_are_listed_only_where_they_are_set() {
    let old = (Resource::Topic(topic()), "message.format.version", "2.8");
    let (image, at_start) = layered(&[old], &[]);
    let described = Layers::new(&image, broker(), &at_start)
        .describe_topic(image.configs(&Resource::Topic(topic())));
    assert_eq!(described.len(), 34);
    assert!(described.iter().any(|config| config.key.name == "message.format.version"));
}

#[test]
fn a_broker_is_described_by_what_it_was_started_with_and_what_came_later() {
    let on_broker = (Resource::Broker(broker()), "message.max.bytes", "5");
    let on_all = (Resource::BrokerDefault, "message.max.bytes", "6");
    let (image, at_start) = layered(&[on_broker, on_all], &[("num.partitions", "3")]);
    let layers = Layers::new(&image, broker(), &at_start);
    let described = layers.describe_broker();
    let find = |name: &str| described.iter().find(|config| config.key.name == name).unwrap();

    let partitions = find("num.partitions");
    assert_eq!(partitions.value.as_deref(), Some("3"));
    assert_eq!((partitions.source, partitions.read_only), (Source::StaticBroker, true));
    let message = find("message.max.bytes");
    assert_eq!(message.value.as_deref(), Some("5"));
    assert_eq!((message.source, message.read_only), (Source::DynamicBroker, false));
    assert_eq!(message.synonyms.len(), 3);
    let throttled = |described: &[Described]| {
        described.iter().any(|config| config.key.name == "leader.replication.throttled.rate")
    };
    assert!(!throttled(&described), "listed only where it is set");
    let set = (Resource::Broker(broker()), "leader.replication.throttled.rate", "7");
    let (image, at_start) = layered(&[set], &[]);
    assert!(throttled(&Layers::new(&image, broker(), &at_start).describe_broker()));
    let rack = find("broker.rack");
    assert_eq!((rack.value.as_deref(), rack.synonyms.len()), (None, 0));

    let cluster = layers.describe_cluster();
    assert_eq!(cluster.len(), 1);
    assert_eq!(cluster[0].value.as_deref(), Some("6"));
}

#[test]
fn a_topic_resolves_to_kafkas_defaults() {
    let (image, at_start) = layered(&[], &[]);
    let resolved = TopicConfig::resolve(&Layers::new(&image, broker(), &at_start), None);
    let expected = TopicConfig {
        cleanup: Cleanup { delete: true, compact: false },
        retention_ms: Some(604_800_000),
        retention_bytes: None,
        segment_bytes: 1 << 30,
        segment_ms: 604_800_000,
        segment_jitter_ms: 0,
        max_message_bytes: 1_048_588,
        min_insync_replicas: 1,
        compression: CompressionType::Producer,
        gzip_level: None,
        zstd_level: 3,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX.unsigned_abs(),
        timestamp_after_max_ms: 3_600_000,
        flush_messages: i64::MAX.unsigned_abs(),
        flush_ms: i64::MAX.unsigned_abs(),
        delete_retention_ms: 86_400_000,
        min_cleanable_dirty_ratio: 0.5,
        min_compaction_lag_ms: 0,
        max_compaction_lag_ms: i64::MAX.unsigned_abs(),
        unclean_leader_election: false,
    };
    assert_eq!(resolved, expected);
}

#[test]
fn a_value_that_cannot_be_read_any_more_counts_as_its_default() {
    let damaged = (Resource::Topic(topic()), "segment.bytes", "a lot");
    let (image, at_start) = layered(&[damaged], &[]);
    let layers = Layers::new(&image, broker(), &at_start);
    let own = image.configs(&Resource::Topic(topic()));
    assert_eq!(TopicConfig::resolve(&layers, own).segment_bytes, 1 << 30);
}
