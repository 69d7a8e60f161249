//! `corelog consume`: records become standard output.

use std::collections::BTreeMap;
use std::io::{BufWriter, IsTerminal, Write};
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;
use client::{Admin, Cluster, Consumer, ConsumerConfig, Fetched, OffsetQuery, OutOfRange, Seek};

use crate::args::ClusterArgs;
use crate::error::CliError;
use crate::instant::Moment;
use crate::output::{Format, separator, write};
use crate::progress::Progress;
use crate::reach::{cluster_config, with_cluster};
use crate::size::{Size, duration};

#[cfg(test)]
mod tests;

/// `consume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Formats:
  value       the value and a newline (with --key-separator the key first)
  raw         the value and nothing else, for files sent with 'produce --chunk'
  json        one object per line, readable by 'produce --format json'
  a template  %t topic, %p partition, %o offset, %T timestamp, %k key, %v value,
              %h headers, %K and %S length of key and value, %% a percent sign

Examples:
  corelog consume orders                          everything, and what comes
  corelog consume orders --exit                   everything that is there now
  corelog consume orders --offset latest          only what comes
  corelog consume orders --offset -10 --exit      the last 10 of each partition
  corelog consume orders --since 15m --format json
  corelog consume orders --partition 3 --offset 1200 --count 5
  corelog consume orders --format '%p/%o %k: %v\\n'
  corelog consume files --partition 0 --format raw --exit > video.mp4")]
pub(crate) struct ConsumeArgs {
    /// The topic.
    topic: String,
    /// Only this partition; may be given more than once [default: all].
    #[arg(long, short, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,
    /// Where to begin: earliest, latest, an offset, or -N for the last N of each partition.
    #[arg(
        long,
        short,
        value_name = "WHERE",
        default_value = "earliest",
        allow_hyphen_values = true
    )]
    offset: Start,
    /// Begin at the first record of this time: 2026-03-01T12:00:00Z, milliseconds since 1970, or how long ago (15m).
    #[arg(long, value_name = "TIME", conflicts_with = "offset")]
    since: Option<Moment>,
    /// Stop after this many records.
    #[arg(long, short = 'n', value_name = "COUNT")]
    count: Option<u64>,
    /// Stop at the end: at what was the newest record when this began.
    #[arg(long, short)]
    exit: bool,
    /// Stop when nothing has come for this long.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    idle_timeout: Option<Duration>,
    /// How records are written; see below.
    #[arg(long, short, value_name = "FORMAT", default_value = "value")]
    format: Format,
    /// Write the key and this separator before each value; \\t and \\n stand for tab and newline.
    #[arg(long, short, value_name = "TEXT", value_parser = separator)]
    key_separator: Option<String>,
    /// How much is fetched ahead.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    buffer: Size,
    /// Say nothing when all went well.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Earliest,
    Latest,
    Offset(i64),
    /// So many before the end.
    Last(i64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" | "beginning" | "start" => Ok(Self::Earliest),
            "latest" | "end" => Ok(Self::Latest),
            number => match number.parse::<i64>() {
                Ok(offset) if offset >= 0 && !number.starts_with('-') => Ok(Self::Offset(offset)),
                Ok(last) => Ok(Self::Last(last.saturating_neg())),
                Err(_) => Err("use earliest, latest, an offset, or -N".to_owned()),
            },
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &ConsumeArgs) -> Result<(), CliError> {
    let config = cluster_config(&args.cluster)?;
    with_cluster(config, async |cluster: Cluster| Run::start(args, &cluster).await?.read().await)
}

/// One run of the command.
struct Run<'a> {
    args: &'a ConsumeArgs,
    consumer: Consumer,
    /// Where each partition ended when this began, for those that are not read to there.
    ends: BTreeMap<i32, i64>,
    out: BufWriter<std::io::StdoutLock<'static>>,
    records: u64,
    bytes: u64,
    started: Instant,
    progress: Progress,
}

