//! What clients saw, one line of JSON per finished operation, as their programs write it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The value a reader reports when a record's bytes are not what any writer sends.
pub const DAMAGED: u64 = u64::MAX;

/// Nanoseconds of the machine's monotonic clock, which all processes of a run share.
pub type Instant = u64;

/// How a send ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Acknowledged.
    Ok,
    /// Proven not to have been applied.
    Fail,
    /// Unknown: it may or may not be in the log.
    Info,
}

/// One finished operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "f", rename_all = "lowercase")]
pub enum Entry {
    /// A writer introduces itself before its first send.
    Writer { w: String, idempotent: bool },
    /// One record sent. `p` is topic/partition, `v` unique in the whole history and rising per writer.
    Send {
        w: String,
        p: String,
        v: u64,
        t0: Instant,
        t1: Instant,
        #[serde(rename = "type")]
        outcome: Outcome,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        error: String,
    },
    /// Records read in one poll by a consumer that was assigned the partition once, from its start.
    Poll { w: String, p: String, t0: Instant, t1: Instant, r: Vec<(u64, u64)> },
    /// Records read by the fresh consumer that empties every partition after the last fault.
    Drain { p: String, r: Vec<(u64, u64)> },
}

/// Reads a history file. A last line cut short by the end of its writer is left out.
///
/// # Errors
/// When the file cannot be read, or a line other than the last is not an entry.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut lines = BufReader::new(File::open(path)?).split(b'\n').peekable();
    while let Some(line) = lines.next() {
        let line = line?;
        match serde_json::from_slice(&line) {
            Ok(entry) => entries.push(entry),
            Err(error) if lines.peek().is_some() => return Err(io::Error::other(error)),
            Err(_) => {}
        }
    }
    Ok(entries)
}
