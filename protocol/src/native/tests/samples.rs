//! One frame of every kind and direction, and what must be found in it.

use super::*;

/// A name, how the frame is written, and what must be read from it.
pub(super) type Sample = (&'static str, fn(&mut Encoder) -> Vec<u8>, fn(&Frame<'_>));

pub(super) const BATCHES: &[&[u8]] = &[b"first batch", b"second"];
pub(super) const ENTRIES: &[produce::Entry] = &[
    produce::Entry { partition: partition(1, 0), batch_bytes: 11 },
    produce::Entry { partition: partition(2, 7), batch_bytes: 6 },
];

pub(super) const fn topic(number: u8) -> TopicId {
    let mut bytes = [0xa0; 16];
    bytes[15] = number;
    TopicId::new(bytes)
}

const fn partition(number: u8, index: i32) -> TopicPartition {
    match PartitionIndex::new(index) {
        Some(index) => TopicPartition { topic: topic(number), index },
        None => panic!("tests name no negative partitions"),
    }
}

/// Head and payload in one.
pub(super) fn whole(head: Result<&[u8], FrameError>, payload: &[&[u8]]) -> Vec<u8> {
    [head.unwrap(), &payload.concat()].concat()
}

pub(super) const SAMPLES: &[Sample] = &[
    (
        "error",
        |e| whole(REFUSAL.encode(7, e), &[]),
        |frame| {
            assert_eq!(Refusal::read(frame), Ok(Some(REFUSAL)));
            assert_eq!(frame.correlation(), 7);
        },
    ),
    (
        "hello_request",
        |e| whole(HELLO.encode(0, e), &[]),
        |frame| {
            assert_eq!(hello::Request::read(frame), Ok(HELLO));
        },
    ),
    (
        "hello_answer",
        |e| whole(HELLO_ANSWER.encode(0, e), &[]),
        |frame| {
            assert_eq!(hello::Answer::read(frame), Ok(HELLO_ANSWER));
        },
    ),
    (
        "metadata_request",
        |e| whole(METADATA.encode(u64::MAX, e), &[]),
        |frame| {
            let request = metadata::RequestView::read(frame).unwrap();
            assert_eq!(request.topics().collect::<Vec<_>>(), METADATA.topics);
            assert!(request.create() && request.partitions() && !request.all());
            assert_eq!(request.after(), "");
        },
    ),
    (
        "metadata_list_request",
        |e| whole(metadata::Request::list("m").encode(1, e), &[]),
        |frame| {
            let request = metadata::RequestView::read(frame).unwrap();
            assert_eq!(request.topics().len(), 0);
            assert!(request.all() && !request.partitions() && !request.create());
            assert_eq!(request.after(), "m");
        },
    ),
    ("metadata_answer", |e| whole(METADATA_ANSWER.encode(7, e), &[]), metadata_answer),
    (
        "produce_request",
        |e| whole(PRODUCE.encode(7, e), BATCHES),
        |frame| {
            let request = produce::RequestView::read(frame).unwrap();
            assert_eq!((request.acks(), request.timeout_ms()), (1, 1_500));
            assert_eq!((request.transactional_id(), request.len()), (Some("txn"), 2));
            let batches: Vec<_> = request.batches().collect();
            assert_eq!(batches[0], (ENTRIES[0].partition, BATCHES[0]));
            assert_eq!(batches[1], (ENTRIES[1].partition, BATCHES[1]));
        },
    ),
    (
        "produce_answer",
        |e| whole(PRODUCE_ANSWER.encode(7, e), &[]),
        |frame| {
            let answer = produce::AnswerView::read(frame).unwrap();
            assert_eq!(answer.outcomes().collect::<Vec<_>>(), PRODUCE_ANSWER.outcomes);
            assert_eq!(answer.problems().collect::<Vec<_>>(), PRODUCE_ANSWER.problems);
        },
    ),
    (
        "fetch_request",
        |e| whole(FETCH.encode(7, e), &[]),
        |frame| {
            let request = fetch::RequestView::read(frame).unwrap();
            assert_eq!((request.wait_ms_max(), request.bytes_min()), (500, 1));
            assert_eq!((request.bytes_max(), request.read_committed()), (1 << 20, true));
            assert_eq!(request.rack(), "a");
            assert_eq!(request.entries().collect::<Vec<_>>(), FETCH.entries);
        },
    ),
    (
        "fetch_answer",
        |e| whole(FETCH_ANSWER.encode(7, e), BATCHES),
        |frame| {
            let answer = fetch::AnswerView::read(frame).unwrap();
            let outcomes: Vec<_> = answer.outcomes().collect();
            assert_eq!(outcomes[0], (FETCH_ANSWER.outcomes[0], &BATCHES.concat()[..]));
            assert_eq!(outcomes[1], (FETCH_ANSWER.outcomes[1], &[][..]));
            assert_eq!(answer.aborted().collect::<Vec<_>>(), FETCH_ANSWER.aborted);
        },
    ),
    (
        "list_offsets_request",
        |e| whole(LIST_OFFSETS.encode(7, e), &[]),
        |frame| {
            let request = offsets::RequestView::read(frame).unwrap();
            assert!(request.read_committed());
            assert_eq!(request.entries().collect::<Vec<_>>(), LIST_OFFSETS.entries);
        },
    ),
    (
        "list_offsets_answer",
        |e| whole(LIST_OFFSETS_ANSWER.encode(7, e), &[]),
        |frame| {
            let answer = offsets::AnswerView::read(frame).unwrap();
            assert_eq!(answer.outcomes().collect::<Vec<_>>(), LIST_OFFSETS_ANSWER.outcomes);
        },
    ),
    (
        "init_producer_request",
        |e| whole(INIT_PRODUCER.encode(7, e), &[]),
        |frame| {
            assert_eq!(producer::Request::read(frame), Ok(INIT_PRODUCER));
        },
    ),
    (
        "init_producer_answer",
        |e| whole(IDENTITY.encode(7, e), &[]),
        |frame| {
            assert_eq!(producer::Answer::read(frame), Ok(IDENTITY));
        },
    ),
    (
        "delete_records_request",
        |e| whole(DELETE_RECORDS.encode(7, e), &[]),
        |frame| {
            let request = offsets::DeleteRecordsView::read(frame).unwrap();
            assert_eq!(request.timeout_ms(), 9);
            assert_eq!(request.entries().collect::<Vec<_>>(), DELETE_RECORDS.entries);
        },
    ),
    (
        "create_topics_request",
        |e| whole(CREATE_TOPICS.encode(7, e), &[]),
        |frame| {
            let request = topics::CreateTopicsView::read(frame).unwrap();
            assert_eq!((request.timeout_ms(), request.dry_run()), (11, true));
            let topics: Vec<_> = request.topics().collect();
            assert_eq!(topics.len(), 2);
            assert_eq!(
                (topics[0].name(), topics[0].partitions(), topics[0].replicas()),
                ("a", 3, 1)
            );
            assert_eq!(topics[0].configs().collect::<Vec<_>>(), [("retention.ms", "1")]);
            assert_eq!(
                (topics[1].name(), topics[1].partitions(), topics[1].replicas()),
                ("b", -1, -1)
            );
            assert_eq!(topics[1].configs().len(), 0);
        },
    ),
    (
        "delete_topics_request",
        |e| whole(DELETE_TOPICS.encode(7, e), &[]),
        |frame| {
            let request = topics::DeleteTopicsView::read(frame).unwrap();
            assert_eq!(request.timeout_ms(), 12);
            assert_eq!(request.topics().collect::<Vec<_>>(), DELETE_TOPICS.topics);
        },
    ),
    (
        "create_partitions_request",
        |e| whole(CREATE_PARTITIONS.encode(7, e), &[]),
        |frame| {
            let request = topics::CreatePartitionsView::read(frame).unwrap();
            assert_eq!((request.timeout_ms(), request.dry_run()), (13, false));
            assert_eq!(request.topics().collect::<Vec<_>>(), CREATE_PARTITIONS.topics);
        },
    ),
    (
        "describe_configs_request",
        |e| whole(DESCRIBE_CONFIGS.encode(7, e), &[]),
        |frame| {
            let request = configs::DescribeConfigsView::read(frame).unwrap();
            let resources: Vec<_> = request.resources().collect();
            assert_eq!(resources[0].resource(), Resource::Topic("a"));
            assert_eq!(resources[0].keys().collect::<Vec<_>>(), ["retention.ms", "segment.ms"]);
            assert_eq!(resources[1].resource(), Resource::Broker(""));
            assert_eq!(resources[1].keys().len(), 0);
            assert_eq!(resources[2].resource(), Resource::Unknown(32, "group"));
        },
    ),
    (
        "describe_configs_answer",
        |e| whole(DESCRIBED.encode(7, e), &[]),
        |frame| {
            let answer = configs::DescribeAnswerView::read(frame).unwrap();
            let resources: Vec<_> = answer.resources().collect();
            let expected = DESCRIBED.resources;
            assert_eq!(resources.len(), expected.len());
            for (resource, expected) in resources.iter().zip(expected) {
                assert_eq!(
                    (resource.error(), resource.message()),
                    (expected.error, expected.message)
                );
                assert_eq!(resource.resource(), expected.resource);
                assert_eq!(resource.entries().collect::<Vec<_>>(), expected.entries);
            }
        },
    ),
    (
        "alter_configs_request",
        |e| whole(ALTER_CONFIGS.encode(7, e), &[]),
        |frame| {
            let request = configs::AlterConfigsView::read(frame).unwrap();
            assert!(!request.dry_run());
            let resource = request.resources().next().unwrap();
            assert_eq!(resource.resource(), Resource::Topic("a"));
            assert_eq!(resource.changes().collect::<Vec<_>>(), ALTER_CONFIGS.resources[0].changes);
        },
    ),
    ("create_topics_answer", |e| write_outcomes(Kind::CreateTopics, e), read_outcomes),
    ("delete_topics_answer", |e| write_outcomes(Kind::DeleteTopics, e), read_outcomes),
    ("create_partitions_answer", |e| write_outcomes(Kind::CreatePartitions, e), read_outcomes),
    ("alter_configs_answer", |e| write_outcomes(Kind::AlterConfigs, e), read_outcomes),
    ("delete_records_answer", |e| write_outcomes(Kind::DeleteRecords, e), read_outcomes),
];

