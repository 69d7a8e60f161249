//! `corelog bench`: load from outside, and what the broker used to bear it.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::bench::{
    BenchError, Compression, ConsumePlan, HdrLog, KeyDistribution, Outcome, Payload, Plan,
    ProducePlan, Progress, Watch,
};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};

use crate::args::ClusterArgs;
use crate::error::CliError;
use crate::size::{self, Size};

/// `bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Write records at a fixed rate, or as fast as they are acknowledged.
    #[command(after_help = "\
At a fixed rate every record has a time at which it is due, and its latency counts from then: a broker that
stalls is seen by all records that would have been sent meanwhile. Without a rate, latency counts from sending.
A broker on this machine is found by its port; its CPU, memory and disk writes are read from /proc.

Examples:
  corelog bench produce
  corelog bench produce --partitions 16 --record-bytes 100 --batch-bytes 1MiB --linger 5ms
  corelog bench produce --rate 5000 --acks all --duration 60s --hdr-log latency.hlog --svg latency.svg
  corelog bench produce --producers 50 --keys 10000 --key-distribution zipf --partitions 100 --rate 5000
  corelog bench produce --protocol native --partitions 1000 --request-batches 10 --json rows.jsonl")]
    Produce(ProduceArgs),
    /// Read a topic from its beginning to the end it has now.
    #[command(after_help = "\
Latency is that of a fetch.

Examples:
  corelog bench consume --topic load --partitions 6
  corelog bench consume --topic load --partitions 6 --consumers 4 --json rows.jsonl")]
    Consume(ConsumeArgs),
    /// Write records and read them: latency from when a record was due until it was read.
    #[command(after_help = "\
When a record was due stands in the record. Producers and consumers share this process, so one clock serves both.

Examples:
  corelog bench end-to-end --rate 5000 --duration 60s
  corelog bench end-to-end --rate 20000 --partitions 6 --consumers 2 --linger 5ms --hdr-log e2e.hlog")]
    EndToEnd(EndToEndArgs),
}

/// What every load needs.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The topic; created if it is not there and something is written.
    #[arg(long, default_value = "bench")]
    topic: String,
    /// Its partitions, from 0 on.
    #[arg(long, default_value_t = 6)]
    partitions: u32,
    /// Measure for so long, e.g. 30s.
    #[arg(long, default_value = "10s", value_parser = size::duration)]
    duration: Duration,
    /// Fixes payload, keys and their order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The broker's process, if it cannot be found by its port.
    #[arg(long, value_name = "PID")]
    broker_pid: Option<u32>,
    /// Append the run as one line of JSON to this file; - prints it instead of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write latencies as an HdrHistogram log, one interval a second.
    #[arg(long, value_name = "FILE")]
    hdr_log: Option<PathBuf>,
    /// Draw latency by percentile and throughput over time.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// How records are written.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The size of a value.
    #[arg(long, default_value = "1KiB", value_name = "SIZE")]
    record_bytes: Size,
    /// A batch is full when one more record would make it larger than this, before compression.
    #[arg(long, default_value = "16KiB", value_name = "SIZE")]
    batch_bytes: Size,
    /// Batches, each for another partition, in one request at most.
    #[arg(long, default_value_t = 1, value_name = "N")]
    request_batches: u32,
    /// How long a batch that is not full waits for more records.
    #[arg(long, default_value = "0ms", value_parser = size::duration)]
    linger: Duration,
    /// 0, 1 or all.
    #[arg(long, default_value = "all", value_parser = acks)]
    acks: i16,
    /// none, gzip, snappy, lz4 or zstd.
    #[arg(long, default_value = "none", value_parser = compression, value_name = "CODEC")]
    compression: Compression,
    /// What values are made of.
    #[arg(long, value_enum, default_value_t = PayloadArg::Text)]
    payload: PayloadArg,
    /// How many keys there are; 0 for records without keys, which fill one partition's batch after the other's.
    #[arg(long, default_value_t = 0, value_name = "N")]
    keys: u32,
    /// How often each key comes.
    #[arg(long, value_enum, default_value_t = KeyDistributionArg::Uniform)]
    key_distribution: KeyDistributionArg,
    /// Number the batches, as Kafka's producers do by default.
    #[arg(long)]
    idempotent: bool,
    /// Producers, each with a connection of its own.
    #[arg(long, default_value_t = 1, value_name = "N")]
    producers: u32,
    /// Requests unanswered per connection at most.
    #[arg(long, default_value_t = 5, value_name = "N")]
    in_flight: u32,
    /// Not measured, before the rest.
    #[arg(long, default_value = "2s", value_parser = size::duration)]
    warm_up: Duration,
}

/// How records are read.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Consumers, each with a share of the partitions.
    #[arg(long, default_value_t = 1, value_name = "N")]
    consumers: u32,
    /// Bytes asked for per fetch.
    #[arg(long, default_value = "50MiB", value_name = "SIZE")]
    fetch_bytes: Size,
    /// Bytes asked for per partition in a fetch.
    #[arg(long, default_value = "1MiB", value_name = "SIZE")]
    partition_bytes: Size,
    /// How many bytes are worth an answer.
    #[arg(long, default_value = "1", value_name = "SIZE")]
    fetch_bytes_min: Size,
    /// How long the broker may wait for them.
    #[arg(long, default_value = "500ms", value_parser = size::duration)]
    fetch_wait: Duration,
}

/// `bench produce`.
#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    load: LoadArgs,
    /// Records per second of all producers together; 0 is as fast as they are acknowledged.
    #[arg(long, default_value_t = 0, value_name = "N")]
    rate: u64,
}

/// `bench consume`.
#[derive(Debug, Args)]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    read: ReadArgs,
}

