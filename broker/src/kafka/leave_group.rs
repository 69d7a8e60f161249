//! LeaveGroup (key 13), versions 0 to 5: members go, by themselves or sent away by an administrator.
//!
//! 3 many members at once, static ones by name (KIP-345).

use protocol::ErrorCode;
use protocol::kafka::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::groups;

/// Lets them go.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<LeaveGroupRequest<'_>>()?;
    let many = request.version.number >= 3;
    let leaving: Vec<(&str, Option<&str>)> = if many {
        body.members.iter().map(|one| (one.member_id, one.group_instance_id)).collect()
    } else {
        vec![(body.member_id, None)]
    };
    let owned = leaving.iter().map(|(id, name)| ((*id).to_owned(), name.map(str::to_owned)));
    let told = groups::leave(&request.shard, body.group_id, owned.collect()).await;
    let (error_code, codes) = match told {
        Ok(codes) => (ErrorCode::None, codes),
        Err(code) => (code, Vec::new()),
    };
    if !many {
        // One member, so what it is told is the whole answer.
        let error_code = codes.first().copied().unwrap_or(error_code);
        return request.answer(&LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() });
    }
    let members = leaving.iter().zip(&codes).map(|((member_id, name), code)| MemberResponse {
        member_id,
        group_instance_id: *name,
        error_code: *code,
    });
    request.answer(&LeaveGroupResponse {
        error_code,
        members: members.collect(),
        ..LeaveGroupResponse::default()
    })
}
