//! The kinds of resource that have configs, by Kafka's numbers.

/// A topic.
pub(super) const TOPIC: i8 = 2;
/// A broker, or all of them if the name is empty.
pub(super) const BROKER: i8 = 4;
/// A broker's log levels (KIP-412).
pub(super) const BROKER_LOGGER: i8 = 8;
/// A subscription to clients' metrics (KIP-714).
pub(super) const CLIENT_METRICS: i8 = 16;
/// A group (KIP-848).
pub(super) const GROUP: i8 = 32;
