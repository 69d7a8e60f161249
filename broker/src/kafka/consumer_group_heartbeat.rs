//! ConsumerGroupHeartbeat (key 68), versions 0 and 1: join, stay in, or leave a group whose work the broker shares out
//! (KIP-848).
//!
//! 1 the client makes its member id (KIP-1082), and may subscribe by a regular expression.

use std::time::Duration;

use protocol::ErrorCode;
use protocol::kafka::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatAssignment,
    HeartbeatTopicPartitions,
};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::decide::GROUP_FEATURE;
use crate::groups::{self, AWAY, Assignor, HeartbeatWish, LEAVE, Refusal, Told};

/// Hands the heartbeat to the group; the answer says what is on disk.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<ConsumerGroupHeartbeatRequest<'_>>()?;
    let told = match check(request, &body) {
        Err(refusal) => Told::refused(refusal),
        Ok(()) => groups::consumer_heartbeat(&request.shard, wish(request, &body)).await,
    };
    let assignment = told.assignment.as_ref().map(|partitions| HeartbeatAssignment {
        topic_partitions: groups::by_topic(partitions)
            .map(|(topic_id, partitions)| HeartbeatTopicPartitions { topic_id, partitions })
            .collect(),
    });
    request.answer(&ConsumerGroupHeartbeatResponse {
        error_code: told.code,
        error_message: told.message,
        member_id: Some(told.member_id.as_str()).filter(|id| !id.is_empty()),
        member_epoch: told.epoch,
        heartbeat_interval_ms: i32::try_from(told.interval.as_millis()).unwrap_or(i32::MAX),
        assignment,
        ..ConsumerGroupHeartbeatResponse::default()
    })
}

/// What can be seen to be wrong without the group, in the order in which Kafka looks.
fn check(request: &Request, body: &ConsumerGroupHeartbeatRequest<'_>) -> Result<(), Refusal> {
    let bad = |message| Err(Refusal { code: ErrorCode::InvalidRequest, message });
    let settings = &request.shard.groups.settings;
    if request.shard.view.image().feature(GROUP_FEATURE).unwrap_or(0) < 1 {
        return Err(ErrorCode::UnsupportedVersion.into());
    }
    let needs_id =
        request.version.number >= 1 || body.member_epoch > 0 || body.member_epoch == LEAVE;
    if needs_id && body.member_id.is_empty() {
        return bad("MemberId can't be empty.");
    }
    if body.group_id.is_empty() {
        return bad("GroupId can't be empty.");
    }
    if body.instance_id == Some("") {
        return bad("InstanceId can't be empty.");
    }
    if body.rack_id == Some("") {
        return bad("RackId can't be empty.");
    }
    match body.member_epoch {
        0 => {
            if body.rebalance_timeout_ms == -1 {
                return bad("RebalanceTimeoutMs must be provided in first request.");
            }
            if body.topic_partitions.as_ref().is_none_or(|held| !held.is_empty()) {
                return bad("TopicPartitions must be empty when (re-)joining.");
            }
            if body.subscribed_topic_names.is_none() && body.subscribed_topic_regex.is_none() {
                return bad(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
        }
        AWAY if body.instance_id.is_none() => return bad("InstanceId can't be null."),
        LEAVE | AWAY | 1.. => {}
        _ => return bad("MemberEpoch is invalid."),
    }
    if let Some(name) = body.server_assignor {
        let known = Assignor::new(name);
        if !known.is_some_and(|one| settings.consumer_rules.assignors.contains(&one)) {
            return Err(Refusal {
                code: ErrorCode::UnsupportedAssignor,
                message: "ServerAssignor is not supported. Supported assignors: uniform, range.",
            });
        }
    }
    if names_bytes(body) > groups::MEMBER_BYTES_MAX {
        return bad("SubscribedTopicNames are too long.");
    }
    Ok(())
}

/// What a member makes the broker keep and write for it.
fn names_bytes(body: &ConsumerGroupHeartbeatRequest<'_>) -> usize {
    let names = body.subscribed_topic_names.iter().flatten().map(|name| name.len());
    let others =
        [body.instance_id, body.rack_id, body.server_assignor, body.subscribed_topic_regex];
    names.chain(others.into_iter().flatten().map(str::len)).sum::<usize>() + body.member_id.len()
}

fn wish(request: &Request, body: &ConsumerGroupHeartbeatRequest<'_>) -> HeartbeatWish {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let owned = body.topic_partitions.as_ref().map(|held| {
        groups::partitions(held.iter().map(|one| (one.topic_id, one.partitions.as_slice())))
    });
    let names = body.subscribed_topic_names.as_ref();
    HeartbeatWish {
        group: body.group_id.to_owned(),
        member_id: body.member_id.to_owned(),
        epoch: body.member_epoch,
        instance_id: text(body.instance_id),
        rack_id: text(body.rack_id),
        client_id: request.client_id().to_owned(),
        client_host: request.client_host(),
        rebalance_timeout: u64::try_from(body.rebalance_timeout_ms).ok().map(Duration::from_millis),
        names: names.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        expression: text(body.subscribed_topic_regex),
        assignor: text(body.server_assignor),
        owned,
    }
}
