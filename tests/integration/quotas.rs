//! Rows S17, S19 and S20: how much of what costs the broker dearly may happen in a second.

use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::kafka::Api;
use protocol::kafka::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
};
use protocol::kafka::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use protocol::kafka::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::kafka::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use protocol::kafka::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};

use crate::wire::{Client, Server};

/// The quotas are our own; another broker has others.
fn start(limits: &str) -> Option<Server> {
    let config = format!("[limits]\n{limits}\n");
    let server = Server::start_with(&["--shards", "1"], &config);
    (!server.is_kafka()).then_some(server)
}

#[test]
fn s17_producer_ids_are_not_given_out_without_end() {
    let Some(server) = start("producer-ids-per-minute = 600") else { return };
    let mut client = server.connect();
    let mut ask = || {
        let request = InitProducerIdRequest::default();
        let answer = client.ask(Api::InitProducerId, 4, &request);
        answer.read::<InitProducerIdResponse>().error_code
    };
    let begun = Instant::now();
    let given = (0..).take_while(|_| ask() == ErrorCode::None).count();
    // Ten more came with each second that it took.
    let more = begun.elapsed().as_secs() as usize * 10 + 10;
    assert!((600..=600 + more).contains(&given), "{given} ids");
    assert_eq!(ask(), ErrorCode::ThrottlingQuotaExceeded);
    // It is served again when some have come.
    let begun = Instant::now();
    while ask() == ErrorCode::ThrottlingQuotaExceeded {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is never served again");
    }
}

fn commit(client: &mut Client, group: &str, offset: i64) -> (ErrorCode, i32) {
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
        group_id: group,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let answer = client.ask(Api::OffsetCommit, 8, &request);
    let told = answer.read::<OffsetCommitResponse<'_>>();
    (told.topics[0].partitions[0].error_code, told.throttle_time_ms)
}

#[test]
fn s19_a_group_that_commits_too_often_is_answered_later() {
    let Some(server) = start("group-commits-per-second = 20") else { return };
    let (mut client, mut other) = (server.connect(), server.connect());
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    for group in ["g", "h"] {
        let request = FindCoordinatorRequest { key: group, ..FindCoordinatorRequest::default() };
        let answer = client.ask(Api::FindCoordinator, 3, &request);
        assert_eq!(answer.read::<FindCoordinatorResponse<'_>>().error_code, ErrorCode::None);
    }
    let begun = Instant::now();
    let told: Vec<_> = (0..240).map(|offset| commit(&mut client, "g", offset)).collect();
    let took = begun.elapsed();
    // Two hundred are saved up; the rest comes at twenty a second.
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(told.iter().all(|(code, _)| *code == ErrorCode::None));
    assert_eq!(told[..150].iter().map(|(_, held_back_ms)| held_back_ms).max(), Some(&0));
    assert!(told[239].1 > 0, "{:?}", told[239]);
    // Another group has a quota of its own.
    assert_eq!(commit(&mut other, "h", 1), (ErrorCode::None, 0));
}

#[test]
fn s20_partitions_are_not_created_and_deleted_without_end() {
    let Some(server) = start("partition-changes-per-second = 1") else { return };
    let mut client = server.connect();
    // What is refused for another reason costs nothing, however much it asks for.
    assert_eq!(client.create("a", i32::MAX, &[]), ErrorCode::PolicyViolation);
    assert_eq!(client.create("a", 5, &[]), ErrorCode::None);
    // What begins while anything is left is let through.
    assert_eq!(client.create("b", 30, &[]), ErrorCode::None);
    let full = ErrorCode::ThrottlingQuotaExceeded;
    assert_eq!(client.create("c", 1, &[]), full);
    let topic = DeleteTopicState { name: Some("a"), ..DeleteTopicState::default() };
    let request = DeleteTopicsRequest { topics: vec![topic], ..DeleteTopicsRequest::default() };
    let answer = client.ask(Api::DeleteTopics, 6, &request);
    assert_eq!(answer.read::<DeleteTopicsResponse<'_>>().responses[0].error_code, full);
    let more = |validate_only| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "a",
            count: 6,
            ..CreatePartitionsTopic::default()
        }],
        timeout_ms: 10_000,
        validate_only,
    };
    for (validate_only, expected) in [(false, full), (true, ErrorCode::None)] {
        let answer = client.ask(Api::CreatePartitions, 3, &more(validate_only));
        let told = answer.read::<CreatePartitionsResponse<'_>>();
        assert_eq!(told.results[0].error_code, expected);
    }
    // The topic that the broker needs for itself costs nothing.
    let request = FindCoordinatorRequest { key: "g", ..FindCoordinatorRequest::default() };
    let answer = client.ask(Api::FindCoordinator, 3, &request);
    assert_eq!(answer.read::<FindCoordinatorResponse<'_>>().error_code, ErrorCode::None);
}
