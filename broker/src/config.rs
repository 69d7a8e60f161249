//! What a broker is told when it starts: addresses, directory, memory, limits and defaults.
//!
//! Every value can come from a TOML file ([`FileConfig`]); command line flags override it. Unknown
//! keys are errors, because a misspelt `retention` must not be silently ignored.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use protocol::BrokerId;
use serde::Deserialize;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not TOML, or has a key nobody knows.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A size such as `64MiB` could not be read.
    #[error("'{0}' is not a size: write a number of bytes, or a number with KiB, MiB, GiB or TiB")]
    Size(String),
    /// An address such as `127.0.0.1:9092` could not be read.
    #[error("'{value}' is not an address of the form HOST:PORT: {reason}")]
    Address { value: String, reason: String },
}

/// A broker's settings as they are meant, after file and flags were merged.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// The id by which clients know this broker.
    pub broker_id: BrokerId,
    /// The cluster this broker must belong to; without one, the directory's own or a new one.
    pub cluster_id: Option<String>,
    /// The data directory. Created when it does not exist.
    pub dir: PathBuf,
    /// Where Kafka clients connect.
    pub kafka: SocketAddr,
    /// Where native clients connect.
    pub native: SocketAddr,
    /// Where `/metrics` and `/health` are served.
    pub admin: SocketAddr,
    /// What Kafka clients are told to connect to, when it differs from `kafka`.
    pub advertise: Option<(String, u16)>,
    /// What native clients are told to connect to, when it differs from `native`.
    pub advertise_native: Option<(String, u16)>,
    /// The rack named to clients, if any.
    pub rack: Option<String>,
    /// How many cores serve. One executor, journal and cache each.
    pub shards: usize,
    /// Bytes of memory for caches, over all shards.
    pub memory_bytes: u64,
    /// The journal's configured size per shard, in bytes.
    pub journal_bytes: u64,
    /// Accept a file system that cannot keep data (tmpfs).
    pub any_file_system: bool,
    /// Broker-wide Kafka settings by Kafka's names, e.g. `log.retention.ms`.
    pub kafka_settings: BTreeMap<String, String>,
    /// What a stranger may use up.
    pub limits: Limits,
}

/// Bounds on what connections and requests may use. Per shard unless the name says otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Limits {
    /// The largest request frame, in bytes (Kafka's `socket.request.max.bytes`).
    pub request_max_bytes: u32,
    /// Memory for requests that were begun and not yet answered, in bytes.
    pub request_memory_bytes: u64,
    /// Memory for fetch responses being built or sent, in bytes.
    pub fetch_memory_bytes: u64,
    /// The largest fetch response, in bytes, whatever the client asks.
    pub fetch_max_bytes: u32,
    /// Answers a connection may owe before it is read no further.
    pub connection_in_flight_max: usize,
    /// Bytes of answers a connection may owe before it is read no further.
    pub connection_pending_bytes: usize,
    /// Connections to this broker, over all shards.
    pub connections_max: usize,
    /// Connections from one address, over all shards.
    pub connections_per_ip_max: usize,
    /// New connections a shard accepts per second.
    pub connections_per_second: u32,
    /// A connection without a request for so long is closed, in milliseconds.
    pub idle_ms: u64,
    /// A frame must be complete after so long, in milliseconds.
    pub frame_ms: u64,
    /// Fetches waiting for records.
    pub waiting_fetches_max: usize,
    /// Partitions one shard owns at most.
    pub partitions_max: usize,
    /// Consumer groups of this broker, over all shards.
    pub groups_max: usize,
    /// Commits of offsets that one group may make a second; 0 is no limit.
    pub group_commits_per_second: u32,
    /// New producer ids a minute; 0 is no limit.
    pub producer_ids_per_minute: u32,
    /// Partitions that clients may create and delete a second (KIP-599); 0 is no limit.
    pub partition_changes_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_max_bytes: 100 << 20,
            request_memory_bytes: 256 * MIB,
            fetch_memory_bytes: 256 * MIB,
            fetch_max_bytes: 16 << 20,
            connection_in_flight_max: 100,
            connection_pending_bytes: 8 << 20,
            connections_max: 10_000,
            connections_per_ip_max: 1_000,
            connections_per_second: 200,
            idle_ms: 600_000,
            frame_ms: 30_000,
            waiting_fetches_max: 10_000,
            partitions_max: 20_000,
            groups_max: 10_000,
            group_commits_per_second: 0,
            producer_ids_per_minute: 10_000,
            partition_changes_per_second: 0,
        }
    }
}

