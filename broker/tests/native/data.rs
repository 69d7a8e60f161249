//! Produce, fetch, offsets.

use std::time::{Duration, Instant};

use protocol::batch::RawBatch;
use protocol::native::topics::{CreateTopics, NewTopic};
use protocol::native::{FRAME_BYTES_MAX, Kind, fetch, offsets, outcomes, produce, producer};
use protocol::{ErrorCode, ProducerId, TopicId, TopicPartition};

use super::peer::{Peer, batch, frame, part, stamped};

/// Sends batches to partitions without waiting.
fn send(peer: &mut Peer, acks: i16, batches: &[(TopicPartition, Vec<u8>)]) -> u64 {
    let entries: Vec<_> = batches
        .iter()
        .map(|(partition, batch)| produce::Entry {
            partition: *partition,
            batch_bytes: u32::try_from(batch.len()).unwrap(),
        })
        .collect();
    let payload: Vec<u8> = batches.iter().flat_map(|(_, batch)| batch.clone()).collect();
    let request =
        produce::Request { acks, timeout_ms: 30_000, transactional_id: None, entries: &entries };
    peer.send(&payload, |id, encoder| request.encode(id, encoder))
}

/// Sends batches and gives error and base offset of each.
fn produce(
    peer: &mut Peer,
    acks: i16,
    batches: &[(TopicPartition, Vec<u8>)],
) -> Vec<(ErrorCode, i64)> {
    let correlation = send(peer, acks, batches);
    let answer = peer.receive();
    assert_eq!(frame(&answer).correlation(), correlation);
    produced(&answer)
}

fn produced(answer: &[u8]) -> Vec<(ErrorCode, i64)> {
    let frame = frame(answer);
    let view = produce::AnswerView::read(&frame).unwrap();
    view.outcomes().map(|it| (it.error, it.base_offset)).collect()
}

fn entry(partition: TopicPartition, offset: i64) -> fetch::Entry {
    fetch::Entry { partition, leader_epoch: -1, offset, bytes_max: 1 << 20 }
}

fn reading(entries: &[fetch::Entry], wait_ms_max: i32) -> fetch::Request<'_> {
    fetch::Request {
        wait_ms_max,
        bytes_min: 1,
        bytes_max: 1 << 20,
        read_committed: false,
        rack: "",
        entries,
    }
}

/// Error, high watermark and the values with their offsets, of each partition.
type Read = (ErrorCode, i64, Vec<(i64, String)>);

fn fetched(answer: &[u8]) -> Vec<Read> {
    let frame = frame(answer);
    let view = fetch::AnswerView::read(&frame).unwrap();
    view.outcomes()
        .map(|(outcome, mut batches)| {
            let mut values = Vec::new();
            while !batches.is_empty() {
                let (first, rest) = RawBatch::split_first(batches).unwrap();
                for record in first.check().unwrap().records() {
                    let record = record.unwrap();
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    values.push((record.offset, value));
                }
                batches = rest;
            }
            (outcome.error, outcome.high_watermark, values)
        })
        .collect()
}

fn list(
    peer: &mut Peer,
    partition: TopicPartition,
    epoch: i32,
    timestamp: i64,
) -> offsets::Outcome {
    let entries = [offsets::Entry { partition, leader_epoch: epoch, timestamp }];
    let request = offsets::Request { read_committed: false, entries: &entries };
    let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
    let frame = frame(&answer);
    offsets::AnswerView::read(&frame).unwrap().outcomes().next().unwrap()
}

fn numbered(from: i64, values: &[&str]) -> Vec<(i64, String)> {
    (from..).zip(values.iter().map(|value| (*value).to_owned())).collect()
}

#[test]
fn what_is_produced_is_fetched_from_both_shards() {
    let mut peer = Peer::greeted();
    let topic = peer.create("data-both", 2);
    let (left, right) = (part(topic, 0), part(topic, 1));
    // Several requests under way, several batches of one partition in one request: order is kept.
    let mut sent = Vec::new();
    for acks in [1, -1, 1] {
        let batches = [
            (left, batch(&["a", "b"], 1_000)),
            (right, batch(&["c"], 2_000)),
            (left, batch(&["d"], 3_000)),
        ];
        sent.push(send(&mut peer, acks, &batches));
    }
    for (round, correlation) in (0..).zip(sent) {
        let answer = peer.receive();
        assert_eq!(frame(&answer).correlation(), correlation);
        let expected = [3 * round, round, 3 * round + 2];
        assert_eq!(produced(&answer), expected.map(|offset| (ErrorCode::None, offset)));
    }
    let entries = [entry(left, 0), entry(right, 1), entry(left, 8), entry(right, 3)];
    let request = reading(&entries, 0);
    let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
    let read = fetched(&answer);
    assert_eq!(read[0].2, numbered(0, &["a", "b", "d", "a", "b", "d", "a", "b", "d"]));
    assert_eq!(read[1].2, numbered(1, &["c", "c"]));
    assert_eq!(read[2].2, numbered(8, &["d"]));
    assert_eq!(read[3], (ErrorCode::None, 3, Vec::new()));
    assert!(read.iter().all(|it| it.0 == ErrorCode::None));
}

