//! Real brokers on real sockets, and what strangers and bad days do to them.
//!
//! Each row of the table of limits has its test here, named by the row. `BROKER=kafka` runs those that
//! are about the protocol against Apache Kafka.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests fail as tests do")]

mod admin;
mod batches;
mod compaction;
mod configs;
mod consumer_groups;
mod disk;
mod fetches;
mod fixture;
mod frames;
mod groups;
mod lookup;
mod native;
mod quotas;
mod start;
mod storm;
mod wire;
