//! What stops a command: one clear line each.

use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The settings file.
    #[error("{}: {what}", path.display())]
    Config { path: PathBuf, what: String },
    /// A broker did not start.
    #[error(transparent)]
    Start(#[from] broker::StartError),
    /// What was asked for cannot be.
    #[error("{0}")]
    Usage(String),
    /// The machine.
    #[error("this machine cannot run it: {0}")]
    Machine(std::io::Error),
    /// The cluster.
    #[error(transparent)]
    Client(#[from] client::ClientError),
    /// A record was not delivered.
    #[error("record {number}: {error}")]
    Send { number: u64, error: client::SendError },
    /// Reading a topic failed.
    #[error(transparent)]
    Consume(#[from] client::ConsumeError),
    /// A record on standard input could not be understood.
    #[error("record {number}: {what}")]
    Input { number: u64, what: String },
    /// A measurement could not be made.
    #[error(transparent)]
    Bench(#[from] ::bench::BenchError),
    /// Standard input.
    #[error("standard input: {0}")]
    Stdin(std::io::Error),
    /// Standard output.
    #[error("standard output: {0}")]
    Stdout(std::io::Error),
    /// A file or directory.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
}

impl CliError {
    /// Whether the reader of our output has simply gone, as `head` does.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Stdout(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
