//! The checker is checked: every anomaly that it looks for is planted once and must be found.

use super::{Class, Report, Rules, check};
use crate::history::{DAMAGED, Entry, Outcome};

const PLACE: &str = "t/0";

fn writer(name: &str, idempotent: bool) -> Entry {
    Entry::Writer { w: name.into(), idempotent }
}

/// Value `v`, sent at time `v * 10`, acknowledged 5 later at offset `offset`.
fn sent(v: u64, offset: u64) -> Entry {
    send_at(v, Some(offset), Outcome::Ok, (v * 10, v * 10 + 5))
}

fn send_at(v: u64, offset: Option<u64>, outcome: Outcome, times: (u64, u64)) -> Entry {
    Entry::Send {
        w: "writer".into(),
        p: PLACE.into(),
        v,
        t0: times.0,
        t1: times.1,
        outcome,
        offset,
        error: String::new(),
    }
}

fn polled(records: &[(u64, u64)]) -> Entry {
    Entry::Poll { w: "reader".into(), p: PLACE.into(), t0: 1_000, t1: 1_100, r: records.to_vec() }
}

fn drained(records: &[(u64, u64)]) -> Entry {
    Entry::Drain { p: PLACE.into(), r: records.to_vec() }
}

/// Ten values at ten offsets, read once by a live consumer and once by the drain.
fn healthy() -> Vec<Entry> {
    let log: Vec<(u64, u64)> = (0..10).map(|n| (n, n)).collect();
    let mut history = vec![writer("writer", true)];
    history.extend((0..10).map(|n| sent(n, n)));
    history.push(polled(&log[..5]));
    history.push(polled(&log[5..]));
    history.push(drained(&log));
    history
}

fn judge(history: &[Entry]) -> Report {
    check(history, Rules { acknowledged_min: 1 })
}

/// The report over a healthy history with one entry replaced.
fn with(position: usize, entry: Entry) -> Report {
    let mut history = healthy();
    history[position] = entry;
    judge(&history)
}

/// The positions of the entries of [`healthy`].
const SENDS: usize = 1;
const FIRST_POLL: usize = 11;
const SECOND_POLL: usize = 12;
const DRAIN: usize = 13;

fn log_with(change: impl FnOnce(&mut Vec<(u64, u64)>)) -> Vec<(u64, u64)> {
    let mut log: Vec<(u64, u64)> = (0..10).map(|n| (n, n)).collect();
    change(&mut log);
    log
}

#[test]
fn a_healthy_history_passes() {
    let report = judge(&healthy());
    assert_eq!(report.classes(), Vec::new());
    assert!(report.passed());
    assert_eq!((report.ok, report.polled, report.drained), (10, 10, 10));
    assert_eq!(report.worst_lag_ns, 1_100 - 5);
}

#[test]
fn gaps_in_offsets_are_legal() {
    let history = vec![
        sent(0, 0),
        sent(1, 7),
        sent(2, 9),
        polled(&[(0, 0), (7, 1), (9, 2)]),
        drained(&[(0, 0), (7, 1), (9, 2)]),
    ];
    assert_eq!(judge(&history).classes(), Vec::new());
}

#[test]
fn an_unknown_send_may_be_there_or_not() {
    let unknown = send_at(9, None, Outcome::Info, (90, 95));
    assert_eq!(with(SENDS + 9, unknown.clone()).classes(), Vec::new());
    let mut history = healthy();
    history[SENDS + 9] = unknown;
    history[SECOND_POLL] = polled(
        &log_with(|log| {
            log.pop();
        })[5..],
    );
    history[DRAIN] = drained(&log_with(|log| {
        log.pop();
    }));
    assert_eq!(judge(&history).classes(), Vec::new());
}

#[test]
fn two_values_at_one_offset() {
    let report = with(DRAIN, drained(&log_with(|log| log[9] = (9, 8))));
    assert_eq!(report.count(Class::InconsistentOffset), 1);
    assert!(!report.passed());
}

#[test]
fn a_duplicate_of_an_idempotent_writer() {
    let report = with(DRAIN, drained(&log_with(|log| log.push((10, 9)))));
    assert_eq!(report.classes(), vec![Class::Duplicate]);
}

#[test]
fn a_duplicate_of_a_writer_that_retries() {
    let mut history = healthy();
    history[0] = writer("writer", false);
    history[DRAIN] = drained(&log_with(|log| log.push((10, 9))));
    let report = judge(&history);
    assert_eq!(report.count(Class::RetriedDuplicate), 1);
    assert!(report.passed());
}

#[test]
fn a_failed_send_that_was_read() {
    let report = with(SENDS + 3, send_at(3, None, Outcome::Fail, (30, 35)));
    assert_eq!(report.classes(), vec![Class::AbortedRead]);
}

#[test]
fn a_value_that_nobody_sent() {
    let report = with(DRAIN, drained(&log_with(|log| log.push((10, DAMAGED)))));
    assert_eq!(report.classes(), vec![Class::Phantom]);
}

