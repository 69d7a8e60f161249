//! DescribeGroups (key 15), versions 0 to 6: the state and the members of classic groups.
//!
//! 6 a group that is not there is an error (KIP-1043); before, it is `Dead`.

use protocol::ErrorCode;
use protocol::kafka::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

use super::{Broken, Request, brokers};
use crate::answer::Answer;
use crate::groups::{self, Seen};

/// Describes each group.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DescribeGroupsRequest<'_>>()?;
    let mut found = Vec::with_capacity(body.groups.len());
    for group in &body.groups {
        let seen = match *group {
            "" => Err(ErrorCode::InvalidGroupId),
            group => groups::describe(&request.shard, group).await,
        };
        let message = match seen {
            Err(ErrorCode::GroupIdNotFound) => Some(format!("Group {group} not found.")),
            Ok(_) | Err(_) => None,
        };
        found.push((*group, seen, message));
    }
    let operations =
        brokers::operations(body.include_authorized_operations, brokers::GROUP_OPERATIONS);
    let old = request.version.number < 6;
    let groups = found.iter().map(|(group_id, seen, message)| match seen {
        Ok(seen) => describe(group_id, seen, operations),
        Err(code) => DescribedGroup {
            error_code: match code {
                ErrorCode::GroupIdNotFound if old => ErrorCode::None,
                code => *code,
            },
            error_message: message.as_deref(),
            group_id,
            group_state: match code {
                ErrorCode::GroupIdNotFound => "Dead",
                _ => "",
            },
            ..DescribedGroup::default()
        },
    });
    request.answer(&DescribeGroupsResponse {
        groups: groups.collect(),
        ..DescribeGroupsResponse::default()
    })
}

fn describe<'a>(group_id: &'a str, seen: &'a Seen, operations: i32) -> DescribedGroup<'a> {
    let members = seen.members.iter().map(|member| DescribedGroupMember {
        member_id: &member.member_id,
        group_instance_id: member.instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
    });
    DescribedGroup {
        group_id,
        group_state: seen.state,
        protocol_type: &seen.protocol_type,
        protocol_data: &seen.protocol,
        members: members.collect(),
        authorized_operations: operations,
        ..DescribedGroup::default()
    }
}
