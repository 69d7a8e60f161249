//! Which files there may be, and which nobody explains.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{CannotCheck, Directory, Report};

/// Files and directories that something in the directory accounts for.
#[derive(Debug, Default)]
pub(super) struct Explained {
    paths: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
}

impl Explained {
    pub(super) fn file(&mut self, name: &str) {
        self.paths.insert(PathBuf::from(name));
    }

    pub(super) fn path(&mut self, path: &Path) {
        self.paths.insert(path.to_owned());
    }

    pub(super) fn knows(&self, path: &Path) -> bool {
        self.paths.contains(path)
    }

    /// Everything below it.
    pub(super) fn directory(&mut self, path: &Path) {
        self.directories.insert(path.to_owned());
    }
}

/// The names in a directory; none if it is not there.
pub(super) fn entries_of(directory: &Directory, path: &Path) -> Result<Vec<String>, CannotCheck> {
    let unreadable = |error| directory.unreadable(path, error);
    let entries = match std::fs::read_dir(directory.root.join(path)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Reports every file that nothing explains. What was moved to `.lost` and `.stray` is counted.
pub(super) fn find_unexplained(
    directory: &Directory,
    explained: &Explained,
    report: &mut Report,
) -> Result<(), CannotCheck> {
    for set_aside in [".lost", ".stray"] {
        let count = entries_of(directory, Path::new(set_aside))?.len();
        if count > 0 {
            report.note(format!("{count} entries were set aside in {set_aside}"));
        }
    }
    let mut open = vec![PathBuf::new()];
    while let Some(path) = open.pop() {
        for name in entries_of(directory, &path)? {
            let inside = path.join(&name);
            let is_set_aside = path.as_os_str().is_empty() && (name == ".lost" || name == ".stray");
            if is_set_aside || explained.directories.contains(&inside) {
                continue;
            }
            if directory.root.join(&inside).is_dir() {
                open.push(inside);
            } else if !explained.paths.contains(&inside) {
                report.find(&inside, None, "nothing explains this file");
            }
        }
    }
    Ok(())
}
