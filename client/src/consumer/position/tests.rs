use super::*;

const MS: Nanos = 1_000_000;

fn machine(out_of_range: OutOfRange) -> Positions<&'static str> {
    Positions::new(100, 50, 10 * MS, out_of_range)
}

fn fetch_of(need: Option<Need>) -> (i64, Generation) {
    match need {
        Some(Need::Fetch { offset, generation }) => (offset, generation),
        other => panic!("wanted a fetch, got {other:?}"),
    }
}

fn brought(data: &'static str, bytes: usize, next: i64) -> Arrival<&'static str> {
    Arrival { data: Some((data, bytes)), next, high_watermark: 100 }
}

#[test]
fn a_place_is_looked_up_before_it_is_fetched_and_asked_for_once() {
    let mut machine = machine(OutOfRange::Earliest);
    let part = machine.assign(Seek::Earliest);
    let Some(Need::Lookup { seek: Seek::Earliest, generation }) = machine.ask(part, 0) else {
        panic!("the offset is not known yet");
    };
    assert_eq!(machine.ask(part, 0), None, "one question at a time");
    assert_eq!(machine.consumed(part), None);
    machine.looked_up(part, generation, 7);
    assert_eq!(machine.consumed(part), Some(7));
    assert_eq!(fetch_of(machine.ask(part, 0)).0, 7);
}

#[test]
fn the_next_fetch_starts_after_the_last_and_before_it_is_consumed() {
    let mut machine = machine(OutOfRange::Earliest);
    let part = machine.assign(Seek::Offset(3));
    let (offset, generation) = fetch_of(machine.ask(part, 0));
    assert_eq!(offset, 3);
    machine.fetched(part, generation, brought("a", 20, 9));
    assert_eq!(fetch_of(machine.ask(part, 0)).0, 9, "fetched ahead");
    assert_eq!(machine.consumed(part), Some(3), "the user has not seen it");
    assert_eq!(machine.take(), Some((part, "a")));
    assert_eq!(machine.consumed(part), Some(9));
    assert_eq!(machine.take(), None);
}

#[test]
fn what_is_buffered_is_bounded_per_partition_and_in_all() {
    let mut machine = machine(OutOfRange::Earliest);
    let parts: Vec<PartId> = (0..4).map(|_| machine.assign(Seek::Offset(0))).collect();
    for &part in &parts[..2] {
        let (_, generation) = fetch_of(machine.ask(part, 0));
        machine.fetched(part, generation, brought("x", 60, 5));
        assert_eq!(machine.ask(part, 0), None, "a partition's own share is used up");
    }
    let (_, generation) = fetch_of(machine.ask(parts[2], 0));
    machine.fetched(parts[2], generation, brought("y", 1, 5));
    assert_eq!(machine.ask(parts[2], 0), None, "the whole buffer is used up");
    fetch_of(machine.ask(parts[3], 0));
    assert_eq!(machine.take(), Some((parts[0], "x")));
    fetch_of(machine.ask(parts[2], 0));
}

#[test]
fn an_answer_from_before_a_seek_changes_nothing() {
    let mut machine = machine(OutOfRange::Earliest);
    let part = machine.assign(Seek::Offset(0));
    let (_, before) = fetch_of(machine.ask(part, 0));
    machine.seek(part, Seek::Offset(40));
    machine.fetched(part, before, brought("old", 10, 5));
    assert_eq!(machine.take(), None);
    assert_eq!(machine.failed(part, before, (0, Setback::OutOfRange)), None);
    assert_eq!(fetch_of(machine.ask(part, 0)).0, 40);
}

#[test]
fn a_seek_drops_what_is_buffered() {
    let mut machine = machine(OutOfRange::Earliest);
    let part = machine.assign(Seek::Offset(0));
    let (_, generation) = fetch_of(machine.ask(part, 0));
    machine.fetched(part, generation, brought("a", 90, 5));
    machine.seek(part, Seek::Offset(2));
    assert_eq!(machine.take(), None);
    assert_eq!(machine.buffered_bytes, 0);
    assert_eq!(machine.consumed(part), Some(2));
}

#[test]
fn a_failure_is_tried_again_after_a_pause() {
    let mut machine = machine(OutOfRange::Earliest);
    let part = machine.assign(Seek::Offset(0));
    let (_, generation) = fetch_of(machine.ask(part, 0));
    assert_eq!(machine.failed(part, generation, (5 * MS, Setback::Later)), None);
    assert_eq!(machine.ask(part, 14 * MS), None);
    assert_eq!(machine.ask_at(part, 14 * MS), Some(15 * MS));
    assert_eq!(fetch_of(machine.ask(part, 15 * MS)).0, 0);
}

#[test]
fn an_offset_out_of_range_follows_the_policy() {
    let cases = [
        (OutOfRange::Earliest, None, Some(Seek::Earliest)),
        (OutOfRange::Latest, None, Some(Seek::Latest)),
        (OutOfRange::Fail, Some(12), None),
    ];
    for (policy, told, sought) in cases {
        let mut machine = machine(policy);
        let part = machine.assign(Seek::Offset(12));
        let (_, generation) = fetch_of(machine.ask(part, 0));
        assert_eq!(machine.failed(part, generation, (0, Setback::OutOfRange)), told, "{policy:?}");
        let asked = machine.ask(part, 10 * MS).map(|need| match need {
            Need::Lookup { seek, .. } => seek,
            Need::Fetch { offset, .. } => Seek::Offset(offset),
        });
        assert_eq!(asked, sought, "{policy:?}");
    }
}

#[test]
fn partitions_take_turns_and_a_paused_one_is_passed_over() {
    let mut machine = machine(OutOfRange::Earliest);
    let parts: Vec<PartId> = (0..3).map(|_| machine.assign(Seek::Offset(0))).collect();
    for (&part, name) in parts.iter().zip(["a", "b", "c"]) {
        for _ in 0..2 {
            let (offset, generation) = fetch_of(machine.ask(part, 0));
            machine.fetched(part, generation, brought(name, 10, offset + 1));
        }
    }
    machine.set_paused(parts[1], true);
    let mut order: Vec<&str> = (0..4).map_while(|_| machine.take()).map(|(_, name)| name).collect();
    machine.set_paused(parts[1], false);
    order.extend((0..2).map_while(|_| machine.take()).map(|(_, name)| name));
    assert_eq!(order, ["a", "c", "a", "c", "b", "b"]);
}

#[test]
fn control_batches_move_the_position_on_although_nothing_is_handed_out() {
    let mut machine = machine(OutOfRange::Earliest);
    let part = machine.assign(Seek::Offset(0));
    let (_, generation) = fetch_of(machine.ask(part, 0));
    machine.fetched(part, generation, Arrival { data: None, next: 1, high_watermark: 1 });
    assert_eq!(machine.consumed(part), Some(1));
    assert_eq!(machine.high_watermark(part), Some(1));
}
