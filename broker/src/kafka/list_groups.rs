//! ListGroups (key 16), versions 0 to 5: the groups that live on this broker.
//!
//! 4 by state (KIP-518); 5 by type (KIP-848).

use protocol::ErrorCode;
use protocol::kafka::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::groups::{self, Listed};

/// Lists those that pass the filters.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<ListGroupsRequest<'_>>()?;
    let (error_code, all) = match groups::list(&request.shard).await {
        Ok(all) => (ErrorCode::None, all),
        Err(code) => (code, Vec::new()),
    };
    let wanted = |filter: &[&str], word: &str| {
        filter.is_empty() || filter.iter().any(|one| one.eq_ignore_ascii_case(word))
    };
    let passes = |group: &&Listed| {
        wanted(&body.states_filter, group.state) && wanted(&body.types_filter, group.kind)
    };
    let groups = all.iter().filter(passes).map(|group| ListedGroup {
        group_id: &group.id,
        protocol_type: &group.protocol_type,
        group_state: group.state,
        group_type: group.kind,
    });
    request.answer(&ListGroupsResponse {
        error_code,
        groups: groups.collect(),
        ..ListGroupsResponse::default()
    })
}
