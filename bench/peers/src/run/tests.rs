use super::*;

fn outcome(figures: &[(&str, f64)]) -> Outcome {
    let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    Outcome { figures, histograms: BTreeMap::new() }
}

fn spell(seconds: f64, busy: f64) -> Spell {
    Spell { seconds, load: 1.0, pressure: 50.0, busy, stolen: 0.0, workers: 0.5 }
}

#[test]
fn figures_are_what_was_used_over_what_was_done() {
    let outcome = outcome(&[
        ("seconds", 4.0),
        ("records", 2e6),
        ("bytes", 2e9),
        ("requests", 1e5),
        ("client_cpu_s", 1.5),
    ]);
    let used = Usage {
        user_seconds: 1.0,
        system_seconds: 2.0,
        written_bytes: 3_000_000_000,
        voluntary_switches: 900,
        involuntary_switches: 100,
        ..Usage::default()
    };
    let figures = figures(&outcome, &used, &spell(4.0, 6.0));
    for (name, wanted) in [
        ("cpu_s_per_gb", 1.5),
        ("cpu_us_per_request", 30.0),
        ("cpu_s_per_million", 1.5),
        ("records_per_s", 5e5),
        ("mb_per_s", 500.0),
        ("written_per_byte", 1.5),
        ("switches_per_1000", 0.5),
        ("bytes_per_request", 2e4),
        ("client_cpu_s_per_gb", 0.75),
    ] {
        assert!((figures[name] - wanted).abs() < 1e-9, "{name}: {}", figures[name]);
    }
    // 6 s busy, of which 3 were the broker's, 1.5 the client's and 0.5 the kernel's workers'.
    let cpus = thread::available_parallelism().unwrap().get() as f64;
    assert!((figures["outside_percent"] - 100.0 / (4.0 * cpus)).abs() < 1e-9, "{figures:?}");
}

#[test]
fn what_was_not_done_has_no_figure() {
    let figures = figures(&outcome(&[("seconds", 1.0)]), &Usage::default(), &spell(1.0, 0.0));
    assert!(!figures.contains_key("cpu_s_per_gb") && !figures.contains_key("cpu_us_per_request"));
}

#[test]
fn a_client_that_did_not_compress_is_noticed() {
    let lz4 = Produce { codec: "lz4", ..plan::BULK };
    let sent =
        |per_byte| (BTreeMap::from([("sent_per_byte".to_owned(), per_byte)]), BTreeMap::new());
    assert!(check_compression(&lz4, &sent(1.02)).is_err());
    assert!(check_compression(&lz4, &sent(0.44)).is_ok());
    assert!(check_compression(&plan::BULK, &sent(1.02)).is_ok());
}

#[test]
fn a_burn_of_a_process_beside_us_is_charged_to_it() {
    let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let (before, own) = (Usage::of(child.id()).unwrap(), Usage::of(std::process::id()).unwrap());
    let machine = Machine::now().unwrap();
    let used = loop {
        thread::sleep(Duration::from_millis(20));
        let used = Usage::of(child.id()).unwrap().since(&before);
        if used.cpu_seconds() >= 0.5 {
            break used;
        }
    };
    let spell = Machine::now().unwrap().since(&machine);
    child.kill().unwrap();
    child.wait().unwrap();
    let own = Usage::of(std::process::id()).unwrap().since(&own);
    // One thread cannot use more than the time that passed; a tick is 10 ms.
    assert!(used.cpu_seconds() <= spell.seconds + 0.02, "{used:?} {spell:?}");
    assert!(own.cpu_seconds() < used.cpu_seconds(), "{own:?} {used:?}");
    assert!(spell.busy >= used.cpu_seconds() - 0.05, "{spell:?} {used:?}");
}
