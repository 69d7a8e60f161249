//! `corelog produce`: standard input becomes records.

use std::collections::VecDeque;
use std::io::{IsTerminal, Read};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use client::{Acks, Cluster, Compression, Header, Producer, ProducerConfig, Receipt, Record};

use crate::args::ClusterArgs;
use crate::error::CliError;
use crate::input::{Cut, InputFormat, Parsed, Splitter, parse_json, split_key};
use crate::output::separator;
use crate::progress::Progress;
use crate::reach::{cluster_config, with_cluster};
use crate::size::{Size, duration};
use crate::topic::key_value;

/// How much standard input is asked for at once.
const READ_BYTES: usize = 256 << 10;

/// Receipts that are kept until their records are delivered.
const RECEIPTS_MAX: usize = 1 << 20;

/// `produce`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo 'hello' | corelog produce orders
  corelog produce orders --key-separator : < pairs.txt
  corelog produce orders --format json < records.jsonl
  corelog produce files --chunk 1MiB --compression zstd < video.mp4
  corelog produce orders --header source=cli --partition 3 --protocol native")]
pub(crate) struct ProduceArgs {
    /// The topic; the broker creates it if it may.
    topic: String,
    /// Each line is KEY, this separator, VALUE; \\t and \\n stand for tab and newline.
    #[arg(long, short, value_name = "TEXT", value_parser = separator)]
    key_separator: Option<String>,
    /// A key for every record that has none.
    #[arg(long, value_name = "TEXT", conflicts_with = "key_separator")]
    key: Option<String>,
    /// A header for every record; may be given more than once.
    #[arg(long, short = 'H', value_name = "KEY=VALUE", value_parser = key_value)]
    header: Vec<(String, String)>,
    /// The partition [default: by key as Kafka's Java client does, or spread].
    #[arg(long, short, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// How records are read from standard input.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "value")]
    format: InputFormat,
    /// Records are pieces of this size, not lines: for files that are no text.
    #[arg(long, value_name = "SIZE", conflicts_with_all = ["key_separator", "format"])]
    chunk: Option<Size>,
    /// Lines that are empty become tombstones: records without a value.
    #[arg(long)]
    empty_is_null: bool,
    /// Which copies must be on disk before a record counts as delivered.
    #[arg(long, value_enum, value_name = "ACKS", default_value = "all")]
    acks: AcksArg,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd.
    #[arg(long, short = 'z', value_name = "CODEC", default_value = "none", value_parser = codec)]
    compression: Compression,
    /// How long a batch waits for more records.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration)]
    linger: Duration,
    /// How large a batch may become, before compression.
    #[arg(long, value_name = "SIZE", default_value = "128KiB")]
    batch: Size,
    /// How long to try to deliver a record.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    timeout: Duration,
    /// Do not number batches: retries may then write a record twice.
    #[arg(long)]
    no_idempotence: bool,
    /// Say nothing when all went well.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AcksArg {
    /// None: losses go unnoticed.
    #[value(name = "0", alias = "none")]
    None,
    /// The leader's.
    #[value(name = "1", alias = "leader")]
    Leader,
    /// Every replica in sync.
    #[value(name = "all", alias = "-1")]
    All,
}

fn codec(text: &str) -> Result<Compression, String> {
    Compression::from_name(text).ok_or_else(|| "use none, gzip, snappy, lz4 or zstd".to_owned())
}

impl ProduceArgs {
    fn producer_config(&self) -> ProducerConfig {
        let bytes = |size: Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        let defaults = ProducerConfig::default();
        let chunk = self.chunk.map_or(0, bytes);
        ProducerConfig {
            acks: match self.acks {
                AcksArg::None => Acks::None,
                AcksArg::Leader => Acks::Leader,
                AcksArg::All => Acks::All,
            },
            idempotent: !self.no_idempotence,
            compression: self.compression,
            linger: self.linger,
            batch_bytes: bytes(self.batch),
            // A record of exactly the chunk's size needs room for its batch's header, too.
            record_bytes_max: defaults.record_bytes_max.max(chunk.saturating_add(1 << 10)),
            delivery_timeout: self.timeout,
            ..defaults
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &ProduceArgs) -> Result<(), CliError> {
    if args.chunk == Some(Size(0)) {
        return Err(CliError::Usage("--chunk must be more than 0".to_owned()));
    }
    let config = cluster_config(&args.cluster)?;
    with_cluster(config, async |cluster: Cluster| {
        let producer = Producer::new(&cluster, args.producer_config())?;
        let mut run = Run::new(args, &cluster, &producer);
        run.read_all().await?;
        run.settle_all().await?;
        run.report();
        drop(run);
        producer.close().await?;
        Ok(())
    })
}

/// One run of the command.
struct Run<'a> {
    args: &'a ProduceArgs,
    cluster: &'a Cluster,
    producer: &'a Producer,
    receipts: VecDeque<Receipt>,
    /// Records accepted.
    sent: u64,
    /// Records delivered.
    delivered: u64,
    bytes: u64,
    started: Instant,
    progress: Progress,
}

impl<'a> Run<'a> {
    #[expect(clippy::disallowed_methods, reason = "the throughput told to a person is real time")]
    fn new(args: &'a ProduceArgs, cluster: &'a Cluster, producer: &'a Producer) -> Self {
        // Somebody who types needs no counter between the lines.
        let shown = !args.quiet && !std::io::stdin().is_terminal();
        Self {
            args,
            cluster,
            producer,
            receipts: VecDeque::new(),
            sent: 0,
            delivered: 0,
            bytes: 0,
            started: Instant::now(),
            progress: Progress::records("producing", shown),
        }
    }

