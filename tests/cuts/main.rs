//! Cuts the power of the broker's disk under load, and has the history of its clients judged.
//!
//! First the harness proves on plain files that it can tell synced data from unsynced. With
//! `--control` the broker runs with its sync switched off, and the run passes only if loss is seen.

mod proof;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use tests::broker::{Broker, Kind, Plan};
use tests::checker::{self, Class, Report, Rules};
use tests::device::Device;
use tests::load::{Load, Spec};
use tests::place;
use tests::seeded::Seeded;

/// Before each cut at least so many sends must be acknowledged.
const PROGRESS: u64 = 200;

/// The broker must be of use again within this time after a cut.
const PROGRESS_WITHIN: Duration = Duration::from_secs(60);

/// The cut comes at a random moment within this time after the progress.
const MOMENT_MS: u64 = 800;

/// Size of the disk. The image is sparse.
const DISK_MIB: u64 = 2_048;

/// The seeded bug that leaves out the synchronous write.
const WITHOUT_SYNC: &str = "m2";

#[derive(Debug, Parser)]
#[command(name = "cuts", about = "Power cuts under load: nothing acknowledged may be lost")]
struct Options {
    /// How many times the power is cut.
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// The broker: corelog, kafka or kafka-flushing.
    #[arg(long, env = "BROKER", default_value = "corelog")]
    broker: String,
    /// Decides the moments and what survives; random when absent, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Run the broker with its sync switched off, and pass only if something is lost.
    #[arg(long)]
    control: bool,
    /// Keep the disk image and the histories.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("cuts: {error}"));
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
    if let Some(reason) = Device::missing() {
        say(&format!("cuts: not run: {reason}"));
        return Ok(std::env::var("CI").map_or(true, |value| value != "true"));
    }
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("cuts: {} rounds, seed {seed}", options.rounds));
    let mut seeded = Seeded::new(seed);
    let dir = place::scratch("cuts")?;
    proof::of_the_harness(&dir, &mut seeded)?;

    let image = dir.join("image");
    Device::format(&image, DISK_MIB)?;
    let mut plan = Plan::new(kind, &dir.join("disk/broker"), &mut seeded)?;
    plan.log = dir.join("broker.log");
    if options.control && kind == Kind::Corelog {
        plan.program = Some(place::corelog_with_mutations()?);
        plan.environment.push(("CORELOG_MUTATION".into(), WITHOUT_SYNC.into()));
    }
    let outcome = rounds(options, &plan, &dir, &image, &mut seeded);
    let passed = match outcome {
        Ok(report) => judge(options, &report),
        // What comes back without its acknowledged records may not come back at all.
        Err(error) if options.control => {
            say(&format!("the broker without sync did not survive: {error}"));
            true
        }
        Err(error) => return Err(error),
    };
    if options.keep || !passed {
        say(&format!("kept {}", dir.display()));
    } else {
        fs::remove_dir_all(&dir)?;
    }
    say(&format!("cuts: seed {seed} {}", if passed { "passed" } else { "FAILED" }));
    Ok(passed)
}

fn judge(options: &Options, report: &Report) -> bool {
    say(&report.to_string());
    if !options.control {
        return report.passed();
    }
    let lost = report.count(Class::Unseen) + report.count(Class::LostWrite);
    say(&format!("control: {lost} acknowledged records lost without sync, at least one expected"));
    lost > 0 && report.ok > 0
}

fn rounds(
    options: &Options,
    plan: &Plan,
    dir: &Path,
    image: &Path,
    seeded: &mut Seeded,
) -> io::Result<Report> {
    let mut device = Device::mount(image, dir)?;
    let mut broker = Broker::start(plan)?;
    let mut load = Load::start(Spec::mixed(plan.bootstrap(), dir), dir)?;
    if plan.kind != Kind::Corelog {
        // Kafka does not sync what it formats, nor its topics' directories.
        load.await_progress(PROGRESS, PROGRESS_WITHIN)?;
        let synced = Command::new("sync").arg("-f").arg(&device.mount).status()?;
        say(&format!("synced once: {synced}"));
    }
    for round in 1..=options.rounds {
        load.await_progress(PROGRESS, PROGRESS_WITHIN)?;
        // The moment is what the test is about.
        thread::sleep(Duration::from_millis(seeded.below(MOMENT_MS)));
        let cut = device.cut(seeded)?;
        broker.kill()?;
        drop(device);
        let began = Instant::now();
        device = Device::mount(image, dir)?;
        let mounted = began.elapsed();
        broker = Broker::start(plan)?;
        say(&format!(
            "  {round}: {} acknowledged; {} of {} unflushed sectors kept after {} flushes of {} \
             writes; mounted in {mounted:?}, ready in {:?}",
            load.acknowledged()?,
            cut.kept,
            cut.unflushed,
            cut.flushes,
            cut.writes,
            broker.ready_after
        ));
    }
    load.await_progress(PROGRESS, PROGRESS_WITHIN)?;
    let history = load.finish()?;
    drop(broker);
    drop(device);
    let least = usize::try_from(options.rounds * PROGRESS).unwrap_or(usize::MAX);
    Ok(checker::check(&history, Rules { acknowledged_min: least }))
}
