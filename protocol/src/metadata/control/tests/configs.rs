//! Settings of topics and brokers.

use super::*;

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
