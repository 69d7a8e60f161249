use super::*;

#[test]
fn every_section_is_read() {
    let text = r#"
        [client]
        bootstrap = "broker:9092"
        protocol = "native"
        [dev]
        dir = "/data"
        shards = 2
        memory = "1GiB"
        journal = 67108864
        [topic]
        "retention.ms" = 86400000
        "cleanup.policy" = "delete"
        preallocate = true
    "#;
    let settings = Settings::parse(text).unwrap();
    assert_eq!(settings.client.bootstrap.as_deref(), Some("broker:9092"));
    assert_eq!(settings.client.protocol, Some(Protocol::Native));
    assert_eq!(settings.dev.shards, Some(2));
    assert_eq!(settings.dev.memory, Some(Size(1 << 30)));
    assert_eq!(settings.dev.journal, Some(Size(64 << 20)));
    let topic: Vec<String> = settings.topic.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(topic, ["cleanup.policy=delete", "preallocate=true", "retention.ms=86400000"]);
}

#[test]
fn what_is_wrong_is_said_in_one_line_with_its_place() {
    let cases = [
        ("[client]\nbotstrap = 'x'\n", "line 2: unknown field `botstrap`"),
        ("[dev]\n\nmemory = 'much'\n", "line 3: "),
        ("[cluster]\n", "line 1: unknown field `cluster`"),
        ("[client]\nprotocol = 'http'\n", "line 2: unknown variant `http`"),
        ("client", "line 1: "),
    ];
    for (text, start) in cases {
        let what = Settings::parse(text).unwrap_err();
        assert!(what.starts_with(start) && !what.contains('\n'), "{text}: {what}");
    }
}