#[test]
fn a_value_read_before_it_was_sent() {
    let report = with(SENDS + 9, send_at(9, Some(9), Outcome::Ok, (5_000, 5_005)));
    assert_eq!(report.classes(), vec![Class::PrematureRead]);
}

#[test]
fn an_acknowledged_value_that_was_passed_over() {
    let mut history = healthy();
    history[FIRST_POLL] = polled(&[(0, 0), (1, 1), (3, 3), (4, 4)]);
    history[DRAIN] = drained(&log_with(|log| {
        log.remove(2);
    }));
    let report = judge(&history);
    assert_eq!(report.count(Class::LostWrite), 1);
    assert_eq!(report.count(Class::Unseen), 1);
}

#[test]
fn acknowledged_values_missing_at_the_end_of_the_log() {
    let mut history = healthy();
    history[SECOND_POLL] = polled(&[(5, 5), (6, 6), (7, 7)]);
    history[DRAIN] = drained(&log_with(|log| log.truncate(8)));
    let report = judge(&history);
    assert_eq!(report.classes(), vec![Class::Unseen]);
    assert_eq!(report.count(Class::Unseen), 2);
}

#[test]
fn a_value_that_was_read_and_is_gone() {
    let mut history = healthy();
    history[SENDS + 9] = send_at(9, None, Outcome::Info, (90, 95));
    history[DRAIN] = drained(&log_with(|log| {
        log.pop();
    }));
    assert_eq!(judge(&history).classes(), vec![Class::Vanished]);
}

#[test]
fn a_consumer_that_goes_backwards() {
    let report = with(SECOND_POLL, polled(&log_with(|_| {})[4..]));
    assert_eq!(report.classes(), vec![Class::NonmonotonicPoll]);
}

#[test]
fn a_consumer_that_skips() {
    let report = with(SECOND_POLL, polled(&log_with(|_| {})[6..]));
    assert_eq!(report.classes(), vec![Class::PollSkip]);
}

#[test]
fn a_drain_that_begins_late() {
    let report = with(
        DRAIN,
        drained(&log_with(|log| {
            log.remove(0);
        })),
    );
    assert_eq!(report.count(Class::PollSkip), 1);
}

#[test]
fn acknowledged_offsets_that_go_down() {
    let mut history = healthy();
    // Sent together, so that real time does not decide between them.
    history[SENDS + 4] = send_at(4, Some(5), Outcome::Ok, (40, 60));
    history[SENDS + 5] = send_at(5, Some(4), Outcome::Ok, (40, 60));
    let swapped = log_with(|log| {
        log[4] = (4, 5);
        log[5] = (5, 4);
    });
    history[FIRST_POLL] = polled(&swapped[..5]);
    history[SECOND_POLL] = polled(&swapped[5..]);
    history[DRAIN] = drained(&swapped);
    let report = judge(&history);
    assert_eq!(report.classes(), vec![Class::NonmonotonicSend, Class::Reordered]);
}

#[test]
fn unknown_sends_lying_in_another_order() {
    let mut history = healthy();
    history[SENDS + 4] = send_at(4, None, Outcome::Info, (40, 60));
    history[SENDS + 5] = send_at(5, None, Outcome::Info, (40, 60));
    let swapped = log_with(|log| {
        log[4] = (4, 5);
        log[5] = (5, 4);
    });
    history[FIRST_POLL] = polled(&swapped[..5]);
    history[SECOND_POLL] = polled(&swapped[5..]);
    history[DRAIN] = drained(&swapped);
    assert_eq!(judge(&history).classes(), vec![Class::Reordered]);
}

#[test]
fn a_later_send_at_a_lower_offset() {
    let mut other = sent(4, 5);
    let mut another = sent(5, 4);
    for (entry, name) in [(&mut other, "a"), (&mut another, "b")] {
        if let Entry::Send { w, .. } = entry {
            *w = name.into();
        }
    }
    let mut history = healthy();
    history[SENDS + 4] = other;
    history[SENDS + 5] = another;
    let swapped = log_with(|log| {
        log[4] = (4, 5);
        log[5] = (5, 4);
    });
    history[FIRST_POLL] = polled(&swapped[..5]);
    history[SECOND_POLL] = polled(&swapped[5..]);
    history[DRAIN] = drained(&swapped);
    assert_eq!(judge(&history).classes(), vec![Class::RealtimeRegression]);
}

#[test]
fn a_run_without_a_drain_proves_nothing() {
    let mut history = healthy();
    history.truncate(DRAIN);
    let report = judge(&history);
    assert_eq!(report.count(Class::Undrained), 1);
    assert!(!report.passed());
}

#[test]
fn a_run_with_hardly_any_acknowledgement_proves_nothing() {
    let report = check(&healthy(), Rules { acknowledged_min: 11 });
    assert_eq!(report.classes(), vec![Class::TooFew]);
    assert!(!report.passed());
}
