//! Groups as administrators see them: list, describe, forget, and where they stand.

use protocol::error_code::ErrorCode;
use protocol::kafka::Api;
use protocol::kafka::consumer_group_describe::{ConsumerGroupDescribeRequest, ConsumerGroupMember};
use protocol::kafka::consumer_protocol::ConsumerProtocolAssignment;
use protocol::kafka::delete_groups::DeleteGroupsRequest;
use protocol::kafka::describe_groups::{DescribeGroupsRequest, DescribedGroupMember};
use protocol::kafka::find_coordinator::FindCoordinatorRequest;
use protocol::kafka::list_groups::ListGroupsRequest;
use protocol::kafka::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::kafka::offset_fetch::{OffsetFetchRequest, OffsetFetchResponsePartition};
use protocol::reader::DecodeError;

use super::super::ClientError;
use super::{Reply, Speaker, refuse};
use crate::admin::groups::{GroupListing, GroupMember, GroupOffset, GroupView};

/// What groups of the new protocol share out.
const CONSUMER: &str = "consumer";

impl Speaker {
    /// The broker that a group lives on.
    pub(crate) async fn find_group(&self, group: &str) -> Result<i32, ClientError> {
        let many = self.shared.version(Api::FindCoordinator)?.number >= 4;
        let request = FindCoordinatorRequest {
            key: if many { "" } else { group },
            coordinator_keys: if many { vec![group] } else { Vec::new() },
            ..Default::default()
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        match body.coordinators.first() {
            Some(one) => refuse(one.error_code, one.error_message).map(|()| one.node_id),
            None => refuse(body.error_code, body.error_message).map(|()| body.node_id),
        }
    }

    /// The groups that live on this broker.
    pub(crate) async fn list_groups(&self) -> Result<Vec<GroupListing>, ClientError> {
        let reply = self.shared.ask(&ListGroupsRequest::default()).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        refuse(body.error_code, None)?;
        let listing = body.groups.iter().map(|group| GroupListing {
            id: group.group_id.to_owned(),
            protocol_type: group.protocol_type.to_owned(),
            state: group.group_state.to_owned(),
            kind: group.group_type.to_owned(),
        });
        Ok(listing.collect())
    }

    /// One group that lives on this broker.
    pub(crate) async fn describe_group(&self, group: &str) -> Result<GroupView, ClientError> {
        let request = DescribeGroupsRequest { groups: vec![group], ..Default::default() };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let found = body.groups.first();
        let found = found.ok_or_else(|| self.channel().malformed("no group is described"))?;
        // What is no classic group may be one of the new protocol. Before version 6 it is called dead.
        let is_other =
            found.error_code == ErrorCode::GroupIdNotFound || found.group_state == "Dead";
        if is_other && self.shared.version(Api::ConsumerGroupDescribe).is_ok() {
            return self.describe_consumer_group(group).await;
        }
        refuse(found.error_code, found.error_message)?;
        Ok(GroupView {
            id: group.to_owned(),
            state: found.group_state.to_owned(),
            protocol_type: found.protocol_type.to_owned(),
            protocol: found.protocol_data.to_owned(),
            members: found.members.iter().map(member).collect(),
        })
    }

    /// One group of the new protocol (KIP-848).
    async fn describe_consumer_group(&self, group: &str) -> Result<GroupView, ClientError> {
        let request = ConsumerGroupDescribeRequest { group_ids: vec![group], ..Default::default() };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let found = body.groups.first();
        let found = found.ok_or_else(|| self.channel().malformed("no group is described"))?;
        refuse(found.error_code, found.error_message)?;
        Ok(GroupView {
            id: group.to_owned(),
            state: found.group_state.to_owned(),
            protocol_type: CONSUMER.to_owned(),
            protocol: found.assignor_name.to_owned(),
            members: found.members.iter().map(consumer_member).collect(),
        })
    }

    /// How far a group that lives on this broker has read.
    pub(crate) async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, ClientError> {
        // Version 7 is the last that speaks of one group, and every broker that speaks later ones speaks it.
        let version = super::version_of(Api::OffsetFetch, 7);
        let request = OffsetFetchRequest { group_id: group, topics: None, ..Default::default() };
        let reply = self.shared.ask_in(&request, version).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        refuse(body.error_code, None)?;
        let mut offsets = Vec::new();
        for topic in &body.topics {
            let known = |one: &&OffsetFetchResponsePartition<'_>| one.committed_offset >= 0;
            offsets.extend(topic.partitions.iter().filter(known).map(|one| GroupOffset {
                topic: topic.name.to_owned(),
                partition: one.partition_index,
                offset: one.committed_offset,
            }));
        }
        Ok(offsets)
    }

    /// Says how far a group without members has read.
    pub(crate) async fn set_group_offsets(
        &self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), ClientError> {
        let topics = offsets.chunk_by(|one, other| one.topic == other.topic);
        let topics = topics.map(|offsets| OffsetCommitRequestTopic {
            name: &offsets[0].topic,
            partitions: offsets
                .iter()
                .map(|offset| OffsetCommitRequestPartition {
                    partition_index: offset.partition,
                    committed_offset: offset.offset,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        let request =
            OffsetCommitRequest { group_id: group, topics: topics.collect(), ..Default::default() };
        // The last version that names topics.
        let version = super::version_of(Api::OffsetCommit, 8);
        let reply = self.shared.ask_in(&request, version).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        for partition in body.topics.iter().flat_map(|topic| &topic.partitions) {
            refuse(partition.error_code, None)?;
        }
        Ok(())
    }

    /// Forgets a group that lives on this broker and has no members.
    pub(crate) async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let request = DeleteGroupsRequest { groups_names: vec![group] };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let code = body.results.first().map_or(ErrorCode::None, |result| result.error_code);
        refuse(code, None)
    }
}

fn member(member: &DescribedGroupMember<'_>) -> GroupMember {
    GroupMember {
        id: member.member_id.to_owned(),
        instance_id: member.group_instance_id.map(str::to_owned),
        client_id: member.client_id.to_owned(),
        host: member.client_host.trim_start_matches('/').to_owned(),
        // What members of other kinds share out is not known.
        partitions: assigned(member.member_assignment).unwrap_or_default(),
    }
}

fn consumer_member(member: &ConsumerGroupMember<'_>) -> GroupMember {
    let topics = member.assignment.topic_partitions.iter();
    let partitions = topics.flat_map(|topic| {
        topic.partitions.iter().map(|index| (topic.topic_name.to_owned(), *index))
    });
    GroupMember {
        id: member.member_id.to_owned(),
        instance_id: member.instance_id.map(str::to_owned),
        client_id: member.client_id.to_owned(),
        host: member.client_host.trim_start_matches('/').to_owned(),
        partitions: partitions.collect(),
    }
}

/// The partitions in a consumer's assignment.
fn assigned(bytes: &[u8]) -> Result<Vec<(String, i32)>, DecodeError> {
    let assignment = ConsumerProtocolAssignment::read(bytes)?;
    let topics = assignment.assigned_partitions.iter();
    let partitions =
        topics.flat_map(|one| one.partitions.iter().map(|index| (one.topic.to_owned(), *index)));
    Ok(partitions.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_garbage_is_not() {
        let two = b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x03\0\0\0\x05\xff\xff\xff\xff";
        let expected = [("t".to_owned(), 3), ("t".to_owned(), 5)];
        assert_eq!(assigned(two).expect("an assignment"), expected);
        for bad in [&b""[..], b"\0\x01\x7f\xff\xff\xff", b"\0\x01\0\0\0\x01\0\x09t"] {
            assert!(assigned(bad).is_err(), "{bad:?}");
        }
    }
}
