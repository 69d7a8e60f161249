use std::rc::Rc;

use protocol::batch::BatchHeader;
use protocol::batch::compress::Compression;
use protocol::error_code::ErrorCode;

use super::*;

const MS: Nanos = 1_000_000;
type Machine = Accumulator<Rc<()>>;

fn policy() -> Policy {
    Policy {
        draft: DraftLimits {
            batch_bytes: 1_000,
            record_bytes_max: 10_000,
            compression: Compression::None,
            level: None,
        },
        memory_bytes: 100_000,
        linger: 0,
        in_flight_max: 5,
        delivery_timeout: 10_000 * MS,
        backoff: 100 * MS,
        backoff_max: 1_000 * MS,
        idempotent: true,
        seed: 7,
    }
}

fn identity() -> Identity {
    Identity { id: ProducerId::new(9).unwrap(), epoch: ProducerEpoch::ZERO }
}

/// A machine with one partition, and a plain log of what it said.
struct Scene {
    machine: Machine,
    slot: SlotId,
    now: Nanos,
    sent: Vec<(BatchId, i32, i16, u32)>,
    done: Vec<(u32, u32, Result<Delivered, SendError>)>,
    refreshes: usize,
}

impl Scene {
    fn new(policy: Policy) -> Self {
        let mut machine = Machine::new(policy);
        machine.set_identity(identity());
        let slot = machine.slot();
        Self { machine, slot, now: 0, sent: Vec::new(), done: Vec::new(), refreshes: 0 }
    }

    fn append(&mut self, value: &[u8]) -> Result<u32, Refused> {
        let record = Record::to("t").value(value);
        let placed = self.machine.append(self.now, self.slot, &record, 5)?;
        Ok(placed.index)
    }

    /// One record in a batch of its own, sent if the machine wants to.
    fn batch(&mut self) {
        self.append(b"v").unwrap();
        self.machine.flush();
        self.poll();
    }

    fn poll(&mut self) {
        let mut actions = Vec::new();
        self.machine.poll(self.now, &mut actions);
        self.note(actions);
    }

    fn answer(&mut self, batch: BatchId, answer: Answer) {
        let mut actions = Vec::new();
        self.machine.answered(self.now, self.slot, (batch, answer), &mut actions);
        self.note(actions);
        self.poll();
    }

    fn refuse(&mut self, batch: BatchId, code: ErrorCode) {
        self.answer(batch, Answer::Refused(code, None));
    }

    fn note(&mut self, actions: Vec<Action<Rc<()>>>) {
        for action in actions {
            match action {
                Action::Send { batch, bytes, .. } => {
                    let header = BatchHeader::peek(&bytes).unwrap();
                    let count = u32::try_from(header.record_count()).unwrap();
                    self.sent.push((batch, header.base_sequence(), header.producer_epoch(), count));
                }
                Action::Done { first, count, outcome, .. } => {
                    self.done.push((first, count, outcome));
                }
                Action::Refresh { .. } => self.refreshes += 1,
            }
        }
    }

    fn take_sent(&mut self) -> Vec<(BatchId, i32, i16, u32)> {
        std::mem::take(&mut self.sent)
    }

    fn take_sequences(&mut self) -> Vec<i32> {
        self.take_sent().iter().map(|sent| sent.1).collect()
    }

    /// Lets time pass until the machine wants to be looked at.
    fn wait(&mut self) {
        self.now = self.machine.wake_at().expect("something is waited for").max(self.now);
        self.poll();
    }

    fn outcomes(&self) -> Vec<&'static str> {
        let name = |outcome: &Result<Delivered, SendError>| match outcome {
            Ok(_) => "ok",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Expired { .. }) => "expired",
            Err(SendError::Uncertain) => "uncertain",
            Err(_) => "other",
        };
        self.done.iter().map(|(_, _, outcome)| name(outcome)).collect()
    }
}

fn appended(base: i64) -> Answer {
    Answer::Appended(Delivered { base_offset: Some(base), log_append_time_ms: None })
}

