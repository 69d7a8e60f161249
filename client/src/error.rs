//! What can go wrong between a program and its cluster, in words that say what to do about it.

use protocol::error_code::ErrorCode;

/// A connection could not be made, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// Nobody answers at this address.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The connection ended before the answer came; whether the request was carried out is unknown.
    #[error("the connection to {address} ended before the answer came: {reason}")]
    Lost {
        /// Host and port.
        address: String,
        /// Why it ended.
        reason: String,
    },
    /// No answer within the request timeout; the connection was closed.
    #[error("{address} did not answer within {timeout_ms} ms")]
    TimedOut {
        /// Host and port.
        address: String,
        /// The limit that passed.
        timeout_ms: u64,
    },
    /// The peer sent something that is not in the protocol; the connection was closed.
    #[error("{address} sent something that is not in the protocol: {what}")]
    Malformed {
        /// Host and port.
        address: String,
        /// What was wrong with it.
        what: String,
    },
    /// The peer does not serve this API at any version that this client speaks.
    #[error("{address} does not offer {api} in a version this client speaks")]
    Unsupported {
        /// Host and port.
        address: String,
        /// Kafka's name of the API.
        api: &'static str,
    },
}

/// An operation on the cluster failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No broker could be reached, or the one asked went away.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The broker refused.
    #[error("{}", refusal(*code, message.as_deref()))]
    Refused {
        /// Kafka's code.
        code: ErrorCode,
        /// The broker's explanation.
        message: Option<String>,
    },
    /// The cluster has no such topic.
    #[error("no topic is called {0:?}")]
    NoSuchTopic(String),
    /// The topic has no such partition.
    #[error("topic {topic:?} has no partition {partition}")]
    NoSuchPartition {
        /// The topic's name.
        topic: String,
        /// The number asked for.
        partition: i32,
    },
    /// A partition has no leader at the moment.
    #[error("partition {partition} of topic {topic:?} has no leader at the moment")]
    NoLeader {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A setting of this client cannot be.
    #[error("{0}")]
    Config(String),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// Why a record was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The broker refused it; it is not in the log.
    #[error("{}", refusal(*code, message.as_deref()))]
    Refused {
        /// Kafka's code.
        code: ErrorCode,
        /// The broker's explanation.
        message: Option<String>,
    },
    /// It was not delivered within the delivery timeout; it is not in the log.
    #[error("not delivered in time{}", last_refusal(*last, message.as_deref()))]
    Expired {
        /// The last refusal, if there was one.
        last: Option<ErrorCode>,
        /// The broker's explanation of it.
        message: Option<String>,
    },
    /// It was sent, and no answer came: it may or may not be in the log. It will not be sent again.
    #[error("sent, but no answer came in time: the record may or may not be in the log")]
    Uncertain,
    /// The record alone exceeds the largest batch this producer builds.
    #[error("the record needs {bytes} bytes; at most {bytes_max} are allowed")]
    TooLarge {
        /// What it needs, with its batch's header.
        bytes: usize,
        /// The producer's limit.
        bytes_max: usize,
    },
    /// The producer's memory is full of records not yet delivered (only from `try_send`).
    #[error("the producer's memory is full; try again when records have been delivered")]
    Full,
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
    /// The topic or partition could not be found, or no broker could be asked.
    #[error(transparent)]
    Cluster(#[from] ClientError),
}

/// Reading failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// The wanted offset is not in the partition (any more), and the consumer was told not to choose another.
    #[error("offset {offset} of partition {partition} of topic {topic:?} is out of range")]
    OutOfRange {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
    },
    /// A batch arrived damaged.
    #[error("partition {partition} of topic {topic:?}: damaged batch at offset {offset}: {what}")]
    Damaged {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where the consumer stood.
        offset: i64,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing is assigned to the consumer.
    #[error("no partition is assigned: call assign first")]
    Unassigned,
    /// The cluster could not be asked, or refused.
    #[error(transparent)]
    Cluster(#[from] ClientError),
}

fn refusal(code: ErrorCode, message: Option<&str>) -> String {
    match message {
        Some(message) if !message.is_empty() => format!("{message} [{}]", code.name()),
        Some(_) | None => format!("{} [{}]", code.about(), code.name()),
    }
}

fn last_refusal(last: Option<ErrorCode>, message: Option<&str>) -> String {
    last.map_or_else(String::new, |code| {
        format!("; the last answer was: {}", refusal(code, message))
    })
}