const REFUSAL: Refusal<'_> = Refusal { code: ErrorCode::InvalidRequest, message: "no such thing" };
const HELLO: hello::Request<'_> = hello::Request {
    version_min: 1,
    version_max: 3,
    client_id: "orders",
    software_name: "corelog",
    software_version: "0.1.0",
    cluster_id: Some("the-cluster"),
};
const HELLO_ANSWER: hello::Answer<'_> = hello::Answer {
    version: 1,
    cluster_id: "the-cluster",
    broker_id: 3,
    lane: 1,
    lanes: 4,
    frame_bytes_max: 1 << 24,
    software_name: "corelog",
    software_version: "0.1.0",
};
const METADATA: metadata::Request<'_> = metadata::Request {
    topics: &[TopicRef::Name("orders"), TopicRef::Id(topic(4))],
    all: false,
    after: "",
    partitions: true,
    create: true,
};
const METADATA_ANSWER: metadata::Answer<'_> = metadata::Answer {
    cluster_id: "the-cluster",
    controller: 2,
    brokers: &[
        metadata::Broker {
            id: 1,
            host: "one.example",
            port: 9192,
            rack: "a",
            lanes: 2,
            lane_ports: &[9200, 9201],
        },
        metadata::Broker { id: 2, host: "::1", port: 9193, rack: "", lanes: 1, lane_ports: &[] },
    ],
    topics: &[
        metadata::Topic {
            error: ErrorCode::None,
            name: "orders",
            id: topic(1),
            internal: false,
            partition_count: 2,
            partitions: &[
                metadata::Partition {
                    index: 0,
                    leader: 1,
                    leader_epoch: 5,
                    lane: 1,
                    replicas: &[1, 2],
                    in_sync: &[1],
                },
                metadata::Partition {
                    index: 1,
                    leader: -1,
                    leader_epoch: 6,
                    lane: 0,
                    replicas: &[2, 1, 3],
                    in_sync: &[],
                },
            ],
        },
        metadata::Topic {
            error: ErrorCode::UnknownTopicOrPartition,
            name: "gone",
            id: TopicId::ZERO,
            internal: true,
            partition_count: 0,
            partitions: &[],
        },
    ],
    next_after: Some("gone"),
};
const PRODUCE: produce::Request<'_> = produce::Request {
    acks: 1,
    timeout_ms: 1_500,
    transactional_id: Some("txn"),
    entries: ENTRIES,
};
const PRODUCE_ANSWER: produce::Answer<'_> = produce::Answer {
    outcomes: &[
        produce::Outcome {
            partition: partition(1, 0),
            error: ErrorCode::None,
            base_offset: 1 << 40,
            log_append_time_ms: 1_700_000_000_000,
            log_start_offset: 17,
        },
        produce::Outcome {
            partition: partition(2, 7),
            error: ErrorCode::InvalidRecord,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
        },
    ],
    problems: &[
        produce::Problem { entry: 1, record: Some(4), message: "its key is longer" },
        produce::Problem { entry: 1, record: None, message: "" },
    ],
};
const FETCH: fetch::Request<'_> = fetch::Request {
    wait_ms_max: 500,
    bytes_min: 1,
    bytes_max: 1 << 20,
    read_committed: true,
    rack: "a",
    entries: &[
        fetch::Entry {
            partition: partition(1, 0),
            leader_epoch: 5,
            offset: 1 << 40,
            bytes_max: 65_536,
        },
        fetch::Entry { partition: partition(2, 7), leader_epoch: -1, offset: 0, bytes_max: 1 },
    ],
};
const FETCH_ANSWER: fetch::Answer<'_> = fetch::Answer {
    outcomes: &[
        fetch::Outcome {
            partition: partition(1, 0),
            error: ErrorCode::None,
            high_watermark: 100,
            last_stable_offset: 90,
            log_start_offset: 3,
            leader: -1,
            leader_epoch: -1,
            batch_bytes: 17,
        },
        fetch::Outcome {
            partition: partition(2, 7),
            error: ErrorCode::FencedLeaderEpoch,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            leader: 2,
            leader_epoch: 8,
            batch_bytes: 0,
        },
    ],
    aborted: &[fetch::Aborted { entry: 0, producer_id: 77, first_offset: 92 }],
};
const LIST_OFFSETS: offsets::Request<'_> = offsets::Request {
    read_committed: true,
    entries: &[
        offsets::Entry { partition: partition(1, 0), leader_epoch: 5, timestamp: offsets::LATEST },
        offsets::Entry {
            partition: partition(2, 7),
            leader_epoch: -1,
            timestamp: 1_700_000_000_000,
        },
    ],
};
const LIST_OFFSETS_ANSWER: offsets::Answer<'_> = offsets::Answer {
    outcomes: &[offsets::Outcome {
        partition: partition(1, 0),
        error: ErrorCode::None,
        offset: 42,
        timestamp: 1_700_000_000_000,
        leader_epoch: 5,
    }],
};
const INIT_PRODUCER: producer::Request<'_> = producer::Request {
    transactional_id: Some("txn"),
    transaction_timeout_ms: 10_000,
    producer_id: 77,
    producer_epoch: 2,
};
const IDENTITY: producer::Answer = producer::Answer { producer_id: 77, producer_epoch: 3 };
const DELETE_RECORDS: offsets::DeleteRecords<'_> = offsets::DeleteRecords {
    entries: &[
        offsets::Deletion { partition: partition(1, 0), before: 10 },
        offsets::Deletion { partition: partition(2, 7), before: -1 },
    ],
    timeout_ms: 9,
};
const CREATE_TOPICS: CreateTopics<'_> = CreateTopics {
    topics: &[
        NewTopic { name: "a", partitions: 3, replicas: 1, configs: &[("retention.ms", "1")] },
        NewTopic { name: "b", partitions: -1, replicas: -1, configs: &[] },
    ],
    timeout_ms: 11,
    dry_run: true,
};
const DELETE_TOPICS: DeleteTopics<'_> =
    DeleteTopics { topics: &[TopicRef::Name("a"), TopicRef::Id(topic(9))], timeout_ms: 12 };
