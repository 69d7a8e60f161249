//! FindCoordinator (key 10), versions 0 to 6: which broker is the home of a group?
//!
//! 4 many keys. Groups only: there are no transactions and no share groups yet. The topic that holds groups comes into
//! being with the first question.

use protocol::ErrorCode;
use protocol::kafka::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::brokers::seen;
use crate::connection::Dialect;
use crate::groups;

/// Groups, as opposed to transactional ids (1) and share partitions (2).
const GROUPS: i8 = 0;

/// Names the home of each key.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<FindCoordinatorRequest<'_>>()?;
    let shard = &request.shard;
    let refused = match body.key_type {
        GROUPS => groups::create_topic(shard).await.err().map(|code| (code, None)),
        1 => Some((
            ErrorCode::InvalidRequest,
            Some("transactions are not supported by this version"),
        )),
        _ => Some((ErrorCode::InvalidRequest, Some("only groups have a home on this broker"))),
    };
    let many = request.version.number >= 4;
    let keys = if many { body.coordinator_keys } else { vec![body.key] };
    let image = shard.view.image();
    let brokers = seen(shard, &image, Dialect::Kafka);
    let find = |key: &str| {
        let partition = groups::partition_of(shard, key)?;
        let leader = image.partition(partition.topic, partition.index)?.leader?;
        brokers.iter().find(|broker| broker.id == leader)
    };
    let coordinators: Vec<Coordinator<'_>> = keys
        .into_iter()
        .map(|key| {
            let found = if refused.is_some() { None } else { find(key) };
            let (code, message) = refused.unwrap_or((ErrorCode::CoordinatorNotAvailable, None));
            match found {
                Some(broker) => Coordinator {
                    key,
                    node_id: broker.id.get(),
                    host: broker.host,
                    port: broker.port.into(),
                    ..Coordinator::default()
                },
                None => Coordinator {
                    key,
                    node_id: -1,
                    host: "",
                    port: -1,
                    error_code: code,
                    error_message: message,
                },
            }
        })
        .collect();
    if many {
        return request.answer(&FindCoordinatorResponse {
            coordinators,
            ..FindCoordinatorResponse::default()
        });
    }
    let one = coordinators.first();
    request.answer(&FindCoordinatorResponse {
        error_code: one.map_or(ErrorCode::CoordinatorNotAvailable, |one| one.error_code),
        error_message: one.and_then(|one| one.error_message),
        node_id: one.map_or(-1, |one| one.node_id),
        host: one.map_or("", |one| one.host),
        port: one.map_or(-1, |one| one.port),
        ..FindCoordinatorResponse::default()
    })
}