    async fn read_all(&mut self) -> Result<(), CliError> {
        let cut = self
            .args
            .chunk
            .map_or(Cut::Lines, |size| Cut::Bytes(usize::try_from(size.0).unwrap_or(usize::MAX)));
        let mut splitter = Splitter::new(cut);
        let mut buffer = Vec::new();
        loop {
            // Reading may block for as long as nobody types; batches go out meanwhile.
            let read = self.cluster.world().blocking(move || read_some(buffer)).await;
            let read = read.map_err(|panic| CliError::Stdin(panic.into()))?;
            buffer = read.map_err(CliError::Stdin)?;
            if buffer.is_empty() {
                break;
            }
            splitter.push(&buffer);
            loop {
                let number = self.sent + 1;
                let complain = |what| CliError::Input { number, what };
                let Some(record) = splitter.next().map_err(complain)? else { break };
                self.take(record).await?;
            }
            self.settle_done()?;
            self.cluster.world().turn_if_needed().await;
        }
        if let Some(record) = splitter.rest() {
            self.take(record).await?;
        }
        Ok(())
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        let complain = |what| CliError::Input { number: self.sent + 1, what };
        if self.args.format == InputFormat::Json && self.args.chunk.is_none() {
            let parsed = parse_json(bytes).map_err(complain)?;
            return self.send_parsed(&parsed).await;
        }
        let (key, value) = match &self.args.key_separator {
            None => (None, bytes),
            Some(separator) => {
                let split = split_key(bytes, separator.as_bytes());
                let split = split.ok_or_else(|| {
                    complain(format!("the separator {separator:?} is not in the line"))
                })?;
                (Some(split.0), split.1)
            }
        };
        let is_null = self.args.empty_is_null && value.is_empty();
        self.send(Record {
            key: key.or(self.args.key.as_deref().map(str::as_bytes)),
            value: Some(value).filter(|_| !is_null),
            partition: self.args.partition,
            ..Record::to(&self.args.topic)
        })
        .await
    }

    async fn send_parsed(&mut self, parsed: &Parsed) -> Result<(), CliError> {
        let headers: Vec<Header<'_>> = parsed
            .headers
            .iter()
            .map(|(key, value)| Header { key, value: value.as_deref() })
            .collect();
        self.send(Record {
            key: parsed.key.as_deref().or(self.args.key.as_deref().map(str::as_bytes)),
            value: parsed.value.as_deref(),
            partition: self.args.partition.or(parsed.partition),
            timestamp_ms: parsed.timestamp_ms,
            headers: &headers,
            ..Record::to(&self.args.topic)
        })
        .await
    }

    async fn send(&mut self, record: Record<'_>) -> Result<(), CliError> {
        let mut headers: Vec<Header<'_>> = Vec::new();
        let mut record = record;
        if !self.args.header.is_empty() {
            headers.extend_from_slice(record.headers);
            let pairs = self.args.header.iter();
            headers.extend(
                pairs.map(|(key, value)| Header {
                    key: key.as_bytes(),
                    value: Some(value.as_bytes()),
                }),
            );
            record.headers = &headers;
        }
        self.sent += 1;
        self.bytes += record.key.map_or(0, <[u8]>::len) as u64;
        self.bytes += record.value.map_or(0, <[u8]>::len) as u64;
        let number = self.sent;
        let sent = self.producer.send(record).await;
        self.receipts.push_back(sent.map_err(|error| CliError::Send { number, error })?);
        if self.receipts.len() >= RECEIPTS_MAX {
            self.settle_first().await?;
        }
        Ok(())
    }

    /// Lets go of the receipts whose records are done.
    fn settle_done(&mut self) -> Result<(), CliError> {
        while let Some(outcome) = self.receipts.front().and_then(Receipt::outcome) {
            self.receipts.pop_front();
            self.delivered += 1;
            let number = self.delivered;
            outcome.map_err(|error| CliError::Send { number, error })?;
        }
        self.progress.set(self.delivered, self.bytes);
        Ok(())
    }

    async fn settle_first(&mut self) -> Result<(), CliError> {
        if let Some(receipt) = self.receipts.pop_front() {
            self.delivered += 1;
            let number = self.delivered;
            receipt.await.map_err(|error| CliError::Send { number, error })?;
        }
        self.settle_done()
    }

    async fn settle_all(&mut self) -> Result<(), CliError> {
        self.producer.flush().await;
        while !self.receipts.is_empty() {
            self.settle_first().await?;
        }
        Ok(())
    }

    fn report(&self) {
        if !self.args.quiet {
            self.progress.finish("produced", (self.delivered, self.bytes), self.started.elapsed());
        }
    }
}

/// Reads what is there, waiting for at least one byte; empty at the end.
fn read_some(mut buffer: Vec<u8>) -> std::io::Result<Vec<u8>> {
    buffer.resize(READ_BYTES, 0);
    loop {
        match std::io::stdin().lock().read(&mut buffer) {
            Ok(count) => {
                buffer.truncate(count);
                return Ok(buffer);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
