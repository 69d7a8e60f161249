//! Topics come, are described, grow and go, in every version of every request, as Apache Kafka does it.

use std::collections::BTreeSet;

use protocol::kafka::Api;
use protocol::kafka::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic,
};
use protocol::kafka::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest, CreateTopicsResponse,
};
use protocol::kafka::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use protocol::kafka::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use protocol::kafka::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use protocol::kafka::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use protocol::kafka::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use protocol::{ErrorCode, TopicId};

use crate::wire::{Client, Server};

/// Name, code, id and number of partitions of each topic; no names ask for all topics.
fn metadata_of(
    client: &mut Client,
    version: i16,
    names: Option<&[&str]>,
    may_create: Creation,
) -> Vec<(String, ErrorCode, TopicId, usize)> {
    let topics = names.map(|names| {
        let named = |&name| MetadataRequestTopic { name: Some(name), ..Default::default() };
        names.iter().map(named).collect()
    });
    let request = MetadataRequest {
        // Version 0 knows no null: an empty list is all topics there.
        topics: if version == 0 { Some(topics.unwrap_or_default()) } else { topics },
        allow_auto_topic_creation: version < 4 || may_create == Creation::Allowed,
        ..MetadataRequest::default()
    };
    let answer = client.ask(Api::Metadata, version, &request);
    let body = answer.read::<MetadataResponse<'_>>();
    let seen = body.topics.iter().map(|topic| {
        let name = topic.name.unwrap_or_default().to_owned();
        (name, topic.error_code, topic.topic_id, topic.partitions.len())
    });
    seen.collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Creation {
    Allowed,
    Forbidden,
}

fn topic(name: &str, partitions: i32, replication_factor: i16) -> CreatableTopic<'_> {
    CreatableTopic {
        name,
        num_partitions: partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

#[test]
fn topics_are_created_described_and_deleted_in_every_version() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut ids = BTreeSet::new();
    for version in Api::CreateTopics.served() {
        let name = format!("created-by-{version}");
        let request =
            CreateTopicsRequest { topics: vec![topic(&name, 2, 1)], ..Default::default() };
        let answer = client.ask(Api::CreateTopics, version, &request);
        let created = &answer.read::<CreateTopicsResponse<'_>>().topics[0];
        assert_eq!((created.name, created.error_code), (name.as_str(), ErrorCode::None));
        assert_eq!(created.error_message, None);
        if version >= 5 {
            assert_eq!((created.num_partitions, created.replication_factor), (2, 1));
            let configs = created.configs.as_ref().unwrap();
            assert!(configs.iter().any(|config| config.name == "retention.ms"));
        }
        if version >= 7 {
            assert!(ids.insert(created.topic_id) && !created.topic_id.is_zero());
        }
    }
    let names: Vec<String> =
        Api::CreateTopics.served().map(|version| format!("created-by-{version}")).collect();
    for version in Api::Metadata.served() {
        let seen = metadata_of(&mut client, version, None, Creation::Forbidden);
        let seen: BTreeSet<_> =
            seen.into_iter().filter(|one| one.3 == 2).map(|one| one.0).collect();
        assert_eq!(seen, names.iter().cloned().collect(), "version {version}");
    }
    for (version, name) in Api::DeleteTopics.served().zip(&names) {
        let by_name = DeleteTopicState { name: Some(name), topic_id: TopicId::ZERO };
        let request = DeleteTopicsRequest {
            topics: if version >= 6 { vec![by_name] } else { vec![] },
            topic_names: if version < 6 { vec![name] } else { vec![] },
            timeout_ms: 30_000,
        };
        let answer = client.ask(Api::DeleteTopics, version, &request);
        let deleted = &answer.read::<DeleteTopicsResponse<'_>>().responses[0];
        assert_eq!((deleted.name, deleted.error_code), (Some(name.as_str()), ErrorCode::None));
    }
    assert!(metadata_of(&mut client, 12, None, Creation::Forbidden).is_empty());
}

#[test]
fn creation_is_refused_with_the_code_that_clients_know() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("taken", 1, &[]), ErrorCode::None);
    assert_eq!(client.create("with.dot", 1, &[]), ErrorCode::None);
    let by_hand = |indexes: &[i32], brokers: &[i32]| CreatableTopic {
        assignments: indexes
            .iter()
            .map(|&partition_index| CreatableReplicaAssignment {
                partition_index,
                broker_ids: brokers.to_vec(),
            })
            .collect(),
        ..topic("t", -1, -1)
    };
    let cases = [
        (topic("taken", 1, 1), ErrorCode::TopicAlreadyExists),
        (topic("with_dot", 1, 1), ErrorCode::InvalidTopicException),
        (topic("a b", 1, 1), ErrorCode::InvalidTopicException),
        (topic("", 1, 1), ErrorCode::InvalidTopicException),
        (topic("__cluster_metadata", 1, 1), ErrorCode::InvalidRequest),
        (topic("t", 0, 1), ErrorCode::InvalidPartitions),
        (topic("t", -2, 1), ErrorCode::InvalidPartitions),
        (topic("t", 1, 0), ErrorCode::InvalidReplicationFactor),
        (topic("t", 1, 2), ErrorCode::InvalidReplicationFactor),
        (topic("t", 10_001, 1), ErrorCode::PolicyViolation),
        (by_hand(&[0], &[77]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[0], &[]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[0, 2], &[1]), ErrorCode::InvalidReplicaAssignment),
    ];
    for (topic, code) in cases {
        let request = CreateTopicsRequest { topics: vec![topic.clone()], ..Default::default() };
        let answer = client.ask(Api::CreateTopics, 7, &request);
        let refused = &answer.read::<CreateTopicsResponse<'_>>().topics[0];
        assert_eq!(refused.error_code, code, "{topic:?}");
        assert!(refused.error_message.is_some(), "{topic:?}");
    }
    let twice = vec![topic("twice", 1, 1), topic("twice", 1, 1)];
    let request = CreateTopicsRequest { topics: twice, ..Default::default() };
    let answer = client.ask(Api::CreateTopics, 7, &request);
    let refused = answer.read::<CreateTopicsResponse<'_>>();
    assert!(refused.topics.iter().all(|topic| topic.error_code == ErrorCode::InvalidRequest));

    let request = CreateTopicsRequest {
        topics: vec![topic("only-tried", 3, -1)],
        validate_only: true,
        ..Default::default()
    };
    let answer = client.ask(Api::CreateTopics, 7, &request);
    assert_eq!(answer.read::<CreateTopicsResponse<'_>>().topics[0].error_code, ErrorCode::None);
    let seen = metadata_of(&mut client, 12, Some(&["only-tried"]), Creation::Forbidden);
    assert_eq!(seen[0].1, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn metadata_creates_a_topic_only_if_the_client_allows_it() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let unknown = metadata_of(&mut client, 12, Some(&["made"]), Creation::Forbidden);
    assert_eq!(unknown[0].1, ErrorCode::UnknownTopicOrPartition);
    let invalid = metadata_of(&mut client, 12, Some(&["a b"]), Creation::Allowed);
    assert_eq!(invalid[0].1, ErrorCode::InvalidTopicException);

    let mut made = metadata_of(&mut client, 12, Some(&["made", "made"]), Creation::Allowed);
    // The reference answers before the topic is there, and again until it is.
    while server.is_kafka() && made[0].1 != ErrorCode::None {
        made = metadata_of(&mut client, 12, Some(&["made", "made"]), Creation::Allowed);
    }
    assert_eq!(made.len(), 1, "a topic named twice is described once");
    let (name, code, id, partitions) = made.remove(0);
    assert_eq!((name.as_str(), code, partitions), ("made", ErrorCode::None, 1));

    let by_id = |id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id: id, name: None }]),
        ..MetadataRequest::default()
    };
    let answer = client.ask(Api::Metadata, 13, &by_id(id));
    assert_eq!(answer.read::<MetadataResponse<'_>>().topics[0].name, Some("made"));
    let answer = client.ask(Api::Metadata, 13, &by_id(TopicId::new([9; 16])));
    let missing = answer.read::<MetadataResponse<'_>>();
    assert_eq!(missing.topics[0].error_code, ErrorCode::UnknownTopicId);
    assert_eq!(missing.topics[0].name, None);
    assert!(metadata_of(&mut client, 12, Some(&[]), Creation::Allowed).is_empty());
}

