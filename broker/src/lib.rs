//! The broker: shards that serve partitions to Kafka clients and native clients.
//!
//! [`run`] starts one from a [`config::BrokerConfig`] and returns when it was told to stop.

mod admin;
mod answer;
mod append;
mod broker;
pub mod config;
mod connection;
mod controller;
mod decide;
mod directory;
mod kafka;
mod metadata_log;
mod metrics;
mod native;
mod partition;
mod pending;
mod producer_ids;
mod read;
mod recompress;
mod settings;
mod shard;
mod view;

pub use broker::{Serving, StartError, run};
