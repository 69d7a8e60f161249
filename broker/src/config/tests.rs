use super::*;

#[test]
fn sizes_are_read_in_bytes_and_binary_units() {
    let cases = [
        ("4096", Some(4096)),
        ("64KiB", Some(64 << 10)),
        (" 2 GiB ", Some(2 << 30)),
        ("1g", Some(1 << 30)),
        ("", None),
        ("GiB", None),
        ("1.5GiB", None),
        ("-1", None),
        ("99999999999TiB", None),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_size(text).ok(), expected, "{text:?}");
    }
}

#[test]
fn unknown_keys_are_errors_that_name_the_key() {
    let error = FileConfig::parse("kafak = \"127.0.0.1:9092\"").unwrap_err().to_string();
    assert!(error.contains("kafak"), "{error}");
    let error = FileConfig::parse("[limits]\nidle = 4").unwrap_err().to_string();
    assert!(error.contains("idle"), "{error}");
}

#[test]
fn defaults_keep_kafkas_names_and_become_text() {
    let file = FileConfig::parse("[defaults]\n\"log.retention.hours\" = 72\n").unwrap();
    assert_eq!(file.settings().get("log.retention.hours").map(String::as_str), Some("72"));
}

#[test]
fn an_advertised_address_needs_host_and_port() {
    assert_eq!(parse_advertised("h:9092").unwrap(), ("h".to_owned(), 9092));
    assert_eq!(parse_advertised("[::1]:1").unwrap(), ("::1".to_owned(), 1));
    for wrong in ["h", ":1", "h:", "h:70000"] {
        assert!(parse_advertised(wrong).is_err(), "{wrong}");
    }
}