#[test]
fn the_cluster_is_described_in_every_version() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for version in Api::DescribeCluster.served() {
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            ..Default::default()
        };
        let answer = client.ask(Api::DescribeCluster, version, &request);
        let body = answer.read::<DescribeClusterResponse<'_>>();
        assert_eq!(body.error_code, ErrorCode::None);
        assert_eq!(body.brokers.len(), 1);
        assert_eq!(body.brokers[0].port, i32::from(server.plan.kafka));
        assert_eq!(body.controller_id, body.brokers[0].broker_id);
        assert_eq!(body.cluster_authorized_operations, 8_096);
    }
    let controllers = DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
    let answer = client.ask(Api::DescribeCluster, 1, &controllers);
    let refused = answer.read::<DescribeClusterResponse<'_>>();
    assert_eq!(refused.error_code, ErrorCode::MismatchedEndpointType);
}

#[test]
fn topics_grow_and_never_shrink() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("grows", 1, &[]), ErrorCode::None);
    let mut grow = |version, count, by_hand: Option<Vec<Vec<i32>>>| {
        let assignments = by_hand.map(|lists| {
            lists.into_iter().map(|broker_ids| CreatePartitionsAssignment { broker_ids }).collect()
        });
        let topics = vec![CreatePartitionsTopic { name: "grows", count, assignments }];
        let request = CreatePartitionsRequest { topics, timeout_ms: 9_000, validate_only: false };
        let answer = client.ask(Api::CreatePartitions, version, &request);
        answer.read::<CreatePartitionsResponse<'_>>().results[0].error_code
    };
    for (version, count) in Api::CreatePartitions.served().zip(2..) {
        assert_eq!(grow(version, count, None), ErrorCode::None, "version {version}");
    }
    assert_eq!(grow(3, 5, None), ErrorCode::InvalidPartitions);
    assert_eq!(grow(3, 2, None), ErrorCode::InvalidPartitions);
    assert_eq!(grow(3, 7, Some(vec![vec![1]])), ErrorCode::InvalidReplicaAssignment);
    assert_eq!(grow(3, 6, Some(vec![vec![77]])), ErrorCode::InvalidReplicaAssignment);
    let seen = metadata_of(&mut client, 12, Some(&["grows"]), Creation::Forbidden);
    assert_eq!(seen[0].3, 5);
}

