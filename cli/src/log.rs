//! `corelog log`: looks into a data directory while no broker uses it.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::size::human_bytes;
use crate::verify::dump::{Detail, dump};
use crate::verify::{self, Report};

/// The directory was read and contradicts its format.
const FINDINGS: u8 = 1;
/// The directory could not be read.
const CANNOT_CHECK: u8 = 2;

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
    /// A file of a data directory: manifest, superblock, checkpoint, ring, segment or index.
    path: PathBuf,
    /// Show the records of batches, too.
    #[arg(long)]
    records: bool,
}

/// Runs the command.
pub(crate) fn run(command: &LogCommand) -> Result<ExitCode, CliError> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let code = match command {
        LogCommand::Verify(args) => match verify::check(&args.dir) {
            Ok(report) => {
                let said =
                    if args.json { say_json(&report, &mut out) } else { say(&report, &mut out) };
                said.map_err(CliError::Stdout)?;
                ExitCode::from(if report.findings.is_empty() { 0 } else { FINDINGS })
            }
            Err(error) => {
                eprintln!("corelog: {error}");
                ExitCode::from(CANNOT_CHECK)
            }
        },
        LogCommand::Dump(args) => {
            let detail = if args.records { Detail::Records } else { Detail::Batches };
            dump(&args.path, detail, &mut out)
                .map_err(|error| CliError::File { path: args.path.clone(), error })?;
            ExitCode::SUCCESS
        }
    };
    out.flush().map_err(CliError::Stdout)?;
    Ok(code)
}

fn say(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "finding: {finding}")?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    let counts = &report.counts;
    writeln!(
        out,
        "{} shards, {} journal groups, {} partitions, {} segments, {} index pages, {} batches, {} records, {}",
        counts.shards,
        counts.groups,
        counts.partitions,
        counts.segments,
        counts.index_pages,
        counts.batches,
        counts.records,
        human_bytes(counts.bytes),
    )?;
    match report.findings.len() {
        0 => writeln!(out, "clean"),
        1 => writeln!(out, "1 finding"),
        count => writeln!(out, "{count} findings"),
    }
}

fn say_json(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    for finding in &report.findings {
        let line = serde_json::json!({
            "file": finding.file.display().to_string(),
            "position": finding.position,
            "offsets": finding.offsets.map(|(first, next)| [first, next]),
            "finding": finding.what,
        });
        writeln!(out, "{line}")?;
    }
    let counts = &report.counts;
    let line = serde_json::json!({
        "findings": report.findings.len(),
        "notes": report.notes,
        "shards": counts.shards,
        "groups": counts.groups,
        "partitions": counts.partitions,
        "segments": counts.segments,
        "index_pages": counts.index_pages,
        "batches": counts.batches,
        "records": counts.records,
        "bytes": counts.bytes,
    });
    writeln!(out, "{line}")
}
