//! Kills the broker at random moments under load, and has the history of its clients judged.
//!
//! Writers with and without idempotence, with `acks=1` and `acks=all`, go on through every kill; live
//! consumers read along. In the end a fresh consumer reads everything, and nothing acknowledged may be
//! lost, doubled (with idempotence) or reordered.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use tests::broker::{Broker, Kind, Plan};
use tests::checker::{self, Rules};
use tests::history::{Entry, Outcome};
use tests::load::{Load, Spec};
use tests::place;
use tests::seeded::Seeded;

/// In each round at least so many sends must be acknowledged before the kill.
const PROGRESS: u64 = 200;

/// The broker must be of use again within this time after a kill.
const PROGRESS_WITHIN: Duration = Duration::from_secs(30);

/// The kill comes at a random moment within this time after the progress.
const MOMENT_MS: u64 = 1_000;

/// Every so many of 100 rounds, the broker is killed again while it recovers.
const KILLS_IN_RECOVERY: u64 = 25;

/// Every so many of 100 rounds, the broker is asked to stop instead.
const STOPS: u64 = 10;

#[derive(Debug, Parser)]
#[command(name = "kills", about = "SIGKILL under load: nothing acknowledged may be lost")]
struct Options {
    /// How many times the broker is killed.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// The broker: corelog, kafka or kafka-flushing.
    #[arg(long, env = "BROKER", default_value = "corelog")]
    broker: String,
    /// Decides the moments; random when absent, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Shards of the broker.
    #[arg(long, default_value_t = 2)]
    shards: u32,
    /// Run the broker with a seeded bug, and pass only if the history shows it.
    #[arg(long, value_name = "NAME")]
    mutation: Option<String>,
    /// Keep the broker's data and the histories.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("kills: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // A closed standard output is no reason to stop testing.
    let _written = writeln!(io::stdout(), "{line}");
}

fn run(options: &Options) -> io::Result<bool> {
    let kind = Kind::from_name(&options.broker)
        .ok_or_else(|| io::Error::other(format!("no broker is called {}", options.broker)))?;
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("kills: {} rounds, seed {seed}", options.rounds));
    let mut seeded = Seeded::new(seed);
    let dir = place::scratch("kills")?;
    let mut plan = Plan::new(kind, &dir.join("broker"), &mut seeded)?;
    if kind == Kind::Corelog {
        plan.arguments = vec!["--shards".into(), options.shards.to_string()];
    }
    if let Some(mutation) = &options.mutation {
        plan.program = Some(place::corelog_with_mutations()?);
        plan.environment.push(("CORELOG_MUTATION".into(), mutation.clone()));
    }

    let mut broker = Broker::start(&plan)?;
    let spec = Spec::mixed(plan.bootstrap(), &dir);
    let writers = spec.writers.len();
    let mut load = Load::start(spec, &dir)?;
    let mut slowest = Duration::ZERO;
    for round in 1..=options.rounds {
        broker = one_round(broker, &plan, &mut load, &mut seeded)?;
        slowest = slowest.max(broker.ready_after);
        let acknowledged = load.acknowledged()?;
        say(&format!("  {round}: {acknowledged} acknowledged, ready {:?}", broker.ready_after));
    }
    load.await_progress(PROGRESS, PROGRESS_WITHIN)?;
    let history = load.finish()?;
    let stopped = broker.stop()?;

    let least = options.rounds * PROGRESS;
    let rules = Rules { acknowledged_min: usize::try_from(least).unwrap_or(usize::MAX) };
    let report = checker::check(&history, rules);
    say(&format!("slowest start {slowest:?}\n{report}"));
    let mut complaints = idle_or_unsure(&history, writers);
    if kind == Kind::Corelog && !stopped.success() {
        complaints.push(format!("the broker stopped with {stopped}"));
    }
    for complaint in &complaints {
        say(complaint);
    }
    let sound = report.passed() && complaints.is_empty();
    let passed = sound == options.mutation.is_none();
    if options.keep || !passed {
        say(&format!("kept {}", dir.display()));
    } else {
        fs::remove_dir_all(&dir)?;
    }
    say(&format!("kills: seed {seed} {}", if passed { "passed" } else { "FAILED" }));
    Ok(passed)
}

/// Waits for progress and then for a random moment, ends the broker, and starts it again.
fn one_round(
    broker: Broker,
    plan: &Plan,
    load: &mut Load,
    seeded: &mut Seeded,
) -> io::Result<Broker> {
    load.await_progress(PROGRESS, PROGRESS_WITHIN)?;
    wait_ms(seeded.below(MOMENT_MS));
    if seeded.chance(STOPS) {
        let status = broker.stop()?;
        if plan.kind == Kind::Corelog && !status.success() {
            return Err(io::Error::other(format!("asked to stop, the broker ended with {status}")));
        }
    } else {
        broker.kill()?;
    }
    while seeded.chance(KILLS_IN_RECOVERY) {
        let began = Instant::now();
        let again = Broker::launch(plan)?;
        wait_ms(
            seeded
                .below(300)
                .saturating_sub(u64::try_from(began.elapsed().as_millis()).unwrap_or(0)),
        );
        again.kill()?;
    }
    Broker::start(plan)
}

/// Lets a random time pass: the moment of the kill is what the test is about.
fn wait_ms(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

/// Writers that did nothing, and idempotent ones that were not told how a send ended although the
/// broker came back: their clients may give up only when the broker forgot who they are.
fn idle_or_unsure(history: &[Entry], writers: usize) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut busy = std::collections::BTreeSet::new();
    let mut idempotent = std::collections::BTreeSet::new();
    let mut unsure: Vec<&Entry> = Vec::new();
    for entry in history {
        match entry {
            Entry::Writer { w, idempotent: true } => {
                idempotent.insert(w);
            }
            Entry::Send { w, outcome: Outcome::Ok, .. } => {
                busy.insert(w);
            }
            Entry::Send { w, .. } if idempotent.contains(w) => unsure.push(entry),
            _ => {}
        }
    }
    if busy.len() != writers {
        complaints.push(format!("only {} of {writers} writers were acknowledged", busy.len()));
    }
    if let Some(first) = unsure.first() {
        complaints.push(format!("{} idempotent sends were given up: {first:?}", unsure.len()));
    }
    complaints
}
