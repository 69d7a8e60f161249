//! Load from outside, never from within.
//!
//! An open-loop generator that speaks the Kafka protocol with as little work per record as a client
//! can do: batches are built once and sent again and again, so that what is measured is the broker.
//! Latency counts from the moment a batch was *due*, not from when it could be sent, so a stalled
//! broker cannot hide its stall (coordinated omission).

pub mod consume;
pub mod plan;
pub mod process;
pub mod produce;
pub mod report;
mod wire;

pub use plan::{ConsumePlan, ProducePlan};
pub use report::Outcome;

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
    /// The machine lacks something.
    #[error(transparent)]
    Machine(#[from] std::io::Error),
}
