//! Groups of real clients: three members join, one is killed, one more joins, the broker is killed under them.
//!
//! While a keyed stream is written, every record must be seen by the group at least once and in order in its
//! partition, and what the group has committed must be there after another kill of the broker.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tests::broker::{Broker, Kind, Plan};
use tests::place;
use tests::seeded::Seeded;

mod member;
mod migration;
mod offsets;
mod offsets_topic;
mod story;
mod stream;

use member::Client;
use story::Story;
use stream::Stream;

/// Partitions of each topic: two for each member of three.
const PARTITIONS: i32 = 6;

#[derive(Debug, Parser)]
#[command(name = "groups", about = "real clients in groups, killed and joined by others")]
struct Options {
    /// Only these clients.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The broker: corelog or kafka.
    #[arg(long, env = "BROKER", default_value = "corelog")]
    broker: String,
    /// Shards of the broker.
    #[arg(long, default_value_t = 2)]
    shards: u32,
    /// How many times the broker is killed while offsets are committed.
    #[arg(long, default_value_t = 10)]
    kills: u64,
    /// Decides the moments of the kills; random when absent, and printed.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("groups: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // A closed standard output is no reason to stop testing.
    let _written = writeln!(io::stdout(), "{line}");
}

fn run(options: &Options) -> io::Result<usize> {
    let kind = Kind::from_name(&options.broker)
        .ok_or_else(|| io::Error::other(format!("no broker is called {}", options.broker)))?;
    let dir = place::scratch("groups")?;
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("groups: seed {seed}"));
    let mut seeded = Seeded::new(seed);
    let mut plan = Plan::new(kind, &dir.join("broker"), &mut seeded)?;
    if kind == Kind::Corelog {
        plan.arguments = vec!["--shards".into(), options.shards.to_string()];
    }
    let mut broker = Broker::start(&plan)?;
    let (mut passed, mut failed) = (0, 0);
    if options.kills > 0 {
        let (told, running) = offsets::run(&plan, broker, options.kills, &mut seeded)?;
        broker = running;
        match told {
            Ok(text) => {
                passed += 1;
                say(&format!("{:16} passed: {text}", "offsets"));
            }
            Err(why) => {
                failed += 1;
                say(&format!("{:16} FAILED: {why}", "offsets"));
            }
        }
    }
    if options.only.is_empty() || options.only.iter().any(|name| name == offsets_topic::NAME) {
        match offsets_topic::run(&plan)? {
            Ok(text) => {
                passed += 1;
                say(&format!("{:16} {text}", offsets_topic::NAME));
            }
            Err(why) => {
                failed += 1;
                say(&format!("{:16} {why}", offsets_topic::NAME));
            }
        }
    }
    let mut stories = member::all(&options.only);
    if options.only.is_empty() || options.only.iter().any(|name| name == migration::NAME) {
        stories.push(migration::first());
    }
    for client in stories {
        let told = match &client.missing {
            Some(missing) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                Err(format!("not run: {missing}"))
            }
            Some(missing) => {
                say(&format!("{:16} not run: {missing}", client.name));
                continue;
            }
            None => {
                let life = if client.name == migration::NAME { migration::live } else { live };
                let (told, running) = one(&client, broker, &plan, life)?;
                broker = running;
                told
            }
        };
        match told {
            Ok(text) => {
                passed += 1;
                say(&format!("{:16} passed: {text}", client.name));
            }
            Err(why) => {
                failed += 1;
                say(&format!("{:16} FAILED: {why}", client.name));
            }
        }
    }
    let stopped = broker.stop()?;
    if kind == Kind::Corelog && !stopped.success() {
        say(&format!("the broker stopped with {stopped}"));
        failed += 1;
    }
    let log = fs::read_to_string(&plan.log).unwrap_or_default();
    if log.contains("panicked") {
        say("the broker has panicked");
        failed += 1;
    }
    if failed == 0 {
        fs::remove_dir_all(&dir)?;
    } else {
        say(&format!("kept {}", dir.display()));
    }
    say(&format!("groups: {passed} passed, {failed} failed"));
    Ok(failed)
}

/// What a group lives through: how it ended, and the broker that runs by then.
type Life = fn(&mut Story, Broker, &Plan, Stream) -> io::Result<(Result<String, String>, Broker)>;

/// One client's story; gives the broker back, which may be another process by then.
fn one(
    client: &Client,
    broker: Broker,
    plan: &Plan,
    live: Life,
) -> io::Result<(Result<String, String>, Broker)> {
    let topic = format!("groups.{}", client.name);
    let stream = Stream::start(plan.kafka, &topic, PARTITIONS)?;
    let mut story = Story::new(client, plan, &topic)?;
    let (told, broker) = live(&mut story, broker, plan, stream)?;
    // Members that a failure left over go at once.
    drop(story);
    Ok((told, broker))
}

/// The first thing that does not come in time ends a story.
macro_rules! must {
    ($broker:expr, $told:expr) => {
        if let Err(why) = $told {
            return Ok((Err(why), $broker));
        }
    };
}
pub(crate) use must;

/// What a group must live through.
fn live(
    story: &mut Story,
    broker: Broker,
    plan: &Plan,
    stream: Stream,
) -> io::Result<(Result<String, String>, Broker)> {
    for _ in 0..3 {
        story.join()?;
    }
    must!(broker, story.all_read(&[0, 1, 2]));
    story.kill(0)?;
    story.join()?;
    must!(broker, story.all_read(&[3]));
    must!(broker, story.reaches(&stream.ends()?));
    broker.kill()?;
    let broker = Broker::start(plan)?;
    must!(broker, story.reaches(&stream.ends()?));
    end(story, broker, plan, stream)
}

/// The stream ends, everything is read and committed, everybody leaves, and a kill takes nothing back.
pub(crate) fn end(
    story: &mut Story,
    broker: Broker,
    plan: &Plan,
    mut stream: Stream,
) -> io::Result<(Result<String, String>, Broker)> {
    stream.stop()?;
    let ends = stream.ends()?;
    must!(broker, story.reads_all(&ends));
    must!(broker, story.commits(&ends));
    must!(broker, story.leave());
    broker.kill()?;
    let broker = Broker::start(plan)?;
    must!(broker, story.commits(&ends));
    Ok((story.judge(&ends), broker))
}
