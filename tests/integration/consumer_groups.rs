//! KIP-848 groups through raw sockets: members hand partitions over, commit by their epochs and outlive a kill; what is
//! wrong is said in Kafka's codes.

use std::collections::BTreeSet;

use protocol::kafka::Api;
use protocol::kafka::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use protocol::kafka::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
};
use protocol::kafka::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatTopicPartitions,
};
use protocol::kafka::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use protocol::kafka::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use protocol::kafka::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::kafka::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::kafka::list_groups::{ListGroupsRequest, ListGroupsResponse};
use protocol::kafka::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use protocol::kafka::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use protocol::kafka::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
};
use protocol::{ErrorCode, TopicId};

use crate::wire::{Client, Server};

mod migration;
mod settings;

/// Finds the group's home; the first time brings its topic into being.
fn find(client: &mut Client, group: &str) {
    loop {
        let request = FindCoordinatorRequest {
            coordinator_keys: vec![group],
            ..FindCoordinatorRequest::default()
        };
        let answer = client.ask(Api::FindCoordinator, 4, &request);
        match answer.read::<FindCoordinatorResponse<'_>>().coordinators[0].error_code {
            ErrorCode::None => return,
            ErrorCode::CoordinatorNotAvailable => std::thread::yield_now(),
            code => assert_eq!(code, ErrorCode::None),
        }
    }
}

fn topic_id(client: &mut Client, name: &str) -> TopicId {
    let topic = MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let answer = client.ask(Api::Metadata, 12, &request);
    answer.read::<MetadataResponse<'_>>().topics[0].topic_id
}

/// What a heartbeat is answered with: epoch and partitions of one topic, if any are told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    code: ErrorCode,
    epoch: i32,
    assignment: Option<BTreeSet<i32>>,
    interval_ms: i32,
}

/// Tries again while the group's home is loading or being made.
fn beat(client: &mut Client, version: i16, request: &ConsumerGroupHeartbeatRequest<'_>) -> Told {
    loop {
        let answer = client.ask(Api::ConsumerGroupHeartbeat, version, request);
        let told = answer.read::<ConsumerGroupHeartbeatResponse<'_>>();
        let again = [
            ErrorCode::CoordinatorLoadInProgress,
            ErrorCode::NotCoordinator,
            ErrorCode::CoordinatorNotAvailable,
        ];
        if again.contains(&told.error_code) {
            std::thread::yield_now();
            continue;
        }
        let assignment = told.assignment.map(|given| {
            given.topic_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
        });
        return Told {
            code: told.error_code,
            epoch: told.member_epoch,
            assignment,
            interval_ms: told.heartbeat_interval_ms,
        };
    }
}

/// A member that reads `t`.
struct Member {
    client: Client,
    group: &'static str,
    id: &'static str,
    topic: TopicId,
    epoch: i32,
    holds: BTreeSet<i32>,
}

impl Member {
    fn join(server: &Server, group: &'static str, id: &'static str, topic: TopicId) -> Self {
        let mut member =
            Self { client: server.connect(), group, id, topic, epoch: 0, holds: BTreeSet::new() };
        let told = member.say(&[]);
        assert_eq!((told.code, told.interval_ms), (ErrorCode::None, 5000));
        member
    }

    /// A heartbeat that tells everything, and that it holds these partitions.
    fn say(&mut self, holds: &[i32]) -> Told {
        let mut owned = Vec::new();
        if !holds.is_empty() {
            let topic =
                HeartbeatTopicPartitions { topic_id: self.topic, partitions: holds.to_vec() };
            owned.push(topic);
        }
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group,
            member_id: self.id,
            member_epoch: self.epoch,
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec!["t"]),
            topic_partitions: Some(owned),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let told = beat(&mut self.client, 1, &request);
        if told.code == ErrorCode::None {
            self.epoch = told.epoch;
            if let Some(given) = &told.assignment {
                self.holds.clone_from(given);
            }
        }
        told
    }

    /// Does what it was told until nothing changes any more.
    fn settle(&mut self) {
        loop {
            let (epoch, before) = (self.epoch, self.holds.clone());
            let told = self.say(&before.iter().copied().collect::<Vec<_>>());
            assert_eq!(told.code, ErrorCode::None);
            if (self.epoch, &self.holds) == (epoch, &before) {
                return;
            }
        }
    }

    fn commit(&mut self, member_id: &str, epoch: i32, offset: i64) -> ErrorCode {
        let partition = OffsetCommitRequestPartition {
            committed_offset: offset,
            ..OffsetCommitRequestPartition::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: "t",
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group,
            generation_id_or_member_epoch: epoch,
            member_id,
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        let answer = self.client.ask(Api::OffsetCommit, 9, &request);
        answer.read::<OffsetCommitResponse<'_>>().topics[0].partitions[0].error_code
    }

    fn fetch(&mut self, member_id: Option<&str>, epoch: i32) -> Result<i64, ErrorCode> {
        let topic = OffsetFetchRequestTopics {
            name: "t",
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: self.group,
            member_id,
            member_epoch: epoch,
            topics: Some(vec![topic]),
        };
        let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
        let answer = self.client.ask(Api::OffsetFetch, 9, &request);
        let told = answer.read::<OffsetFetchResponse<'_>>();
        match told.groups[0].error_code {
            ErrorCode::None => Ok(told.groups[0].topics[0].partitions[0].committed_offset),
            code => Err(code),
        }
    }
}

