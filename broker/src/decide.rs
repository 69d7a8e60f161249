//! Wishes that change metadata, on their way to the controller and back.

use std::rc::Rc;

use protocol::ErrorCode;
use protocol::metadata::control::{Command, Refusal, Reply};
use protocol::metadata::record::{BrokerRecord, Endpoint};

use crate::controller::ChangeError;
use crate::shard::Shard;

/// The reply to a wish, given once what it changes is on disk and known to every shard.
///
/// # Errors
/// Nothing was changed, or nobody can say whether it was; the refusal is what every item of the request is told.
pub(crate) async fn decide(shard: &Rc<Shard>, command: Command) -> Result<Reply, Refusal> {
    shard.decide(command).await.map_err(|error| refusal(&error))
}

/// What a client is told when the controller could not carry out a change. Kafka's own clients try again.
fn refusal(error: &ChangeError) -> Refusal {
    let code = match error {
        ChangeError::Gone(_) => ErrorCode::NotController,
        ChangeError::Storage(_) | ChangeError::Log(_) => ErrorCode::KafkaStorageError,
    };
    Refusal { code, message: error.to_string() }
}

/// What a client is told when the controller answered another question than was asked; that cannot be, unless the
/// broker has a fault.
pub(crate) fn unexpected() -> Refusal {
    Refusal {
        code: ErrorCode::UnknownServerError,
        message: "the controller answered another question".to_owned(),
    }
}

/// Makes this broker known to the controller, with the addresses it tells clients now.
///
/// # Errors
/// What it said could not be written down.
pub(crate) async fn register(shard: &Rc<Shard>, directory: [u8; 16]) -> Result<(), Refusal> {
    let node = &shard.node;
    let endpoint = |listener: &str, (host, port): &(String, u16)| Endpoint {
        listener: listener.to_owned(),
        host: host.clone(),
        port: *port,
    };
    let broker = BrokerRecord {
        broker: node.broker_id,
        directory,
        endpoints: vec![
            endpoint(KAFKA_LISTENER, &node.kafka),
            endpoint(NATIVE_LISTENER, &node.native),
        ],
        rack: node.rack.clone(),
    };
    decide(shard, Command::RegisterBroker(broker)).await.map(drop)
}

/// What this build can do beyond the first release of its formats, and up to which level; as Kafka names it.
pub(crate) const FEATURES: &[(&str, i16)] = &[(GROUP_FEATURE, 1)];

/// The feature by which a cluster agrees on KIP-848 groups.
pub(crate) const GROUP_FEATURE: &str = "group.version";

/// Has the cluster agree on the features that it has not agreed on yet.
///
/// # Errors
/// They could not be written down.
pub(crate) async fn finalize_features(shard: &Rc<Shard>) -> Result<(), Refusal> {
    let image = shard.view.image();
    for (name, level) in FEATURES.iter().filter(|(name, _)| image.feature(name).is_none()) {
        decide(shard, Command::SetFeature((*name).to_owned(), *level)).await?;
    }
    Ok(())
}

/// The listener whose address Kafka clients are told.
pub(crate) const KAFKA_LISTENER: &str = "PLAINTEXT";

/// The listener whose address native clients are told.
pub(crate) const NATIVE_LISTENER: &str = "NATIVE";
