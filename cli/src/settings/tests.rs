use super::*;

#[test]
fn every_key_is_read() {
    let settings = Settings::parse("bootstrap = 'broker:9092'\nprotocol = 'native'\n").unwrap();
    assert_eq!(settings.bootstrap.as_deref(), Some("broker:9092"));
    assert_eq!(settings.protocol, Some(Protocol::Native));
}

#[test]
fn what_is_wrong_is_said_in_one_line_with_its_place() {
    let cases = [
        ("\nbotstrap = 'x'\n", "line 2: unknown field `botstrap`"),
        ("bootstrap = 7\n", "line 1: invalid type"),
        ("[client]\n", "line 1: unknown field `client`"),
        ("\n\nprotocol = 'http'\n", "line 3: unknown variant `http`"),
        ("bootstrap", "line 1: "),
    ];
    for (text, start) in cases {
        let what = Settings::parse(text).unwrap_err();
        assert!(what.starts_with(start) && !what.contains('\n'), "{text}: {what}");
    }
}
