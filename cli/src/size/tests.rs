use super::*;

#[test]
fn sizes_are_read_as_people_write_them() {
    let cases = [
        ("0", Some(0)),
        ("4096", Some(4096)),
        ("64MiB", Some(64 << 20)),
        ("64 mb", Some(64 << 20)),
        ("1g", Some(1 << 30)),
        ("2TiB", Some(2 << 40)),
        ("1K", Some(1024)),
        ("", None),
        ("MiB", None),
        ("1.5G", None),
        ("-1", None),
        ("1X", None),
        ("99999999999999999999", None),
        ("99999999999T", None),
    ];
    for (text, bytes) in cases {
        assert_eq!(text.parse::<Size>().ok().map(|size| size.0), bytes, "{text}");
    }
}

#[test]
fn spans_of_time_are_read_as_people_write_them() {
    let cases = [
        ("250", Some(250)),
        ("500ms", Some(500)),
        ("2s", Some(2_000)),
        ("10m", Some(600_000)),
        ("1h", Some(3_600_000)),
        ("7d", Some(604_800_000)),
        ("soon", None),
        ("3 weeks", None),
    ];
    for (text, milliseconds) in cases {
        assert_eq!(duration(text).ok(), milliseconds.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn bytes_are_written_for_people() {
    let cases = [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (100 << 20, "100.0 MiB"),
        (3 << 40, "3.0 TiB"),
    ];
    for (bytes, text) in cases {
        assert_eq!(human_bytes(bytes), text);
    }
}
