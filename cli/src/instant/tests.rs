use super::*;

#[test]
fn points_in_time_are_read_as_people_write_them() {
    let cases = [
        ("0", Some(Moment::At(0))),
        ("1700000000000", Some(Moment::At(1_700_000_000_000))),
        ("1970-01-01T00:00:00Z", Some(Moment::At(0))),
        ("2000-02-29T12:34:56Z", Some(Moment::At(951_827_696_000))),
        ("2026-11-21", Some(Moment::At(1_795_219_200_000))),
        ("2023-11-14T22:13:20.5Z", Some(Moment::At(1_700_000_000_500))),
        ("10m", Some(Moment::Ago(600_000))),
        ("2023-02-29", None),
        ("2023-13-01", None),
        ("2023-11-14T22:13:20", None),
        ("2023-11-14T25:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ];
    for (text, moment) in cases {
        assert_eq!(text.parse::<Moment>().ok(), moment, "{text}");
    }
    assert_eq!(Moment::Ago(10).at(1_000), 990);
}
