//! `corelog bench`: load from outside, and what the broker used to bear it.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use ::bench::{BenchError, ConsumePlan, Outcome, ProducePlan};
use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::size;

/// `bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Write batches, as fast as they are acknowledged or at a fixed rate.
    #[command(after_help = "\
Latency counts from the moment a request was due, so a stalled broker shows (no coordinated omission).
With --pid the broker's CPU, memory and disk writes are read from the operating system.

Examples:
  corelog bench produce --topic load --partitions 16 --record-bytes 1024 --batch-records 16
  corelog bench produce --topic load --rate 5000 --batch-records 1 --acks all --pid $(pidof corelog)
  corelog bench produce --topic load --partitions 1000 --request-batches 10 --json")]
    Produce(ProduceArgs),
    /// Read a topic from its beginning to its end.
    #[command(after_help = "\
Examples:
  corelog bench consume --topic load --partitions 16
  corelog bench consume --topic load --connections 4 --partitions 16 --json")]
    Consume(ConsumeArgs),
}

/// What both loads need.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    /// The broker's Kafka listener; Apache Kafka will do as well.
    #[arg(long, short = 'b', default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    bootstrap: String,
    /// The topic; produce creates it if it is not there.
    #[arg(long)]
    topic: String,
    /// Its partitions, from 0 on.
    #[arg(long, default_value_t = 6)]
    partitions: u32,
    /// Connections, each with its share of the partitions.
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Run so long, e.g. 30s.
    #[arg(long, default_value = "10s", value_parser = size::duration)]
    duration: Duration,
    /// Account the CPU, memory and disk writes of this process.
    #[arg(long)]
    pid: Option<u32>,
    /// Print one line of JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// `bench produce`.
#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// The size of a value, in bytes.
    #[arg(long, default_value_t = 1024)]
    record_bytes: u32,
    /// Records in a batch.
    #[arg(long, default_value_t = 16)]
    batch_records: u32,
    /// Batches in a request, each for another partition.
    #[arg(long, default_value_t = 1)]
    request_batches: u32,
    /// 0, 1 or all.
    #[arg(long, default_value = "all", value_parser = acks)]
    acks: i16,
    /// Requests unanswered per connection at most.
    #[arg(long, default_value_t = 5)]
    in_flight: u32,
    /// Records per second; 0 is as many as are acknowledged.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Not measured, before the rest.
    #[arg(long, default_value = "2s", value_parser = size::duration)]
    warm_up: Duration,
}

/// `bench consume`.
#[derive(Debug, Args)]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Bytes asked for per fetch.
    #[arg(long, default_value_t = 1 << 20)]
    fetch_bytes: u32,
}

fn acks(text: &str) -> Result<i16, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        "all" | "-1" => Ok(-1),
        _ => Err("acks is 0, 1 or all".to_owned()),
    }
}

/// Runs the load and prints what was measured.
pub(crate) fn run(command: BenchCommand, out: &mut impl Write) -> Result<(), CliError> {
    let (json, outcome) = match command {
        BenchCommand::Produce(args) => (args.common.json, produce(args)?),
        BenchCommand::Consume(args) => (args.common.json, consume(args)?),
    };
    let row = outcome.row();
    let printed = if json {
        serde_json::to_writer(&mut *out, &row)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        writeln!(out, "{row}")
    };
    printed.map_err(CliError::Stdout)
}

fn produce(args: ProduceArgs) -> Result<Outcome, CliError> {
    let common = args.common;
    let plan = ProducePlan {
        addr: address(&common.bootstrap)?,
        topic: common.topic,
        partitions: common.partitions,
        record_bytes: args.record_bytes,
        batch_records: args.batch_records,
        request_batches: args.request_batches,
        acks: args.acks,
        connections: common.connections,
        in_flight: args.in_flight,
        rate: args.rate,
        warm_up: args.warm_up,
        duration: common.duration,
        pid: common.pid,
    };
    run_on_shard(async move |world| ::bench::produce::run(&world, plan, progress).await)
}

fn consume(args: ConsumeArgs) -> Result<Outcome, CliError> {
    let common = args.common;
    let plan = ConsumePlan {
        addr: address(&common.bootstrap)?,
        topic: common.topic,
        partitions: common.partitions,
        connections: common.connections,
        fetch_bytes: args.fetch_bytes,
        duration: common.duration,
        pid: common.pid,
    };
    run_on_shard(async move |world| ::bench::consume::run(&world, plan, progress).await)
}

fn run_on_shard<F>(work: impl FnOnce(runtime::World) -> F) -> Result<Outcome, CliError>
where
    F: Future<Output = Result<Outcome, BenchError>>,
{
    Ok(runtime::block_on(work).map_err(CliError::Machine)??)
}

fn address(text: &str) -> Result<SocketAddr, CliError> {
    let wrong = |reason: &str| CliError::Usage(format!("{text:?} is no HOST:PORT: {reason}"));
    let mut found = text.to_socket_addrs().map_err(|error| wrong(&error.to_string()))?;
    found.next().ok_or_else(|| wrong("the name has no address"))
}

fn progress(gone: Duration, records: u64) {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        eprint!("\r{:>4} s  {records:>12} records", gone.as_secs());
    }
}
