//! A member of a group and the questions of an administrator, through a raw socket.

use protocol::kafka::Api;
use protocol::kafka::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use protocol::kafka::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use protocol::kafka::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use protocol::kafka::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::kafka::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use protocol::kafka::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::kafka::list_groups::{ListGroupsRequest, ListGroupsResponse};
use protocol::kafka::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use protocol::kafka::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use protocol::kafka::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use protocol::kafka::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use protocol::{ErrorCode, TopicId};

use crate::wire::{Asked, Client, Server};

/// The newest version of a join.
pub(super) const NEWEST_JOIN: i16 = 9;

/// A consumer's metadata: version 0 and one topic.
const READS_T: &[u8] = b"\0\0\0\0\0\x01\0\x01t\0\0\0\0";

pub(super) fn wish<'a>(group: &'a str, id: &'a str) -> JoinGroupRequest<'a> {
    JoinGroupRequest {
        group_id: group,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        member_id: id,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: READS_T }],
        ..JoinGroupRequest::default()
    }
}

/// What a member was told about its generation.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) code: ErrorCode,
    pub(super) id: String,
    pub(super) generation: i32,
    pub(super) members: Vec<String>,
}

/// One member and its connection.
pub(super) struct Member {
    pub(super) client: Client,
    pub(super) group: &'static str,
    pub(super) id: String,
    pub(super) generation: i32,
}

impl Member {
    pub(super) fn new(server: &Server, group: &'static str) -> Self {
        Self { client: server.connect(), group, id: String::new(), generation: -1 }
    }

    /// Asks to join, first for an id if it has none.
    pub(super) fn ask_to_join(&mut self) -> Asked {
        if self.id.is_empty() {
            let asked = self.client.send(Api::JoinGroup, NEWEST_JOIN, &wish(self.group, ""));
            let told = self.hear(asked);
            assert_eq!(told.code, ErrorCode::MemberIdRequired);
            assert!(told.id.starts_with("test-"), "{}", told.id);
            self.id = told.id;
        }
        self.client.send(Api::JoinGroup, NEWEST_JOIN, &wish(self.group, &self.id))
    }

    pub(super) fn hear(&mut self, asked: Asked) -> Told {
        let answer = self.client.receive(asked);
        let told = answer.read::<JoinGroupResponse<'_>>();
        self.generation = told.generation_id;
        Told {
            code: told.error_code,
            id: told.member_id.to_owned(),
            generation: told.generation_id,
            members: told.members.iter().map(|member| member.member_id.to_owned()).collect(),
        }
    }

    /// Asks for its share; the leader says what everybody's is.
    pub(super) fn ask_to_sync(&mut self, shares: &[(String, &str)]) -> Asked {
        let assignments = shares.iter().map(|(member_id, share)| SyncGroupRequestAssignment {
            member_id,
            assignment: share.as_bytes(),
        });
        let request = SyncGroupRequest {
            group_id: self.group,
            generation_id: self.generation,
            member_id: &self.id,
            assignments: assignments.collect(),
            ..SyncGroupRequest::default()
        };
        self.client.send(Api::SyncGroup, 5, &request)
    }

    pub(super) fn share(&mut self, asked: Asked) -> Result<String, ErrorCode> {
        let answer = self.client.receive(asked);
        let told = answer.read::<SyncGroupResponse<'_>>();
        match told.error_code {
            ErrorCode::None => Ok(String::from_utf8_lossy(told.assignment).into_owned()),
            code => Err(code),
        }
    }

    pub(super) fn heartbeat(&mut self) -> ErrorCode {
        heartbeat(&mut self.client, self.group, &self.id, self.generation)
    }

    /// Joins and syncs as the only member.
    pub(super) fn settle_alone(&mut self) {
        let asked = self.ask_to_join();
        let told = self.hear(asked);
        assert_eq!((told.code, told.members.len()), (ErrorCode::None, 1), "{told:?}");
        let asked = self.ask_to_sync(&[(self.id.clone(), "all")]);
        assert_eq!(self.share(asked), Ok("all".to_owned()));
    }
}

pub(super) fn heartbeat(client: &mut Client, group: &str, id: &str, generation: i32) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: group,
        generation_id: generation,
        member_id: id,
        ..HeartbeatRequest::default()
    };
    client.ask(Api::Heartbeat, 4, &request).read::<HeartbeatResponse>().error_code
}

/// Finds the group's home; the first time brings its topic into being.
pub(super) fn find(client: &mut Client, version: i16, group: &str) -> (ErrorCode, i32) {
    let many = version >= 4;
    let request = FindCoordinatorRequest {
        key: if many { "" } else { group },
        coordinator_keys: if many { vec![group] } else { vec![] },
        ..FindCoordinatorRequest::default()
    };
    let answer = client.ask(Api::FindCoordinator, version, &request);
    let told = answer.read::<FindCoordinatorResponse<'_>>();
    match told.coordinators.first() {
        Some(one) => (one.error_code, one.port),
        None => (told.error_code, told.port),
    }
}

