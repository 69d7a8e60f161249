//! `corelog log`: looks into a data directory while no broker uses it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::verify;

/// What to do with a data directory.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Check a data directory against the description of its format.
    #[command(after_help = "\
It reads everything and changes nothing: manifest, journal, checkpoints, segments and indexes, every
checksum, offsets and epochs. It shares no code with the broker's recovery.

Exit code: 0 nothing found, 1 findings, 2 the directory could not be read.

Examples:
  corelog log verify ./corelog-data
  corelog log verify ./corelog-data --json")]
    Verify(VerifyArgs),
    /// Show what a file of a data directory holds.
    #[command(after_help = "\
Examples:
  corelog log dump ./corelog-data                                  what there is
  corelog log dump ./corelog-data/shards/0/ring-0                  journal groups
  corelog log dump ./corelog-data/shards/0/superblock
  corelog log dump ./corelog-data/topics/<id>/0/00000000000000000000.log --records")]
    Dump(DumpArgs),
}

/// `log verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The data directory.
    dir: PathBuf,
    /// One JSON object per finding and a summary.
    #[arg(long)]
    json: bool,
}

/// `log dump`.
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// A data directory, or a file in one.
    path: PathBuf,
    /// Show the records of batches, too.
    #[arg(long)]
    records: bool,
}
