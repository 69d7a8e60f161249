//! Topics: created, grown, deleted.

use super::*;

#[test]
fn a_topic_is_created_with_all_its_partitions_and_configs() {
    let mut cluster = Cluster::of(1);
    let created = cluster.create(NewTopic {
        configs: vec![("retention.ms".into(), Some(" 5 ".into()))],
        ..named("t", 3, 1)
    });
    let created = created.unwrap();
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
    let topic = cluster.image.topic_by_name("t").unwrap();
    assert_eq!(topic.id, created.id);
    assert_eq!(created.id.get()[6] >> 4, 4, "a random UUID");
    assert_eq!(topic.partitions.len(), 3);
    for partition in &topic.partitions {
        assert_eq!(partition.leader, Some(broker(1)));
        assert_eq!(partition.in_sync, partition.replicas);
        assert_eq!((partition.leader_epoch.get(), partition.partition_epoch), (0, 0));
    }
    let retention = created.configs.iter().find(|config| config.key.name == "retention.ms");
    assert_eq!(retention.unwrap().value.as_deref(), Some("5"));
    assert_eq!(cluster.own("t", "retention.ms"), Some("5"));
}

#[test]
fn minus_one_means_the_brokers_default() {
    let mut cluster = Cluster::of(3);
    cluster.rules.at_start.insert("num.partitions".into(), "4".into());
    cluster.rules.at_start.insert("default.replication.factor".into(), "2".into());
    let created = cluster.create(named("t", -1, -1)).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (4, 2));
}

