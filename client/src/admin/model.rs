//! What an administrator says and hears.

use protocol::ids::TopicId;

/// A topic to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name: 1 to 249 of letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// How many partitions; `None` is the cluster's default.
    pub partitions: Option<i32>,
    /// How many copies of each; `None` is the cluster's default.
    pub replication_factor: Option<i16>,
    /// Settings by Kafka's names.
    pub configs: Vec<(String, String)>,
    /// Only checks whether it could be created.
    pub validate_only: bool,
}

impl NewTopic {
    /// A topic with the cluster's defaults.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Sets the number of partitions.
    #[must_use]
    pub fn partitions(self, count: i32) -> Self {
        Self { partitions: Some(count), ..self }
    }

    /// Sets the number of copies.
    #[must_use]
    pub fn replication_factor(self, count: i16) -> Self {
        Self { replication_factor: Some(count), ..self }
    }

    /// Adds a setting.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.configs.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// One change of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Gives the setting (first) a value (second).
    Set(String, String),
    /// Takes the topic's own value away, so that the default counts again.
    Reset(String),
}

/// One setting and where its value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name of it.
    pub name: String,
    /// Its value; `None` if it has none or is a secret.
    pub value: Option<String>,
    /// Who set it.
    pub source: ConfigSource,
    /// It cannot be changed while the broker runs.
    pub is_read_only: bool,
    /// Its value is a secret and not told.
    pub is_sensitive: bool,
}

/// Who set a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic has its own.
    Topic,
    /// The brokers' configuration.
    Broker,
    /// Nobody: it is the built-in default.
    Default,
    /// The broker named a source that this client does not know.
    Unknown,
}

/// One topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id; zero from a cluster that has none.
    pub id: TopicId,
    /// Whether it belongs to the system itself.
    pub is_internal: bool,
    /// How many partitions it has.
    pub partition_count: usize,
}

/// Which offset of a partition is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The oldest record's that is still there.
    Earliest,
    /// One after the newest record's.
    Latest,
    /// That of the record with the largest timestamp.
    MaxTimestamp,
    /// That of the first record at this time or later, in milliseconds since 1970 UTC.
    Timestamp(i64),
}

/// An offset that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; `None` if no record answers the question.
    pub offset: Option<i64>,
    /// The timestamp of the record at it, in milliseconds since 1970; `None` for the two ends.
    pub timestamp_ms: Option<i64>,
}
