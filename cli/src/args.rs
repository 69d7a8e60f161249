//! The command line: what the user may say, and the help texts that explain it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::BenchCommand;
use crate::consume::ConsumeArgs;
use crate::dev::DevArgs;
use crate::group::GroupCommand;
use crate::log::LogCommand;
use crate::produce::ProduceArgs;
use crate::topic::TopicCommand;

/// A Kafka-compatible streaming broker with your records on disk before it says so.
#[derive(Debug, Parser)]
#[command(name = "corelog", version, propagate_version = true, max_term_width = 100)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  corelog dev
  corelog topic create orders --partitions 8
  echo 'hello' | corelog produce orders
  corelog consume orders --exit")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker for this machine: one process, no setup.
    Dev(DevArgs),
    /// Create, list, describe, change and delete topics.
    #[command(subcommand, arg_required_else_help = true)]
    Topic(TopicCommand),
    /// List, describe, reset and delete consumer groups.
    #[command(subcommand, arg_required_else_help = true)]
    Group(GroupCommand),
    /// Write records from standard input to a topic.
    Produce(ProduceArgs),
    /// Read records of a topic to standard output.
    Consume(ConsumeArgs),
    /// Look into a data directory while no broker uses it.
    #[command(subcommand, arg_required_else_help = true)]
    Log(LogCommand),
    /// Put a broker under load and measure it.
    #[command(subcommand, arg_required_else_help = true)]
    Bench(BenchCommand),
}

/// How to reach the cluster; part of every command that talks to one.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ClusterArgs {
    /// Brokers to ask first, separated by commas [default: 127.0.0.1:9092, or :9192 with --protocol native].
    #[arg(long, short = 'b', value_name = "HOST:PORT,...", env = "CORELOG_BOOTSTRAP")]
    pub(crate) bootstrap: Option<String>,
    /// Which protocol to speak [default: kafka].
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    pub(crate) protocol: Option<Protocol>,
    /// Read bootstrap and protocol from this TOML file; flags win over it, unknown keys are errors.
    #[arg(long, value_name = "FILE", env = "CORELOG_CLIENT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// The two protocols a broker serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// Kafka's own, as every Kafka client speaks it.
    Kafka,
    /// Corelog's native frames.
    Native,
}
