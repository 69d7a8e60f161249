//! A group with members goes from the classic protocol to KIP-848 and back, and takes members of both meanwhile.

use std::collections::BTreeSet;

use protocol::kafka::Api;
use protocol::kafka::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use protocol::kafka::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolPartitions, ConsumerProtocolSubscription,
};
use protocol::kafka::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use protocol::kafka::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::kafka::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use protocol::{ErrorCode, TopicId};

use super::{Member, beat, find, list, topic_id};
use crate::wire::{Client, Server};

const PARTITIONS: i32 = 6;
const DISABLED: &str = "[defaults]\n\"group.consumer.migration.policy\" = \"disabled\"\n";
/// The first member of a group need not wait for others.
const AT_ONCE: &str = "[defaults]\n\"group.initial.rebalance.delay.ms\" = 0\n";

/// A consumer of the classic protocol that gives everything up before it joins.
struct Classic {
    client: Client,
    group: &'static str,
    id: String,
    generation: i32,
    holds: BTreeSet<i32>,
}

impl Classic {
    fn new(server: &Server, group: &'static str) -> Self {
        let (id, holds) = (String::new(), BTreeSet::new());
        Self { client: server.connect(), group, id, generation: -1, holds }
    }

    /// Joins, and fetches its share; the leader gives itself everything.
    fn join(&mut self) {
        self.holds.clear();
        let mut metadata = Vec::new();
        ConsumerProtocolSubscription { topics: vec!["t"], ..Default::default() }
            .write(1, &mut metadata)
            .expect("a short name");
        loop {
            let request = JoinGroupRequest {
                group_id: self.group,
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 20_000,
                member_id: &self.id,
                protocol_type: "consumer",
                protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: &metadata }],
                ..JoinGroupRequest::default()
            };
            let answer = self.client.ask(Api::JoinGroup, 9, &request);
            let told = answer.read::<JoinGroupResponse<'_>>();
            match told.error_code {
                ErrorCode::None => {
                    self.generation = told.generation_id;
                    assert_eq!(told.protocol_name, Some("range"));
                    let (id, leads) = (told.member_id.to_owned(), told.leader == told.member_id);
                    self.id = id;
                    match self.sync(leads) {
                        ErrorCode::None => return,
                        ErrorCode::RebalanceInProgress => {}
                        code => assert_eq!(code, ErrorCode::None, "it syncs"),
                    }
                }
                ErrorCode::MemberIdRequired => self.id = told.member_id.to_owned(),
                ErrorCode::RebalanceInProgress
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::NotCoordinator => {}
                code => assert_eq!(code, ErrorCode::None, "it joins"),
            }
        }
    }

    fn sync(&mut self, leads: bool) -> ErrorCode {
        let mut all = Vec::new();
        let partitions = (0..PARTITIONS).collect();
        let assigned_partitions = vec![ConsumerProtocolPartitions { topic: "t", partitions }];
        ConsumerProtocolAssignment { assigned_partitions, user_data: None }
            .write(1, &mut all)
            .expect("a short name");
        let share = SyncGroupRequestAssignment { member_id: &self.id, assignment: &all };
        let request = SyncGroupRequest {
            group_id: self.group,
            generation_id: self.generation,
            member_id: &self.id,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: if leads { vec![share] } else { vec![] },
            ..SyncGroupRequest::default()
        };
        let answer = self.client.ask(Api::SyncGroup, 5, &request);
        let told = answer.read::<SyncGroupResponse<'_>>();
        if told.error_code == ErrorCode::None {
            let share = ConsumerProtocolAssignment::read(told.assignment).expect("a share");
            let topics = share.assigned_partitions.iter();
            self.holds = topics.flat_map(|topic| topic.partitions.iter().copied()).collect();
        }
        told.error_code
    }

    fn heartbeat(&mut self) -> ErrorCode {
        loop {
            let request = HeartbeatRequest {
                group_id: self.group,
                generation_id: self.generation,
                member_id: &self.id,
                ..HeartbeatRequest::default()
            };
            let answer = self.client.ask(Api::Heartbeat, 4, &request);
            match answer.read::<HeartbeatResponse>().error_code {
                ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => {
                    std::thread::yield_now();
                }
                code => return code,
            }
        }
    }
}

