//! Offsets by time and position, epochs, trimmed records, producer ids.

use std::collections::BTreeSet;

use protocol::kafka::Api;
use protocol::kafka::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use protocol::kafka::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, TopicRequest,
};
use protocol::kafka::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use protocol::kafka::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use protocol::kafka::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};
use protocol::kafka::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use protocol::{ErrorCode, ProducerEpoch, ProducerId};

use crate::wire::{Client, Server, batch, idempotent};

fn produce(client: &mut Client, topic: &str, timestamps: &[i64]) {
    send(client, topic, &batch(timestamps));
}

fn send(client: &mut Client, topic: &str, records: &[u8]) {
    let partition = PartitionProduceData { index: 0, records: Some(records) };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic,
            partition_data: vec![partition],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let answer = client.ask(Api::Produce, 11, &request);
    let body = answer.read::<ProduceResponse<'_>>();
    assert_eq!(body.responses[0].partition_responses[0].error_code, ErrorCode::None);
}

/// The code, offset, timestamp and epoch that answer one timestamp.
fn offset(
    client: &mut Client,
    version: i16,
    timestamp: i64,
    epoch: i32,
) -> (ErrorCode, i64, i64, i32) {
    let partition =
        ListOffsetsPartition { partition_index: 0, current_leader_epoch: epoch, timestamp };
    let topics = vec![ListOffsetsTopic { name: "t", partitions: vec![partition] }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let answer = client.ask(Api::ListOffsets, version, &request);
    let body = answer.read::<ListOffsetsResponse<'_>>();
    let found = &body.topics[0].partitions[0];
    (found.error_code, found.offset, found.timestamp, found.leader_epoch)
}

const NOW: i64 = 1_795_000_000_000;

#[test]
fn offsets_are_found_by_time_and_place_in_every_version() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    assert_eq!(offset(&mut client, 7, -3, -1), (ErrorCode::None, -1, -1, -1), "an empty log");
    produce(&mut client, "t", &[NOW, NOW + 10, NOW + 30]);
    produce(&mut client, "t", &[NOW + 20, NOW + 50, NOW + 40]);
    for version in Api::ListOffsets.served() {
        let epoch = if version >= 4 { 0 } else { -1 };
        let mut at = |timestamp| offset(&mut client, version, timestamp, -1);
        assert_eq!(at(-1), (ErrorCode::None, 6, -1, epoch), "version {version}");
        assert_eq!(at(-2), (ErrorCode::None, 0, -1, epoch));
        assert_eq!(at(NOW + 5), (ErrorCode::None, 1, NOW + 10, epoch));
        assert_eq!(at(NOW + 31), (ErrorCode::None, 4, NOW + 50, epoch));
        assert_eq!(at(NOW + 51), (ErrorCode::None, -1, -1, -1));
    }
    let refused = (ErrorCode::UnsupportedVersion, -1, -1, -1);
    for (timestamp, since, found) in [
        (-3, 7, (ErrorCode::None, 4, NOW + 50, 0)),
        (-4, 8, (ErrorCode::None, 0, -1, 0)),
        (-5, 9, (ErrorCode::None, -1, -1, -1)),
        (-6, 11, (ErrorCode::None, -1, -1, -1)),
    ] {
        assert_eq!(offset(&mut client, since, timestamp, -1), found, "{timestamp}");
        assert_eq!(offset(&mut client, since - 1, timestamp, -1), refused, "{timestamp}");
    }
    assert_eq!(offset(&mut client, 11, -1, 5).0, ErrorCode::UnknownLeaderEpoch);
    assert_eq!(offset(&mut client, 11, -1, 0).0, ErrorCode::None);
}