const CREATE_PARTITIONS: CreatePartitions<'_> =
    CreatePartitions { topics: &[("a", 6), ("b", -5)], timeout_ms: 13, dry_run: false };
const DESCRIBE_CONFIGS: DescribeConfigs<'_> = DescribeConfigs {
    resources: &[
        configs::Query { resource: Resource::Topic("a"), keys: &["retention.ms", "segment.ms"] },
        configs::Query { resource: Resource::Broker(""), keys: &[] },
        configs::Query { resource: Resource::Unknown(32, "group"), keys: &[] },
    ],
};
const DESCRIBED: configs::DescribeAnswer<'_> = configs::DescribeAnswer {
    resources: &[
        configs::Described {
            error: ErrorCode::None,
            message: "",
            resource: Resource::Topic("a"),
            entries: &[
                configs::Entry {
                    name: "retention.ms",
                    value: Some("604800000"),
                    source: 5,
                    read_only: false,
                    sensitive: false,
                },
                configs::Entry {
                    name: "secret",
                    value: None,
                    source: 4,
                    read_only: true,
                    sensitive: true,
                },
            ],
        },
        configs::Described {
            error: ErrorCode::UnknownTopicOrPartition,
            message: "no topic b",
            resource: Resource::Topic("b"),
            entries: &[],
        },
    ],
};
const ALTER_CONFIGS: AlterConfigs<'_> = AlterConfigs {
    resources: &[Changes {
        resource: Resource::Topic("a"),
        changes: &[
            ("retention.ms", Change::Set("1")),
            ("segment.ms", Change::Delete),
            ("cleanup.policy", Change::Append("compact")),
            ("cleanup.policy", Change::Subtract("delete")),
        ],
    }],
    dry_run: false,
};
const OUTCOMES: &[Outcome<'_>] = &[
    Outcome { topic: Some(topic(3)), ..Outcome::DONE },
    Outcome { log_start_offset: 55, ..Outcome::DONE },
    Outcome { error: ErrorCode::TopicAlreadyExists, message: "there is one", ..Outcome::DONE },
];

