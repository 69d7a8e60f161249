//! Every client writes under every codec, and every client reads what every other one wrote.
//!
//! Prints a table and fails on any cell. A client whose toolchain is missing is printed as not run;
//! with `CI=true` that fails too.

mod canary;
mod client;
mod job;
mod table;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use tests::broker::{Broker, Kind, Plan};
use tests::place;
use tests::records;
use tests::seeded::Seeded;

use client::Client;
use job::{Job, Role, TopicJob};
use table::Table;

const PARTITIONS: u32 = 3;

/// What the test is told.
#[derive(Debug, Parser)]
#[command(
    name = "matrix",
    about = "Client matrix: every client writes, every client reads it back"
)]
struct Options {
    /// Records per cell.
    #[arg(long, default_value_t = 5_000)]
    records: usize,
    /// The broker: corelog, kafka or kafka-flushing.
    #[arg(long, env = "BROKER", default_value = "corelog")]
    broker: String,
    /// Only these clients, by name, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many client programs run at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Decides the records.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Longest time for one client program, in seconds.
    #[arg(long, default_value_t = 300)]
    limit: u64,
    /// Keep the directory with the broker's data and the clients' results.
    #[arg(long)]
    keep: bool,
}

/// The state that the stages share.
struct Run {
    options: Options,
    dir: PathBuf,
    bootstrap: String,
    native: String,
    records: PathBuf,
    table: Table,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("matrix: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    use std::io::Write;
    // A closed standard output is no reason to stop testing.
    let _written = writeln!(io::stdout(), "{line}");
}

fn run(options: Options) -> io::Result<bool> {
    let kind = Kind::from_name(&options.broker)
        .ok_or_else(|| io::Error::other(format!("no broker is called {}", options.broker)))?;
    let mut seeded = Seeded::new(options.seed);
    let dir = place::scratch("matrix")?;
    let records = dir.join("records.jsonl");
    let rows = records::generate(options.records, PARTITIONS, now_ms() - 3_600_000, &mut seeded);
    records::write(&records, &rows)?;

    let mut ports = Seeded::new(u64::from(std::process::id()));
    let plan = Plan::new(kind, &dir.join("broker"), &mut ports)?;
    let broker = Broker::start(&plan)?;
    say(&format!("{:?} serves on {} after {:?}", kind, plan.bootstrap(), broker.ready_after));

    let native = format!("127.0.0.1:{}", plan.native);
    let clients = client::all(kind, &options.only);
    let table = Table::new(&clients);
    let mut run = Run { options, dir, bootstrap: plan.bootstrap(), native, records, table };
    let clients: Vec<Arc<Client>> = clients.into_iter().map(Arc::new).collect();
    let topics = run.produce(&clients)?;
    run.consume(&clients, &topics)?;
    canary::fly(&mut run, &clients)?;

    let stopped = broker.stop()?;
    if kind == Kind::Corelog && !stopped.success() {
        run.table.note(false, format!("the broker stopped with {stopped}"));
    }
    run.table.print(say);
    if run.options.keep {
        say(&format!("kept {}", run.dir.display()));
    } else {
        fs::remove_dir_all(&run.dir)?;
    }
    Ok(run.table.passed())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

impl Run {
    fn limit(&self) -> Duration {
        Duration::from_secs(self.options.limit)
    }

    /// Every client writes its topics, one per codec. Returns what readers have to know of them.
    fn produce(&mut self, clients: &[Arc<Client>]) -> io::Result<Vec<TopicJob>> {
        let began = Instant::now();
        let started = now_ms() - 1_000;
        let mut jobs = Vec::new();
        for client in clients.iter().filter(|client| client.runs() && client.produces()) {
            let topics: Vec<TopicJob> = client
                .codecs()
                .map(|codec| TopicJob::of(client, codec, &self.records, started))
                .collect();
            if !client.creates_topics {
                let maker = job::topic_maker(clients);
                job::create(maker, self, &topics)?;
            }
            jobs.push((Arc::clone(client), Job::new(Role::Produce, self, topics)));
        }
        let mut written = Vec::new();
        for (client, job, outcome) in job::run_all(jobs, self.options.jobs, self.limit()) {
            say(&format!("  {} wrote in {:?}", client.name, outcome.took));
            self.table.version(&client.name, &outcome.version);
            for topic in job.topics {
                let answer = outcome.of(&topic.topic, self.options.records);
                // What was not written whole need not be read.
                let whole = answer.is_ok();
                self.table.wrote(&topic.client, &topic.codec, answer);
                written.extend(whole.then_some(topic));
            }
        }
        let ended = now_ms() + 1_000;
        for topic in &mut written {
            topic.window[1] = ended;
        }
        say(&format!("producing took {:?}", began.elapsed()));
        Ok(written)
    }

    /// Every client reads every topic.
    fn consume(&mut self, clients: &[Arc<Client>], topics: &[TopicJob]) -> io::Result<()> {
        let began = Instant::now();
        let readers = clients.iter().filter(|client| client.runs() && client.consumes);
        let jobs: Vec<_> = readers
            .map(|client| (Arc::clone(client), Job::new(Role::Consume, self, topics.to_vec())))
            .collect();
        for (client, job, outcome) in job::run_all(jobs, self.options.jobs, self.limit()) {
            say(&format!("  {} read in {:?}", client.name, outcome.took));
            for topic in &job.topics {
                let answer = outcome.of(&topic.topic, self.options.records);
                self.table.read(&topic.client, &topic.codec, &client.name, answer);
            }
            self.table.version(&client.name, &outcome.version);
        }
        say(&format!("consuming took {:?}", began.elapsed()));
        Ok(())
    }
}
