use super::*;

#[test]
fn where_to_begin_is_read_as_people_write_it() {
    let cases = [
        ("earliest", Some(Start::Earliest)),
        ("latest", Some(Start::Latest)),
        ("0", Some(Start::Offset(0))),
        ("1200", Some(Start::Offset(1200))),
        ("-10", Some(Start::Last(10))),
        ("-0", Some(Start::Last(0))),
        ("first", None),
        ("", None),
        ("1.5", None),
    ];
    for (text, start) in cases {
        assert_eq!(text.parse::<Start>().ok(), start, "{text}");
    }
}