impl Limits {
    /// How long a connection may stay silent.
    pub fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// How long a frame may take to arrive.
    pub fn frame(&self) -> Duration {
        Duration::from_millis(self.frame_ms)
    }
}

/// A configuration file. Every key is optional.
///
/// ```toml
/// dir = "/var/lib/corelog"
/// kafka = "0.0.0.0:9092"
/// advertise = "broker-1.example.com:9092"
/// memory = "4GiB"
///
/// [defaults]
/// "log.retention.hours" = "72"
///
/// [limits]
/// connections-max = 2000
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct FileConfig {
    /// The cluster this broker must belong to.
    pub cluster_id: Option<String>,
    /// The data directory.
    pub dir: Option<PathBuf>,
    /// Accept a file system that cannot keep data (tmpfs).
    pub any_file_system: bool,
    /// Where Kafka clients connect, `HOST:PORT`.
    pub kafka: Option<String>,
    /// Where native clients connect, `HOST:PORT`.
    pub native: Option<String>,
    /// Where metrics and health are served, `HOST:PORT`.
    pub admin: Option<String>,
    /// What clients are told to connect to, `HOST:PORT`.
    pub advertise: Option<String>,
    /// The rack named to clients.
    pub rack: Option<String>,
    /// How many cores serve.
    pub shards: Option<usize>,
    /// Memory for caches, e.g. `2GiB`.
    pub memory: Option<String>,
    /// Journal size per shard, e.g. `512MiB`.
    pub journal: Option<String>,
    /// Broker-wide Kafka settings, by Kafka's names.
    pub defaults: BTreeMap<String, toml::Value>,
    /// Bounds on what strangers may use.
    pub limits: Limits,
}

impl FileConfig {
    /// Reads a file's text.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] with line and key when the text is not TOML or a key is unknown.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Ok(toml::from_str(text)?)
    }

    /// The `[defaults]` table with every value as the text Kafka would carry.
    pub fn settings(&self) -> BTreeMap<String, String> {
        self.defaults
            .iter()
            .map(|(key, value)| {
                let text = match value {
                    toml::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                (key.clone(), text)
            })
            .collect()
    }
}

/// Reads a size: plain bytes, or with a binary unit (`KiB`, `MiB`, `GiB`, `TiB`; `K`, `M`, `G`, `T`).
///
/// # Errors
/// [`ConfigError::Size`] when the text is no size or does not fit 64 bits.
pub fn parse_size(text: &str) -> Result<u64, ConfigError> {
    let wrong = || ConfigError::Size(text.to_owned());
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_ignored: std::num::ParseIntError| wrong())?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" | "kb" => KIB,
        "m" | "mib" | "mb" => MIB,
        "g" | "gib" | "gb" => 1024 * MIB,
        "t" | "tib" | "tb" => 1024 * 1024 * MIB,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Splits `HOST:PORT` as it is told to clients; the host is not looked up.
///
/// # Errors
/// [`ConfigError::Address`] when there is no port or no host.
pub fn parse_advertised(value: &str) -> Result<(String, u16), ConfigError> {
    let wrong =
        |reason: &str| ConfigError::Address { value: value.to_owned(), reason: reason.into() };
    let (host, port) = value.rsplit_once(':').ok_or_else(|| wrong("there is no ':'"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong("the host is empty"));
    }
    let port = port.parse().map_err(|_ignored: std::num::ParseIntError| {
        wrong("the port is not a number below 65536")
    })?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests;
