//! When a pass is due, how far it goes, and what is joined.

use protocol::ids::{PartitionIndex, TopicId, TopicPartition};

use super::*;

const NOW: i64 = 1_000_000;

/// Segments of ten offsets and these lengths; the last is active.
fn log(lengths: &[u32]) -> LogState {
    let index = PartitionIndex::new(0).unwrap();
    let mut state = LogState::new(1, TopicPartition { topic: TopicId::new([1; 16]), index }, 0, 0);
    for (at, length) in (0..).zip(lengths) {
        state.roll(at * 10, at * 1000);
        let segment = state.segments.back_mut().unwrap();
        segment.end = at * 10 + 10;
        segment.length = *length;
        segment.max_timestamp = at * 1000 + 999;
        state.end = segment.end;
    }
    state
}

fn config(ratio: f64, lag_min_ms: i64, lag_max_ms: i64) -> LogConfig {
    let compaction =
        CompactionConfig { dirty_ratio_min: ratio, lag_min_ms, lag_max_ms, delete_retention_ms: 0 };
    LogConfig { compaction: Some(compaction), ..LogConfig::default() }
}

#[test]
fn all_but_the_active_segment_can_be_compacted() {
    let state = log(&[100, 200, 300, 400]);
    let found = assess(&state, 40, &config(0.5, 0, i64::MAX), NOW).unwrap();
    let expected = Backlog { from: 0, until: 30, clean_bytes: 0, dirty_bytes: 600, overdue: false };
    assert_eq!(found, expected);
    assert_eq!(assess(&state, 40, &LogConfig::default(), NOW), None);
    assert_eq!(assess(&log(&[100]), 40, &config(0.5, 0, i64::MAX), NOW), None);
}

#[test]
fn what_is_clean_young_or_not_durable_waits() {
    // cleaned │ durable │ min lag │ max lag │ now │ until, clean, dirty, overdue
    type Found = Option<(i64, u64, u64, bool)>;
    let forever = i64::MAX;
    let cases: [(i64, i64, i64, i64, i64, Found); 11] = [
        (10, 40, 0, forever, NOW, Some((30, 100, 500, false))),
        (30, 40, 0, forever, NOW, None),
        // Compacted up to the middle of a segment.
        (15, 40, 0, forever, NOW, Some((30, 100, 500, false))),
        (0, 25, 0, forever, NOW, Some((20, 0, 300, false))),
        (0, 9, 0, forever, NOW, None),
        (0, 40, 2001, forever, 4000, Some((20, 0, 300, false))),
        (0, 40, 10_000, forever, 4000, None),
        // The lag is about records that are not compacted yet.
        (20, 40, 1002, forever, 4000, None),
        (20, 40, 1001, forever, 4000, Some((30, 300, 300, false))),
        (0, 40, 0, 999, 1000, Some((30, 0, 600, true))),
        (10, 40, 0, 999, 1999, Some((30, 100, 500, false))),
    ];
    for (cleaned, durable, min, max, now, expected) in cases {
        let mut state = log(&[100, 200, 300, 400]);
        state.cleaned = cleaned;
        let found = assess(&state, durable, &config(0.5, min, max), now);
        let found = found.map(|it| (it.until, it.clean_bytes, it.dirty_bytes, it.overdue));
        assert_eq!(found, expected, "{cleaned} {durable} {min} {max} {now}");
    }
}

#[test]
fn a_pass_is_due_when_the_ratio_is_passed_or_time_is_up() {
    let backlog = |clean_bytes, dirty_bytes, overdue| Backlog {
        from: 0,
        until: 1,
        clean_bytes,
        dirty_bytes,
        overdue,
    };
    // clean │ dirty │ overdue │ least ratio │ due
    let cases = [
        (50, 50, false, 0.5, false),
        (49, 51, false, 0.5, true),
        (0, 1, false, 0.99, true),
        (0, 1, false, 1.0, false),
        (99, 1, true, 1.0, true),
        (99, 0, true, 0.0, false),
        (1_000_000, 1, false, 0.0, true),
    ];
    for (clean, dirty, overdue, dirty_ratio_min, due) in cases {
        let settings = config(dirty_ratio_min, 0, i64::MAX).compaction.unwrap();
        let found = backlog(clean, dirty, overdue).is_due(&settings);
        assert_eq!(found, due, "{clean} {dirty} {overdue} {dirty_ratio_min}");
    }
    assert_eq!(backlog(9, 1, true).urgency(&backlog(1, 9, false)), Ordering::Greater);
    assert_eq!(backlog(9, 1, false).urgency(&backlog(1, 9, false)), Ordering::Less);
}

#[test]
fn damage_is_not_written_anew() {
    let mut state = log(&[100, 200, 300, 400]);
    state.quarantine(12..14);
    assert_eq!(assess(&state, 40, &config(0.5, 0, i64::MAX), NOW), None);
    let mut state = log(&[100, 200, 300, 400]);
    state.quarantine(33..35);
    assert!(assess(&state, 40, &config(0.5, 0, i64::MAX), NOW).is_some());
}

#[test]
fn neighbours_are_joined_up_to_the_size_of_a_segment() {
    let lengths = |lengths: &[u32], most| -> Vec<Vec<u32>> {
        let segments = log(lengths).segments.into_iter().collect();
        let groups = groups(segments, most);
        groups.iter().map(|group| group.iter().map(|it| it.length).collect()).collect()
    };
    assert_eq!(lengths(&[10, 20, 30, 40], 60), [vec![10, 20, 30], vec![40]]);
    assert_eq!(lengths(&[10, 20, 30, 40], 59), [vec![10, 20], vec![30], vec![40]]);
    assert_eq!(lengths(&[100, 20, 30, 100], 60), [vec![100], vec![20, 30], vec![100]]);
    assert_eq!(lengths(&[], 60), Vec::<Vec<u32>>::new());
    // Offsets of a segment are counted in 31 bits.
    let mut far: Vec<_> = log(&[10, 20]).segments.into_iter().collect();
    far[1].base = i64::from(i32::MAX) - 5;
    far[1].end = i64::from(i32::MAX) + 1;
    assert_eq!(groups(far, 1000).len(), 2);
}