/// A member: its id, what it holds, and what it shall hold.
type Seen = (String, Vec<i32>, Vec<i32>);

/// State and members of a group.
fn describe(client: &mut Client, version: i16, group: &str) -> (ErrorCode, String, Vec<Seen>) {
    let request = ConsumerGroupDescribeRequest { group_ids: vec![group], ..Default::default() };
    let answer = client.ask(Api::ConsumerGroupDescribe, version, &request);
    let told = answer.read::<ConsumerGroupDescribeResponse<'_>>();
    let one = &told.groups[0];
    let members = one.members.iter().map(|member| {
        let mut holds = Vec::new();
        let mut shall_hold = Vec::new();
        for topic in &member.assignment.topic_partitions {
            assert_eq!(topic.topic_name, "t");
            holds.extend(&topic.partitions);
        }
        for topic in &member.target_assignment.topic_partitions {
            shall_hold.extend(&topic.partitions);
        }
        holds.sort_unstable();
        shall_hold.sort_unstable();
        (member.member_id.to_owned(), holds, shall_hold)
    });
    let mut members: Vec<_> = members.collect();
    members.sort();
    (one.error_code, one.group_state.to_owned(), members)
}

fn list(client: &mut Client, group: &str) -> Option<(String, String, String)> {
    let answer = client.ask(Api::ListGroups, 5, &ListGroupsRequest::default());
    let told = answer.read::<ListGroupsResponse<'_>>();
    let found = told.groups.iter().find(|one| one.group_id == group)?;
    let [state, kind, protocol] =
        [found.group_state, found.group_type, found.protocol_type].map(str::to_owned);
    Some((state, kind, protocol))
}

/// `corelog group describe` knows these groups, too.
fn told_by_corelog(server: &Server, one: &Member, two: &Member) {
    let program = tests::place::corelog().expect("it is built");
    let bootstrap = server.plan.bootstrap();
    let arguments = ["group", "describe", "g", "--json", "--bootstrap", &bootstrap];
    let done = std::process::Command::new(program).args(arguments).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(
        (&told["state"], &told["protocol"]),
        (&"Stable".into(), &"uniform".into()),
        "{told}"
    );
    let reader = |index: &i32| {
        let partitions = told["partitions"].as_array().expect("a list");
        let found = partitions.iter().find(|partition| partition["partition"] == *index);
        found.and_then(|partition| partition["member"].as_str())
    };
    assert!(one.holds.iter().all(|index| reader(index) == Some("one")), "{told}");
    assert!(two.holds.iter().all(|index| reader(index) == Some("two")), "{told}");
}