/// `bench end-to-end`.
#[derive(Debug, Args)]
pub(crate) struct EndToEndArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    read: ReadArgs,
    /// Records per second of all producers together; 0 is as fast as they are acknowledged.
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    rate: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PayloadArg {
    /// Words; compresses about as text does.
    Text,
    /// Random bytes; does not compress.
    Random,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeyDistributionArg {
    /// All equally often.
    Uniform,
    /// The n-th key 1/n as often as the first.
    Zipf,
    /// One after the other.
    RoundRobin,
}

fn acks(text: &str) -> Result<i16, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        "all" | "-1" => Ok(-1),
        _ => Err("acks is 0, 1 or all".to_owned()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    let unknown = || "the codecs are none, gzip, snappy, lz4 and zstd".to_owned();
    Compression::from_name(text).ok_or_else(unknown)
}

/// Runs the load and tells what was measured.
pub(crate) fn run(command: BenchCommand, out: &mut impl Write) -> Result<(), CliError> {
    let (common, produce, consume, warm_up) = match command {
        BenchCommand::Produce(args) => {
            let produce = produce_plan(&args.load, args.rate)?;
            (args.common, Some(produce), None, args.load.warm_up)
        }
        BenchCommand::Consume(args) => {
            (args.common, None, Some(consume_plan(&args.read)?), Duration::ZERO)
        }
        BenchCommand::EndToEnd(args) => {
            let produce = produce_plan(&args.load, args.rate)?;
            (args.common, Some(produce), Some(consume_plan(&args.read)?), args.load.warm_up)
        }
    };
    let cluster = crate::reach::cluster_config(&common.cluster)?;
    let plan = Plan {
        bootstrap: cluster.bootstrap,
        protocol: cluster.dialect,
        topic: common.topic,
        partitions: common.partitions,
        produce,
        consume,
        warm_up,
        duration: common.duration,
        seed: common.seed,
    };
    crate::logs::to_stderr("warn");
    let watch = Watch { broker_pid: common.broker_pid };
    let outcome = carry_out(&plan, watch, common.hdr_log.as_deref())?;
    let row = outcome.row();
    let line = serde_json::to_string(&row).map_err(|error| CliError::Stdout(error.into()))?;
    if let Some(path) = &common.svg {
        std::fs::write(path, outcome.svg()).map_err(in_file(path))?;
    }
    match common.json.as_deref() {
        Some(path) if path == Path::new("-") => {
            return writeln!(out, "{line}").map_err(CliError::Stdout);
        }
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| writeln!(file, "{line}")).map_err(in_file(path))?;
        }
        None => {}
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for (name, value) in row.table() {
        table.add_row([name.to_owned(), value]);
    }
    writeln!(out, "{table}").map_err(CliError::Stdout)
}

fn carry_out(plan: &Plan, watch: Watch, log: Option<&Path>) -> Result<Outcome, CliError> {
    let file = log.map(|path| File::create(path).map_err(in_file(path))).transpose()?;
    let outcome = ::bench::block_on(|world| async move {
        let mut log = file.map(|file| HdrLog::new(Box::new(file)));
        ::bench::run(&world, plan, watch, log.as_mut(), show).await
    });
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    outcome.map_err(CliError::Machine)?.map_err(|error: BenchError| error.into())
}

fn in_file(path: &Path) -> impl Fn(std::io::Error) -> CliError {
    move |error| CliError::File { path: path.to_owned(), error }
}

fn produce_plan(args: &LoadArgs, rate: u64) -> Result<ProducePlan, CliError> {
    Ok(ProducePlan {
        record_bytes: small("--record-bytes", args.record_bytes)?,
        batch_bytes: small("--batch-bytes", args.batch_bytes)?,
        request_batches: args.request_batches,
        linger: args.linger,
        acks: args.acks,
        compression: args.compression,
        payload: match args.payload {
            PayloadArg::Text => Payload::Text,
            PayloadArg::Random => Payload::Random,
        },
        keys: args.keys,
        key_distribution: match args.key_distribution {
            KeyDistributionArg::Uniform => KeyDistribution::Uniform,
            KeyDistributionArg::Zipf => KeyDistribution::Zipf,
            KeyDistributionArg::RoundRobin => KeyDistribution::RoundRobin,
        },
        idempotent: args.idempotent,
        producers: args.producers,
        in_flight: args.in_flight,
        rate,
    })
}

fn consume_plan(args: &ReadArgs) -> Result<ConsumePlan, CliError> {
    Ok(ConsumePlan {
        consumers: args.consumers,
        fetch_bytes: small("--fetch-bytes", args.fetch_bytes)?,
        partition_bytes: small("--partition-bytes", args.partition_bytes)?,
        fetch_bytes_min: small("--fetch-bytes-min", args.fetch_bytes_min)?,
        fetch_wait: args.fetch_wait,
    })
}

/// A size that the protocols carry in 31 bits.
fn small(flag: &str, size: Size) -> Result<u32, CliError> {
    let fits = i32::try_from(size.0).ok().map(i32::cast_unsigned);
    fits.ok_or_else(|| CliError::Usage(format!("{flag} must be less than 2 GiB")))
}

fn show(progress: Progress) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let (gone, whole) = (progress.gone.as_secs(), progress.whole.as_secs());
    if progress.is_warm {
        let p99_ms = progress.p99 as f64 / 1e6;
        let rate = progress.records_per_second;
        eprint!("\r\x1b[K{gone:>4} of {whole} s  {rate:>12.0} records/s  p99 {p99_ms:.2} ms");
    } else {
        eprint!("\r\x1b[K{gone:>4} of {whole} s  warming up");
    }
}
