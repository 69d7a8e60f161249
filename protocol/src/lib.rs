//! The words every other crate speaks: ids, offsets, record batches, both dialects. No I/O, no clock.

pub mod batch;
pub mod crc;
pub mod epoch;
pub mod error_code;
pub mod frame;
pub mod ids;
pub mod kafka;
mod message;
pub mod metadata;
pub mod native;
pub mod offset;
pub mod reader;
#[cfg(any(test, fuzzing))]
pub mod sample;
pub mod varint;
pub mod wire;

pub use batch::{BatchError, BatchHeader, CheckedBatch, Compression, RawBatch};
pub use epoch::{LeaderEpoch, ProducerEpoch};
pub use error_code::ErrorCode;
pub use ids::{BrokerId, PartitionIndex, ProducerId, TopicId, TopicPartition};
pub use offset::Offset;
