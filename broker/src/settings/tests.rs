//! Settings at start are checked, and what the broker is stands among them.

use super::*;

fn one(name: &str, value: &str) -> ConfigMap {
    [(name.to_owned(), value.to_owned())].into()
}

#[test]
fn known_settings_are_taken_and_others_named() {
    assert_eq!(check(&one("log.retention.hours", "72")), Ok(()));
    assert_eq!(check(&one("num.partitions", "3")), Ok(()));
    let wrong = |name, value| check(&one(name, value)).unwrap_err();
    assert_eq!(wrong("retention.hours", "72"), "setting 'retention.hours' is unknown");
    assert_eq!(
        wrong("retention.ms", "72"),
        "setting 'retention.ms' belongs to a topic; for all topics of a broker it is 'log.retention.ms'"
    );
    assert_eq!(
        wrong("log.segment.bytes", "7"),
        "setting 'log.segment.bytes': Invalid value 7 for configuration log.segment.bytes: \
         Value must be at least 1048576"
    );
    assert_eq!(check(&one("log.cleanup.policy", "compact")), Ok(()));
}

#[test]
fn facts_about_the_broker_are_settings_too() {
    let addr = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let serving = Serving {
        kafka: addr(9092),
        native: addr(9192),
        admin: addr(9644),
        cluster_id: String::new(),
        shards: 1,
    };
    let mut config = BrokerConfig {
        broker_id: protocol::BrokerId::new(7).unwrap(),
        cluster_id: None,
        dir: "/data".into(),
        kafka: addr(0),
        native: addr(0),
        admin: addr(0),
        advertise: Some(("example.com".to_owned(), 19_092)),
        advertise_native: None,
        rack: Some("r1".to_owned()),
        shards: 1,
        memory_bytes: 0,
        journal_bytes: 0,
        any_file_system: false,
        kafka_settings: one("num.partitions", "3"),
        limits: crate::config::Limits::default(),
    };
    complete(&mut config, &serving);
    let expected = [
        ("node.id", "7"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("advertised.listeners", "PLAINTEXT://example.com:19092"),
        ("log.dirs", "/data"),
        ("broker.rack", "r1"),
        ("num.partitions", "3"),
        ("max.connections", "10000"),
    ];
    for (name, value) in expected {
        assert_eq!(config.kafka_settings[name], value, "{name}");
    }
    let default = "socket.request.max.bytes";
    assert!(!config.kafka_settings.contains_key(default), "{default} was not chosen by anybody");
    assert_eq!(check(&config.kafka_settings), Ok(()), "what the broker says of itself is legal");
}
