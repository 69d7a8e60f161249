use super::*;
use crate::plan;

fn run(pair: usize, turn: usize, system: System, figures: &[(&str, f64)]) -> RunRow {
    RunRow {
        workload: "bulk-1k".into(),
        system,
        pair,
        turn,
        figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        histograms: BTreeMap::new(),
    }
}

/// Floor, Kafka, Corelog, then the same backwards, and so on; both sides get slower together.
fn eight_pairs() -> Vec<RunRow> {
    let mut order = [System::Floor, System::Kafka, System::Corelog];
    let mut runs = Vec::new();
    for pair in 0..8 {
        let drift = 1.0 + pair as f64 / 10.0;
        for system in order {
            let cost = match system {
                System::Floor => 0.2,
                System::Kafka => 1.5,
                System::Corelog => 0.4,
            };
            let turn = runs.len();
            runs.push(run(
                pair,
                turn,
                system,
                &[("cpu_s_per_gb", cost * drift), ("pressure", 5.0)],
            ));
        }
        order.reverse();
    }
    runs
}

fn bulk() -> Workload {
    plan::chosen(&["bulk-1k".to_owned()], false).unwrap().remove(0)
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

#[test]
fn drift_that_both_sides_share_is_not_in_the_ratio() {
    let results = results(&bulk(), &eight_pairs(), false);
    assert_eq!(results.len(), 2);
    let [kafka, floor] = &results[..] else { unreachable!() };
    assert!(close(kafka.summary.median, 0.4 / 1.5), "{kafka:?}");
    assert!(close(kafka.summary.low, kafka.summary.high), "{kafka:?}");
    assert_eq!((kafka.verdict.as_str(), kafka.discarded, kafka.noisy), ("met", 0, false));
    assert!(close(floor.summary.median, 2.0), "{floor:?}");
    assert_eq!(floor.verdict, "missed");
    assert!(close(floor.theirs.unwrap(), 0.2 * 1.35), "{floor:?}");
}

#[test]
fn the_control_is_of_the_same_system_next_to_itself() {
    let results = results(&bulk(), &eight_pairs(), false);
    let control = results[0].control.unwrap();
    // Between pairs 0 and 1 Corelog follows itself, between 1 and 2 the floor does, and so on.
    assert_eq!(control.pairs, 7);
    assert!(control.low > 1.0 && control.high < 1.11, "{control:?}");
}

#[test]
fn pairs_on_a_busy_machine_are_left_out() {
    let mut runs = eight_pairs();
    for run in &mut runs {
        if run.pair == 3 && run.system == System::Kafka {
            run.figures.insert("pressure".into(), 90.0);
            run.figures.insert("cpu_s_per_gb".into(), 40.0);
        }
    }
    assert_eq!(kept_pairs(&runs), [0, 1, 2, 4, 5, 6, 7]);
    let kept = results(&bulk(), &runs, false);
    assert_eq!((kept[0].summary.pairs, kept[0].discarded, kept[0].noisy), (7, 1, false));
    assert!(kept[0].summary.low > 0.2, "{kept:?}");
    let all = results(&bulk(), &runs, true);
    assert_eq!((all[0].summary.pairs, all[0].discarded, all[0].noisy), (8, 1, true));
}

#[test]
fn nothing_but_noise_is_told_and_marked() {
    let mut runs = eight_pairs();
    for run in &mut runs {
        run.figures.insert("pressure".into(), 99.0);
    }
    let results = results(&bulk(), &runs, false);
    assert_eq!((results[0].summary.pairs, results[0].discarded, results[0].noisy), (8, 8, true));
    let rows: Vec<Row> = results.into_iter().map(Row::Result).collect();
    assert!(table(&rows).contains("met, noisy"), "{}", table(&rows));
}

#[test]
fn half_a_pair_is_none() {
    let mut runs = eight_pairs();
    runs.retain(|run| run.pair != 2 || run.system != System::Corelog);
    assert_eq!(kept_pairs(&runs), [0, 1, 3, 4, 5, 6, 7]);
}

#[test]
fn rows_survive_their_file_and_the_table_has_its_columns() {
    let results = results(&bulk(), &eight_pairs(), false);
    let mut rows: Vec<Row> = eight_pairs().into_iter().map(Row::Run).collect();
    rows.extend(results.into_iter().map(Row::Result));
    rows.push(Row::Failure { workload: "lz4".into(), why: "a | b".into() });
    let lines: Vec<String> = rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
    let back: Vec<Row> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = table(&back);
    assert_eq!(text, table(&rows));
    for line in text.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.matches('|').count(), 15, "{line}");
    }
    assert!(text.contains("2 targets: 1 met, 0 median met, 1 missed."), "{text}");
}

#[test]
fn the_table_stands_between_its_markers() {
    let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
    let text = between_markers(&page, "new\n").unwrap();
    assert_eq!(text, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
    assert!(between_markers("no markers", "new").is_err());
}
