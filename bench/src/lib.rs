//! Load from outside, never from within.
//!
//! A load generator that does as little work per record as a client can do, so that what is measured is the broker.
//! Records are due at times that are fixed before the run begins, and latency counts from then, not from when a record
//! could be sent: a stalled broker cannot hide its stall (coordinated omission).
//!
//! ```text
//! packer    which record is due when, and in which batch it goes (pure)
//! template  batches as slices of a few that were built once; patched where records carry times or keys
//! wire      both dialects, without copying record bytes
//! produce, consume   the tasks          stage, run   a run from its first connection to its last answer
//! recorder  latencies and counts        process, machine   what the operating system says
//! report, hdr_log, svg   what was measured: a row and a table, an HdrHistogram log, a picture
//! ```

mod consume;
pub mod hdr_log;
pub mod machine;
mod packer;
mod payload;
pub mod plan;
pub mod process;
mod produce;
mod recorder;
pub mod report;
mod round;
pub mod run;
mod stage;
mod svg;
mod template;
mod wire;

pub use client::{Dialect, block_on};
pub use hdr_log::HdrLog;
pub use plan::{ConsumePlan, KeyDistribution, Payload, Plan, ProducePlan};
pub use protocol::batch::Compression;
pub use recorder::{Point, Stream};
pub use report::{Outcome, Row};
pub use run::{Progress, Watch, run};

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The connection failed.
    #[error("connection to {addr}: {error}")]
    Connection { addr: std::net::SocketAddr, error: std::io::Error },
    /// The broker answered with something else than asked.
    #[error("the broker's answer cannot be read: {0}")]
    Answer(String),
    /// The plan makes no sense.
    #[error("{0}")]
    Plan(String),
    /// The broker refused.
    #[error("the broker answered {code} to {what}")]
    Refused { what: &'static str, code: protocol::ErrorCode },
    /// The cluster could not be reached, or refused.
    #[error(transparent)]
    Cluster(#[from] client::ClientError),
    /// The broker's process cannot be looked at.
    #[error("process {pid}: {error}")]
    Process { pid: u32, error: std::io::Error },
    /// The machine lacks something.
    #[error(transparent)]
    Machine(#[from] std::io::Error),
}