/// All members do what they are told until nobody is told anything any more.
fn settle(classic: &mut [&mut Classic], new: &mut Member) {
    loop {
        let before = (new.epoch, new.holds.clone());
        new.settle();
        let mut quiet = before == (new.epoch, new.holds.clone());
        for one in &mut *classic {
            if one.heartbeat() == ErrorCode::RebalanceInProgress {
                one.join();
                quiet = false;
            }
        }
        if quiet {
            return;
        }
    }
}

fn is_shared_out(shares: &[&BTreeSet<i32>]) {
    let all: Vec<i32> = shares.iter().flat_map(|share| share.iter().copied()).collect();
    let distinct: BTreeSet<i32> = all.iter().copied().collect();
    assert_eq!(distinct, (0..PARTITIONS).collect(), "something is read by nobody: {shares:?}");
    assert_eq!(all.len(), distinct.len(), "something is read by two: {shares:?}");
}

/// One of the new protocol that has not joined yet.
fn newcomer(server: &Server, topic: TopicId) -> Member {
    let (client, holds) = (server.connect(), BTreeSet::new());
    Member { client, group: "g", id: "new", topic, epoch: 0, holds }
}

/// State and kind of the group.
fn seen(client: &mut Client, group: &str) -> Option<(String, String)> {
    list(client, group).map(|(state, kind, _)| (state, kind))
}

fn is(state: &str, kind: &str) -> Option<(String, String)> {
    Some((state.to_owned(), kind.to_owned()))
}