#[test]
fn topics_are_described_a_page_at_a_time() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for (name, partitions) in [("a", 3), ("b", 2), ("c", 4)] {
        assert_eq!(client.create(name, partitions, &[]), ErrorCode::None);
    }
    let asked = ["a", "b", "c", "missing"];
    for names in [&asked[..], &[]] {
        let (mut pages, mut seen) = (0, Vec::new());
        let mut cursor: Option<(String, i32)> = None;
        loop {
            let request = DescribeTopicPartitionsRequest {
                topics: names.iter().map(|name| TopicRequest { name }).collect(),
                response_partition_limit: 4,
                cursor: cursor.as_ref().map(|(topic_name, partition_index)| Cursor {
                    topic_name,
                    partition_index: *partition_index,
                }),
            };
            let answer = client.ask(Api::DescribeTopicPartitions, 0, &request);
            let page = answer.read::<DescribeTopicPartitionsResponse<'_>>();
            for topic in &page.topics {
                let name = topic.name.unwrap_or_default();
                if name == "missing" {
                    assert_eq!(topic.error_code, ErrorCode::UnknownTopicOrPartition);
                }
                let indexes = topic.partitions.iter().map(|one| one.partition_index);
                seen.extend(indexes.map(|index| format!("{name}-{index}")));
            }
            pages += 1;
            cursor =
                page.next_cursor.map(|next| (next.topic_name.to_owned(), next.partition_index));
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, 3);
        let expected = ["a-0", "a-1", "a-2", "b-0", "b-1", "c-0", "c-1", "c-2", "c-3"];
        assert_eq!(seen, expected, "each partition once, in order");
    }
}

#[test]
fn sizes_on_disk_are_told_in_every_version() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("sized", 2, &[]), ErrorCode::None);
    for version in Api::DescribeLogDirs.served() {
        let answer =
            client.ask(Api::DescribeLogDirs, version, &DescribeLogDirsRequest { topics: None });
        let body = answer.read::<DescribeLogDirsResponse<'_>>();
        assert_eq!(body.results.len(), 1);
        let sized = body.results[0].topics.iter().find(|topic| topic.name == "sized").unwrap();
        assert_eq!(sized.partitions.len(), 2);
        if version >= 4 {
            assert!(body.results[0].usable_bytes > 0);
        }
    }
}