#[test]
fn a_member_takes_over_and_nobody_else_stops() {
    let mut server = Server::start(&["--shards", "2"]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 6, &[]), ErrorCode::None);
    find(&mut client, "g");
    let topic = topic_id(&mut client, "t");
    let mut one = Member::join(&server, "g", "one", topic);
    one.settle();
    assert_eq!(one.holds.len(), 6);
    let mut two = Member::join(&server, "g", "two", topic);
    assert_eq!(two.holds.len(), 0, "it was given what another holds");
    // The first one learns that it must give three up, and reads the others on.
    let all: Vec<i32> = one.holds.iter().copied().collect();
    let told = one.say(&all);
    assert_eq!(told.assignment.map(|kept| kept.len()), Some(3));
    two.settle();
    assert_eq!(two.holds.len(), 0, "it was given what is not given up yet");
    one.settle();
    two.settle();
    assert_eq!((one.holds.len(), two.holds.len()), (3, 3));
    assert!(one.holds.is_disjoint(&two.holds));
    assert_eq!(one.epoch, two.epoch);
    let sorted = |holds: &BTreeSet<i32>| holds.iter().copied().collect::<Vec<_>>();
    let expected = vec![
        ("one".to_owned(), sorted(&one.holds), sorted(&one.holds)),
        ("two".to_owned(), sorted(&two.holds), sorted(&two.holds)),
    ];
    for version in Api::ConsumerGroupDescribe.served() {
        let told = describe(&mut client, version, "g");
        assert_eq!(told, (ErrorCode::None, "Stable".to_owned(), expected.clone()));
    }
    let words = ["Stable", "consumer", "consumer"].map(str::to_owned);
    assert_eq!(list(&mut client, "g"), Some(words.into()));
    told_by_corelog(&server, &one, &two);
    // Offsets go by the member's epoch.
    let epoch = one.epoch;
    assert_eq!(one.commit("one", epoch, 17), ErrorCode::None);
    assert_eq!(one.commit("one", epoch - 1, 18), ErrorCode::StaleMemberEpoch);
    assert_eq!(one.commit("nobody", epoch, 18), ErrorCode::UnknownMemberId);
    assert_eq!(one.commit("", -1, 18), ErrorCode::UnknownMemberId);
    assert_eq!(one.fetch(Some("one"), epoch), Ok(17));
    assert_eq!(one.fetch(Some("one"), epoch - 1), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(one.fetch(Some("nobody"), epoch), Err(ErrorCode::UnknownMemberId));
    assert_eq!(one.fetch(None, -1), Ok(17));
    // Everything is as it was after a kill.
    server.kill_and_restart();
    (client, one.client, two.client) = (server.connect(), server.connect(), server.connect());
    let before = (one.epoch, one.holds.clone(), two.epoch, two.holds.clone());
    one.settle();
    two.settle();
    assert_eq!((one.epoch, one.holds.clone(), two.epoch, two.holds.clone()), before);
    assert_eq!(one.fetch(Some("one"), epoch), Ok(17));
    // One goes, and the other gets everything.
    one.epoch = -1;
    assert_eq!(one.say(&[]).code, ErrorCode::None);
    two.settle();
    assert_eq!(two.holds.len(), 6);
    two.epoch = -1;
    assert_eq!(two.say(&[]).code, ErrorCode::None);
    let told = describe(&mut client, 1, "g");
    assert_eq!(told, (ErrorCode::None, "Empty".to_owned(), vec![]));
    let answer = client.ask(Api::DeleteGroups, 2, &DeleteGroupsRequest { groups_names: vec!["g"] });
    assert_eq!(answer.read::<DeleteGroupsResponse<'_>>().results[0].error_code, ErrorCode::None);
    assert_eq!(describe(&mut client, 1, "g").0, ErrorCode::GroupIdNotFound);
    server.kill_and_restart();
    client = server.connect();
    find(&mut client, "g");
    while describe(&mut client, 1, "g").0 == ErrorCode::CoordinatorLoadInProgress {
        std::thread::yield_now();
    }
    assert_eq!(describe(&mut client, 1, "g").0, ErrorCode::GroupIdNotFound);
}

#[test]
fn what_members_of_the_new_protocol_do_wrong_is_said_in_kafkas_codes() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    find(&mut client, "g");
    let good = ConsumerGroupHeartbeatRequest {
        group_id: "g",
        member_id: "m",
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t"]),
        topic_partitions: Some(vec![]),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let epoch = beat(&mut client, 1, &good).epoch;
    let mut code = |version, change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest<'_>)| {
        let mut request = good.clone();
        change(&mut request);
        beat(&mut client, version, &request).code
    };
    let invalid = ErrorCode::InvalidRequest;
    assert_eq!(code(1, &|one| one.member_id = ""), invalid);
    assert_eq!(code(1, &|one| one.group_id = ""), invalid);
    assert_eq!(code(1, &|one| one.instance_id = Some("")), invalid);
    assert_eq!(code(1, &|one| one.rack_id = Some("")), invalid);
    assert_eq!(code(1, &|one| one.rebalance_timeout_ms = -1), invalid);
    assert_eq!(code(1, &|one| one.topic_partitions = None), invalid);
    assert_eq!(code(1, &|one| one.subscribed_topic_names = None), invalid);
    assert_eq!(code(1, &|one| one.member_epoch = -2), invalid);
    let assignor = |one: &mut ConsumerGroupHeartbeatRequest<'_>| one.server_assignor = Some("mine");
    assert_eq!(code(1, &assignor), ErrorCode::UnsupportedAssignor);
    assert_eq!(code(1, &|one| one.member_epoch = epoch + 1), ErrorCode::FencedMemberEpoch);
    let unknown = |one: &mut ConsumerGroupHeartbeatRequest<'_>| {
        (one.member_id, one.member_epoch) = ("other", epoch);
    };
    assert_eq!(code(1, &unknown), ErrorCode::UnknownMemberId);
    let nowhere = |one: &mut ConsumerGroupHeartbeatRequest<'_>| {
        (one.group_id, one.member_epoch) = ("nowhere", 1);
    };
    assert_eq!(code(1, &nowhere), ErrorCode::GroupIdNotFound);
    let pattern =
        |one: &mut ConsumerGroupHeartbeatRequest<'_>| one.subscribed_topic_regex = Some("(");
    assert_eq!(code(1, &pattern), ErrorCode::InvalidRegularExpression);
    // Static members.
    let fixed = |one: &mut ConsumerGroupHeartbeatRequest<'_>| one.instance_id = Some("fixed");
    assert_eq!(code(1, &fixed), ErrorCode::None);
    let twice = |one: &mut ConsumerGroupHeartbeatRequest<'_>| {
        (one.instance_id, one.member_id) = (Some("fixed"), "twin");
    };
    assert_eq!(code(1, &twice), ErrorCode::UnreleasedInstanceId);
    let stranger = |one: &mut ConsumerGroupHeartbeatRequest<'_>| {
        (one.instance_id, one.member_id, one.member_epoch) = (Some("fixed"), "twin", epoch);
    };
    assert_eq!(code(1, &stranger), ErrorCode::FencedInstanceId);
    // The broker makes the id for clients that cannot.
    let request = ConsumerGroupHeartbeatRequest { member_id: "", ..good.clone() };
    let answer = client.ask(Api::ConsumerGroupHeartbeat, 0, &request);
    let told = answer.read::<ConsumerGroupHeartbeatResponse<'_>>();
    assert_eq!(told.error_code, ErrorCode::None);
    assert!(told.member_id.is_some_and(|id| id.len() >= 22));
    // A classic description does not know it, nor the other way round.
    let request = DescribeGroupsRequest { groups: vec!["g"], ..DescribeGroupsRequest::default() };
    let answer = client.ask(Api::DescribeGroups, 6, &request);
    let told = answer.read::<DescribeGroupsResponse<'_>>();
    assert_eq!(told.groups[0].error_code, ErrorCode::GroupIdNotFound);
    assert_eq!(describe(&mut client, 1, "nowhere").0, ErrorCode::GroupIdNotFound);
}

