//! Groups form, share out, commit, and outlive a kill, through raw sockets; what is wrong is said in Kafka's codes.

use std::collections::BTreeMap;

use protocol::batch::RawBatch;
use protocol::kafka::Api;
use protocol::kafka::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
};
use protocol::kafka::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use protocol::kafka::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::kafka::group_log::home_of;
use protocol::kafka::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::kafka::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use protocol::kafka::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use protocol::kafka::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};
use protocol::kafka::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse,
};
use protocol::{ErrorCode, TopicId};
use tests::wire::Wire as Raw;

use crate::wire::{Client, Server};
use member::{
    Member, NEWEST_JOIN, commit, delete, delete_topic, describe, fetch, find, heartbeat, list,
    look_up, settled, wish,
};

mod member;

/// No waiting for more members, and short sessions.
const AT_ONCE: &str = "[defaults]\n\"group.initial.rebalance.delay.ms\" = 0\n\
                       \"group.min.session.timeout.ms\" = 100\n";
const OFFSETS: &str = "__consumer_offsets";

#[test]
fn two_members_share_out_commit_and_outlive_a_kill() {
    let mut server = Server::start_with(&["--shards", "2"], AT_ONCE);
    let mut client = server.connect();
    assert_eq!(client.create("t", 2, &[]), ErrorCode::None);
    for version in Api::FindCoordinator.served() {
        let expected = (ErrorCode::None, i32::from(server.plan.kafka));
        assert_eq!(find(&mut client, version, "g"), expected, "version {version}");
    }
    let mut one = Member::new(&server, "g");
    let mut two = Member::new(&server, "g");
    one.settle_alone();
    let first = one.generation;
    // A second member calls the first to join anew.
    let asked_two = two.ask_to_join();
    while one.heartbeat() == ErrorCode::None {
        std::thread::yield_now();
    }
    assert_eq!(one.heartbeat(), ErrorCode::RebalanceInProgress);
    let asked_one = one.ask_to_join();
    let (told_one, told_two) = (one.hear(asked_one), two.hear(asked_two));
    assert_eq!((told_one.generation, told_two.generation), (first + 1, first + 1));
    assert_eq!((told_one.members.len(), told_two.members.len()), (2, 0));
    let asked_two = two.ask_to_sync(&[]);
    let asked_one = one.ask_to_sync(&[(one.id.clone(), "p0"), (two.id.clone(), "p1")]);
    assert_eq!(one.share(asked_one), Ok("p0".to_owned()));
    assert_eq!(two.share(asked_two), Ok("p1".to_owned()));
    let expected = (ErrorCode::None, "Stable".to_owned(), "consumer".to_owned(), 2);
    for version in Api::DescribeGroups.served() {
        assert_eq!(describe(&mut client, version, "g"), expected, "version {version}");
    }
    // Only members may commit now.
    let id = look_up(&mut client, "t").0;
    assert_eq!(commit(&mut client, 8, "g", id, (0, 1, "")), ErrorCode::UnknownMemberId);
    let partition = OffsetCommitRequestPartition {
        committed_offset: 17,
        committed_leader_epoch: 3,
        committed_metadata: Some("mine"),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: "t",
        topic_id: TopicId::ZERO,
        partitions: vec![partition],
    };
    let request = OffsetCommitRequest {
        group_id: "g",
        generation_id_or_member_epoch: one.generation,
        member_id: &one.id,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let answer = client.ask(Api::OffsetCommit, 8, &request);
    let told = answer.read::<OffsetCommitResponse<'_>>();
    assert_eq!(told.topics[0].partitions[0].error_code, ErrorCode::None);

    server.kill_and_restart();
    let mut client = server.connect();
    let found = settled(|| {
        let (code, offset, text) = fetch(&mut client, 7, "g", id, 0);
        (code, (offset, text))
    });
    assert_eq!(found, (17, "mine".to_owned()));
    // The members go on in their generation, and have their shares.
    for member in [&mut one, &mut two] {
        member.client = server.connect();
        assert_eq!(member.heartbeat(), ErrorCode::None);
    }
    let asked = two.ask_to_sync(&[]);
    assert_eq!(two.share(asked), Ok("p1".to_owned()));
    // They leave, and the group can be forgotten.
    assert_eq!(delete(&mut client, "g"), ErrorCode::NonEmptyGroup);
    let members =
        [&one.id, &two.id].map(|id| MemberIdentity { member_id: id, ..MemberIdentity::default() });
    let request = LeaveGroupRequest {
        group_id: "g",
        members: members.to_vec(),
        ..LeaveGroupRequest::default()
    };
    let answer = client.ask(Api::LeaveGroup, 5, &request);
    let told = answer.read::<LeaveGroupResponse<'_>>();
    let codes: Vec<_> = told.members.iter().map(|member| member.error_code).collect();
    assert_eq!((told.error_code, codes), (ErrorCode::None, vec![ErrorCode::None; 2]));
    assert_eq!(describe(&mut client, 6, "g").1, "Empty");
    // A record of the emptied group may still be on its way; then it counts as busy.
    while delete(&mut client, "g") == ErrorCode::NonEmptyGroup {
        std::thread::yield_now();
    }
    assert_eq!(delete(&mut client, "g"), ErrorCode::GroupIdNotFound);
    assert_eq!(fetch(&mut client, 7, "g", id, 0), (ErrorCode::None, -1, String::new()));

    server.kill_and_restart();
    let mut client = server.connect();
    let found = settled(|| {
        let (code, offset, _) = fetch(&mut client, 7, "g", id, 0);
        (code, offset)
    });
    assert_eq!(found, -1, "what was deleted has come back");
}

#[test]
fn offsets_are_committed_and_fetched_in_every_version() {
    let mut server = Server::start_with(&["--shards", "2"], AT_ONCE);
    let mut client = server.connect();
    assert_eq!(client.create("t", 3, &[]), ErrorCode::None);
    assert_eq!(find(&mut client, 3, "g").0, ErrorCode::None);
    let id = look_up(&mut client, "t").0;
    let mut expected = BTreeMap::new();
    for version in Api::OffsetCommit.served() {
        for (group, index) in [("g", 0), ("h", 1), ("😀", 2)] {
            let offset = i64::from(version) * 100 + i64::from(index);
            let text = format!("v{version}");
            let place = (index, offset, text.as_str());
            let code = commit(&mut client, version, group, id, place);
            assert_eq!(code, ErrorCode::None, "version {version}");
            expected.insert((group, index), (ErrorCode::None, offset, text));
        }
        for fetched in Api::OffsetFetch.served() {
            for ((group, index), told) in &expected {
                let found = fetch(&mut client, fetched, group, id, *index);
                assert_eq!(found, *told, "committed in {version}, fetched in {fetched}");
            }
            // What was never committed is told as such, in a known group and in none.
            let none = (ErrorCode::None, -1, String::new());
            assert_eq!(fetch(&mut client, fetched, "g", id, 2), none);
            assert_eq!(fetch(&mut client, fetched, "nobody", id, 2), none);
        }
    }
    // All topics at once.
    let request = OffsetFetchRequest { group_id: "h", ..OffsetFetchRequest::default() };
    let answer = client.ask(Api::OffsetFetch, 7, &request);
    let told = answer.read::<OffsetFetchResponse<'_>>();
    assert_eq!((told.topics.len(), told.topics[0].partitions.len()), (1, 1));
    let mut groups = list(&mut client, &[], &[]);
    groups.sort();
    let group = |id: &str| (id.to_owned(), "Empty".to_owned(), "classic".to_owned());
    assert_eq!(groups, [group("g"), group("h"), group("😀")]);
    assert_eq!(list(&mut client, &["stable"], &[]), []);
    assert_eq!(list(&mut client, &["empty"], &["Classic"]).len(), 3);
    assert_eq!(list(&mut client, &[], &["consumer"]), []);

    server.kill_and_restart();
    let mut client = server.connect();
    for ((group, index), told) in &expected {
        let found = settled(|| {
            let (code, offset, text) = fetch(&mut client, 7, group, id, *index);
            (code, (ErrorCode::None, offset, text))
        });
        assert_eq!(found, *told, "{group} after a kill");
    }
    // Some offsets are forgotten by wish, the rest with their topic.
    let partitions = [1, 9].map(|partition_index| OffsetDeleteRequestPartition { partition_index });
    let topic = OffsetDeleteRequestTopic { name: "t", partitions: partitions.to_vec() };
    let request = OffsetDeleteRequest { group_id: "h", topics: vec![topic] };
    let answer = client.ask(Api::OffsetDelete, 0, &request);
    let told = answer.read::<OffsetDeleteResponse<'_>>();
    let codes: Vec<_> = told.topics[0].partitions.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(fetch(&mut client, 7, "h", id, 1).1, -1);
    assert_eq!(delete_topic(&mut client, "t"), ErrorCode::None);
    assert_eq!(client.create("t", 3, &[]), ErrorCode::None);
    while fetch(&mut client, 7, "g", id, 0).1 != -1 {
        std::thread::yield_now();
    }
}

/// Commits need not be waited for; what is asked for behind them sees them.
#[test]
fn commits_that_are_not_waited_for_keep_their_order() {
    let mut server = Server::start_with(&["--shards", "2"], AT_ONCE);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    let commit_in = |group, member: Option<(&'static str, i32)>, offset| {
        let partition = OffsetCommitRequestPartition {
            committed_offset: offset,
            ..OffsetCommitRequestPartition::default()
        };
        let (member_id, generation) = member.unwrap_or(("", -1));
        OffsetCommitRequest {
            group_id: group,
            generation_id_or_member_epoch: generation,
            member_id,
            topics: vec![OffsetCommitRequestTopic {
                name: "t",
                partitions: vec![partition],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        }
    };
    let code = |answer: crate::wire::Answer| {
        answer.read::<OffsetCommitResponse<'_>>().topics[0].partitions[0].error_code
    };
    // Homes on both shards.
    for group in ["a", "b", "c", "d"] {
        assert_eq!(find(&mut client, 3, group).0, ErrorCode::None);
        let asked: Vec<_> = (1..=300)
            .map(|offset| client.send(Api::OffsetCommit, 8, &commit_in(group, None, offset)))
            .collect();
        let fetch = OffsetFetchRequest {
            group_id: group,
            topics: Some(vec![OffsetFetchRequestTopic { name: "t", partition_indexes: vec![0] }]),
            ..OffsetFetchRequest::default()
        };
        let fetched = client.send(Api::OffsetFetch, 7, &fetch);
        for one in asked {
            assert_eq!(code(client.receive(one)), ErrorCode::None, "{group}");
        }
        let told = client.receive(fetched);
        let told = told.read::<OffsetFetchResponse<'_>>();
        assert_eq!(told.topics[0].partitions[0].committed_offset, 300, "{group}");
    }
    // A member commits and leaves in one breath.
    let mut member = Member::new(&server, "e");
    assert_eq!(find(&mut member.client, 3, "e").0, ErrorCode::None);
    member.settle_alone();
    let id: &'static str = member.id.clone().leak();
    let request = commit_in("e", Some((id, member.generation)), 7);
    let committed = member.client.send(Api::OffsetCommit, 8, &request);
    let identity = MemberIdentity { member_id: id, ..MemberIdentity::default() };
    let leave = LeaveGroupRequest {
        group_id: "e",
        members: vec![identity],
        ..LeaveGroupRequest::default()
    };
    let left = member.client.send(Api::LeaveGroup, 4, &leave);
    assert_eq!(code(member.client.receive(committed)), ErrorCode::None);
    let told = member.client.receive(left);
    assert_eq!(told.read::<LeaveGroupResponse<'_>>().error_code, ErrorCode::None);
    server.kill_and_restart();
    client = server.connect();
    for (group, expected) in [("a", 300), ("b", 300), ("c", 300), ("d", 300), ("e", 7)] {
        let told = settled(|| {
            let (code, offset, _) = fetch(&mut client, 7, group, TopicId::ZERO, 0);
            (code, offset)
        });
        assert_eq!(told, expected, "{group}");
    }
}

#[test]
fn the_topic_of_offsets_is_real_and_the_brokers_own() {
    let server = Server::start_with(&[], AT_ONCE);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    assert_eq!(find(&mut client, 6, "lag").0, ErrorCode::None);
    let (_, partitions, is_internal) = look_up(&mut client, OFFSETS);
    assert_eq!((partitions, is_internal), (50, true));
    assert_eq!(commit(&mut client, 8, "lag", TopicId::ZERO, (0, 258, "m")), ErrorCode::None);
    // A tool that knows nothing of us finds the record where Kafka would have put it.
    let home = i32::try_from(home_of("lag", 50)).unwrap();
    let mut raw = Raw::connect(server.plan.kafka).unwrap();
    let (code, _, bytes) = raw.fetch(OFFSETS, home, 0).unwrap();
    assert_eq!(code, 0);
    let (batch, rest) = RawBatch::split_first(&bytes).unwrap();
    assert!(rest.is_empty());
    let batch = batch.check().unwrap();
    let record = batch.records().next().unwrap().unwrap();
    assert_eq!(record.key, Some(&b"\0\x01\0\x03lag\0\x01t\0\0\0\0"[..]));
    let value = record.value.unwrap();
    assert_eq!(value[..17], *b"\0\x03\0\0\0\0\0\0\x01\x02\xff\xff\xff\xff\0\x01m");
    assert_eq!(value.len(), 17 + 8);
    // Nobody else writes to it or trims it, and it neither goes nor grows.
    let (code, _) = raw.produce(OFFSETS, home, &crate::wire::batch(&[1])).unwrap();
    assert_eq!(code, i64::from(ErrorCode::InvalidTopicException.code()));
    let partitions = vec![DeleteRecordsPartition { partition_index: home, offset: 1 }];
    let topics = vec![DeleteRecordsTopic { name: OFFSETS, partitions }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 30_000 };
    let answer = client.ask(Api::DeleteRecords, 2, &request);
    let told = answer.read::<DeleteRecordsResponse<'_>>();
    assert_eq!(told.topics[0].partitions[0].error_code, ErrorCode::InvalidTopicException);
    assert_eq!(delete_topic(&mut client, OFFSETS), ErrorCode::InvalidTopicException);
    let topic =
        CreatePartitionsTopic { name: OFFSETS, count: 60, ..CreatePartitionsTopic::default() };
    let request =
        CreatePartitionsRequest { topics: vec![topic], ..CreatePartitionsRequest::default() };
    let answer = client.ask(Api::CreatePartitions, 3, &request);
    let told = answer.read::<CreatePartitionsResponse<'_>>();
    assert_eq!(told.results[0].error_code, ErrorCode::InvalidPartitions);
}

#[test]
fn what_members_do_wrong_is_said_in_kafkas_codes() {
    let server = Server::start_with(&[], AT_ONCE);
    let mut client = server.connect();
    // Before anybody has looked for a home there is none.
    assert_eq!(heartbeat(&mut client, "g", "m", 1), ErrorCode::NotCoordinator);
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    assert_eq!(find(&mut client, 6, "g").0, ErrorCode::None);
    let mut member = Member::new(&server, "g");
    member.settle_alone();
    let generation = member.generation;
    let id = member.id.clone();
    let cases = [
        ("", "m", 1, ErrorCode::InvalidGroupId),
        ("unknown", "m", 1, ErrorCode::UnknownMemberId),
        ("g", "m", generation, ErrorCode::UnknownMemberId),
        ("g", id.as_str(), generation + 1, ErrorCode::IllegalGeneration),
        ("g", id.as_str(), generation, ErrorCode::None),
    ];
    for (group, id, generation, code) in cases {
        assert_eq!(heartbeat(&mut client, group, id, generation), code, "{group} {id}");
    }
    let join = |client: &mut Client, request: &JoinGroupRequest<'_>| {
        let answer = client.ask(Api::JoinGroup, NEWEST_JOIN, request);
        answer.read::<JoinGroupResponse<'_>>().error_code
    };
    let other = vec![JoinGroupRequestProtocol { name: "other", metadata: b"" }];
    let cases = [
        (wish("", ""), ErrorCode::InvalidGroupId),
        (wish("unknown", "m"), ErrorCode::UnknownMemberId),
        (wish("g", "m"), ErrorCode::UnknownMemberId),
        (
            JoinGroupRequest { session_timeout_ms: 99, ..wish("g", "") },
            ErrorCode::InvalidSessionTimeout,
        ),
        (
            JoinGroupRequest { session_timeout_ms: 1_800_001, ..wish("g", "") },
            ErrorCode::InvalidSessionTimeout,
        ),
        (
            JoinGroupRequest { protocol_type: "connect", ..wish("g", "") },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            JoinGroupRequest { protocols: other, ..wish("g", "") },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            JoinGroupRequest { protocols: vec![], ..wish("x", "") },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            JoinGroupRequest { group_instance_id: Some("i"), ..wish("g", &id) },
            ErrorCode::UnknownMemberId,
        ),
    ];
    for (request, code) in cases {
        assert_eq!(join(&mut client, &request), code, "{request:?}");
    }
    // However long a client's name is, its id fits.
    let name = "i".repeat(32_767);
    let request = JoinGroupRequest { group_instance_id: Some(&name), ..wish("long", "") };
    let answer = client.ask(Api::JoinGroup, NEWEST_JOIN, &request);
    let told = answer.read::<JoinGroupResponse<'_>>();
    assert_eq!((told.error_code, told.member_id.len()), (ErrorCode::None, 200 + 1 + 36));
    // A member id that nobody has, in each version of leaving.
    for version in Api::LeaveGroup.served() {
        let many = version >= 3;
        let stranger = MemberIdentity { member_id: "m", ..MemberIdentity::default() };
        let request = LeaveGroupRequest {
            group_id: "g",
            member_id: if many { "" } else { "m" },
            members: if many { vec![stranger] } else { vec![] },
        };
        let answer = client.ask(Api::LeaveGroup, version, &request);
        let told = answer.read::<LeaveGroupResponse<'_>>();
        let code = told.members.first().map_or(told.error_code, |member| member.error_code);
        assert_eq!(code, ErrorCode::UnknownMemberId, "version {version}");
    }
    // Groups that are not there.
    assert_eq!(describe(&mut client, 5, "unknown").0, ErrorCode::None);
    assert_eq!(describe(&mut client, 5, "unknown").1, "Dead");
    assert_eq!(describe(&mut client, 6, "unknown").0, ErrorCode::GroupIdNotFound);
    assert_eq!(delete(&mut client, "unknown"), ErrorCode::GroupIdNotFound);
    assert_eq!(delete(&mut client, "g"), ErrorCode::NonEmptyGroup);
    assert_eq!(delete(&mut client, ""), ErrorCode::InvalidGroupId);
    // Offsets that cannot be.
    let unknown = commit(&mut client, 8, "free", TopicId::ZERO, (7, 1, ""));
    assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
    let unknown = commit(&mut client, 10, "free", TopicId::new([7; 16]), (0, 1, ""));
    assert_eq!(unknown, ErrorCode::UnknownTopicId);
    let request = OffsetDeleteRequest {
        group_id: "g",
        topics: vec![OffsetDeleteRequestTopic {
            name: "t",
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    let answer = client.ask(Api::OffsetDelete, 0, &request);
    let told = answer.read::<OffsetDeleteResponse<'_>>();
    assert_eq!(told.topics[0].partitions[0].error_code, ErrorCode::GroupSubscribedToTopic);
    let request = FindCoordinatorRequest {
        key_type: 9,
        coordinator_keys: vec!["g"],
        ..FindCoordinatorRequest::default()
    };
    let answer = client.ask(Api::FindCoordinator, 6, &request);
    let told = answer.read::<FindCoordinatorResponse<'_>>();
    assert_eq!(told.coordinators[0].error_code, ErrorCode::InvalidRequest);
}

/// Row S18: groups and members cannot be made without end, and what nobody uses is collected.
#[test]
fn s18_groups_and_members_are_limited() {
    let limits = format!("{AT_ONCE}\"group.max.size\" = 2\n[limits]\ngroups-max = 20\n");
    let server = Server::start_with(&[], &limits);
    let mut client = server.connect();
    assert_eq!(find(&mut client, 6, "g").0, ErrorCode::None);
    let join = |client: &mut Client, version, request: &JoinGroupRequest<'_>| {
        let answer = client.ask(Api::JoinGroup, version, request);
        answer.read::<JoinGroupResponse<'_>>().error_code
    };
    // An id is given before a member counts, and not more often than there may be members.
    let codes = [0; 3].map(|_| join(&mut client, 4, &wish("g", "")));
    let required = ErrorCode::MemberIdRequired;
    assert_eq!(codes, [required, required, ErrorCode::GroupMaxSizeReached]);
    let names: Vec<String> = (0..1_000).map(|number| format!("random-{number}")).collect();
    let mut told = BTreeMap::new();
    for name in &names {
        *told.entry(join(&mut client, 9, &wish(name, "")).code()).or_insert(0) += 1;
    }
    let full = ErrorCode::GroupMaxSizeReached;
    let expected = BTreeMap::from([(required.code(), 19), (full.code(), 981)]);
    assert_eq!(told, expected);
    // A member that tells too much of itself.
    let large = vec![0; 65 * 1024];
    let protocols = vec![JoinGroupRequestProtocol { name: "range", metadata: &large }];
    let request = JoinGroupRequest { protocols, ..wish("g", "") };
    assert_eq!(join(&mut client, 9, &request), ErrorCode::InvalidRequest);
}

/// Row S19: what goes with an offset is limited.
#[test]
fn s19_the_text_of_an_offset_is_limited() {
    let server = Server::start_with(&[], AT_ONCE);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    assert_eq!(find(&mut client, 6, "g").0, ErrorCode::None);
    for (bytes, code) in [(4096, ErrorCode::None), (4097, ErrorCode::OffsetMetadataTooLarge)] {
        let text = "x".repeat(bytes);
        assert_eq!(commit(&mut client, 8, "g", TopicId::ZERO, (0, 1, &text)), code, "{bytes}");
    }
}

/// A member that waits for others and goes away holds up neither its group nor the broker's stop.
#[test]
fn a_member_that_waits_and_goes_leaks_nothing() {
    let short = format!("{AT_ONCE}[limits]\nidle-ms = 60000\n");
    let mut fixture = crate::fixture::Fixture::start_with("waiting_member", &short);
    let port = fixture.plan.kafka;
    let connect = || Client::connect(port);
    assert_eq!(find(&mut connect(), 6, "g").0, ErrorCode::None);
    let join = |id: &str, session_timeout_ms| {
        let mut client = connect();
        let request = JoinGroupRequest { session_timeout_ms, ..wish("g", id) };
        let asked = client.send(Api::JoinGroup, 3, &request);
        (client, asked)
    };
    // The first has its generation and falls silent; the second waits for it, and goes.
    let (mut one, asked) = join("", 500);
    let answer = one.receive(asked);
    let first = answer.read::<JoinGroupResponse<'_>>().member_id.to_owned();
    let (two, _asked) = join("", 500);
    drop(two);
    // When the first is dead the second is a member that never answers, and is dead as well soon after.
    let (mut three, asked) = join("", 10_000);
    let answer = three.receive(asked);
    let told = answer.read::<JoinGroupResponse<'_>>();
    assert_eq!(told.error_code, ErrorCode::None);
    assert_ne!(told.member_id, first);
    // One more waits while the broker stops; the stop does not wait for it.
    let (_four, _asked) = join("", 10_000);
    assert!(fixture.broker().is_running());
    fixture.finish();
}
