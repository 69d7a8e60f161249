//! The broker's settings about groups, read once.

use std::rc::Rc;
use std::time::Duration;

use protocol::metadata::Image;
use protocol::metadata::config::{Layers, broker_key};

use super::classic::Rules;
use super::consumer::{self, Assignor};
use super::migration::Migration;
use crate::config::BrokerConfig;

/// What a member may send for all its protocols together.
pub(crate) const MEMBER_BYTES_MAX: usize = 64 * 1024;
/// What a member's session may last at the least and at the most.
type Range = std::ops::RangeInclusive<i64>;

/// What counts for every group.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) rules: Rc<Rules>,
    /// The same for KIP-848 groups.
    pub(crate) consumer_rules: Rc<consumer::Rules>,
    /// Which way groups with members may go from one protocol to the other.
    pub(crate) migration: Migration,
    pub(crate) session_ms: Range,
    /// How long offsets are kept that nobody uses.
    pub(crate) retention: Duration,
    /// How often those are looked for.
    pub(crate) check_every: Duration,
    /// The longest text that may go with an offset.
    pub(crate) metadata_bytes_max: usize,
    /// The partitions and replicas that `__consumer_offsets` is created with.
    pub(crate) topic_partitions: i32,
    pub(crate) topic_replicas: i16,
    pub(crate) topic_segment_bytes: i64,
    /// How many groups may live on one shard.
    pub(crate) groups_max: usize,
    /// How often one group may commit in a second; 0 is no limit.
    pub(crate) commits_per_second: u32,
}

impl Settings {
    /// What the broker was started with.
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        let image = Image::new();
        let layers = Layers::new(&image, config.broker_id, &config.kafka_settings);
        let text = |name: &str| -> String {
            let key = broker_key(name).expect("every name below stands in the table");
            layers.broker_value(key).0.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        // Values were checked before the broker started.
        let number = |name: &str| -> i64 { text(name).parse().unwrap_or_default() };
        let unsigned = |name: &str| u64::try_from(number(name)).unwrap_or(0);
        let size = |name: &str| usize::try_from(number(name)).unwrap_or(usize::MAX);
        Self {
            rules: Rc::new(Rules {
                initial_delay: Duration::from_millis(unsigned("group.initial.rebalance.delay.ms")),
                size_max: size("group.max.size"),
            }),
            consumer_rules: Rc::new(consumer::Rules {
                session: Duration::from_millis(unsigned("group.consumer.session.timeout.ms")),
                interval: Duration::from_millis(unsigned("group.consumer.heartbeat.interval.ms")),
                size_max: size("group.consumer.max.size"),
                assignors: Assignor::list(&text("group.consumer.assignors")),
            }),
            migration: Migration::new(&text("group.consumer.migration.policy")),
            session_ms: number("group.min.session.timeout.ms")
                ..=number("group.max.session.timeout.ms"),
            retention: Duration::from_secs(unsigned("offsets.retention.minutes") * 60),
            check_every: Duration::from_millis(unsigned("offsets.retention.check.interval.ms")),
            metadata_bytes_max: size("offset.metadata.max.bytes"),
            topic_partitions: i32::try_from(number("offsets.topic.num.partitions")).unwrap_or(50),
            topic_replicas: i16::try_from(number("offsets.topic.replication.factor")).unwrap_or(1),
            topic_segment_bytes: number("offsets.topic.segment.bytes"),
            groups_max: config.limits.groups_max.div_ceil(config.shards.max(1)),
            commits_per_second: config.limits.group_commits_per_second,
        }
    }
}