fn write_outcomes(kind: Kind, encoder: &mut Encoder) -> Vec<u8> {
    whole(outcomes::Answer { kind, outcomes: OUTCOMES }.encode(7, encoder), &[])
}

fn read_outcomes(frame: &Frame<'_>) {
    let answer = outcomes::AnswerView::read(frame, frame.kind()).unwrap();
    assert_eq!(answer.outcomes().collect::<Vec<_>>(), OUTCOMES);
}

fn metadata_answer(frame: &Frame<'_>) {
    let answer = metadata::AnswerView::read(frame).unwrap();
    let expected = METADATA_ANSWER;
    assert_eq!((answer.cluster_id(), answer.controller()), ("the-cluster", 2));
    assert_eq!(answer.next_after(), expected.next_after);
    assert_eq!(answer.brokers().len(), expected.brokers.len());
    for (broker, expected) in answer.brokers().zip(expected.brokers) {
        assert_eq!((broker.id(), broker.host()), (expected.id, expected.host));
        assert_eq!((broker.port(), broker.rack()), (expected.port, expected.rack));
        assert_eq!(broker.lanes(), expected.lanes);
        assert_eq!(broker.lane_ports().collect::<Vec<_>>(), expected.lane_ports);
    }
    assert_eq!(answer.topics().len(), expected.topics.len());
    for (topic, expected) in answer.topics().zip(expected.topics) {
        assert_eq!((topic.error(), topic.name()), (expected.error, expected.name));
        assert_eq!((topic.id(), topic.internal()), (expected.id, expected.internal));
        assert_eq!(topic.partition_count(), expected.partition_count);
        assert_eq!(topic.partitions().len(), expected.partitions.len());
        for (partition, expected) in topic.partitions().zip(expected.partitions) {
            assert_eq!((partition.index(), partition.leader()), (expected.index, expected.leader));
            assert_eq!(partition.leader_epoch(), expected.leader_epoch);
            assert_eq!(partition.lane(), expected.lane);
            assert_eq!(partition.replicas().collect::<Vec<_>>(), expected.replicas);
            assert_eq!(partition.in_sync().collect::<Vec<_>>(), expected.in_sync);
        }
    }
}
