//! Epoch ends as OffsetForLeaderEpoch defines them.

use super::*;

fn epochs() -> Epochs {
    let mut it = Epochs::default();
    for (epoch, offset) in [(2, 0), (2, 5), (4, 10), (7, 20)] {
        it.note(epoch, offset);
    }
    it
}

#[test]
fn ends_are_the_next_epochs_starts() {
    let it = epochs();
    assert_eq!(it.pairs(), [(2, 0), (4, 10), (7, 20)]);
    assert_eq!(it.end_of(7, 33), Some((7, 33)));
    assert_eq!(it.end_of(2, 33), Some((2, 10)));
    assert_eq!(it.end_of(3, 33), Some((2, 10)));
    assert_eq!(it.end_of(5, 33), Some((4, 20)));
    assert_eq!(it.end_of(1, 33), Some((1, 0)));
    assert_eq!(it.end_of(8, 33), None);
    assert_eq!(Epochs::default().end_of(0, 0), None);
}

#[test]
fn an_epoch_that_wrote_nothing_is_replaced() {
    let mut it = epochs();
    assert!(it.note(8, 20));
    assert_eq!(it.pairs(), [(2, 0), (4, 10), (8, 20)]);
    assert!(!it.note(3, 40));
}

#[test]
fn trimming_keeps_the_epoch_in_force() {
    let mut it = epochs();
    it.trim(15);
    assert_eq!(it.pairs(), [(4, 15), (7, 20)]);
    it.trim(20);
    assert_eq!(it.pairs(), [(7, 20)]);
    assert!(it.fits(20) && !epochs().fits(19));
}
