//! What to send, how fast, to whom.

use std::net::SocketAddr;
use std::time::Duration;

use crate::BenchError;

/// A produce load.
#[derive(Debug, Clone)]
pub struct ProducePlan {
    /// The broker's Kafka listener.
    pub addr: SocketAddr,
    /// Created if it does not exist.
    pub topic: String,
    /// Partitions of the topic that are written, from 0 on.
    pub partitions: u32,
    /// The value's size, in bytes.
    pub record_bytes: u32,
    /// Records in one batch.
    pub batch_records: u32,
    /// Batches, each for another partition, in one request.
    pub request_batches: u32,
    /// 0, 1 or -1.
    pub acks: i16,
    /// Connections; partitions are dealt to them in turn.
    pub connections: u32,
    /// Requests a connection may have unanswered.
    pub in_flight: u32,
    /// Records per second over all connections; 0 is as fast as answers come.
    pub rate: u64,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
    /// The broker's process, to account its CPU.
    pub pid: Option<u32>,
}

impl ProducePlan {
    /// Refuses what cannot be done.
    ///
    /// # Errors
    /// [`BenchError::Plan`] naming the value.
    pub fn check(&self) -> Result<(), BenchError> {
        let wrong = |text: &str| Err(BenchError::Plan(text.to_owned()));
        if self.partitions == 0 || self.connections == 0 || self.in_flight == 0 {
            return wrong("partitions, connections and in-flight must be at least 1");
        }
        if self.batch_records == 0 || self.request_batches == 0 {
            return wrong("a request needs at least one record");
        }
        if self.connections > self.partitions {
            return wrong("there must be a partition for every connection");
        }
        if self.request_batches > self.partitions / self.connections {
            return wrong("a request cannot hold more batches than its connection has partitions");
        }
        let request = u64::from(self.request_batches)
            * u64::from(self.batch_records)
            * u64::from(self.record_bytes + 16);
        if request > 100 << 20 {
            return wrong("a request would be larger than 100 MiB");
        }
        if !matches!(self.acks, -1..=1) {
            return wrong("acks is 0, 1 or -1 (all)");
        }
        Ok(())
    }

    /// Records in one request.
    pub fn request_records(&self) -> u64 {
        u64::from(self.batch_records) * u64::from(self.request_batches)
    }
}

/// A consume load: every partition from its beginning to where it ends at the start.
#[derive(Debug, Clone)]
pub struct ConsumePlan {
    /// The broker's Kafka listener.
    pub addr: SocketAddr,
    /// The topic.
    pub topic: String,
    /// Partitions read, from 0 on.
    pub partitions: u32,
    /// Connections; partitions are dealt to them in turn.
    pub connections: u32,
    /// Bytes asked for per fetch.
    pub fetch_bytes: u32,
    /// Stop after so long, done or not.
    pub duration: Duration,
    /// The broker's process, to account its CPU.
    pub pid: Option<u32>,
}