#[test]
fn batches_that_cannot_be_appended_are_refused_one_by_one() {
    let mut peer = Peer::greeted();
    let topic = peer.create("data-refused", 1);
    let good = batch(&["good"], 1_000);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let batches = [
        (part(topic, 0), good.clone()),
        (part(topic, 0), flipped),
        (part(topic, 0), Vec::new()),
        (part(topic, 0), [good.clone(), good.clone()].concat()),
        (part(topic, 7), good.clone()),
        (part(TopicId::new([8; 16]), 0), good.clone()),
        (part(topic, 0), good.clone()),
    ];
    let correlation = send(&mut peer, -1, &batches);
    let answer = peer.receive();
    let expected = [
        (ErrorCode::None, 0),
        (ErrorCode::CorruptMessage, -1),
        (ErrorCode::InvalidRecord, -1),
        (ErrorCode::InvalidRecord, -1),
        (ErrorCode::UnknownTopicOrPartition, -1),
        (ErrorCode::UnknownTopicId, -1),
        (ErrorCode::None, 1),
    ];
    assert_eq!(produced(&answer), expected);
    let answered = frame(&answer);
    assert_eq!(answered.correlation(), correlation);
    let view = produce::AnswerView::read(&answered).unwrap();
    let explained: Vec<u32> = view.problems().map(|problem| problem.entry).collect();
    assert_eq!(explained, [1, 2, 3]);
    let told = produce(&mut peer, 5, &[(part(topic, 0), good)]);
    assert_eq!(told, [(ErrorCode::InvalidRequiredAcks, -1)]);
}

#[test]
fn a_batch_sent_twice_keeps_its_first_offset() {
    let mut peer = Peer::greeted();
    let topic = peer.create("data-twice", 1);
    let wish = producer::Request {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
    };
    let answer = peer.ask(&[], |id, encoder| wish.encode(id, encoder));
    let told = producer::Answer::read(&frame(&answer)).unwrap();
    let id = ProducerId::new(told.producer_id).unwrap();
    let batches = [
        (part(topic, 0), stamped(&["a", "b"], id, 0)),
        (part(topic, 0), stamped(&["c"], id, 2)),
        (part(topic, 0), stamped(&["a", "b"], id, 0)),
        (part(topic, 0), stamped(&["gap"], id, 9)),
    ];
    let expected = [
        (ErrorCode::None, 0),
        (ErrorCode::None, 2),
        (ErrorCode::None, 0),
        (ErrorCode::OutOfOrderSequenceNumber, -1),
    ];
    assert_eq!(produce(&mut peer, -1, &batches), expected);
}

#[test]
fn acks_0_has_no_answer() {
    let mut peer = Peer::greeted();
    let topic = peer.create("data-silent", 1);
    for _ in 0..3 {
        send(&mut peer, 0, &[(part(topic, 0), batch(&["x"], 1_000))]);
    }
    // The next answer is this request's.
    assert_eq!(
        produce(&mut peer, 1, &[(part(topic, 0), batch(&["y"], 1_000))]),
        [(ErrorCode::None, 3)]
    );
}

