//! Corelog side by side with Apache Kafka: the same stock client drives both, in turn, in one run.
//!
//! `ci/side-by-side` builds and starts this. Method and results are in `docs/performance.md`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line tool")]

mod client;
mod machine;
mod plan;
mod recover;
mod render;
mod row;
mod run;
mod stats;
mod system;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeersError {
    #[error(transparent)]
    Machine(#[from] std::io::Error),
    #[error("librdkafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("{0}")]
    Client(String),
    #[error("{0}")]
    Plan(String),
    #[error("a row cannot be read: {0}")]
    Row(#[from] serde_json::Error),
}

#[derive(Debug, Parser)]
#[command(about = "Corelog side by side with Apache Kafka")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run workloads; all of them unless some are named.
    Run(RunArguments),
    /// What can be run.
    List,
    /// Print the table of a file of rows, or write it into a page between its markers.
    Render {
        rows: PathBuf,
        #[arg(long)]
        into: Option<PathBuf>,
    },
    /// One client's job, as JSON; started by `run`.
    #[command(hide = true)]
    Client { job: String },
}

/// How to run.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArguments {
    /// Names or numbers of workloads.
    workloads: Vec<String>,
    /// Runs of full length: hours. Without it, everything is over within the hour.
    #[arg(long)]
    full: bool,
    /// Pairs of each workload, instead of what the mode says.
    #[arg(long)]
    pairs: Option<usize>,
    /// Makes every run this much longer or shorter.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Brokers and client on all CPUs, instead of the broker on one and the client on another.
    #[arg(long)]
    whole_box: bool,
    /// Judge pairs too during which the machine was busy with something else.
    #[arg(long)]
    keep_noisy: bool,
    /// Where the rows go, as JSON lines; target/side-by-side/rows.jsonl if not said.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), PeersError> {
    match command {
        Command::Run(arguments) => run::all(&arguments),
        Command::List => {
            for workload in plan::workloads() {
                println!("{:>2} {:<14} {}", workload.number, workload.name, workload.text);
            }
            Ok(())
        }
        Command::Render { rows, into } => {
            let table = render::table(&row::read(&rows)?);
            match into {
                None => {
                    println!("{table}");
                    Ok(())
                }
                Some(page) => render::write_into(&page, &table),
            }
        }
        Command::Client { job } => {
            let outcome = client::run(&serde_json::from_str(&job)?)?;
            println!("{}", serde_json::to_string(&outcome)?);
            Ok(())
        }
    }
}
