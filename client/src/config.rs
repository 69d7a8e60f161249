//! What a program may set, with defaults that suit most.

use std::time::Duration;

pub use protocol::batch::compress::Compression;

use crate::consumer::position::OutOfRange;
use crate::error::ClientError;

/// Which protocol to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Kafka's own; works with any Kafka-compatible broker.
    #[default]
    Kafka,
    /// Corelog's native frames.
    Native,
}

impl Dialect {
    /// The port on which `corelog dev` serves it.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Kafka => 9092,
            Self::Native => 9192,
        }
    }
}

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Brokers to ask first, as `host:port`; without a port it is the dialect's default.
    pub bootstrap: Vec<String>,
    /// Which protocol to speak.
    pub dialect: Dialect,
    /// How this program calls itself in the brokers' logs.
    pub client_id: String,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an answer may take; the connection is closed after it.
    pub request_timeout: Duration,
    /// How long to go on asking for a topic that has no leader yet, or is being created.
    pub metadata_timeout: Duration,
    /// How old what is known about a topic may become before it is asked for again.
    pub metadata_age_max: Duration,
    /// The pause between two questions after a failure.
    pub retry_pause: Duration,
    /// The largest answer accepted, in bytes.
    pub response_bytes_max: usize,
    /// Requests on one connection without an answer yet.
    pub in_flight_max: usize,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            bootstrap: vec!["127.0.0.1:9092".to_owned()],
            dialect: Dialect::Kafka,
            client_id: "corelog-client".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            metadata_timeout: Duration::from_secs(15),
            metadata_age_max: Duration::from_secs(300),
            retry_pause: Duration::from_millis(100),
            response_bytes_max: 256 << 20,
            in_flight_max: 256,
        }
    }
}

impl ClusterConfig {
    /// Asks `bootstrap` (comma-separated `host:port`) in Kafka's protocol.
    ///
    /// ```
    /// let config = client::ClusterConfig::kafka("broker-1:9092,broker-2:9092");
    /// assert_eq!(config.bootstrap.len(), 2);
    /// ```
    pub fn kafka(bootstrap: &str) -> Self {
        Self { bootstrap: addresses(bootstrap), ..Self::default() }
    }

    /// Asks `bootstrap` (comma-separated `host:port`) in the native protocol.
    pub fn native(bootstrap: &str) -> Self {
        Self { bootstrap: addresses(bootstrap), dialect: Dialect::Native, ..Self::default() }
    }
}

fn addresses(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Which copies of a record must be on disk before it counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// None: handed to the network is enough, and losses go unnoticed.
    None,
    /// The leader's.
    Leader,
    /// Those of every replica in sync.
    #[default]
    All,
}

impl Acks {
    /// The number on the wire.
    pub const fn wire(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a producer works.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// What "delivered" means.
    pub acks: Acks,
    /// Numbers batches so that retries are never written twice. Without effect with [`Acks::None`].
    pub idempotent: bool,
    /// How batches are compressed.
    pub compression: Compression,
    /// The codec's level; `None` is its default.
    pub compression_level: Option<i32>,
    /// How long a batch that is not full waits for more records.
    pub linger: Duration,
    /// A batch is sent when it would exceed this many bytes, before compression.
    pub batch_bytes: usize,
    /// One request carries at most about this many bytes of batches.
    pub request_bytes: usize,
    /// The largest single record, with its batch's header.
    pub record_bytes_max: usize,
    /// Records accepted and not yet delivered, in bytes; `send` waits when they are more.
    pub memory_bytes: usize,
    /// How long `send` waits for memory before it fails with [`crate::SendError::Full`].
    pub max_block: Duration,
    /// Batches of one partition on their way at once: 1 to 5. A producer that is not idempotent keeps to 1,
    /// because more could change the order when one fails.
    pub in_flight_max: usize,
    /// How long to try to deliver a record, counted from its acceptance.
    pub delivery_timeout: Duration,
    /// The first pause before a retry; it doubles up to `retry_pause_max`.
    pub retry_pause: Duration,
    /// The longest pause before a retry.
    pub retry_pause_max: Duration,
    /// Lets the cluster create a topic that does not exist, if it is set to.
    pub auto_create_topics: bool,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            compression: Compression::None,
            compression_level: None,
            linger: Duration::from_millis(1),
            batch_bytes: 128 << 10,
            request_bytes: 8 << 20,
            record_bytes_max: 1 << 20,
            memory_bytes: 64 << 20,
            max_block: Duration::from_secs(60),
            in_flight_max: 5,
            delivery_timeout: Duration::from_secs(120),
            retry_pause: Duration::from_millis(50),
            retry_pause_max: Duration::from_secs(1),
            auto_create_topics: true,
        }
    }
}

impl ProducerConfig {
    /// What would not work, said before anything is sent.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        let complaint = if !(1..=5).contains(&self.in_flight_max) {
            "in_flight_max must be 1 to 5: a broker remembers the last 5 batches of a producer"
        } else if self
            .compression_level
            .is_some_and(|level| !self.compression.level_is_valid(level))
        {
            "the compression codec does not have this level"
        } else if self.batch_bytes == 0 || self.memory_bytes == 0 {
            "batch_bytes and memory_bytes must be more than 0"
        } else if self.record_bytes_max > 1 << 30 || self.batch_bytes > 1 << 30 {
            "a batch can be at most 1 GiB"
        } else {
            return Ok(());
        };
        Err(ClientError::Config(complaint.to_owned()))
    }

    /// Whether batches are numbered.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotent && self.acks != Acks::None
    }
}

/// How a consumer works.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// How long a broker may wait for `fetch_bytes_min` before it answers.
    pub fetch_wait_max: Duration,
    /// A broker answers as soon as it has this many bytes.
    pub fetch_bytes_min: usize,
    /// One answer carries at most about this many bytes.
    pub fetch_bytes_max: usize,
    /// One answer carries at most about this many bytes of one partition, and a partition is fetched ahead
    /// while less than this is buffered.
    pub partition_bytes_max: usize,
    /// What is fetched ahead of the program and waits for it, in bytes, after decompression.
    pub buffered_bytes_max: usize,
    /// What to do when an offset is not there (any more).
    pub out_of_range: OutOfRange,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            fetch_wait_max: Duration::from_millis(500),
            fetch_bytes_min: 1,
            fetch_bytes_max: 16 << 20,
            partition_bytes_max: 1 << 20,
            buffered_bytes_max: 64 << 20,
            out_of_range: OutOfRange::Earliest,
        }
    }
}