impl<'a> Run<'a> {
    #[expect(clippy::disallowed_methods, reason = "the throughput told to a person is real time")]
    async fn start(args: &'a ConsumeArgs, cluster: &Cluster) -> Result<Self, CliError> {
        let view = cluster.topic(&args.topic).await?;
        let partitions: Vec<i32> = if args.partition.is_empty() {
            view.partitions.iter().map(|partition| partition.index).collect()
        } else {
            args.partition.clone()
        };
        let config = ConsumerConfig {
            buffered_bytes_max: usize::try_from(args.buffer.0).unwrap_or(usize::MAX),
            out_of_range: OutOfRange::Fail,
            ..ConsumerConfig::default()
        };
        let consumer = Consumer::new(cluster, config);
        let admin = Admin::new(cluster);
        let mut ends = BTreeMap::new();
        let mut seeks = Vec::new();
        let now_ms = cluster.world().wall_ms();
        for partition in partitions {
            let offset = async |query| -> Result<i64, CliError> {
                Ok(admin.list_offset(&args.topic, partition, query).await?.offset.unwrap_or(0))
            };
            let wants_end = args.exit || matches!(args.offset, Start::Last(_));
            let end = if wants_end { offset(OffsetQuery::Latest).await? } else { 0 };
            let seek = match (args.since, args.offset) {
                (Some(moment), _) => Seek::Timestamp(moment.at(now_ms)),
                (None, Start::Earliest) => Seek::Earliest,
                // So that "the end" means the same for reading and for stopping.
                (None, Start::Latest) if args.exit => Seek::Offset(end),
                (None, Start::Latest) => Seek::Latest,
                (None, Start::Offset(offset)) => Seek::Offset(offset),
                (None, Start::Last(count)) => {
                    let start = offset(OffsetQuery::Earliest).await?;
                    Seek::Offset(end.saturating_sub(count).max(start))
                }
            };
            seeks.push((partition, seek));
            if args.exit {
                ends.insert(partition, end);
            }
        }
        // All at once, so that the first fetch asks for all of them.
        for (partition, seek) in seeks {
            consumer.assign(&args.topic, partition, seek).await?;
        }
        Ok(Self {
            args,
            consumer,
            ends,
            out: BufWriter::with_capacity(256 << 10, std::io::stdout().lock()),
            records: 0,
            bytes: 0,
            started: Instant::now(),
            // A counter between the records on one screen would only be in the way.
            progress: Progress::records(
                "consuming",
                !args.quiet && !std::io::stdout().is_terminal(),
            ),
        })
    }

    async fn read(mut self) -> Result<(), CliError> {
        let mut idle = Duration::ZERO;
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        while !self.is_done() {
            match self.consumer.poll(LOOK_EVERY).await? {
                Some(fetched) => {
                    idle = Duration::ZERO;
                    self.write(&fetched)?;
                }
                None => {
                    self.out.flush().map_err(CliError::Stdout)?;
                    idle += LOOK_EVERY;
                    if self.args.idle_timeout.is_some_and(|limit| idle >= limit) {
                        break;
                    }
                }
            }
        }
        self.out.flush().map_err(CliError::Stdout)?;
        if !self.args.quiet {
            self.progress.finish("consumed", (self.records, self.bytes), self.started.elapsed());
        }
        Ok(())
    }

    fn write(&mut self, fetched: &Fetched) -> Result<(), CliError> {
        let end = self.ends.get(&fetched.partition()).copied();
        for record in fetched.records() {
            let is_beyond = end.is_some_and(|end| record.offset >= end);
            if is_beyond || self.args.count.is_some_and(|count| self.records >= count) {
                break;
            }
            let separator = self.args.key_separator.as_deref();
            let written = write(&mut self.out, &record, &self.args.format, separator);
            written.map_err(CliError::Stdout)?;
            self.records += 1;
            let field = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len) as u64;
            self.bytes += field(record.key) + field(record.value);
        }
        // A reader in a pipe shall see a record when it comes, not when the buffer is full.
        if self.ends.is_empty() {
            self.out.flush().map_err(CliError::Stdout)?;
        }
        self.progress.set(self.records, self.bytes);
        Ok(())
    }

    /// Whether everything that was asked for has been written.
    fn is_done(&mut self) -> bool {
        if self.args.count.is_some_and(|count| self.records >= count) {
            return true;
        }
        if !self.args.exit {
            return false;
        }
        let (consumer, topic) = (&self.consumer, &self.args.topic);
        let is_read = |partition: &i32, end: &i64| {
            consumer.position(topic, *partition).is_some_and(|position| position >= *end)
        };
        self.ends.iter().all(|(partition, end)| is_read(partition, end))
    }
}
