//! SyncGroup (key 14), versions 0 to 5: the leader hands out the work of a generation, every member gets its share.
//!
//! 5 the kind of group and its protocol are compared (KIP-559).

use bytes::Bytes;
use protocol::kafka::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::groups::{self, SyncWish};

/// Gets the member's share; the answer waits for the leader and for the disk.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<SyncGroupRequest<'_>>()?;
    let shares = body
        .assignments
        .iter()
        .map(|share| (share.member_id.to_owned(), Bytes::copy_from_slice(share.assignment)));
    let wish = SyncWish {
        group: body.group_id.to_owned(),
        member_id: body.member_id.to_owned(),
        instance_id: body.group_instance_id.map(str::to_owned),
        generation: body.generation_id,
        protocol_type: body.protocol_type.map(str::to_owned),
        protocol: body.protocol_name.map(str::to_owned),
        shares: shares.collect(),
    };
    let synced = groups::sync(&request.shard, wish).await;
    request.answer(&SyncGroupResponse {
        error_code: synced.code,
        protocol_type: synced.protocol_type.as_deref(),
        protocol_name: synced.protocol.as_deref(),
        assignment: &synced.share,
        ..SyncGroupResponse::default()
    })
}
