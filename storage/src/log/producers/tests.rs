//! Idempotence, case by case.

use super::*;

fn stamp(epoch: i16, first: i32, last: i32) -> Stamp {
    Stamp { id: 9, epoch, first_sequence: first, last_sequence: last }
}

fn append(producers: &mut Producers, stamp: &Stamp, base: i64) {
    assert_eq!(producers.admit(stamp), Ok(Admission::Append), "{stamp:?}");
    let batch = ProducedBatch {
        first_sequence: stamp.first_sequence,
        last_sequence: stamp.last_sequence,
        base,
        last: base + i64::from(stamp.last_sequence - stamp.first_sequence),
        timestamp: 1,
    };
    producers.note(stamp, batch, 100);
}

#[test]
fn the_last_five_batches_are_recognised() {
    let mut producers = Producers::default();
    for n in 0..7 {
        append(&mut producers, &stamp(0, n * 2, n * 2 + 1), i64::from(n) * 10);
    }
    for n in 2..7 {
        let admission = producers.admit(&stamp(0, n * 2, n * 2 + 1));
        let Ok(Admission::Duplicate(batch)) = admission else { panic!("{n}: {admission:?}") };
        assert_eq!(batch.base, i64::from(n) * 10);
    }
    assert_eq!(producers.admit(&stamp(0, 2, 3)), Err(Refusal::OutOfOrder { expected: 14 }));
    // The same start with another length is no duplicate.
    assert_eq!(producers.admit(&stamp(0, 12, 12)), Err(Refusal::OutOfOrder { expected: 14 }));
    assert_eq!(producers.admit(&stamp(0, 15, 15)), Err(Refusal::OutOfOrder { expected: 14 }));
}

#[test]
fn a_new_epoch_starts_over_and_fences_the_old() {
    let mut producers = Producers::default();
    append(&mut producers, &stamp(3, 0, 4), 0);
    assert_eq!(producers.admit(&stamp(2, 5, 5)), Err(Refusal::Fenced { current: 3 }));
    assert_eq!(producers.admit(&stamp(4, 5, 5)), Err(Refusal::OutOfOrder { expected: 0 }));
    append(&mut producers, &stamp(4, 0, 0), 5);
    assert_eq!(producers.admit(&stamp(3, 0, 4)), Err(Refusal::Fenced { current: 4 }));
    append(&mut producers, &stamp(4, 1, 1), 6);
}

#[test]
fn a_forgotten_producer_is_unknown_unless_it_starts_at_zero() {
    let mut producers = Producers::default();
    append(&mut producers, &stamp(0, 0, 4), 0);
    assert_eq!(producers.expire(100), 0);
    assert_eq!(producers.expire(101), 1);
    assert_eq!(producers.admit(&stamp(0, 5, 5)), Err(Refusal::Unknown));
    assert_eq!(producers.admit(&stamp(0, 0, 4)), Ok(Admission::Append));
}

#[test]
fn sequences_wrap_after_the_largest() {
    let mut producers = Producers::default();
    let mut producer = Producer::new(0, 0);
    producer.push(ProducedBatch { last_sequence: i32::MAX, ..ProducedBatch::default() });
    producers.insert(9, producer);
    append(&mut producers, &stamp(0, 0, 0), 1);
}

#[test]
fn eviction_takes_those_idle_longest() {
    let mut producers = Producers::default();
    for id in 0..20 {
        producers.insert(id, Producer::new(0, 100 - id));
    }
    assert_eq!(producers.evict(), 2);
    assert!(producers.iter().all(|(id, _)| id < 18));
}
