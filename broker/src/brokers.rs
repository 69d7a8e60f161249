//! The brokers of the cluster as clients see them, for both dialects.

use protocol::BrokerId;
use protocol::metadata::{Broker, Image};

use crate::connection::Dialect;
use crate::decide::{KAFKA_LISTENER, NATIVE_LISTENER};
use crate::shard::Shard;

/// A broker and where it can be reached.
pub(crate) struct Seen<'a> {
    pub(crate) id: BrokerId,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) rack: Option<&'a str>,
}

/// Every broker that clients of this dialect can connect to.
pub(crate) fn seen<'a>(shard: &'a Shard, image: &'a Image, dialect: Dialect) -> Vec<Seen<'a>> {
    image.brokers().filter_map(|broker| see(shard, broker, dialect)).collect()
}

fn see<'a>(shard: &'a Shard, broker: &'a Broker, dialect: Dialect) -> Option<Seen<'a>> {
    let node = &shard.node;
    let (own, listener) = match dialect {
        Dialect::Kafka => (&node.kafka, KAFKA_LISTENER),
        Dialect::Native => (&node.native, NATIVE_LISTENER),
    };
    let (host, port) = if broker.broker == node.broker_id {
        (own.0.as_str(), own.1)
    } else {
        let endpoint = broker.endpoints.iter().find(|endpoint| endpoint.listener == listener)?;
        (endpoint.host.as_str(), endpoint.port)
    };
    Some(Seen { id: broker.broker, host, port, rack: broker.rack.as_deref() })
}
