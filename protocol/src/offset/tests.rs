//! Offsets count forward and never wrap.

use super::*;

#[test]
fn an_offset_is_never_negative_and_never_wraps() {
    assert_eq!(Offset::new(-1), None);
    let five = Offset::new(5).expect("five is not negative");
    assert_eq!(five.plus(u32::MAX).get(), 5 + i64::from(u32::MAX));
    assert_eq!(Offset::MAX.plus(1), Offset::MAX);
    assert_eq!(five.since(Offset::ZERO), 5);
    assert_eq!(Offset::ZERO.since(five), 0);
}
