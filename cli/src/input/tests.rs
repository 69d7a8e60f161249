use super::*;

fn all(cut: Cut, pieces: &[&str]) -> Vec<String> {
    let mut splitter = Splitter::new(cut);
    let mut records = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for piece in pieces {
        splitter.push(piece.as_bytes());
        while let Some(record) = splitter.next().unwrap() {
            records.push(text(record));
        }
    }
    records.extend(splitter.rest().map(text));
    records
}

#[test]
fn lines_are_found_wherever_the_input_was_cut() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["a\nb\n"], &["a", "b"]),
        (&["a", "b\nc"], &["ab", "c"]),
        (&["a\n", "\n", "b"], &["a", "", "b"]),
        (&["", "a", "", "\n"], &["a"]),
        (&[], &[]),
        (&["\n"], &[""]),
    ];
    for (pieces, records) in cases {
        assert_eq!(all(Cut::Lines, pieces), records, "{pieces:?}");
    }
}

#[test]
fn pieces_have_the_size_asked_for_but_the_last() {
    assert_eq!(all(Cut::Bytes(3), &["ab", "cdefg", "h"]), ["abc", "def", "gh"]);
    assert_eq!(all(Cut::Bytes(2), &["ab\ncd"]), ["ab", "\nc", "d"]);
}

#[test]
fn a_line_without_an_end_is_refused() {
    let mut splitter = Splitter::new(Cut::Lines);
    splitter.push(&vec![b'x'; LINE_BYTES_MAX]);
    assert_eq!(splitter.next(), Ok(None));
    splitter.push(b"xx");
    assert!(splitter.next().is_err());
}

#[test]
fn keys_are_split_at_the_first_separator() {
    assert_eq!(split_key(b"k=v=w", b"="), Some((&b"k"[..], &b"v=w"[..])));
    assert_eq!(split_key(b"k=>v", b"=>"), Some((&b"k"[..], &b"v"[..])));
    assert_eq!(split_key(b"=v", b"="), Some((&b""[..], &b"v"[..])));
    assert_eq!(split_key(b"kv", b"="), None);
}

#[test]
fn json_says_everything_about_a_record() {
    let line = br#"{"topic":"t","offset":9,"partition":2,"timestamp":17,"key":"k","value":{"base64":"/w=="},
        "headers":[{"key":"h","value":"x"},{"key":"n","value":null}]}"#;
    let parsed = parse_json(line).unwrap();
    assert_eq!(parsed.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(parsed.value.as_deref(), Some(&b"\xff"[..]));
    assert_eq!(parsed.headers, [(b"h".to_vec(), Some(b"x".to_vec())), (b"n".to_vec(), None)]);
    assert_eq!((parsed.timestamp_ms, parsed.partition), (Some(17), Some(2)));
    assert_eq!(parse_json(b"{}").unwrap(), Parsed::default());
    for wrong in ["[]", "{", "{\"value\":1}", "{\"valeu\":\"x\"}", "{\"key\":{\"base64\":\"?\"}}"] {
        assert!(parse_json(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
