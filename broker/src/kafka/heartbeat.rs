//! Heartbeat (key 12), versions 0 to 4: a member says that it lives, and learns of a rebalance.

use protocol::kafka::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::groups;

/// Keeps the member for another session.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<HeartbeatRequest<'_>>()?;
    let error_code = groups::heartbeat(
        &request.shard,
        body.group_id,
        body.member_id,
        body.group_instance_id,
        body.generation_id,
    )
    .await;
    request.answer(&HeartbeatResponse { error_code, ..HeartbeatResponse::default() })
}
