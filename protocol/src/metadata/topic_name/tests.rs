//! The names that Kafka takes and refuses.

use super::*;

#[test]
fn takes_what_kafka_takes() {
    for name in ["a", "A-Z_0.9", "...", "__consumer_offsets", &"x".repeat(249)] {
        assert_eq!(check(name), Ok(()), "{name}");
    }
}

#[test]
fn refuses_with_kafkas_words() {
    let long = "x".repeat(250);
    // name │ the end of the message
    let cases = [
        ("", "the empty string is not allowed"),
        (".", "'.' is not allowed"),
        ("..", "'..' is not allowed"),
        (&long, "is longer than the max allowed length 249"),
        ("a b", "other than ASCII alphanumerics, '.', '_' and '-'"),
        ("ä", "other than ASCII alphanumerics, '.', '_' and '-'"),
        ("a/b", "other than ASCII alphanumerics, '.', '_' and '-'"),
        ("a\0", "other than ASCII alphanumerics, '.', '_' and '-'"),
    ];
    for (name, end) in cases {
        let message = check(name).unwrap_err().to_string();
        assert!(message.starts_with("Topic name is invalid: "), "{message}");
        assert!(message.ends_with(end), "{message}");
    }
}

#[test]
fn dots_and_underscores_collide_and_nothing_else() {
    assert!(collide("a.b_c", "a_b.c"));
    assert!(collide("a", "a"));
    assert!(!collide("a.b", "a-b"));
    assert!(!collide("a.b", "a.b."));
    assert!(can_collide("a.b") && can_collide("_") && !can_collide("a-b"));
}
