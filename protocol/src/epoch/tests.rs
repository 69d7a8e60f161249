//! Epochs only rise, and say when they cannot.

use super::*;

#[test]
fn an_epoch_is_never_negative_and_ends_without_wrapping() {
    assert_eq!(LeaderEpoch::new(-1), None);
    assert_eq!(LeaderEpoch::ZERO.next().map(LeaderEpoch::get), Some(1));
    assert_eq!(LeaderEpoch::new(i32::MAX).and_then(LeaderEpoch::next), None);
    assert_eq!(ProducerEpoch::new(-1), None);
    assert_eq!(ProducerEpoch::ZERO.next().map(ProducerEpoch::get), Some(1));
    assert_eq!(ProducerEpoch::new(i16::MAX - 1).and_then(ProducerEpoch::next), None);
}