/// Commits an offset of `t` as nobody's member.
pub(super) fn commit(
    client: &mut Client,
    version: i16,
    group: &str,
    topic_id: TopicId,
    (partition_index, committed_offset, text): (i32, i64, &str),
) -> ErrorCode {
    let partition = OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_metadata: Some(text),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: if version < 10 { "t" } else { "" },
        topic_id: if version < 10 { TopicId::ZERO } else { topic_id },
        partitions: vec![partition],
    };
    let request = OffsetCommitRequest {
        group_id: group,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let answer = client.ask(Api::OffsetCommit, version, &request);
    answer.read::<OffsetCommitResponse<'_>>().topics[0].partitions[0].error_code
}

/// The offset and text of one partition of `t`.
pub(super) fn fetch(
    client: &mut Client,
    version: i16,
    group: &str,
    topic_id: TopicId,
    index: i32,
) -> (ErrorCode, i64, String) {
    let many = version >= 8;
    let by_id = version >= 10;
    let request = OffsetFetchRequest {
        group_id: if many { "" } else { group },
        topics: (!many)
            .then(|| vec![OffsetFetchRequestTopic { name: "t", partition_indexes: vec![index] }]),
        groups: if many {
            vec![OffsetFetchRequestGroup {
                group_id: group,
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: if by_id { "" } else { "t" },
                    topic_id: if by_id { topic_id } else { TopicId::ZERO },
                    partition_indexes: vec![index],
                }]),
                ..OffsetFetchRequestGroup::default()
            }]
        } else {
            vec![]
        },
        ..OffsetFetchRequest::default()
    };
    let answer = client.ask(Api::OffsetFetch, version, &request);
    let told = answer.read::<OffsetFetchResponse<'_>>();
    let (code, one) = match told.groups.first() {
        Some(group) => (group.error_code, &group.topics[0].partitions[0]),
        None => (told.error_code, &told.topics[0].partitions[0]),
    };
    let code = if code.is_error() { code } else { one.error_code };
    (code, one.committed_offset, one.metadata.unwrap_or_default().to_owned())
}

/// Id and partitions of a topic, and whether it is internal.
pub(super) fn look_up(client: &mut Client, name: &str) -> (TopicId, usize, bool) {
    let topic = MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let answer = client.ask(Api::Metadata, 12, &request);
    let topic = &answer.read::<MetadataResponse<'_>>().topics[0];
    (topic.topic_id, topic.partitions.len(), topic.is_internal)
}

/// State, kind and members of a group.
pub(super) fn describe(
    client: &mut Client,
    version: i16,
    group: &str,
) -> (ErrorCode, String, String, usize) {
    let request = DescribeGroupsRequest { groups: vec![group], ..DescribeGroupsRequest::default() };
    let answer = client.ask(Api::DescribeGroups, version, &request);
    let one = &answer.read::<DescribeGroupsResponse<'_>>().groups[0];
    let (state, kind) = (one.group_state.to_owned(), one.protocol_type.to_owned());
    (one.error_code, state, kind, one.members.len())
}

/// Ids, states and types of the groups that pass the filters.
pub(super) fn list(
    client: &mut Client,
    states: &[&str],
    types: &[&str],
) -> Vec<(String, String, String)> {
    let request =
        ListGroupsRequest { states_filter: states.to_vec(), types_filter: types.to_vec() };
    let answer = client.ask(Api::ListGroups, 5, &request);
    let told = answer.read::<ListGroupsResponse<'_>>();
    assert_eq!(told.error_code, ErrorCode::None);
    let one = |group: &protocol::kafka::list_groups::ListedGroup<'_>| {
        let texts = [group.group_id, group.group_state, group.group_type];
        let [id, state, kind] = texts.map(str::to_owned);
        (id, state, kind)
    };
    told.groups.iter().map(one).collect()
}

pub(super) fn delete(client: &mut Client, group: &str) -> ErrorCode {
    let request = DeleteGroupsRequest { groups_names: vec![group] };
    let answer = client.ask(Api::DeleteGroups, 2, &request);
    answer.read::<DeleteGroupsResponse<'_>>().results[0].error_code
}

/// Waits until the groups are loaded after a start: clients are told to try again meanwhile.
pub(super) fn settled<T>(mut ask: impl FnMut() -> (ErrorCode, T)) -> T {
    loop {
        match ask() {
            (ErrorCode::CoordinatorLoadInProgress, _) => std::thread::yield_now(),
            (code, told) => {
                assert_eq!(code, ErrorCode::None);
                return told;
            }
        }
    }
}

pub(super) fn delete_topic(client: &mut Client, name: &str) -> ErrorCode {
    let topic = DeleteTopicState { name: Some(name), topic_id: TopicId::ZERO };
    let request = DeleteTopicsRequest { topics: vec![topic], ..DeleteTopicsRequest::default() };
    let answer = client.ask(Api::DeleteTopics, 6, &request);
    answer.read::<DeleteTopicsResponse<'_>>().responses[0].error_code
}