#[test]
fn a_batch_waits_for_the_linger_time_or_until_it_is_full() {
    let mut scene = Scene::new(Policy { linger: 5 * MS, ..policy() });
    for index in 0..3 {
        assert_eq!(scene.append(b"v"), Ok(index));
    }
    scene.poll();
    assert_eq!(scene.take_sent(), []);
    assert_eq!(scene.machine.wake_at(), Some(5 * MS));
    scene.wait();
    assert_eq!(scene.take_sent().iter().map(|sent| sent.3).collect::<Vec<_>>(), [3]);
    for _ in 0..12 {
        scene.append(&[0; 90]).unwrap();
    }
    scene.poll();
    let counts: Vec<u32> = scene.take_sent().iter().map(|sent| sent.3).collect();
    assert!(
        counts.len() == 1 && counts[0] > 3,
        "a full batch leaves at once, the rest waits: {counts:?}"
    );
}

#[test]
fn at_most_five_batches_of_a_partition_are_in_flight_and_the_sixth_gathers_records() {
    let mut scene = Scene::new(policy());
    for _ in 0..7 {
        scene.batch();
    }
    let sent = scene.take_sent();
    assert_eq!(sent.iter().map(|sent| sent.1).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    scene.answer(sent[0].0, appended(0));
    let next = scene.take_sent();
    assert_eq!(next.iter().map(|sent| (sent.1, sent.3)).collect::<Vec<_>>(), [(5, 2)]);
}

#[test]
fn without_a_producer_id_nothing_is_sent() {
    let mut machine = Machine::new(policy());
    let slot = machine.slot();
    machine.append(0, slot, &Record::to("t").value("v"), 0).unwrap();
    let mut actions = Vec::new();
    machine.poll(0, &mut actions);
    assert!(actions.is_empty() && machine.needs_identity());
    machine.set_identity(identity());
    machine.poll(0, &mut actions);
    assert!(matches!(actions[..], [Action::Send { .. }]));
}

#[test]
fn records_sent_to_one_partition_keep_their_order_when_the_first_of_five_is_refused() {
    let mut scene = Scene::new(policy());
    for _ in 0..5 {
        scene.batch();
    }
    let sent = scene.take_sent();
    scene.refuse(sent[0].0, ErrorCode::NotLeaderOrFollower);
    scene.batch();
    for sent in &sent[1..] {
        scene.refuse(sent.0, ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(
            scene.sent,
            [],
            "nothing leaves before everything is back and the pause is over"
        );
    }
    assert!(scene.refreshes > 0, "the leader moved");
    scene.wait();
    let again = scene.take_sent();
    assert_eq!(again[..5], sent[..], "the same batches with the same numbers");
    for (place, sent) in again.iter().enumerate() {
        scene.answer(sent.0, appended(place as i64));
    }
    assert_eq!(scene.take_sequences(), [5]);
    assert_eq!(scene.outcomes(), ["ok"; 5]);
}

#[test]
fn a_lost_connection_repeats_everything_in_flight_in_order() {
    let mut scene = Scene::new(policy());
    for _ in 0..3 {
        scene.batch();
    }
    let sent = scene.take_sent();
    for sent in &sent {
        scene.answer(sent.0, Answer::Lost);
    }
    scene.wait();
    assert_eq!(scene.take_sent(), sent);
    scene.answer(sent[0].0, appended(10));
    scene.refuse(sent[1].0, ErrorCode::DuplicateSequenceNumber);
    scene.answer(sent[2].0, appended(12));
    let offsets: Vec<_> =
        scene.done.iter().map(|(_, _, outcome)| outcome.as_ref().unwrap().base_offset).collect();
    assert_eq!(offsets, [Some(10), None, Some(12)], "a repetition is a success");
}

#[test]
fn pauses_between_retries_grow_and_an_answer_resets_them() {
    let mut scene = Scene::new(policy());
    scene.batch();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let batch = scene.take_sent()[0].0;
        let before = scene.now;
        scene.refuse(batch, ErrorCode::NotEnoughReplicas);
        scene.wait();
        pauses.push((scene.now - before) / MS);
    }
    for (pause, middle) in pauses.iter().zip([100, 200, 400, 800, 1_000, 1_000]) {
        assert!((middle * 4 / 5..=middle * 6 / 5).contains(pause), "{pauses:?}");
    }
    let batch = scene.take_sent()[0].0;
    scene.answer(batch, appended(0));
    scene.batch();
    let (batch, before) = (scene.take_sent()[0].0, scene.now);
    scene.refuse(batch, ErrorCode::NotEnoughReplicas);
    scene.wait();
    assert!((scene.now - before) / MS <= 120);
}

#[test]
fn a_batch_refused_for_good_leaves_a_hole_that_the_next_epoch_fills() {
    let mut scene = Scene::new(policy());
    for _ in 0..3 {
        scene.batch();
    }
    let sent = scene.take_sent();
    scene.refuse(sent[0].0, ErrorCode::InvalidRecord);
    scene.refuse(sent[1].0, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(scene.sent, []);
    scene.refuse(sent[2].0, ErrorCode::OutOfOrderSequenceNumber);
    let again = scene.take_sent();
    let numbers: Vec<_> = again.iter().map(|sent| (sent.1, sent.2)).collect();
    assert_eq!(numbers, [(0, 1), (1, 1)], "numbered anew under the next epoch");
    for sent in again {
        scene.answer(sent.0, appended(0));
    }
    assert_eq!(scene.outcomes(), ["refused", "ok", "ok"]);
}

#[test]
fn behind_a_hole_nothing_is_sent_twice_whose_fate_is_unknown() {
    let mut scene = Scene::new(policy());
    for _ in 0..3 {
        scene.batch();
    }
    let sent = scene.take_sent();
    scene.refuse(sent[0].0, ErrorCode::TopicAuthorizationFailed);
    scene.answer(sent[1].0, Answer::Lost);
    scene.answer(sent[2].0, Answer::NotSent);
    scene.wait();
    assert_eq!(scene.take_sequences(), [0]);
    assert_eq!(scene.outcomes(), ["refused", "uncertain"]);
}

#[test]
fn the_oldest_batch_out_of_order_means_that_the_broker_lost_records_and_is_told() {
    let mut scene = Scene::new(policy());
    scene.batch();
    let sent = scene.take_sent();
    scene.refuse(sent[0].0, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(scene.outcomes(), ["refused"]);
    scene.batch();
    assert_eq!(scene.take_sent().iter().map(|sent| (sent.1, sent.2)).collect::<Vec<_>>(), [(0, 1)]);
}

#[test]
fn an_answer_that_comes_late_does_not_make_a_batch_the_oldest() {
    let mut scene = Scene::new(policy());
    scene.batch();
    scene.batch();
    let sent = scene.take_sent();
    // The second went to a new leader and came too early; meanwhile the old leader took the first.
    scene.answer(sent[0].0, appended(0));
    scene.refuse(sent[1].0, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(scene.outcomes(), ["ok"]);
    assert_eq!(scene.take_sent(), [sent[1]], "sent again with its number");
}

#[test]
fn a_batch_that_waits_is_never_more_than_five_behind() {
    let mut scene = Scene::new(policy());
    for _ in 0..8 {
        scene.batch();
    }
    let sent = scene.take_sent();
    // All but the first are delivered; its own answer was an error after it had been written.
    for sent in &sent[1..] {
        scene.answer(sent.0, appended(0));
    }
    assert_eq!(scene.take_sent(), [], "one more, and the broker would not know the first again");
    scene.refuse(sent[0].0, ErrorCode::RequestTimedOut);
    scene.wait();
    assert_eq!(scene.take_sent(), [sent[0]], "alone, because four came after it already");
    scene.answer(sent[0].0, appended(0));
    assert_eq!(scene.take_sequences(), [5]);
}

#[test]
fn a_broker_that_forgot_the_producer_gets_the_batch_under_a_new_epoch() {
    let mut scene = Scene::new(policy());
    scene.batch();
    let sent = scene.take_sent();
    scene.refuse(sent[0].0, ErrorCode::UnknownProducerId);
    scene.wait();
    assert_eq!(scene.take_sent().iter().map(|sent| (sent.1, sent.2)).collect::<Vec<_>>(), [(0, 1)]);
}

#[test]
fn a_used_up_epoch_asks_for_a_new_producer_id() {
    let mut scene = Scene::new(policy());
    let last = ProducerEpoch::new(i16::MAX - 1).unwrap();
    scene.machine.set_identity(Identity { epoch: last, ..identity() });
    scene.batch();
    scene.batch();
    let sent = scene.take_sent();
    scene.refuse(sent[0].0, ErrorCode::InvalidRecord);
    scene.refuse(sent[1].0, ErrorCode::OutOfOrderSequenceNumber);
    assert!(scene.machine.needs_identity());
    assert_eq!(scene.sent, []);
    scene.machine.set_identity(Identity { id: ProducerId::new(10).unwrap(), ..identity() });
    scene.poll();
    assert_eq!(scene.take_sequences(), [0]);
}

#[test]
fn what_is_not_delivered_in_time_says_whether_it_was_sent() {
    let cases = [
        (Answer::Refused(ErrorCode::NotEnoughReplicas, None), "expired"),
        (Answer::Refused(ErrorCode::RequestTimedOut, None), "uncertain"),
        (Answer::NotSent, "expired"),
        (Answer::Lost, "uncertain"),
    ];
    for (answer, outcome) in cases {
        let mut scene = Scene::new(policy());
        scene.batch();
        while scene.done.is_empty() {
            if let Some((batch, ..)) = scene.take_sent().pop() {
                scene.answer(batch, answer.clone());
            } else {
                scene.wait();
            }
        }
        assert_eq!(scene.outcomes(), [outcome], "{answer:?}");
        assert!(scene.now >= 10_000 * MS && scene.now < 12_000 * MS, "{}", scene.now / MS);
        assert_eq!(scene.machine.used_bytes(), 0);
    }
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let mut scene = Scene::new(Policy { memory_bytes: 5_000, in_flight_max: 100, ..policy() });
    let mut accepted = 0;
    while scene.append(&[0; 90]).is_ok() {
        accepted += 1;
        assert!(scene.machine.used_bytes() <= 5_000);
    }
    assert!((20..50).contains(&accepted), "{accepted}");
    scene.machine.flush();
    scene.poll();
    for (batch, ..) in scene.take_sent() {
        scene.answer(batch, appended(0));
    }
    assert_eq!(scene.machine.used_bytes(), 0);
    assert_eq!(scene.append(&[0; 90]), Ok(0));
    assert!(matches!(scene.append(&[0; 20_000]), Err(Refused::TooLarge { .. })));
}

#[test]
fn a_batch_too_large_for_its_topic_is_split_until_it_fits() {
    let mut scene = Scene::new(policy());
    for _ in 0..4 {
        scene.append(&[0; 90]).unwrap();
    }
    scene.machine.flush();
    scene.poll();
    let mut offset = 0;
    let mut under_way = VecDeque::from(scene.take_sent());
    while let Some((batch, sequence, _, count)) = under_way.pop_front() {
        if count > 1 {
            scene.refuse(batch, ErrorCode::MessageTooLarge);
            for (later, ..) in under_way.drain(..) {
                scene.refuse(later, ErrorCode::OutOfOrderSequenceNumber);
            }
        } else {
            assert_eq!(i64::from(sequence), offset, "numbers stay as they were");
            scene.answer(batch, appended(offset));
            offset += 1;
        }
        under_way.extend(scene.take_sent());
    }
    assert_eq!(
        scene.done.iter().map(|done| (done.0, done.1)).collect::<Vec<_>>(),
        [(0, 1), (1, 1), (2, 1), (3, 1)]
    );
    assert_eq!(scene.outcomes(), ["ok"; 4]);
    assert_eq!((scene.machine.used_bytes(), scene.machine.oldest()), (0, None));
}

#[test]
fn a_plain_producer_keeps_order_with_one_batch_in_flight() {
    let mut scene = Scene::new(Policy { idempotent: false, in_flight_max: 1, ..policy() });
    scene.batch();
    scene.batch();
    let sent = scene.take_sent();
    assert_eq!(sent.iter().map(|sent| sent.1).collect::<Vec<_>>(), [-1]);
    scene.answer(sent[0].0, Answer::Lost);
    scene.wait();
    assert_eq!(scene.take_sent(), sent);
    scene.answer(sent[0].0, appended(0));
    assert_eq!(scene.take_sent().len(), 1);
}

#[test]
fn giving_everything_up_tells_every_record_once() {
    let mut scene = Scene::new(policy());
    scene.batch();
    scene.append(b"open").unwrap();
    let sent = scene.take_sent();
    let mut actions = Vec::new();
    scene.machine.fail_all(&SendError::Closed, &mut actions);
    scene.note(actions);
    assert_eq!(scene.outcomes(), ["uncertain", "other"]);
    scene.answer(sent[0].0, appended(0));
    assert_eq!(scene.done.len(), 2, "a late answer changes nothing");
    assert_eq!(scene.machine.used_bytes(), 0);
}

#[test]
fn sequences_wrap_as_kafkas_do() {
    assert_eq!(slot::sequence_after(i32::MAX, 1), 0);
    assert_eq!(slot::sequence_after(i32::MAX - 1, 3), 1);
    assert_eq!(slot::sequence_after(0, 5), 5);
}
