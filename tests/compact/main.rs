//! Kills the broker while a compacted topic is written and compacted; a stock client compares the topic with its model.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use tests::broker::{Broker, Kind, Plan};
use tests::place;
use tests::seeded::Seeded;

/// Records for each key, on average.
const UPDATES: u64 = 4;
/// The client says nothing for so long at the most.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, Parser)]
#[command(name = "compact", about = "compaction against a model, through kills")]
struct Options {
    /// How many keys are written and deleted.
    #[arg(long, default_value_t = 20_000)]
    keys: u64,
    /// How many times the broker is killed.
    #[arg(long, default_value_t = 5)]
    kills: u64,
    /// Decides the records and the moments of the kills; random when absent, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// The broker: corelog or kafka.
    #[arg(long, env = "BROKER", default_value = "corelog")]
    broker: String,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("compact: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // A closed standard output is no reason to stop testing.
    let _written = writeln!(io::stdout(), "{line}");
}

/// What the client says.
enum Word {
    /// So many records are acknowledged.
    Progress(u64),
    /// Everything is.
    Written,
    /// How it ended.
    Verdict(String),
}

fn run(options: &Options) -> io::Result<bool> {
    let kind = Kind::from_name(&options.broker)
        .ok_or_else(|| io::Error::other(format!("no broker is called {}", options.broker)))?;
    let python = place::tools().join("venv/bin/python");
    if !python.is_file() {
        say("compact: not run: no Python environment; see ci/tools");
        return Ok(!std::env::var("CI").is_ok_and(|ci| ci == "true"));
    }
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    let records = options.keys * UPDATES;
    say(&format!("compact: {} keys, {records} records, seed {seed}", options.keys));
    let mut seeded = Seeded::new(seed);
    let dir = place::scratch("compact")?;
    let mut plan = Plan::new(kind, &dir.join("broker"), &mut seeded)?;
    if kind == Kind::Corelog {
        plan.arguments = vec!["--shards".into(), "2".into()];
    }
    let mut broker = Broker::start(&plan)?;
    // The last of the kills comes when all is written, while the rest is compacted.
    let mut kills: Vec<u64> = (1..options.kills).map(|_| seeded.below(records)).collect();
    kills.sort_unstable();
    let mut kills = kills.into_iter().peekable();
    let began = Instant::now();
    let mut child = Command::new(python)
        .arg(place::clients().join("python/compaction.py"))
        .args([&plan.bootstrap(), "compacted"])
        .args([options.keys, records, seed].map(|number| number.to_string()))
        .stdout(Stdio::piped())
        .spawn()?;
    let words = listen(child.stdout.take().ok_or_else(|| io::Error::other("no output"))?);
    let (mut killed, mut verdict) = (0, None);
    while verdict.is_none() {
        let Ok(word) = words.recv_timeout(PATIENCE) else { break };
        let kill = match word {
            Word::Progress(acknowledged) => kills.next_if(|at| *at <= acknowledged).is_some(),
            Word::Written => {
                say(&format!("  written after {:.1?}, {killed} kills", began.elapsed()));
                true
            }
            Word::Verdict(text) => {
                verdict = Some(text);
                false
            }
        };
        if kill && killed < options.kills {
            broker.kill()?;
            broker = Broker::start(&plan)?;
            killed += 1;
        }
    }
    if verdict.is_none() {
        child.kill()?;
    }
    let passed = child.wait()?.success() && killed == options.kills;
    let stopped = broker.stop()?;
    let verdict = verdict.unwrap_or_else(|| "the client ended without a word".into());
    say(&format!("  {verdict}; {killed} kills, {:.1?}", began.elapsed()));
    let log = fs::read_to_string(&plan.log).unwrap_or_default();
    let sound = kind != Kind::Corelog || stopped.success() && !log.contains("panicked");
    if passed && sound {
        fs::remove_dir_all(&dir)?;
        say("compact: 1 passed, 0 failed");
    } else {
        say(&format!("kept {}; again: compact --seed {seed}", dir.display()));
        say("compact: 0 passed, 1 failed");
    }
    Ok(passed && sound)
}

fn listen(output: impl io::Read + Send + 'static) -> Receiver<Word> {
    let (sender, words) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let word = match line.strip_prefix("P ").map(str::parse) {
                Some(Ok(count)) => Word::Progress(count),
                _ if line == "W" => Word::Written,
                _ => Word::Verdict(line),
            };
            if sender.send(word).is_err() {
                break;
            }
        }
    });
    words
}
