//! The kinds of resource that have configs, by Kafka's numbers.

/// A topic.
pub(crate) const TOPIC: i8 = 2;
/// A broker, or all of them if the name is empty.
pub(crate) const BROKER: i8 = 4;
/// A broker's log levels (KIP-412).
pub(crate) const BROKER_LOGGER: i8 = 8;
/// A subscription to clients' metrics (KIP-714).
pub(crate) const CLIENT_METRICS: i8 = 16;
/// A group (KIP-848).
pub(crate) const GROUP: i8 = 32;
