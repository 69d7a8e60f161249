//! The one way to speak to a peer: native client library (producer, consumer, admin) and the channel beneath it.

mod accumulator;
mod config;
mod draft;
mod error;
pub mod partitioner;
mod record;

mod consumer {
    pub(crate) mod position;
}

pub use error::{ChannelError, ClientError, ConsumeError, SendError};
pub use record::{Header, Record};
