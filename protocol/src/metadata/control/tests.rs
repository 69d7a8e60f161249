//! Every wish is decided as Kafka 4.3.1 decides it, and the records say exactly that.

use proptest::prelude::*;

use super::*;
use crate::Offset;
use crate::metadata::record::{Endpoint, Resource};

fn broker(id: i32) -> BrokerId {
    BrokerId::new(id).unwrap()
}

fn registration(id: i32) -> BrokerRecord {
    let endpoint = Endpoint { listener: "PLAINTEXT".into(), host: "h".into(), port: 9092 };
    BrokerRecord { broker: broker(id), directory: [7; 16], endpoints: vec![endpoint], rack: None }
}

/// A controller and the image it decides on.
struct Cluster {
    rules: Controller,
    image: Image,
    seed: u64,
}

impl Cluster {
    fn of(brokers: i32) -> Self {
        let rules =
            Controller { broker: broker(1), at_start: ConfigMap::new(), partitions_max: 20_000 };
        let mut cluster = Self { rules, image: Image::new(), seed: 0 };
        for id in 1..=brokers {
            assert_eq!(cluster.run(Command::RegisterBroker(registration(id))), Reply::Noted);
        }
        cluster
    }

    /// Decides, commits and answers.
    fn run(&mut self, command: Command) -> Reply {
        self.seed += 1;
        let decision = self.rules.step(command, &self.image, self.seed);
        self.image.apply_all(&decision.records).unwrap();
        decision.reply
    }

    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, Refusal> {
        match self.run(Command::CreateTopics(vec![topic], Mode::Apply)) {
            Reply::CreateTopics(mut results) => results.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn grow(
        &mut self,
        topic: &str,
        count: i32,
        by_hand: Option<Vec<Vec<i32>>>,
    ) -> Result<(), Refusal> {
        let wish = AddPartitions { topic: topic.into(), count, assignments: by_hand };
        match self.run(Command::AddPartitions(vec![wish], Mode::Apply)) {
            Reply::AddPartitions(mut results) => results.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, topics: Vec<DeleteTopic>) -> Vec<Result<(TopicId, String), Refusal>> {
        match self.run(Command::DeleteTopics(topics)) {
            Reply::DeleteTopics(results) => results,
            other => panic!("{other:?}"),
        }
    }

    fn alter(
        &mut self,
        target: ConfigTarget,
        operations: &[(OperationKind, &str, Option<&str>)],
    ) -> Result<(), Refusal> {
        self.alter_as(target, operations, false)
    }

    fn alter_as(
        &mut self,
        target: ConfigTarget,
        operations: &[(OperationKind, &str, Option<&str>)],
        replace: bool,
    ) -> Result<(), Refusal> {
        let operation = |&(kind, key, value): &(OperationKind, &str, Option<&str>)| {
            ConfigOperation { key: key.into(), kind, value: value.map(Into::into) }
        };
        let operations = operations.iter().map(operation).collect();
        let wish = AlterConfigs { target, operations, replace };
        match self.run(Command::AlterConfigs(vec![wish], Mode::Apply)) {
            Reply::AlterConfigs(mut results) => results.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn own(&self, topic: &str, key: &str) -> Option<&str> {
        self.image.topic_by_name(topic)?.configs.get(key).map(String::as_str)
    }
}

fn named(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { name: name.into(), partitions, replication_factor, ..NewTopic::default() }
}

fn by_hand(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(index, brokers)| (*index, brokers.to_vec()));
    NewTopic { assignments: assignments.collect(), ..named(name, -1, -1) }
}

fn configured(name: &str, key: &str, value: Option<&str>) -> NewTopic {
    let configs = vec![(key.to_owned(), value.map(str::to_owned))];
    NewTopic { configs, ..named(name, 1, 1) }
}

fn topic(name: &str) -> ConfigTarget {
    ConfigTarget::Topic(name.into())
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> (ErrorCode, String) {
    let refusal = result.unwrap_err();
    (refusal.code, refusal.message)
}

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
             reached because only 1 broker(s) are registered.",
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

#[test]
fn lists_are_appended_to_and_subtracted_from() {
    use OperationKind::{Append, Delete, Set, Subtract};
    let mut cluster = Cluster::of(1);
    cluster.create(named("t", 1, 1)).unwrap();
    // operation │ value │ what the topic has then, as Kafka 4.3.1 answers the same steps
    let steps = [
        (Append, Some("compact"), Some("delete,compact")),
        (Append, Some("compact"), Some("delete,compact")),
        (Subtract, Some("compact"), Some("delete")),
        (Subtract, Some("delete"), Some("")),
        (Append, Some("delete"), Some("delete")),
        (Set, Some(" compact , delete "), Some("compact,delete")),
        (Set, Some("delete,delete"), Some("delete")),
        (Delete, None, None),
        (Subtract, Some("delete"), Some("")),
    ];
    for (kind, value, expected) in steps {
        cluster.alter(topic("t"), &[(kind, "cleanup.policy", value)]).unwrap();
        assert_eq!(cluster.own("t", "cleanup.policy"), expected, "{kind:?} {value:?}");
    }
    let (code, message) =
        refused(cluster.alter(topic("t"), &[(Append, "retention.ms", Some("1"))]));
    assert_eq!(code, ErrorCode::InvalidConfig);
    assert_eq!(message, "Can't APPEND to key retention.ms because its type is not LIST.");
}

#[test]
fn configs_are_refused_as_kafka_refuses_them() {
    use ErrorCode as E;
    use OperationKind::{Delete, Set};
    let mut cluster = Cluster::of(1);
    cluster.create(named("t", 1, 1)).unwrap();
    let on = |id: &str| ConfigTarget::Broker(id.into());
    let set = |key, value| (Set, key, value);
    let cases = [
        (
            topic("u"),
            set("retention.ms", Some("1")),
            E::UnknownTopicOrPartition,
            "The topic 'u' does not exist.",
        ),
        (
            topic(""),
            set("retention.ms", Some("1")),
            E::InvalidRequest,
            "Default topic resources are not allowed.",
        ),
        (
            topic("a b"),
            set("retention.ms", Some("1")),
            E::InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (topic("t"), set("nope", Some("1")), E::InvalidConfig, "Unknown topic config name: nope"),
        (
            topic("t"),
            set("retention.ms", None),
            E::InvalidRequest,
            "Null value not supported for : retention.ms",
        ),
        (
            topic("t"),
            set("retention.ms", Some("x")),
            E::InvalidConfig,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            on("1"),
            set("num.partitions", Some("5")),
            E::InvalidRequest,
            "Cannot update these configs dynamically: [num.partitions]",
        ),
        (
            on(""),
            set("leader.replication.throttled.rate", Some("5")),
            E::InvalidRequest,
            "Cannot update these configs at default cluster level, broker id must be specified: \
             [leader.replication.throttled.rate]",
        ),
        (
            on(""),
            set("min.insync.replicas", Some("0")),
            E::InvalidRequest,
            "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1",
        ),
        (
            on("7"),
            set("log.retention.ms", Some("5")),
            E::BrokerIdNotRegistered,
            "No broker with id 7 found.",
        ),
        (
            on("x"),
            set("log.retention.ms", Some("5")),
            E::InvalidRequest,
            "Node id must be an integer, but it is: x",
        ),
    ];
    let before = cluster.image.clone();
    for (target, operation, code, message) in cases {
        assert_eq!(refused(cluster.alter(target, &[operation])), (code, message.to_owned()));
    }
    let twice = [(Set, "retention.ms", Some("1")), (Delete, "retention.ms", None)];
    assert_eq!(refused(cluster.alter(topic("t"), &twice)).1, "Error due to duplicate config keys");
    cluster.alter(topic("t"), &[(Delete, "nope", None)]).unwrap();
    assert_eq!(cluster.image, before);
}

#[test]
fn brokers_configs_are_set_for_one_and_for_all() {
    use OperationKind::{Delete, Set};
    let mut cluster = Cluster::of(1);
    let one = ConfigTarget::Broker("1".into());
    cluster.alter(one.clone(), &[(Set, "log.retention.ms", Some("5000"))]).unwrap();
    cluster
        .alter(ConfigTarget::Broker(String::new()), &[(Set, "log.retention.ms", Some("6000"))])
        .unwrap();
    let image = &cluster.image;
    assert_eq!(image.configs(&Resource::Broker(broker(1))).unwrap()["log.retention.ms"], "5000");
    assert_eq!(image.configs(&Resource::BrokerDefault).unwrap()["log.retention.ms"], "6000");
    cluster.alter(one, &[(Delete, "log.retention.ms", None)]).unwrap();
    assert_eq!(cluster.image.configs(&Resource::Broker(broker(1))), None);
}

#[test]
fn the_older_request_replaces_everything() {
    use OperationKind::Set;
    let mut cluster = Cluster::of(1);
    cluster.create(configured("t", "retention.ms", Some("5"))).unwrap();
    cluster.alter_as(topic("t"), &[(Set, "retention.bytes", Some("7"))], true).unwrap();
    assert_eq!(cluster.own("t", "retention.ms"), None);
    assert_eq!(cluster.own("t", "retention.bytes"), Some("7"));
}

#[test]
fn producer_ids_come_in_blocks_that_never_overlap() {
    let mut cluster = Cluster::of(2);
    let mut next = 0;
    for turn in 0..10 {
        let block = match cluster.run(Command::AllocateProducerIds(broker(1 + turn % 2))) {
            Reply::ProducerIds(block) => block.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(block, next..next + 1_000);
        next = block.end;
    }
    let image = Image::restore(Offset::ZERO, &cluster.image.snapshot()).unwrap();
    assert_eq!(image.next_producer_id(), next, "a restart begins with the next block");

    let last = Record::ProducerIdsAllocated { broker: broker(1), next: i64::MAX - 5 };
    cluster.image.apply(&last).unwrap();
    let Reply::ProducerIds(block) = cluster.run(Command::AllocateProducerIds(broker(1))) else {
        panic!()
    };
    assert_eq!(refused(block).0, ErrorCode::UnknownServerError);
}

#[test]
fn what_is_known_already_needs_no_record() {
    let mut cluster = Cluster::of(1);
    cluster.run(Command::SetFeature("metadata.version".into(), 30));
    let before = cluster.image.version();
    cluster.run(Command::SetFeature("metadata.version".into(), 30));
    cluster.run(Command::SetFeature("other".into(), 0));
    cluster.run(Command::RegisterBroker(registration(1)));
    assert_eq!(cluster.image.version(), before);
    cluster
        .run(Command::RegisterBroker(BrokerRecord { rack: Some("r".into()), ..registration(1) }));
    assert_eq!(cluster.image.version(), before.plus(1));
}

proptest! {
    #[test]
    fn the_same_wish_is_decided_the_same_way_and_its_records_apply(
        names in prop::collection::vec("[a-c._]{0,3}", 0..6),
        counts in prop::collection::vec((-2..5i32, -2..4i16), 6),
        seed in any::<u64>(),
    ) {
        let cluster = Cluster::of(2);
        let topics: Vec<_> = names.iter().zip(&counts).map(|(name, (count, factor))| named(name, *count, *factor)).collect();
        let decide = || cluster.rules.step(Command::CreateTopics(topics.clone(), Mode::Apply), &cluster.image, seed);
        let decision = decide();
        prop_assert_eq!(&decide(), &decision);
        let mut image = cluster.image.clone();
        image.apply_all(&decision.records).unwrap();
        let Reply::CreateTopics(results) = decision.reply else { panic!() };
        let created = results.iter().filter(|result| result.is_ok()).count();
        prop_assert_eq!(image.topic_count(), created);
    }
}
