//! The table is whole, and agrees with the one other implementation at hand.

use super::*;

#[test]
fn every_number_from_minus_one_on_has_its_code() {
    let numbers: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(numbers, (-1..=133).collect::<Vec<i16>>());
    for &code in ErrorCode::ALL {
        assert_eq!(ErrorCode::new(code.code()), Some(code));
        assert!(code.about().ends_with('.'), "{code}");
    }
    assert_eq!(ErrorCode::new(-2), None);
    assert_eq!(ErrorCode::from_wire(31_000), ErrorCode::UnknownServerError);
}

#[test]
fn names_and_retriability_agree_with_the_oracle() {
    use kafka_protocol::error::ParseResponseErrorCode;
    let mut compared = 0;
    let mut retry_differs = Vec::new();
    for &code in ErrorCode::ALL.iter().filter(|code| code.is_error()) {
        let Some(theirs) = code.code().err() else { continue };
        if let kafka_protocol::ResponseError::Unknown(_) = theirs {
            continue;
        }
        let theirs_name = format!("{theirs:?}").to_lowercase();
        let ours_name = code.name().replace('_', "").to_lowercase();
        assert_eq!(ours_name, theirs_name, "{code}");
        if code.retriable() != theirs.is_retriable() {
            retry_differs.push(code);
        }
        compared += 1;
    }
    assert!(compared > 100, "only {compared} codes were compared");
    // The one whose answer Kafka changed after the table that the oracle was written from.
    assert_eq!(retry_differs, [ErrorCode::ConcurrentTransactions]);
}

#[test]
fn a_code_is_shown_with_name_and_number() {
    assert_eq!(ErrorCode::NotLeaderOrFollower.to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
    assert_eq!(ErrorCode::default(), ErrorCode::None);
}
