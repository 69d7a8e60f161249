//! DeleteGroups (key 42), versions 0 to 2: forget groups that have no members, and their offsets.

use protocol::ErrorCode;
use protocol::kafka::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::groups;

/// Forgets each group.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DeleteGroupsRequest<'_>>()?;
    let mut results = Vec::with_capacity(body.groups_names.len());
    for group_id in body.groups_names {
        let deleted = groups::delete(&request.shard, group_id).await;
        let error_code = deleted.err().unwrap_or(ErrorCode::None);
        results.push(DeletableGroupResult { group_id, error_code });
    }
    request.answer(&DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() })
}