#[test]
fn a_fetch_waits_for_records() {
    let mut reader = Peer::greeted();
    let topic = reader.create("data-wait", 2);
    let entries = [entry(part(topic, 0), 0), entry(part(topic, 1), 0)];
    // Nothing comes: it waits as long as it was told.
    let began = Instant::now();
    let request = reading(&entries, 300);
    let answer = reader.ask(&[], |id, encoder| request.encode(id, encoder));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(fetched(&answer).iter().all(|it| it.2.is_empty()));
    // Something comes, to either shard: it is there long before the wait ends.
    let mut writer = Peer::greeted();
    for (place, value) in [(0_i32, "zero"), (1, "one")] {
        let at = [entry(part(topic, 0), i64::from(place > 0)), entry(part(topic, 1), 0)];
        let request = reading(&at, 25_000);
        let began = Instant::now();
        let correlation = reader.send(&[], |id, encoder| request.encode(id, encoder));
        produce(&mut writer, -1, &[(part(topic, place), batch(&[value], 1_000))]);
        let answer = reader.receive();
        assert_eq!(frame(&answer).correlation(), correlation);
        let read = fetched(&answer);
        assert_eq!(read[usize::try_from(place).unwrap()].2, numbered(0, &[value]));
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_fetch_that_cannot_be_served_says_why() {
    let mut peer = Peer::greeted();
    let topic = peer.create("data-why", 1);
    produce(&mut peer, -1, &[(part(topic, 0), batch(&["only"], 1_000))]);
    let wrong = |leader_epoch| fetch::Entry { leader_epoch, ..entry(part(topic, 0), 0) };
    let entries = [
        entry(part(topic, 0), 0),
        entry(part(topic, 0), 99),
        entry(part(topic, 0), -5),
        entry(part(topic, 4), 0),
        entry(part(TopicId::new([8; 16]), 0), 0),
        wrong(77),
    ];
    let request = reading(&entries, 20_000);
    let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
    let errors: Vec<_> = fetched(&answer).into_iter().map(|it| it.0).collect();
    let expected = [
        ErrorCode::None,
        ErrorCode::OffsetOutOfRange,
        ErrorCode::OffsetOutOfRange,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::UnknownLeaderEpoch,
    ];
    assert_eq!(errors, expected);
    let answered = frame(&answer);
    let view = fetch::AnswerView::read(&answered).unwrap();
    let leaders: Vec<_> = view.outcomes().map(|(it, _)| it.leader).collect();
    assert_eq!(leaders, [-1, -1, -1, -1, -1, 1]);
}

#[test]
fn offsets_are_found_and_the_start_is_raised() {
    let mut peer = Peer::greeted();
    let topic = peer.create("data-offsets", 1);
    let here = part(topic, 0);
    let batches = [(here, batch(&["a", "b"], 1_000)), (here, batch(&["c", "d"], 2_000))];
    produce(&mut peer, -1, &batches);
    let at = |it: offsets::Outcome| (it.error, it.offset, it.timestamp);
    assert_eq!(at(list(&mut peer, here, -1, offsets::LATEST)), (ErrorCode::None, 4, -1));
    assert_eq!(at(list(&mut peer, here, -1, offsets::EARLIEST)), (ErrorCode::None, 0, -1));
    assert_eq!(at(list(&mut peer, here, -1, offsets::MAX_TIMESTAMP)), (ErrorCode::None, 3, 2_001));
    assert_eq!(at(list(&mut peer, here, -1, 1_001)), (ErrorCode::None, 1, 1_001));
    assert_eq!(at(list(&mut peer, here, -1, 9_000)), (ErrorCode::None, -1, -1));
    assert_eq!(list(&mut peer, here, -1, -9).error, ErrorCode::UnsupportedVersion);
    assert_eq!(list(&mut peer, here, 50, -1).error, ErrorCode::UnknownLeaderEpoch);
    let unknown = part(TopicId::new([8; 16]), 0);
    assert_eq!(list(&mut peer, unknown, -1, -1).error, ErrorCode::UnknownTopicId);

    let wish = |partition, before| offsets::Deletion { partition, before };
    let entries = [wish(here, 3), wish(here, 99), wish(unknown, 0), wish(here, -1)];
    let request = offsets::DeleteRecords { entries: &entries, timeout_ms: 5_000 };
    let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
    let answered = frame(&answer);
    let view = outcomes::AnswerView::read(&answered, Kind::DeleteRecords).unwrap();
    let told: Vec<_> = view.outcomes().map(|it| (it.error, it.log_start_offset)).collect();
    let expected = [
        (ErrorCode::None, 3),
        (ErrorCode::OffsetOutOfRange, -1),
        (ErrorCode::UnknownTopicId, -1),
        (ErrorCode::None, 4),
    ];
    assert_eq!(told, expected);
    assert_eq!(list(&mut peer, here, -1, offsets::EARLIEST).offset, 4);
}

#[test]
fn a_batch_that_no_answer_has_room_for_says_so() {
    let mut peer = Peer::greeted();
    let configs = [("max.message.bytes", "20000000")];
    let topics = [NewTopic { name: "data-large", partitions: 1, replicas: 1, configs: &configs }];
    let request = CreateTopics { topics: &topics, timeout_ms: 5_000, dry_run: false };
    let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
    let answered = frame(&answer);
    let view = outcomes::AnswerView::read(&answered, Kind::CreateTopics).unwrap();
    let here = part(view.outcomes().next().unwrap().topic.unwrap(), 0);
    // As much as fits beside a produce request's head; a fetch answer's head is larger.
    let entries = [produce::Entry { partition: here, batch_bytes: 1 }];
    let request = produce::Request {
        acks: -1,
        timeout_ms: 30_000,
        transactional_id: None,
        entries: &entries,
    };
    let room = FRAME_BYTES_MAX - peer.encode(|id, encoder| request.encode(id, encoder)).len();
    let small = batch(&["small"], 1_000);
    let value = "v".repeat(room - small.len() - 2);
    let large = batch(&[&value], 1_000);
    assert!((room - 8..=room).contains(&large.len()), "{} of {room}", large.len());
    let told = produce(&mut peer, -1, &[(here, large)]);
    assert_eq!(told, [(ErrorCode::None, 0)]);
    let told = produce(&mut peer, -1, &[(here, small)]);
    assert_eq!(told, [(ErrorCode::None, 1)]);
    let read = |peer: &mut Peer, offset| {
        let entries = [entry(here, offset)];
        let request = reading(&entries, 0);
        fetched(&peer.ask(&[], |id, encoder| request.encode(id, encoder))).remove(0)
    };
    assert_eq!(read(&mut peer, 0).0, ErrorCode::MessageTooLarge);
    assert_eq!(read(&mut peer, 1).2, numbered(1, &["small"]));
}