#[test]
fn a_group_goes_from_one_protocol_to_the_other_and_back_with_its_members() {
    let mut server = Server::start_with(&["--shards", "2"], AT_ONCE);
    let mut client = server.connect();
    assert_eq!(client.create("t", PARTITIONS, &[]), ErrorCode::None);
    find(&mut client, "g");
    let topic = topic_id(&mut client, "t");
    let mut old = Classic::new(&server, "g");
    old.join();
    is_shared_out(&[&old.holds]);
    assert_eq!(seen(&mut client, "g"), is("Stable", "classic"));
    // What is refused anyway changes nothing.
    let wrong = ConsumerGroupHeartbeatRequest {
        group_id: "g",
        member_id: "wrong",
        rebalance_timeout_ms: 60_000,
        subscribed_topic_regex: Some("("),
        topic_partitions: Some(vec![]),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    assert_eq!(beat(&mut client, 1, &wrong).code, ErrorCode::InvalidRegularExpression);
    assert_eq!(seen(&mut client, "g"), is("Stable", "classic"));
    // The first of the new protocol: nothing is given to it that the other holds.
    let mut new = Member::join(&server, "g", "new", topic);
    assert!(new.holds.is_empty());
    assert_eq!(seen(&mut client, "g"), is("Reconciling", "consumer"));
    settle(&mut [&mut old], &mut new);
    is_shared_out(&[&old.holds, &new.holds]);
    assert_eq!((old.holds.len(), new.holds.len()), (3, 3));
    assert_eq!(seen(&mut client, "g"), is("Stable", "consumer"));
    // Both commit by what they have reached.
    let (id, generation, epoch) = (old.id.clone(), old.generation, new.epoch);
    assert_eq!(new.commit(&id, generation, 5), ErrorCode::None);
    assert_eq!(new.commit(&id, generation - 1, 6), ErrorCode::IllegalGeneration);
    assert_eq!(new.commit("new", epoch - 1, 6), ErrorCode::StaleMemberEpoch);
    assert_eq!(new.fetch(None, -1), Ok(5));
    // One more of the classic protocol.
    let mut third = Classic::new(&server, "g");
    third.join();
    settle(&mut [&mut old, &mut third], &mut new);
    is_shared_out(&[&old.holds, &third.holds, &new.holds]);
    assert_eq!(third.holds.len(), 2);
    // A kill changes nothing.
    server.kill_and_restart();
    (client, new.client) = (server.connect(), server.connect());
    (old.client, third.client) = (server.connect(), server.connect());
    let held = (old.holds.clone(), third.holds.clone(), new.holds.clone());
    settle(&mut [&mut old, &mut third], &mut new);
    assert_eq!((old.holds.clone(), third.holds.clone(), new.holds.clone()), held);
    assert_eq!(old.heartbeat(), ErrorCode::None);
    // The last of the new protocol goes: the others share out among themselves again.
    new.epoch = -1;
    assert_eq!(new.say(&[]).code, ErrorCode::None);
    while seen(&mut client, "g").is_some_and(|(_, kind)| kind == "consumer") {
        std::thread::yield_now();
    }
    let told = third.heartbeat();
    assert!(
        [ErrorCode::RebalanceInProgress, ErrorCode::IllegalGeneration].contains(&told),
        "{told:?}"
    );
    // It is gone before the other joins, who then has everything.
    let leaves = protocol::kafka::leave_group::LeaveGroupRequest {
        group_id: "g",
        members: vec![protocol::kafka::leave_group::MemberIdentity {
            member_id: &third.id,
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer = client.ask(Api::LeaveGroup, 4, &leaves);
    let told = answer.read::<protocol::kafka::leave_group::LeaveGroupResponse<'_>>();
    assert_eq!(told.error_code, ErrorCode::None);
    old.join();
    is_shared_out(&[&old.holds]);
    assert_eq!(seen(&mut client, "g"), is("Stable", "classic"));
    assert_eq!(new.fetch(None, -1), Ok(5));
    server.kill_and_restart();
    (client, old.client) = (server.connect(), server.connect());
    assert_eq!(old.heartbeat(), ErrorCode::None);
    assert_eq!(seen(&mut client, "g"), is("Stable", "classic"));
}

#[test]
fn a_group_with_members_stays_what_it_is_if_that_is_wished() {
    let server = Server::start_with(&[], DISABLED);
    if server.is_kafka() {
        // It is not started with this setting.
        return;
    }
    let mut client = server.connect();
    assert_eq!(client.create("t", PARTITIONS, &[]), ErrorCode::None);
    find(&mut client, "g");
    let topic = topic_id(&mut client, "t");
    let mut old = Classic::new(&server, "g");
    old.join();
    let mut new = newcomer(&server, topic);
    assert_eq!(new.say(&[]).code, ErrorCode::GroupIdNotFound);
    assert_eq!(old.heartbeat(), ErrorCode::None);
    assert_eq!(seen(&mut client, "g"), is("Stable", "classic"));
}

#[test]
fn groups_that_are_not_of_consumers_do_not_change_over() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", PARTITIONS, &[]), ErrorCode::None);
    find(&mut client, "g");
    let topic = topic_id(&mut client, "t");
    let mut id = String::new();
    for expected in [ErrorCode::MemberIdRequired, ErrorCode::None] {
        let request = JoinGroupRequest {
            group_id: "g",
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 20_000,
            member_id: &id,
            protocol_type: "connect",
            protocols: vec![JoinGroupRequestProtocol { name: "default", metadata: b"x" }],
            ..JoinGroupRequest::default()
        };
        let answer = client.ask(Api::JoinGroup, 9, &request);
        let told = answer.read::<JoinGroupResponse<'_>>();
        assert_eq!(told.error_code, expected);
        id = told.member_id.to_owned();
    }
    let mut new = newcomer(&server, topic);
    assert_eq!(new.say(&[]).code, ErrorCode::GroupIdNotFound);
}
