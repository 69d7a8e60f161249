use super::*;

#[test]
fn the_vectors_of_rfc_4648_hold_both_ways() {
    let cases = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ];
    for (plain, text) in cases {
        assert_eq!(encode(plain.as_bytes()), text);
        assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
    }
    let every: Vec<u8> = (0..=255).collect();
    assert_eq!(decode(&encode(&every)), Some(every));
}

#[test]
fn what_is_not_base64_is_refused() {
    for text in ["Z", "Zg=", "Zg==Zg==", "Z===", "====", "Zm9!", "Zm 9"] {
        assert_eq!(decode(text), None, "{text}");
    }
}
