//! `corelog log verify`: checks a data directory against `docs/format.md`, and against nothing else.
//!
//! It shares no code with the broker's storage, so that one misreading of the format cannot hide in both. It reads
//! everything, changes nothing, and follows the journal as a recovery would: superblock, checkpoint, chain of groups,
//! and then every segment and index that the result names.
//!
//! A *finding* is a contradiction to the format. What a crash leaves behind by design (a torn tail, a missing clean
//! shutdown) is a *note*.

mod bytes;
mod checkpoint;
pub(crate) mod dump;
mod entry;
mod index;
mod manifest;
mod overlay;
mod replay;
mod ring;
mod segment;
mod shard;
mod superblock;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::progress::Progress;

/// A contradiction to the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where, inside the directory.
    pub(crate) file: PathBuf,
    /// At which byte of the file, if that can be said.
    pub(crate) position: Option<u64>,
    /// Which records it concerns: first offset and the one after the last.
    pub(crate) offsets: Option<(i64, i64)>,
    /// What is wrong.
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(position) = self.position {
            write!(f, " at {position}")?;
        }
        if let Some((first, next)) = self.offsets {
            write!(f, " offsets {first}..{next}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What was read, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) shards: u64,
    pub(crate) groups: u64,
    pub(crate) partitions: u64,
    pub(crate) segments: u64,
    pub(crate) index_pages: u64,
    pub(crate) batches: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// The outcome of a check.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    /// What is worth knowing and no contradiction.
    pub(crate) notes: Vec<String>,
    pub(crate) counts: Counts,
}

impl Report {
    fn find(&mut self, file: &Path, position: impl Into<Option<u64>>, what: impl Into<String>) {
        let (file, position, what) = (file.to_owned(), position.into(), what.into());
        self.findings.push(Finding { file, position, offsets: None, what });
    }

    fn find_offsets(
        &mut self,
        (file, position): (&Path, u64),
        offsets: (i64, i64),
        what: impl Into<String>,
    ) {
        let (file, position, what) = (file.to_owned(), Some(position), what.into());
        self.findings.push(Finding { file, position, offsets: Some(offsets), what });
    }

    fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }
}

/// Why a directory could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotCheck {
    /// A file or directory could not be read.
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    /// A process uses it.
    #[error("{}: a broker is using it; stop it first", .0.display())]
    InUse(PathBuf),
    /// It is no data directory, or one of a newer release.
    #[error("{}: {what}", path.display())]
    Foreign { path: PathBuf, what: String },
}

/// A data directory that is looked at; paths in reports are inside it.
#[derive(Debug)]
struct Directory {
    root: PathBuf,
}

impl Directory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, CannotCheck> {
        std::fs::read(self.root.join(path)).map_err(|error| self.unreadable(path, error))
    }

    /// The file, or nothing if there is none.
    fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, CannotCheck> {
        match std::fs::read(self.root.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unreadable(path, error)),
        }
    }

    fn open_if_there(&self, path: &Path) -> Result<Option<File>, CannotCheck> {
        match File::open(self.root.join(path)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unreadable(path, error)),
        }
    }

    fn unreadable(&self, path: &Path, error: io::Error) -> CannotCheck {
        CannotCheck::Read { path: self.root.join(path), error }
    }
}

/// Checks everything under `dir`.
///
/// # Errors
/// [`CannotCheck`] if the directory is no data directory, is in use, or cannot be read.
pub(crate) fn check(dir: &Path) -> Result<Report, CannotCheck> {
    let directory = Directory { root: dir.to_owned() };
    let mut report = Report::default();
    let manifest = manifest::read(&directory, &mut report)?;
    let _lock = lock(&directory)?;
    let mut explained = tree::Explained::default();
    explained.file("manifest");
    explained.file("lock");
    let mut partitions = Vec::new();
    for shard in 0..manifest.shards {
        let state = shard::read(&directory, (shard, manifest.uuid), &mut explained, &mut report)?;
        partitions.extend(state);
    }
    report.counts.shards = u64::from(manifest.shards);
    shard::find_doubles(&partitions, &mut report);
    let total_bytes = partitions.iter().map(segment::file_bytes).sum();
    let progress = Progress::bytes("verifying", total_bytes);
    for partition in &mut partitions {
        segment::check(&directory, partition, (&mut explained, &progress), &mut report)?;
    }
    progress.clear();
    report.counts.partitions = partitions.len() as u64;
    tree::find_unexplained(&directory, &explained, &mut report)?;
    Ok(report)
}

/// Holds the directory's lock for as long as it is looked at, so that no broker starts meanwhile.
fn lock(directory: &Directory) -> Result<Option<File>, CannotCheck> {
    let Some(file) = directory.open_if_there(Path::new("lock"))? else { return Ok(None) };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(CannotCheck::InUse(directory.root.clone())),
        Err(TryLockError::Error(error)) => Err(directory.unreadable(Path::new("lock"), error)),
    }
}
