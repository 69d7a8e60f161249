use client::RecordView;

use super::*;

fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> RecordView<'a> {
    let headers = Default::default();
    RecordView { topic: "t", partition: 3, offset: 42, timestamp_ms: 1_700, key, value, headers }
}

fn written(record: &RecordView<'_>, format: &str, separator: Option<&str>) -> String {
    let mut out = Vec::new();
    write(&mut out, record, &format.parse().unwrap(), separator).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_format_writes_what_it_says() {
    let plain = record(Some(b"k"), Some(b"v"));
    let tombstone = record(Some(b"k"), None);
    let cases = [
        (&plain, "value", None, "v\n"),
        (&plain, "value", Some("\t"), "k\tv\n"),
        (&plain, "raw", None, "v"),
        (&plain, "%t/%p@%o %T %k=%v %K,%S 100%%\\n", None, "t/3@42 1700 k=v 1,1 100%\n"),
        (&tombstone, "%k=%v %S", None, "k= -1"),
        (&tombstone, "value", None, "\n"),
    ];
    for (record, format, separator, expected) in cases {
        assert_eq!(written(record, format, separator), expected, "{format}");
    }
}

#[test]
fn json_keeps_null_empty_and_bytes_apart() {
    let json = |value| {
        let line = written(&record(None, value), "json", None);
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(json(None)["value"], Value::Null);
    assert_eq!(json(Some(b""))["value"], "");
    assert_eq!(json(Some(b"\xff\x00"))["value"]["base64"], "/wA=");
    assert_eq!(json(None)["offset"], 42);
    assert_eq!(json(None)["headers"], json!([]));
}

#[test]
fn formats_and_separators_that_cannot_be_are_refused() {
    for format in ["text", "", "%x", "%", "%o \\q"] {
        assert!(format.parse::<Format>().is_err(), "{format}");
    }
    assert_eq!(separator("\\t=>").unwrap(), "\t=>");
    assert!(separator("").is_err() && separator("\\").is_err());
}
