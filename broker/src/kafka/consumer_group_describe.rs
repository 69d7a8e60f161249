//! ConsumerGroupDescribe (key 69), versions 0 and 1: the state and the members of KIP-848 groups.
//!
//! 1 the protocol of each member.

use protocol::ErrorCode;
use protocol::kafka::consumer_group_describe::{
    AssignedTopic, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
    ConsumerGroupDescribed, ConsumerGroupMember, MemberAssignment,
};
use protocol::metadata::Image;

use super::{Broken, Request, brokers};
use crate::answer::Answer;
use crate::groups::{self, DescribedConsumer, DescribedMember, Partitions};

/// A member of the classic protocol, and one of the new.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

/// Describes each group.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<ConsumerGroupDescribeRequest<'_>>()?;
    let mut found = Vec::with_capacity(body.group_ids.len());
    for group in &body.group_ids {
        let seen = match *group {
            "" => Err(ErrorCode::InvalidGroupId),
            group => groups::describe_consumer(&request.shard, group).await,
        };
        let message = match seen {
            Err(ErrorCode::GroupIdNotFound) => Some(format!("Group {group} not found.")),
            Ok(_) | Err(_) => None,
        };
        found.push((*group, seen, message));
    }
    let image = request.shard.view.image();
    let operations =
        brokers::operations(body.include_authorized_operations, brokers::GROUP_OPERATIONS);
    let groups = found.iter().map(|(group_id, seen, message)| match seen {
        Ok(seen) => describe(&image, group_id, seen, operations),
        Err(code) => ConsumerGroupDescribed {
            error_code: *code,
            error_message: message.as_deref(),
            group_id,
            ..ConsumerGroupDescribed::default()
        },
    });
    request.answer(&ConsumerGroupDescribeResponse {
        groups: groups.collect(),
        ..ConsumerGroupDescribeResponse::default()
    })
}

fn describe<'a>(
    image: &'a Image,
    group_id: &'a str,
    seen: &'a DescribedConsumer,
    operations: i32,
) -> ConsumerGroupDescribed<'a> {
    ConsumerGroupDescribed {
        group_id,
        group_state: seen.state,
        group_epoch: seen.epoch,
        assignment_epoch: seen.target_epoch,
        assignor_name: seen.assignor,
        members: seen.members.iter().map(|one| member(image, one)).collect(),
        authorized_operations: operations,
        ..ConsumerGroupDescribed::default()
    }
}

fn member<'a>(image: &'a Image, member: &'a DescribedMember) -> ConsumerGroupMember<'a> {
    ConsumerGroupMember {
        member_id: &member.id,
        instance_id: member.instance_id.as_deref(),
        rack_id: member.rack_id.as_deref(),
        member_epoch: member.epoch,
        client_id: &member.client_id,
        client_host: &member.client_host,
        subscribed_topic_names: member.names.iter().map(String::as_str).collect(),
        subscribed_topic_regex: member.expression.as_deref(),
        assignment: assignment(image, &member.assigned),
        target_assignment: assignment(image, &member.target),
        member_type: if member.is_classic { CLASSIC } else { CONSUMER },
    }
}

/// Partitions with the names of their topics; of a topic that is gone there is nothing to tell.
fn assignment<'a>(image: &'a Image, partitions: &Partitions) -> MemberAssignment<'a> {
    let topics = groups::by_topic(partitions).filter_map(|(topic_id, partitions)| {
        let topic_name = image.topic(topic_id)?.name.as_ref();
        Some(AssignedTopic { topic_id, topic_name, partitions })
    });
    MemberAssignment { topic_partitions: topics.collect() }
}
