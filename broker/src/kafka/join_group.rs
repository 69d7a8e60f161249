//! JoinGroup (key 11), versions 0 to 9: become a member of a group and wait for its next generation.
//!
//! 4 a member id is given first (KIP-394); 5 static members (KIP-345); 9 a leader may be told that it need not share
//! anything out (KIP-814).

use bytes::Bytes;
use protocol::kafka::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::groups::{self, JoinWish};

/// Joins; the answer may take as long as the rebalance.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<JoinGroupRequest<'_>>()?;
    let protocols = body.protocols.iter().map(|protocol| {
        // Copied: a member lives longer than the buffer that its request came in.
        (protocol.name.to_owned(), Bytes::copy_from_slice(protocol.metadata))
    });
    let wish = JoinWish {
        group: body.group_id.to_owned(),
        member_id: body.member_id.to_owned(),
        instance_id: body.group_instance_id.map(str::to_owned),
        client_id: request.client_id().to_owned(),
        client_host: request.client_host(),
        session_ms: body.session_timeout_ms,
        rebalance_ms: body.rebalance_timeout_ms,
        protocol_type: body.protocol_type.to_owned(),
        protocols: protocols.collect(),
        must_know_id: request.version.number >= 4,
        can_skip: request.version.number >= 9,
    };
    let joined = groups::join(&request.shard, wish).await;
    let members = joined.members.iter().map(|(id, instance, metadata)| JoinGroupResponseMember {
        member_id: id,
        group_instance_id: instance.as_deref(),
        metadata,
    });
    let no_name = (request.version.number < 7).then_some("");
    request.answer(&JoinGroupResponse {
        error_code: joined.code,
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.as_deref(),
        protocol_name: joined.protocol.as_deref().or(no_name),
        leader: &joined.leader,
        skip_assignment: joined.skip_assignment && request.version.number >= 9,
        member_id: &joined.member_id,
        members: members.collect(),
        ..JoinGroupResponse::default()
    })
}
