//! Row S21: small requests for much.

use std::time::{Duration, Instant};

use tests::batch::{batch, record};
use tests::wire::{Bytes, FETCH, Wire, request};

use crate::fixture::{Fixture, is_foreign, now_ms};

const PARTITIONS: i32 = 40;
const RESPONSE_MAX: usize = 17 << 20;

/// A topic with a megabyte in each of many partitions.
fn full(fixture: &Fixture) -> Wire {
    let mut wire = fixture.connect();
    assert_eq!(wire.create_topic("full", PARTITIONS, &[]).unwrap(), 0);
    let value = vec![0x5A; 1_000_000];
    let filled = batch(&[record(0, b"k", &value)], now_ms());
    for partition in 0..PARTITIONS {
        assert_eq!(wire.produce("full", partition, &filled).unwrap().0, 0);
    }
    wire
}

/// A fetch of all partitions, each asked for as much as can be said.
fn greedy(wait_ms: i32, least: i32, offset: i64) -> Bytes {
    let body = Bytes::default().i32(-1).i32(wait_ms).i32(least).i32(i32::MAX).i8(0).i32(1);
    let mut body = body.text("full").i32(PARTITIONS);
    for partition in 0..PARTITIONS {
        body = body.i32(partition).i64(offset).i32(i32::MAX);
    }
    body
}

#[test]
fn s21_a_greedy_fetch_is_answered_in_parts() {
    if is_foreign() {
        return;
    }
    let fixture = Fixture::start("s21");
    let mut wire = full(&fixture);
    let answer = wire.call(FETCH, 4, &greedy(100, 1, 0)).unwrap();
    let length = answer.left().len();
    assert!(length > 1 << 20, "only {length} bytes: nothing was read");
    assert!(length <= RESPONSE_MAX, "{length} bytes in one answer");
    fixture.finish();
}

#[test]
fn s21_many_greedy_fetches_at_once_stay_within_the_memory_for_them() {
    if is_foreign() {
        return;
    }
    let config = "[limits]\nfetch-memory-bytes = 67108864\n";
    let mut fixture = Fixture::start_with("s21-many", config);
    let mut good = full(&fixture);
    let before = fixture.resident();
    let body = greedy(100, 1, 0);
    // Nobody reads the answers: what was built for them stays with the broker.
    let asking: Vec<Wire> = (0..100)
        .map(|_| {
            let mut wire = fixture.connect();
            wire.send(&request(FETCH, 4, 1, &body.0)).unwrap();
            wire
        })
        .collect();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        good.ping().unwrap();
    }
    // Two shards with 64 MiB each, and as much again for sockets and what is read ahead.
    let grown = fixture.resident().saturating_sub(before);
    assert!(grown < 256 << 20, "grew by {grown} bytes");
    drop(asking);
    fixture.finish();
}

#[test]
fn s21_waiting_fetches_are_bounded_and_woken() {
    let fixture = Fixture::start("s21-wait");
    let mut wire = fixture.topic("news", &[]);
    let body = Bytes::default().i32(-1).i32(30_000).i32(1).i32(1 << 20).i8(0).i32(1).text("news");
    let body = body.i32(1).i32(0).i64(0).i32(1 << 20);
    let mut waiting: Vec<Wire> = (0..200)
        .map(|_| {
            let mut wire = fixture.connect();
            wire.send(&request(FETCH, 4, 9, &body.0)).unwrap();
            wire
        })
        .collect();
    let (code, _) = wire.produce("news", 0, &batch(&[record(0, b"k", b"v")], now_ms())).unwrap();
    assert_eq!(code, 0);
    let began = Instant::now();
    for wire in &mut waiting {
        assert_eq!(wire.answer().unwrap().i32().unwrap(), 9);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "waking took {:?}", began.elapsed());
    fixture.finish();
}
