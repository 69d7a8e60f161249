//! Everything a simulated device holds: names and inodes, as seen and as a power cut would leave them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::rc::Rc;

use super::inode::Inode;
use super::names::{Entry, NameChange, Names, key_of};
use super::{CrashPlan, not_found};
use crate::chunk::BLOCK_BYTES;
use crate::random::Rng;

/// Everything the device holds. Cloning shares it all.
#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) visible: Rc<Names>,
    durable: Rc<Names>,
    pending: Vec<NameChange>,
    inodes: BTreeMap<u64, Rc<Inode>>,
    /// How many times a file is open; gone with the process.
    pub(super) open: BTreeMap<u64, usize>,
    /// Numbers inodes and writes.
    next: u64,
}

impl Image {
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        match self.visible.get(path) {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => Err(not_found(path)),
        }
    }
    pub(super) fn inode(&self, inode: u64) -> io::Result<&Inode> {
        self.inodes.get(&inode).map(Rc::as_ref).ok_or_else(|| ErrorKind::NotFound.into())
    }
    pub(super) fn inode_mut(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).map(Rc::make_mut).ok_or_else(|| ErrorKind::NotFound.into())
    }
    pub(super) fn close(&mut self, inode: u64) {
        if let Some(count) = self.open.get_mut(&inode) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&inode);
            }
        }
    }
    pub(super) fn used_bytes(&self) -> u64 {
        let used = self.inodes.values().map(|inode| inode.used_blocks());
        used.sum::<u64>() * BLOCK_BYTES as u64
    }

    fn change(&mut self, change: NameChange) {
        Rc::make_mut(&mut self.visible).apply(&change);
        self.pending.push(change);
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        if let Ok(inode) = self.file(path) {
            return Ok(inode);
        }
        let key = key_of(path).ok_or(ErrorKind::InvalidInput)?;
        if !self.visible.is_directory(&key.0) {
            return Err(not_found(&key.0));
        }
        let inode = self.number();
        self.inodes.insert(inode, Rc::default());
        self.change(NameChange::Put(key, Entry::File(inode)));
        Ok(inode)
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        match self.visible.get(path) {
            Some(Entry::Directory) => return Ok(()),
            Some(Entry::File(_)) => return Err(ErrorKind::AlreadyExists.into()),
            None => {}
        }
        if let Some(parent) = path.parent() {
            self.create_dir_all(parent)?;
        }
        let key = key_of(path).ok_or(ErrorKind::InvalidInput)?;
        self.change(NameChange::Put(key, Entry::Directory));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let entry = self.visible.get(from).ok_or_else(|| not_found(from))?;
        let (from, to) = (key_of(from), key_of(to));
        let (from, to) = (from.ok_or(ErrorKind::InvalidInput)?, to.ok_or(ErrorKind::InvalidInput)?);
        if !self.visible.is_directory(&to.0) {
            return Err(not_found(&to.0));
        }
        self.change(NameChange::Move { from, to, entry });
        self.prune();
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) {
        if let Some(key) = key_of(path) {
            self.change(NameChange::Remove(key));
        }
    }

    pub(super) fn remove_tree(&mut self, path: &Path) {
        for (name, entry) in self.visible.children(path) {
            match entry {
                Entry::Directory => self.remove_tree(&path.join(name)),
                Entry::File(_) => self.remove(&path.join(name)),
            }
        }
        self.remove(path);
    }

    /// Makes the changes of one directory durable.
    pub(super) fn sync_names(&mut self, directory: &Path) {
        let (synced, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|c| c.touches(directory));
        self.pending = left;
        let durable = Rc::make_mut(&mut self.durable);
        for change in &synced {
            durable.apply(change);
            if let NameChange::Move { from, .. } = change {
                // It has moved on: its creation elsewhere must not bring the old name back.
                self.pending.retain(|c| !matches!(c, NameChange::Put(at, _) if at == from));
            }
        }
        self.prune();
    }

    /// Makes every change of a name durable.
    pub(super) fn sync_all_names(&mut self) {
        let durable = Rc::make_mut(&mut self.durable);
        for change in self.pending.drain(..) {
            durable.apply(&change);
        }
    }

    /// Frees what no name, durable or not, and no open file refers to.
    pub(super) fn prune(&mut self) {
        let mut named: BTreeSet<u64> = self.visible.inodes().collect();
        named.extend(self.durable.inodes());
        for change in &self.pending {
            match change {
                NameChange::Put(_, Entry::File(inode))
                | NameChange::Move { entry: Entry::File(inode), .. } => {
                    named.insert(*inode);
                }
                NameChange::Put(..) | NameChange::Move { .. } | NameChange::Remove(_) => {}
            }
        }
        self.inodes.retain(|number, _| named.contains(number) || self.open.contains_key(number));
    }

    pub(super) fn crashed(&self, plan: &CrashPlan, rng: &mut Rng) -> Self {
        let mut names = self.durable.clone();
        if !self.pending.is_empty() {
            // File systems journal names in order: some prefix survives.
            let survive = rng.below(self.pending.len() as u64 + 1) as usize;
            let changed = Rc::make_mut(&mut names);
            for change in &self.pending[..survive] {
                changed.apply(change);
            }
            changed.drop_orphans();
        }
        let inodes = names.inodes().filter_map(|number| {
            let inode = self.inodes.get(&number)?;
            let after =
                if inode.is_clean() { inode.clone() } else { Rc::new(inode.crashed(plan, rng)) };
            Some((number, after))
        });
        let inodes = inodes.collect();
        let (visible, durable) = (names.clone(), names);
        Self { visible, durable, inodes, next: self.next, ..Self::default() }
    }

    pub(super) fn killed(&self, rng: &mut Rng) -> Self {
        let mut next = Self { open: BTreeMap::new(), ..self.clone() };
        for inode in next.inodes.values_mut() {
            if !inode.is_clean() {
                *inode = Rc::new(inode.killed(rng));
            }
        }
        next.prune();
        next
    }
}
