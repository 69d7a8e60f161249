//! The names on a simulated disk, as everyone sees them and as a power cut would leave them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A directory and a name in it.
pub(super) type Key = (PathBuf, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File(u64),
}

/// Names in directories. The roots `/` and the empty path always exist.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<Key, Entry>);

/// A change of names that no directory sync has made durable yet.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Put(Key, Entry),
    Remove(Key),
    Move { from: Key, to: Key, entry: Entry },
}

impl NameChange {
    pub(super) fn touches(&self, directory: &Path) -> bool {
        match self {
            Self::Put((parent, _), _) | Self::Remove((parent, _)) => parent == directory,
            Self::Move { from, to, .. } => from.0 == directory || to.0 == directory,
        }
    }
}

pub(super) fn key_of(path: &Path) -> Option<Key> {
    let name = path.file_name()?.to_str()?.to_owned();
    Some((path.parent().unwrap_or(Path::new("")).to_owned(), name))
}

pub(super) fn is_root(path: &Path) -> bool {
    path.parent().is_none()
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Entry> {
        if is_root(path) {
            return Some(Entry::Directory);
        }
        self.0.get(&key_of(path)?).copied()
    }

    pub(super) fn is_directory(&self, path: &Path) -> bool {
        self.get(path) == Some(Entry::Directory)
    }

    pub(super) fn children(&self, directory: &Path) -> Vec<(String, Entry)> {
        let from = (directory.to_owned(), String::new());
        let inside = self.0.range(from..).take_while(|((parent, _), _)| parent == directory);
        inside.map(|((_, name), &entry)| (name.clone(), entry)).collect()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (PathBuf, u64)> + '_ {
        self.0.iter().filter_map(|((parent, name), entry)| match entry {
            Entry::Directory => None,
            Entry::File(inode) => Some((parent.join(name), *inode)),
        })
    }

    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.values().filter_map(|entry| match entry {
            Entry::Directory => None,
            Entry::File(inode) => Some(*inode),
        })
    }

    pub(super) fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Put(at, entry) => {
                self.0.insert(at.clone(), *entry);
            }
            NameChange::Remove(at) => {
                self.0.remove(at);
            }
            NameChange::Move { from, to, entry } => {
                self.0.remove(from);
                self.0.insert(to.clone(), *entry);
                if *entry == Entry::Directory {
                    self.move_inside(&from.0.join(&from.1), &to.0.join(&to.1));
                }
            }
        }
    }

    /// Gives everything below a renamed directory its new path.
    fn move_inside(&mut self, from: &Path, to: &Path) {
        let inside: Vec<Key> =
            self.0.keys().filter(|(parent, _)| parent.starts_with(from)).cloned().collect();
        for key in inside {
            let Some(entry) = self.0.remove(&key) else { continue };
            let rest = key.0.strip_prefix(from).unwrap_or(Path::new(""));
            let parent = if rest == Path::new("") { to.to_owned() } else { to.join(rest) };
            self.0.insert((parent, key.1), entry);
        }
    }

    /// Removes what has lost its directory.
    pub(super) fn drop_orphans(&mut self) {
        loop {
            let orphans: Vec<Key> =
                self.0.keys().filter(|(parent, _)| !self.is_directory(parent)).cloned().collect();
            if orphans.is_empty() {
                return;
            }
            for key in orphans {
                self.0.remove(&key);
            }
        }
    }
}