#[test]
fn a_group_without_members_goes_from_one_protocol_to_the_other() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    find(&mut client, "g");
    let topic = topic_id(&mut client, "t");
    let mut one = Member::join(&server, "g", "one", topic);
    let mut join = |group, protocol_type| {
        let metadata = b"\0\0\0\0\0\x01\0\x01t\0\0\0\0";
        let request = JoinGroupRequest {
            group_id: group,
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 20_000,
            protocol_type,
            protocols: vec![JoinGroupRequestProtocol { name: "range", metadata }],
            ..JoinGroupRequest::default()
        };
        let answer = client.ask(Api::JoinGroup, 4, &request);
        answer.read::<JoinGroupResponse<'_>>().error_code
    };
    assert_eq!(join("g", "connect"), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(one.commit("one", one.epoch, 5), ErrorCode::None);
    one.epoch = -1;
    assert_eq!(one.say(&[]).code, ErrorCode::None);
    assert_eq!(join("g", "connect"), ErrorCode::MemberIdRequired);
    let words = ["Empty", "classic", ""].map(str::to_owned);
    assert_eq!(list(&mut one.client, "g"), Some(words.into()));
    // What was committed stays.
    assert_eq!(one.fetch(None, -1), Ok(5));
}

#[test]
fn the_cluster_has_agreed_on_the_new_protocol() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for version in 3..=4 {
        let request =
            ApiVersionsRequest { client_software_name: "test", client_software_version: "1" };
        let answer = client.ask(Api::ApiVersions, version, &request);
        let told = answer.read::<ApiVersionsResponse<'_>>();
        let finalized = told.finalized_features.iter().find(|one| one.name == "group.version");
        assert_eq!(finalized.map(|one| one.max_version_level), Some(1));
        assert!(told.finalized_features_epoch >= 0);
        let supported = told.supported_features.iter().find(|one| one.name == "group.version");
        // Its lowest version is 0, which version 3 of the answer cannot say.
        assert_eq!(supported.is_some(), version >= 4);
    }
}
