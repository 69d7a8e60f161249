//! Topics and configurations.

use protocol::native::configs::{
    AlterConfigs, Change, Changes, DescribeAnswerView, DescribeConfigs, DescribedView, Query,
    Resource,
};
use protocol::native::topics::{CreatePartitions, CreateTopics, DeleteTopics, NewTopic, TopicRef};
use protocol::native::{Encoder, FrameError, Kind, metadata, outcomes};
use protocol::{ErrorCode, TopicId};

use super::peer::{Peer, frame, refusal};
use super::serving;

/// The error numbers of an administrative answer.
fn outcomes(
    peer: &mut Peer,
    kind: Kind,
    encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
) -> Vec<(ErrorCode, Option<TopicId>)> {
    let answer = peer.ask(&[], encode);
    let frame = frame(&answer);
    let view = outcomes::AnswerView::read(&frame, kind).unwrap();
    view.outcomes().map(|it| (it.error, it.topic)).collect()
}

fn metadata(peer: &mut Peer, request: &metadata::Request<'_>) -> Vec<u8> {
    peer.ask(&[], |id, encoder| request.encode(id, encoder))
}

#[test]
fn topics_are_created_described_grown_and_deleted() {
    let mut peer = Peer::greeted();
    let id = peer.create("admin-life", 3);
    let again = [
        NewTopic { name: "admin-life", partitions: 1, replicas: 1, configs: &[] },
        NewTopic { name: "admin/life", partitions: 1, replicas: 1, configs: &[] },
        NewTopic { name: "admin-checked", partitions: 2, replicas: -1, configs: &[] },
    ];
    let request = CreateTopics { topics: &again, timeout_ms: 5_000, dry_run: true };
    let told = outcomes(&mut peer, Kind::CreateTopics, |id, out| request.encode(id, out));
    let expected = [
        (ErrorCode::TopicAlreadyExists, None),
        (ErrorCode::InvalidTopicException, None),
        (ErrorCode::None, None),
    ];
    assert_eq!(told, expected);

    let refs = [
        TopicRef::Name("admin-life"),
        TopicRef::Id(id),
        TopicRef::Name("admin-checked"),
        TopicRef::Id(TopicId::new([7; 16])),
        TopicRef::Name("admin/life"),
    ];
    let answer = metadata(&mut peer, &metadata::Request::describe(&refs));
    let answered = frame(&answer);
    let view = metadata::AnswerView::read(&answered).unwrap();
    assert_eq!((view.cluster_id(), view.controller()), (&*serving().cluster_id, 1));
    let brokers: Vec<_> = view.brokers().collect();
    assert_eq!(brokers.len(), 1);
    assert_eq!((brokers[0].id(), brokers[0].host(), brokers[0].rack()), (1, "127.0.0.1", "here"));
    assert_eq!((brokers[0].port(), brokers[0].lanes()), (serving().native.port(), 2));
    let errors: Vec<_> = view.topics().map(|topic| topic.error()).collect();
    let expected = [
        ErrorCode::None,
        ErrorCode::None,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::InvalidTopicException,
    ];
    assert_eq!(errors, expected);
    for topic in view.topics().take(2) {
        assert_eq!((topic.name(), topic.id(), topic.partition_count()), ("admin-life", id, 3));
        let partitions: Vec<_> = topic.partitions().collect();
        let indexes: Vec<_> = partitions.iter().map(metadata::PartitionView::index).collect();
        assert_eq!(indexes, [0, 1, 2]);
        assert!(partitions.iter().all(|it| it.leader() == 1 && it.replicas().eq([1])));
        let mut lanes: Vec<_> = partitions.iter().map(metadata::PartitionView::lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        assert_eq!(lanes, [0, 1], "three partitions are on both shards");
    }

    let topics = [("admin-life", 5), ("admin-nowhere", 5)];
    let request = CreatePartitions { topics: &topics, timeout_ms: 5_000, dry_run: false };
    let told = outcomes(&mut peer, Kind::CreatePartitions, |id, out| request.encode(id, out));
    assert_eq!(told, [(ErrorCode::None, None), (ErrorCode::UnknownTopicOrPartition, None)]);
    let answer = metadata(&mut peer, &metadata::Request::describe(&refs[..1]));
    let answered = frame(&answer);
    let view = metadata::AnswerView::read(&answered).unwrap();
    assert_eq!(view.topics().next().unwrap().partitions().len(), 5);

    let request = DeleteTopics { topics: &refs[1..3], timeout_ms: 5_000 };
    let told = outcomes(&mut peer, Kind::DeleteTopics, |id, out| request.encode(id, out));
    assert_eq!(told, [(ErrorCode::None, Some(id)), (ErrorCode::UnknownTopicOrPartition, None)]);
    let answer = metadata(&mut peer, &metadata::Request::describe(&refs[1..2]));
    let answered = frame(&answer);
    let view = metadata::AnswerView::read(&answered).unwrap();
    assert_eq!(view.topics().next().unwrap().error(), ErrorCode::UnknownTopicId);
}

#[test]
fn a_missing_topic_is_created_if_the_client_asks() {
    let mut peer = Peer::greeted();
    let refs = [TopicRef::Name("admin-on-use"), TopicRef::Name("admin-on-use")];
    for create in [false, true] {
        let request = metadata::Request { create, ..metadata::Request::describe(&refs) };
        let answer = metadata(&mut peer, &request);
        let answered = frame(&answer);
        let view = metadata::AnswerView::read(&answered).unwrap();
        assert_eq!(view.topics().len(), 2);
        for topic in view.topics() {
            let expected =
                if create { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
            assert_eq!(topic.error(), expected);
            assert_eq!(topic.partition_count() > 0, create);
        }
    }
}

#[test]
fn all_topics_are_listed_in_order_of_their_names() {
    let mut peer = Peer::greeted();
    for name in ["list-c", "list-a", "list-b"] {
        peer.create(name, 1);
    }
    let answer = metadata(&mut peer, &metadata::Request::list("list-a"));
    let answered = frame(&answer);
    let view = metadata::AnswerView::read(&answered).unwrap();
    let names: Vec<_> = view.topics().map(|topic| topic.name()).collect();
    assert_eq!(names[..2], ["list-b", "list-c"]);
    assert!(names.is_sorted());
    assert!(view.topics().all(|topic| topic.partitions().len() == 0));
    assert_eq!(view.next_after(), None);
    let answer = metadata(&mut peer, &metadata::Request::cluster());
    let answered = frame(&answer);
    assert_eq!(metadata::AnswerView::read(&answered).unwrap().topics().len(), 0);
}

#[test]
fn configs_are_described_and_changed() {
    let mut peer = Peer::greeted();
    peer.create("admin-configs", 1);
    let resource = Resource::Topic("admin-configs");
    let set = [
        ("retention.ms", Change::Set("123456")),
        ("cleanup.policy", Change::Set("compact")),
        ("cleanup.policy", Change::Append("delete")),
    ];
    let changes = [
        Changes { resource, changes: &set[..1] },
        Changes { resource: Resource::Topic("admin-nowhere"), changes: &set[..1] },
        Changes { resource: Resource::Unknown(9, "what"), changes: &set[..1] },
    ];
    for dry_run in [true, false] {
        let request = AlterConfigs { resources: &changes, dry_run };
        let told = outcomes(&mut peer, Kind::AlterConfigs, |id, out| request.encode(id, out));
        let errors: Vec<_> = told.iter().map(|(error, _)| *error).collect();
        let expected =
            [ErrorCode::None, ErrorCode::UnknownTopicOrPartition, ErrorCode::InvalidRequest];
        assert_eq!(errors, expected);
        let keys = ["retention.ms"];
        let queries = [
            Query { resource, keys: &keys },
            Query { resource: Resource::Topic("admin-nowhere"), keys: &[] },
            Query { resource: Resource::Broker("1"), keys: &[] },
            Query { resource: Resource::Broker("7"), keys: &[] },
            Query { resource: Resource::Unknown(9, "what"), keys: &[] },
        ];
        let request = DescribeConfigs { resources: &queries };
        let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
        let answered = frame(&answer);
        let view = DescribeAnswerView::read(&answered).unwrap();
        let told: Vec<_> = view.resources().collect();
        let errors: Vec<_> = told.iter().map(DescribedView::error).collect();
        let expected = [
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::None,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
        ];
        assert_eq!(errors, expected);
        assert_eq!(told[0].resource(), resource);
        let retention: Vec<_> = told[0].entries().collect();
        let expected = if dry_run { (Some("604800000"), 5) } else { (Some("123456"), 1) };
        assert_eq!(retention.len(), 1);
        assert_eq!((retention[0].value, retention[0].source), expected);
        assert!(told[2].entries().any(|it| it.name == "auto.create.topics.enable"));
    }
}

#[test]
fn an_answer_about_more_configs_than_a_header_holds_is_refused() {
    let mut peer = Peer::greeted();
    peer.create("admin-many", 1);
    let query = Query { resource: Resource::Topic("admin-many"), keys: &[] };
    let queries = vec![query; 1_000];
    let request = DescribeConfigs { resources: &queries };
    let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
    assert_eq!(refusal(&answer), ErrorCode::InvalidRequest);
    let request = DescribeConfigs { resources: &queries[..10] };
    let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
    let answered = frame(&answer);
    assert_eq!(DescribeAnswerView::read(&answered).unwrap().resources().len(), 10);
}