#[test]
fn topics_are_refused_as_kafka_refuses_them() {
    use ErrorCode as E;
    let mut cluster = Cluster::of(1);
    cluster.create(named("a.b", 1, 1)).unwrap();
    let cases = [
        (named("a.b", 1, 1), E::TopicAlreadyExists, "Topic 'a.b' already exists."),
        (
            named("a_b", 1, 1),
            E::InvalidTopicException,
            "Topic 'a_b' collides with existing topic: a.b",
        ),
        (named("..", 1, 1), E::InvalidTopicException, "Topic name is invalid: '..' is not allowed"),
        (
            named("__cluster_metadata", 1, 1),
            E::InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            named("t", 0, 1),
            E::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            named("t", -2, 1),
            E::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            named("t", 1, 0),
            E::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            named("t", 1, 2),
            E::InvalidReplicationFactor,
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be \
             reached because only 1 broker(s) are registered or some brokers have all their log \
             directories cordoned.",
        ),
        (
            named("t", 10_001, 1),
            E::PolicyViolation,
            "Excessively large number of partitions per request.",
        ),
        (
            by_hand("t", &[(0, &[7])]),
            E::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
        (
            by_hand("t", &[(0, &[-1])]),
            E::InvalidReplicaAssignment,
            "The manual partition assignment includes broker -1, but no such broker is registered.",
        ),
        (
            by_hand("t", &[(0, &[1, 1])]),
            E::InvalidReplicaAssignment,
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        (
            by_hand("t", &[(0, &[])]),
            E::InvalidReplicaAssignment,
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            by_hand("t", &[(0, &[1]), (2, &[1])]),
            E::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            by_hand("t", &[(1, &[1])]),
            E::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            by_hand("t", &[(0, &[1]), (0, &[1])]),
            E::InvalidReplicaAssignment,
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            NewTopic { partitions: 1, ..by_hand("t", &[(0, &[1])]) },
            E::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            NewTopic { replication_factor: 1, ..by_hand("t", &[(0, &[1])]) },
            E::InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
        (configured("t", "nope", Some("1")), E::InvalidConfig, "Unknown topic config name: nope"),
        (
            configured("t", "retention.ms", None),
            E::InvalidConfig,
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            configured("t", "segment.bytes", Some("1")),
            E::InvalidConfig,
            "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576",
        ),
    ];
    let before = cluster.image.clone();
    for (topic, code, message) in cases {
        assert_eq!(refused(cluster.create(topic)), (code, message.to_owned()));
        assert_eq!(cluster.image, before, "a refusal left a trace");
    }
}

#[test]
fn assignments_by_hand_are_kept_as_given() {
    let mut cluster = Cluster::of(3);
    cluster.create(by_hand("t", &[(1, &[2, 3]), (0, &[3, 1])])).unwrap();
    let topic = cluster.image.topic_by_name("t").unwrap();
    let replicas: Vec<_> = topic.partitions.iter().map(|one| one.replicas.to_vec()).collect();
    assert_eq!(replicas, [[broker(3), broker(1)], [broker(2), broker(3)]]);
    let uneven = refused(cluster.create(by_hand("u", &[(0, &[1]), (1, &[1, 2])])));
    assert_eq!(uneven.0, ErrorCode::InvalidReplicaAssignment);
    assert!(uneven.1.contains("2 replica(s)") && uneven.1.contains("have 1 replica(s)"));
}

#[test]
fn replicas_are_spread_evenly_and_never_twice_on_a_broker() {
    let mut cluster = Cluster::of(5);
    cluster.create(named("t", 100, 3)).unwrap();
    let topic = cluster.image.topic_by_name("t").unwrap();
    for id in 1..=5 {
        let leads = topic.partitions.iter().filter(|one| one.leader == Some(broker(id))).count();
        let holds =
            topic.partitions.iter().filter(|one| one.replicas.contains(&broker(id))).count();
        assert_eq!((leads, holds), (20, 60), "broker {id}");
    }
}

#[test]
fn one_request_is_decided_item_by_item() {
    let mut cluster = Cluster::of(1);
    let wish = vec![
        named("x", 1, 1),
        named("..", 1, 1),
        named("y", 2, 1),
        named("x.y", 1, 1),
        named("x_y", 1, 1),
    ];
    let Reply::CreateTopics(results) = cluster.run(Command::CreateTopics(wish, Mode::Apply)) else {
        panic!()
    };
    let codes: Vec<_> = results.iter().map(|one| one.as_ref().err().map(|no| no.code)).collect();
    let invalid = Some(ErrorCode::InvalidTopicException);
    assert_eq!(codes, [None, invalid, None, None, invalid]);
    assert_eq!(cluster.image.partition_count(), 4);

    let wish = vec![named("d", 1, 1), named("d", 1, 1), named("e", 1, 1)];
    let Reply::CreateTopics(results) = cluster.run(Command::CreateTopics(wish, Mode::Apply)) else {
        panic!()
    };
    let codes: Vec<_> = results.iter().map(|one| one.as_ref().err().map(|no| no.code)).collect();
    assert_eq!(codes, [Some(ErrorCode::InvalidRequest), Some(ErrorCode::InvalidRequest), None]);
}

#[test]
fn ten_thousand_partitions_a_request_and_no_more_in_the_cluster_than_it_may_have() {
    let mut cluster = Cluster::of(1);
    let wish = vec![named("a", 6_000, 1), named("b", 6_000, 1), named("c", 4_000, 1)];
    let Reply::CreateTopics(results) = cluster.run(Command::CreateTopics(wish, Mode::Apply)) else {
        panic!()
    };
    assert!(results[0].is_ok() && results[1].is_err() && results[2].is_ok());
    cluster.create(named("d", 9_999, 1)).unwrap();
    let (code, message) = refused(cluster.create(named("e", 2, 1)));
    assert_eq!(code, ErrorCode::PolicyViolation);
    assert!(message.contains("has 19999 partitions and may have 20000"), "{message}");
    assert_eq!(refused(cluster.grow("a", 6_002, None)).0, ErrorCode::PolicyViolation);
    cluster.grow("a", 6_001, None).unwrap();
    assert_eq!(refused(cluster.grow("a", i32::MAX, None)).0, ErrorCode::PolicyViolation);
}

#[test]
fn a_trial_writes_nothing_and_says_what_would_be() {
    let mut cluster = Cluster::of(1);
    let before = cluster.image.clone();
    let wish = Command::CreateTopics(vec![named("t", 3, -1)], Mode::Validate);
    let Reply::CreateTopics(results) = cluster.run(wish) else { panic!() };
    assert_eq!(results[0].as_ref().unwrap().partitions, 3);
    assert_eq!(cluster.image, before);

    cluster.create(named("t", 1, 1)).unwrap();
    let before = cluster.image.clone();
    let wish = AddPartitions { topic: "t".into(), count: 2, assignments: None };
    assert_eq!(
        cluster.run(Command::AddPartitions(vec![wish], Mode::Validate)),
        Reply::AddPartitions(vec![Ok(())])
    );
    assert_eq!(cluster.image, before);
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut cluster = Cluster::of(1);
    let first = cluster.create(named("a", 1, 1)).unwrap().id;
    let second = cluster.create(named("b", 1, 1)).unwrap().id;
    let by_name = |name: &str| DeleteTopic { name: Some(name.into()), id: TopicId::ZERO };
    let by_id = |id| DeleteTopic { name: None, id };
    let unknown = TopicId::new([9; 16]);
    let results = cluster.delete(vec![
        by_name("a"),
        by_id(second),
        by_name("nope"),
        by_id(unknown),
        by_id(TopicId::ZERO),
        DeleteTopic { name: Some("a".into()), id: first },
    ]);
    // Named twice: once alone, once with an id.
    assert_eq!(refused(results[0].clone()).0, ErrorCode::InvalidRequest);
    assert_eq!(results[1], Ok((second, "b".to_owned())));
    assert_eq!(refused(results[2].clone()).0, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(refused(results[3].clone()).0, ErrorCode::UnknownTopicId);
    assert_eq!(refused(results[4].clone()).1, "Neither topic name nor id were specified.");
    assert_eq!(refused(results[5].clone()).0, ErrorCode::InvalidRequest);
    assert_eq!(cluster.delete(vec![by_name("a")]), [Ok((first, "a".to_owned()))]);
    assert_eq!(cluster.image.topic_count(), 0);

    cluster.create(named("c", 1, 1)).unwrap();
    cluster.rules.at_start.insert("delete.topic.enable".into(), "false".into());
    let results = cluster.delete(vec![by_name("c")]);
    assert_eq!(refused(results[0].clone()).0, ErrorCode::TopicDeletionDisabled);
}

#[test]
fn a_name_comes_back_with_another_id_even_if_the_seed_repeats() {
    let mut cluster = Cluster::of(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1_000 {
        cluster.seed = 0;
        let id = cluster.create(named("t", 1, 1)).unwrap().id;
        assert!(!id.is_zero() && seen.insert(id), "{id} was used before");
        cluster.delete(vec![DeleteTopic { name: Some("t".into()), id: TopicId::ZERO }]);
    }
}

#[test]
fn topics_grow_as_kafka_lets_them() {
    use ErrorCode as E;
    let mut cluster = Cluster::of(1);
    cluster.create(named("t", 3, 1)).unwrap();
    cluster.grow("t", 5, None).unwrap();
    cluster.grow("t", 6, Some(vec![vec![1]])).unwrap();
    assert_eq!(cluster.image.topic_by_name("t").unwrap().partitions.len(), 6);
    let hand = |lists: &[&[i32]]| Some(lists.iter().map(|list| list.to_vec()).collect::<Vec<_>>());
    let cases = [
        (
            "t",
            2,
            None,
            E::InvalidPartitions,
            "The topic t currently has 6 partition(s); 2 would not be an increase.",
        ),
        (
            "t",
            -1,
            None,
            E::InvalidPartitions,
            "The topic t currently has 6 partition(s); -1 would not be an increase.",
        ),
        ("t", 6, None, E::InvalidPartitions, "Topic already has 6 partition(s)."),
        (
            "u",
            6,
            None,
            E::UnknownTopicOrPartition,
            "This server does not host this topic-partition.",
        ),
        (
            "t",
            8,
            hand(&[&[1]]),
            E::InvalidReplicaAssignment,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            "t",
            7,
            hand(&[&[9]]),
            E::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            "t",
            7,
            hand(&[&[]]),
            E::InvalidReplicaAssignment,
            "The manual partition assignment includes an empty replica list.",
        ),
    ];
    for (name, count, by_hand, code, message) in cases {
        assert_eq!(refused(cluster.grow(name, count, by_hand)), (code, message.to_owned()));
    }
}
