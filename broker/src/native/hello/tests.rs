//! Who is let in.

use super::*;

fn code(hello: &hello::Request<'_>) -> Option<ErrorCode> {
    match check(hello, "home") {
        Ok(version) => {
            assert_eq!(version, VERSION);
            None
        }
        Err(Fault::Refused(refusal)) => Some(refusal.code),
        Err(Fault::Frame(error)) => panic!("{error}"),
    }
}

#[test]
fn versions_and_clusters_must_meet() {
    let of = |version_min, version_max, cluster_id| hello::Request {
        version_min,
        version_max,
        cluster_id,
        ..hello::Request::default()
    };
    assert_eq!(code(&of(0, 9, None)), None);
    assert_eq!(code(&of(1, 1, Some("home"))), None);
    assert_eq!(code(&of(2, 9, Some("home"))), Some(ErrorCode::UnsupportedVersion));
    assert_eq!(code(&of(0, 0, None)), Some(ErrorCode::UnsupportedVersion));
    assert_eq!(code(&of(1, 1, Some("away"))), Some(ErrorCode::InconsistentClusterId));
    assert_eq!(code(&of(1, 1, Some(""))), Some(ErrorCode::InconsistentClusterId));
}

#[test]
fn a_lane_beyond_the_wire_is_the_last() {
    assert_eq!((lane(3), lane(1 << 20)), (3, u16::MAX));
}
