//! The one way to speak to a peer: native client library (producer, consumer, admin) and the channel beneath it.
//!
//! ```no_run
//! use client::{Cluster, ClusterConfig, Producer, ProducerConfig, Record};
//!
//! let offset = client::block_on(|world| async move {
//!     let cluster = Cluster::connect(&world, ClusterConfig::kafka("127.0.0.1:9092")).await?;
//!     let producer = Producer::new(&cluster, ProducerConfig::default())?;
//!     let receipt = producer.send(Record::to("greetings").value("hello")).await?;
//!     Ok::<_, client::SendError>(receipt.await?.offset)
//! });
//! ```
//!
//! Everything here belongs to one thread and runs on the [`runtime::World`] it is given: the real one from
//! [`block_on`], a shard's own, or a simulated one in tests. `client/examples/quickstart.rs` is a whole program.
//!
//! | to | use |
//! |---|---|
//! | reach a cluster | [`Cluster`] |
//! | write records | [`Producer`], [`Record`], [`Receipt`] |
//! | read records | [`Consumer`], [`Seek`], [`RecordView`] |
//! | manage topics and groups | [`Admin`], [`NewTopic`] |

mod accumulator;
mod admin;
mod call;
mod channel;
mod cluster;
mod config;
mod consumer;
mod dialect;
mod draft;
mod error;
#[cfg(test)]
mod fake;
pub mod partitioner;
mod producer;
mod record;
mod view;

pub use admin::{
    Admin, ConfigChange, ConfigEntry, ConfigSource, GroupListing, GroupMember, GroupOffset,
    GroupView, ListedOffset, NewTopic, OffsetQuery, TopicListing,
};
pub use cluster::Cluster;
pub use config::{Acks, ClusterConfig, Compression, ConsumerConfig, Dialect, ProducerConfig};
pub use consumer::position::{OutOfRange, Seek};
pub use consumer::{Consumer, Fetched, RecordView};
pub use error::{ChannelError, ClientError, ConsumeError, SendError};
pub use producer::{Delivery, Producer, Receipt};
pub use protocol::error_code::ErrorCode;
pub use record::{Header, Record};
pub use runtime::block_on;
pub use view::{Broker, ClusterView, PartitionView, TopicView};
