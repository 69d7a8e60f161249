//! `corelog dev`: a broker for one machine, with everything at its default.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use broker::Serving;
use broker::config::{BrokerConfig, ConfigError, FileConfig, parse_advertised, parse_size};
use clap::Args;
use protocol::BrokerId;

use crate::error::CliError;
use crate::settings::in_one_line;
use crate::size::Size;

/// The most that caches take unless it is said otherwise.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// What the journal of each shard may grow to, unless it is said otherwise.
const JOURNAL_BYTES: u64 = 512 << 20;

/// `dev`.
#[derive(Debug, Args)]
#[command(after_help = "\
It prints one line that begins with 'ready' once it serves, logs to standard error, and stops cleanly on
Ctrl-C. Records are on disk before they are acknowledged, as with 'corelog broker'.

Examples:
  corelog dev
  corelog dev --dir /data/corelog --memory 4GiB
  corelog dev --kafka 0.0.0.0:9092 --advertise broker.example.com:9092
  corelog dev --config corelog.toml

The file of --config is TOML with the same names as the flags; [defaults] holds Kafka's broker settings,
such as \"log.retention.hours\" = 72, and [limits] what strangers may use.")]
pub(crate) struct DevArgs {
    /// The data directory, created if it is not there [default: ./corelog-data].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where Kafka clients connect [default: 127.0.0.1:9092].
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Where native clients connect [default: 127.0.0.1:9192].
    #[arg(long, value_name = "HOST:PORT")]
    native: Option<String>,
    /// Where metrics and health are served [default: 127.0.0.1:9644].
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
    /// What Kafka clients are told to connect to [default: as --kafka].
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// How many cores serve [default: all that this process may use].
    #[arg(long, value_name = "COUNT")]
    shards: Option<usize>,
    /// Memory for caches, over all shards [default: a quarter of the machine's, at most 1GiB].
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// Read settings from this TOML file; flags win over it, unknown keys are errors.
    #[arg(long, value_name = "FILE", env = "CORELOG_CONFIG")]
    config: Option<PathBuf>,
}

/// Runs the broker until it is told to stop.
pub(crate) fn run(args: &DevArgs) -> Result<(), CliError> {
    crate::logs::to_stderr("info");
    let file = match &args.config {
        Some(path) => read_file(path)?,
        None => FileConfig::default(),
    };
    let config = merge(args, file)?;
    broker::run(config, announce)?;
    Ok(())
}

/// The one line that scripts wait for.
fn announce(serving: &Serving) {
    let mut out = std::io::stdout().lock();
    let Serving { kafka, native, admin, cluster_id, shards } = serving;
    let said = writeln!(
        out,
        "ready: kafka {kafka}, native {native}, admin {admin}, cluster {cluster_id}, shards {shards}"
    );
    if said.and_then(|()| out.flush()).is_err() {
        tracing::warn!("nobody reads standard output; serving all the same");
    }
}

fn read_file(path: &Path) -> Result<FileConfig, CliError> {
    let named = |what: String| CliError::Config { path: path.to_owned(), what };
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    FileConfig::parse(&text).map_err(|error| match error {
        ConfigError::Syntax(error) => named(in_one_line(&error, &text)),
        error @ (ConfigError::Size(_) | ConfigError::Address { .. }) => named(error.to_string()),
    })
}

/// Flags win over the file, the file over the defaults.
fn merge(args: &DevArgs, file: FileConfig) -> Result<BrokerConfig, CliError> {
    let kafka_settings = file.settings();
    let address = |flag: &Option<String>, file: Option<String>, default: &str| {
        let text = flag.clone().or(file).unwrap_or_else(|| default.to_owned());
        socket_addr(&text)
    };
    let size = |flag: Option<Size>, file: Option<&String>, default: u64| match (flag, file) {
        (Some(size), _) => Ok(size.0),
        (None, Some(text)) => parse_size(text).map_err(usage),
        (None, None) => Ok(default),
    };
    let shards = args.shards.or(file.shards).unwrap_or_else(runtime::cpu_count);
    if shards == 0 {
        return Err(CliError::Usage("--shards must be at least 1".to_owned()));
    }
    let advertise = args.advertise.as_ref().or(file.advertise.as_ref());
    Ok(BrokerConfig {
        broker_id: BrokerId::new(1).expect("1 is a broker's number"),
        dir: args.dir.clone().or(file.dir).unwrap_or_else(|| PathBuf::from("./corelog-data")),
        kafka: address(&args.kafka, file.kafka, "127.0.0.1:9092")?,
        native: address(&args.native, file.native, "127.0.0.1:9192")?,
        admin: address(&args.admin, file.admin, "127.0.0.1:9644")?,
        advertise: advertise.map(|text| parse_advertised(text)).transpose().map_err(usage)?,
        advertise_native: None,
        rack: file.rack,
        shards,
        memory_bytes: size(args.memory, file.memory.as_ref(), default_memory())?,
        journal_bytes: size(None, file.journal.as_ref(), JOURNAL_BYTES)?,
        cluster_id: file.cluster_id,
        any_file_system: file.any_file_system,
        kafka_settings,
        limits: file.limits,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn usage(error: ConfigError) -> CliError {
    CliError::Usage(error.to_string())
}

fn socket_addr(text: &str) -> Result<SocketAddr, CliError> {
    let wrong =
        |reason: &str| CliError::Usage(format!("{text:?} is no address HOST:PORT: {reason}"));
    let mut found = text.to_socket_addrs().map_err(|error| wrong(&error.to_string()))?;
    found.next().ok_or_else(|| wrong("the name has no address"))
}

/// A quarter of the machine's, but no more than a laptop can spare beside other work.
fn default_memory() -> u64 {
    (machine_memory() / 4).min(MEMORY_BYTES_MAX)
}

/// What the kernel says the machine has, in bytes; 4 GiB if it does not say.
fn machine_memory() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").ok();
    let kib = told.as_deref().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    });
    kib.map_or(4 << 30, |kib| kib << 10)
}

#[cfg(test)]
mod tests;
