//! The broker: shards that serve partitions to Kafka clients and native clients.
//!
//! [`run`] starts one from a [`config::BrokerConfig`] and returns when it was told to stop.

mod admin;
mod answer;
mod append;
mod ask;
mod broker;
mod brokers;
pub mod config;
mod configs;
mod connection;
mod controller;
mod decide;
mod directory;
mod groups;
mod kafka;
mod metadata_log;
mod metrics;
mod native;
mod offsets;
mod partition;
mod pending;
mod producer_ids;
mod quota;
mod read;
mod recompress;
mod resource;
mod settings;
mod shard;
mod topics;
mod view;

pub use broker::{Serving, StartError, run};
