//! Rows: what is kept of a comparison, as JSON lines.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::PeersError;
use crate::plan::Against;
use crate::stats::Summary;
use crate::system::System;

/// One line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "kebab-case")]
pub(crate) enum Row {
    Setting(Setting),
    Run(RunRow),
    Result(ResultRow),
    /// A workload that could not be run to its end, and why.
    Failure {
        workload: String,
        why: String,
    },
}

/// Where and how; the first row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) mode: String,
    pub(crate) revision: String,
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kafka: String,
    pub(crate) java: Vec<String>,
    pub(crate) pinned: bool,
    pub(crate) scale: f64,
}

/// One run of one system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunRow {
    pub(crate) workload: String,
    pub(crate) system: System,
    pub(crate) pair: usize,
    /// The place in the whole sequence of the workload.
    pub(crate) turn: usize,
    pub(crate) figures: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) histograms: BTreeMap<String, String>,
}

/// One figure of a workload over all its pairs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ResultRow {
    pub(crate) number: u8,
    pub(crate) workload: String,
    /// What was measured, in words.
    pub(crate) figure: String,
    pub(crate) against: Against,
    pub(crate) ours: f64,
    /// The other side's median; none for an absolute figure.
    pub(crate) theirs: Option<f64>,
    pub(crate) summary: Summary,
    /// Ratios of neighbouring runs of the same system: what differs when nothing differs.
    pub(crate) control: Option<Summary>,
    pub(crate) discarded: usize,
    /// Whether discarded pairs were judged all the same.
    pub(crate) noisy: bool,
    pub(crate) limit: Option<f64>,
    pub(crate) stretch: Option<f64>,
    pub(crate) more_is_better: bool,
    pub(crate) verdict: String,
    /// What an acknowledgement meant: ours, theirs.
    pub(crate) durability: String,
    /// Medians over our runs and theirs: load, CPU share of the client, bytes written per byte.
    pub(crate) load: f64,
    pub(crate) client_share: f64,
    pub(crate) written: f64,
    pub(crate) theirs_written: Option<f64>,
}

/// Appends rows to a file.
pub(crate) struct Rows {
    file: File,
}

impl Rows {
    pub(crate) fn create(path: &Path) -> Result<Self, PeersError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(Self { file: File::create(path)? })
    }

    pub(crate) fn add(&mut self, row: &Row) -> Result<(), PeersError> {
        writeln!(self.file, "{}", serde_json::to_string(row)?)?;
        Ok(())
    }
}

/// Reads a file of rows.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>, PeersError> {
    let text = fs::read_to_string(path)?;
    text.lines().map(|line| serde_json::from_str(line).map_err(PeersError::from)).collect()
}
