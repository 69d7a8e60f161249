//! Cluster metadata: a log of records, the pure image they build, and the rules that decide which record comes next.
//!
//! Every change of topics, partitions, configs and brokers is a [`Record`], kept in order in one log whose batches are
//! ordinary record batches. An [`Image`] is what a prefix of that log says; two images with the same
//! [`version`](Image::version) are equal. [`control`] turns a wish ("create this topic") into records or a refusal
//! and touches nothing, so the same code decides over a local log and over a quorum.

pub mod config;
pub mod control;
pub mod image;
pub mod log;
pub mod record;
pub mod snapshot;
pub mod topic_name;

pub use image::{Broker, Image, Partition, Topic};
pub use record::{Endpoint, Record, Resource};