#[test]
fn an_epoch_ends_where_its_leader_stopped_writing() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    produce(&mut client, "t", &[NOW, NOW]);
    for version in Api::OffsetForLeaderEpoch.served() {
        let mut end_of = |partition, current_leader_epoch, leader_epoch| {
            let partition =
                OffsetForLeaderPartition { partition, current_leader_epoch, leader_epoch };
            let topics = vec![OffsetForLeaderTopic { topic: "t", partitions: vec![partition] }];
            let request = OffsetForLeaderEpochRequest { topics, replica_id: -1 };
            let answer = client.ask(Api::OffsetForLeaderEpoch, version, &request);
            let body = answer.read::<OffsetForLeaderEpochResponse<'_>>();
            let end = &body.topics[0].partitions[0];
            (end.error_code, end.leader_epoch, end.end_offset)
        };
        assert_eq!(end_of(0, -1, 0), (ErrorCode::None, 0, 2));
        assert_eq!(end_of(0, 0, 0), (ErrorCode::None, 0, 2));
        assert_eq!(end_of(0, -1, 7), (ErrorCode::None, -1, -1));
        assert_eq!(end_of(0, 3, 0), (ErrorCode::UnknownLeaderEpoch, -1, -1));
        assert_eq!(end_of(9, -1, 0), (ErrorCode::UnknownTopicOrPartition, -1, -1));
    }
}

#[test]
fn records_are_deleted_from_the_front_in_every_version() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    produce(&mut client, "t", &[NOW; 10]);
    let mut delete = |version, partition_index, offset| {
        let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
        let topics = vec![DeleteRecordsTopic { name: "t", partitions }];
        let request = DeleteRecordsRequest { topics, timeout_ms: 30_000 };
        let answer = client.ask(Api::DeleteRecords, version, &request);
        let body = answer.read::<DeleteRecordsResponse<'_>>();
        let done = &body.topics[0].partitions[0];
        (done.error_code, done.low_watermark)
    };
    for version in Api::DeleteRecords.served() {
        let to = i64::from(version) + 2;
        assert_eq!(delete(version, 0, to), (ErrorCode::None, to));
    }
    assert_eq!(delete(2, 0, 1), (ErrorCode::None, 4), "the log start only rises");
    assert_eq!(delete(2, 0, 11), (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(2, 0, -2), (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(2, 3, 1), (ErrorCode::UnknownTopicOrPartition, -1));
    assert_eq!(delete(2, 0, -1), (ErrorCode::None, 10));
    assert_eq!(offset(&mut client, 11, -2, -1).1, 10);
}

#[test]
fn producers_that_a_partition_remembers_are_listed() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    let (_, id, epoch) = producer_id(&mut client, 5, None);
    let producer = (ProducerId::new(id).unwrap(), ProducerEpoch::new(epoch).unwrap());
    send(&mut client, "t", &idempotent(producer, 0, &[NOW, NOW + 1]));
    send(&mut client, "t", &idempotent(producer, 2, &[NOW + 2]));
    let mut list = |index: &[i32]| {
        let topics = vec![TopicRequest { name: "t", partition_indexes: index.to_vec() }];
        let answer = client.ask(Api::DescribeProducers, 0, &DescribeProducersRequest { topics });
        let body = answer.read::<DescribeProducersResponse<'_>>();
        let told = body.topics[0].partitions.iter().map(|partition| {
            let known = partition.active_producers.iter().map(|one| {
                (one.producer_id, one.producer_epoch, one.last_sequence, one.last_timestamp)
            });
            (partition.error_code, known.collect::<Vec<_>>())
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(list(&[0]), [(ErrorCode::None, vec![(id, 0, 2, NOW + 2)])]);
    assert_eq!(list(&[7]), [(ErrorCode::UnknownTopicOrPartition, vec![])]);
}

fn producer_id(
    client: &mut Client,
    version: i16,
    transactional_id: Option<&str>,
) -> (ErrorCode, i64, i16) {
    let request = InitProducerIdRequest {
        transactional_id,
        transaction_timeout_ms: 1_000,
        ..InitProducerIdRequest::default()
    };
    let answer = client.ask(Api::InitProducerId, version, &request);
    let body = answer.read::<InitProducerIdResponse>();
    (body.error_code, body.producer_id, body.producer_epoch)
}

#[test]
fn every_producer_gets_an_id_of_its_own_also_after_a_crash() {
    let mut server = Server::start(&[]);
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        for _connection in 0..4 {
            let mut client = server.connect();
            for version in Api::InitProducerId.served() {
                let (code, id, epoch) = producer_id(&mut client, version, None);
                assert_eq!((code, epoch), (ErrorCode::None, 0));
                assert!(id >= 0 && seen.insert(id), "{id} was given twice");
            }
        }
        server.kill_and_restart();
    }
    let mut client = server.connect();
    assert_eq!(producer_id(&mut client, 4, Some("")).0, ErrorCode::InvalidRequest);
}
