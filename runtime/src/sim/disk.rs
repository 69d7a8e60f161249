//! A disk meaner than a real one.
//!
//! Per sector of 512 bytes it knows the durable value and the writes no sync has covered. A power
//! cut leaves each unsynced sector old, at any pending version, or garbage; space that was never
//! synced may read as zeros even where later sectors survived; lengths and names fall back unless
//! the file and its directory were synced. A failed sync drops what it would have covered, and the
//! next one succeeds. Everything the device may do wrong is in [`DiskFaults`], a value the test
//! gives. Blocks are shared between images, so a crash image costs what was unsynced, not what is
//! stored.

mod blocks;
mod file;
mod inode;
mod names;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

pub(crate) use file::File;
use inode::Inode;
use names::{Entry, NameChange, Names, key_of};

use super::{World, salt};
use crate::OpenOptions;
use crate::chunk::BLOCK_BYTES;
use crate::random::Rng;
use crate::sync::Notify;

const FREE_BYTES_UNBOUNDED: u64 = 1 << 40;

/// A simulated disk. Clones are handles to the same disk; [`SimDisk::crash`] and
/// [`SimDisk::kill`] make a new one.
#[derive(Clone)]
pub struct SimDisk(Rc<State>);

struct State {
    image: RefCell<Image>,
    faults: RefCell<DiskFaults>,
    rng: RefCell<Rng>,
    ops: Cell<u64>,
    halted: Cell<bool>,
    halting: Notify,
    fail_next: RefCell<BTreeMap<DiskOp, VecDeque<Option<ErrorKind>>>>,
    /// Lock files held; they end with the process.
    locks: RefCell<BTreeSet<PathBuf>>,
}

/// Everything the device holds. Cloning shares it all.
#[derive(Clone, Default)]
struct Image {
    visible: Rc<Names>,
    durable: Rc<Names>,
    pending: Vec<NameChange>,
    inodes: BTreeMap<u64, Rc<Inode>>,
    /// How many times a file is open; gone with the process.
    open: BTreeMap<u64, usize>,
    /// Numbers inodes and writes.
    next: u64,
}

/// What can be done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskOp {
    /// `File::read_at`, `Disk::read_to_end`.
    Read,
    /// `File::write_chunk`, `File::zero`, the write in `Disk::replace`.
    Write,
    /// `File::sync`, `Disk::sync_dir`, the syncs in `Disk::replace`.
    Sync,
    /// `File::allocate`.
    Allocate,
    /// Opening, creating, renaming, removing, listing, truncating.
    Name,
}

/// How long operations take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// At least this.
    pub least: Duration,
    /// Plus up to this, evenly.
    pub spread: Duration,
}

impl Latency {
    /// No time at all: the operation is done within the call.
    pub const NONE: Self = Self { least: Duration::ZERO, spread: Duration::ZERO };

    const fn micros(least: u64, spread: u64) -> Self {
        Self { least: Duration::from_micros(least), spread: Duration::from_micros(spread) }
    }
}

/// What the device does wrong, and how fast it is. Chances are per operation, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskFaults {
    /// Only files whose path contains this; all if empty.
    pub only: String,
    /// A read fails.
    pub read_error: f64,
    /// A read returns a block's earlier version.
    pub read_old: f64,
    /// A read returns one bit flipped; the disk still has it right.
    pub read_flip: f64,
    /// A write fails; how much of it landed is open.
    pub write_error: f64,
    /// A write stops short of its end for want of space, although there is some.
    pub write_short: f64,
    /// A write succeeds at another place in the same file.
    pub write_misdirected: f64,
    /// A sync fails; what it would have covered is lost, and the next sync succeeds.
    pub sync_error: f64,
    /// Syncs and synchronous writes return Ok and do nothing: a device that lies.
    pub sync_lies: bool,
    /// The device's size; unbounded if `None`.
    pub capacity_bytes: Option<u64>,
    /// Time of reads.
    pub read: Latency,
    /// Time of writes.
    pub write: Latency,
    /// Time of syncs, and on top of a synchronous write.
    pub sync: Latency,
    /// Time of everything else.
    pub name: Latency,
    /// An operation takes `outlier_time` longer.
    pub outlier: f64,
    /// See `outlier`.
    pub outlier_time: Duration,
    /// After so many operations in all the power is cut: nothing completes any more
    /// ([`SimDisk::halted`]).
    pub halt_after_ops: Option<u64>,
}

impl Default for DiskFaults {
    /// A healthy NVMe device.
    fn default() -> Self {
        Self {
            only: String::new(),
            read_error: 0.0,
            read_old: 0.0,
            read_flip: 0.0,
            write_error: 0.0,
            write_short: 0.0,
            write_misdirected: 0.0,
            sync_error: 0.0,
            sync_lies: false,
            capacity_bytes: None,
            read: Latency::micros(60, 60),
            write: Latency::micros(20, 60),
            sync: Latency::micros(30, 200),
            name: Latency::micros(20, 100),
            outlier: 0.0,
            outlier_time: Duration::from_secs(60),
            halt_after_ops: None,
        }
    }
}

impl DiskFaults {
    /// A healthy device that takes no time: for tests that make many images.
    pub fn instant() -> Self {
        let none = Latency::NONE;
        Self { read: none, write: none, sync: none, name: none, ..Self::default() }
    }
}

/// How a power cut treats unsynced sectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrashPlan {
    /// The chance that a sector of a torn write has the new bytes. (A quarter of the writes are
    /// lost whole, a quarter survive whole.)
    pub survive: f64,
    /// The chance that an unsynced sector is garbage.
    pub garbage: f64,
}

impl SimDisk {
    /// An empty healthy disk; `seed` decides latencies and where chances strike.
    pub fn new(seed: u64) -> Self {
        Self::with(Image::default(), DiskFaults::default(), seed)
    }

    fn with(image: Image, faults: DiskFaults, seed: u64) -> Self {
        Self(Rc::new(State {
            image: RefCell::new(image),
            faults: RefCell::new(faults),
            rng: RefCell::new(Rng::new(seed, salt::DISK)),
            ops: Cell::new(0),
            halted: Cell::new(false),
            halting: Notify::new(),
            fail_next: RefCell::default(),
            locks: RefCell::default(),
        }))
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: DiskFaults) {
        *self.0.faults.borrow_mut() = faults;
    }
    /// What goes wrong now.
    pub fn faults(&self) -> DiskFaults {
        self.0.faults.borrow().clone()
    }

    /// Lets `skip` operations of that kind pass and the one after fail with `error`. Calls add up:
    /// each counts from the end of the one before.
    pub fn fail_next(&self, op: DiskOp, skip: usize, error: ErrorKind) {
        let mut fail_next = self.0.fail_next.borrow_mut();
        let queue = fail_next.entry(op).or_default();
        queue.extend(std::iter::repeat_n(None, skip));
        queue.push_back(Some(error));
    }

    /// Operations begun so far.
    pub fn ops(&self) -> u64 {
        self.0.ops.get()
    }

    /// Cuts the power now: nothing completes any more.
    pub fn halt(&self) {
        self.0.halted.set(true);
        self.0.halting.notify_all();
    }

    /// Waits until the power is cut ([`DiskFaults::halt_after_ops`] or [`SimDisk::halt`]).
    pub async fn halted(&self) {
        while !self.0.halted.get() {
            self.0.halting.notified().await;
        }
    }

    /// The disk as a power cut now would leave it, healthy again, with the same latencies.
    pub fn crash(&self, seed: u64) -> Self {
        let mut rng = Rng::new(seed, salt::CRASH);
        let garbage = if rng.chance(0.5) { 0.0 } else { 0.1 };
        let survive = [0.2, 0.5, 0.9][rng.below(3) as usize];
        self.crash_with(&CrashPlan { survive, garbage }, seed)
    }

    /// As [`SimDisk::crash`], with chances of the caller's.
    pub fn crash_with(&self, plan: &CrashPlan, seed: u64) -> Self {
        let mut rng = Rng::new(seed, salt::CRASH);
        rng.next();
        let image = self.0.image.borrow().crashed(plan, &mut rng);
        Self::with(image, self.healthy(), seed)
    }

    /// The disk as a killed process leaves it: completed writes are visible, synced or not; those
    /// in flight by chance. Unsynced ones can still be lost by a later crash.
    pub fn kill(&self) -> Self {
        let mut rng = self.0.rng.borrow_mut();
        let image = self.0.image.borrow().killed(&mut rng);
        let seed = rng.next();
        Self::with(image, self.healthy(), seed)
    }

    /// The latencies and the size, without the faults.
    fn healthy(&self) -> DiskFaults {
        let now = self.faults();
        DiskFaults {
            capacity_bytes: now.capacity_bytes,
            read: now.read,
            write: now.write,
            sync: now.sync,
            name: now.name,
            ..DiskFaults::default()
        }
    }

    /// The paths of all files, sorted by directory and name.
    pub fn files(&self) -> Vec<PathBuf> {
        self.0.image.borrow().visible.files().map(|(path, _)| path).collect()
    }

    /// A file's visible bytes, without time or faults.
    pub fn peek(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let image = self.0.image.borrow();
        let inode = image.inode(image.file(path.as_ref()).ok()?).ok()?;
        let mut bytes = vec![0; inode.len() as usize];
        for (index, part) in (0..).zip(bytes.chunks_mut(BLOCK_BYTES)) {
            part.copy_from_slice(&inode.block(index)[..part.len()]);
        }
        Some(bytes)
    }

    /// Damages a file for good: flips one bit of the byte at `position`.
    pub fn flip(&self, path: impl AsRef<Path>, position: u64, bit: u8) -> io::Result<()> {
        let mut image = self.0.image.borrow_mut();
        let inode = image.file(path.as_ref())?;
        image.inode_mut(inode)?.flip(position, bit);
        Ok(())
    }

    /// Puts a durable file there, without time or faults; its directories too.
    pub fn plant(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let mut image = self.0.image.borrow_mut();
        let path = path.as_ref();
        image.create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        let inode = image.create(path)?;
        let number = image.number();
        let file = image.inode_mut(inode)?;
        file.truncate(0);
        file.submit(number, 0, bytes);
        file.complete(number, bytes.len().div_ceil(BLOCK_BYTES), bytes.len() as u64, false, false);
        let covered = file.covered();
        file.make_durable(&covered);
        let pending = std::mem::take(&mut image.pending);
        for change in &pending {
            Rc::make_mut(&mut image.durable).apply(change);
        }
        Ok(())
    }

    /// Begins an operation: counts it, lets its time pass, lets it fail. After the power is cut it
    /// never returns.
    async fn begin(&self, world: &World, op: DiskOp, path: &Path) -> io::Result<()> {
        let ops = self.0.ops.get() + 1;
        self.0.ops.set(ops);
        if self.0.faults.borrow().halt_after_ops.is_some_and(|halt| ops > halt) {
            self.halt();
        }
        let time = self.time_of(op);
        if !time.is_zero() && !self.0.halted.get() {
            world.sleep(time).await;
        }
        if self.0.halted.get() {
            return std::future::pending().await;
        }
        let planned = self.0.fail_next.borrow_mut().get_mut(&op).and_then(VecDeque::pop_front);
        if let Some(Some(kind)) = planned {
            return Err(io::Error::new(kind, format!("planned: {op:?} {}", path.display())));
        }
        Ok(())
    }

    fn time_of(&self, op: DiskOp) -> Duration {
        let faults = self.0.faults.borrow();
        let latency = match op {
            DiskOp::Read => faults.read,
            DiskOp::Write => faults.write,
            DiskOp::Sync => faults.sync,
            DiskOp::Allocate | DiskOp::Name => faults.name,
        };
        let mut rng = self.0.rng.borrow_mut();
        let spread = latency.spread.as_nanos() as u64;
        let mut time = latency.least;
        if spread > 0 {
            time += Duration::from_nanos(rng.below(spread + 1));
        }
        if rng.chance(faults.outlier) {
            time += faults.outlier_time;
        }
        time
    }

    /// Whether a fault of that chance strikes an operation on `path`.
    fn strikes(&self, path: &Path, chance: impl Fn(&DiskFaults) -> f64) -> bool {
        let faults = self.0.faults.borrow();
        let chance = chance(&faults);
        if chance == 0.0 {
            return false;
        }
        let concerned = faults.only.is_empty() || path.to_string_lossy().contains(&faults.only);
        concerned && self.0.rng.borrow_mut().chance(chance)
    }

    fn free_now(&self) -> u64 {
        let Some(capacity) = self.0.faults.borrow().capacity_bytes else {
            return FREE_BYTES_UNBOUNDED;
        };
        capacity.saturating_sub(self.0.image.borrow().used_bytes())
    }
}

/// What a world's [`crate::Disk`] does.
impl SimDisk {
    pub(crate) async fn open(
        &self,
        world: &World,
        path: &Path,
        options: OpenOptions,
    ) -> io::Result<File> {
        self.begin(world, DiskOp::Name, path).await?;
        let mut image = self.0.image.borrow_mut();
        let inode = match image.file(path) {
            Ok(inode) => inode,
            Err(error)
                if error.kind() == ErrorKind::NotFound && options.create && options.write =>
            {
                image.create(path)?
            }
            Err(error) => return Err(error),
        };
        *image.open.entry(inode).or_default() += 1;
        Ok(File::new(self.clone(), world.clone(), inode, path.to_owned(), options))
    }

    pub(crate) async fn create_dir_all(&self, world: &World, path: &Path) -> io::Result<()> {
        self.begin(world, DiskOp::Name, path).await?;
        self.0.image.borrow_mut().create_dir_all(path)
    }

    pub(crate) async fn sync_dir(&self, world: &World, path: &Path) -> io::Result<()> {
        self.begin(world, DiskOp::Sync, path).await?;
        let fails = self.strikes(path, |faults| faults.sync_error);
        let mut image = self.0.image.borrow_mut();
        if !image.visible.is_directory(path) {
            return Err(not_found(path));
        }
        if fails {
            return Err(device_error(path));
        }
        if !self.0.faults.borrow().sync_lies {
            image.sync_names(path);
        }
        Ok(())
    }

    pub(crate) async fn list(&self, world: &World, path: &Path) -> io::Result<Vec<String>> {
        self.begin(world, DiskOp::Name, path).await?;
        let image = self.0.image.borrow();
        if !image.visible.is_directory(path) {
            return Err(not_found(path));
        }
        Ok(image.visible.children(path).into_iter().map(|(name, _)| name).collect())
    }

    pub(crate) async fn rename(&self, world: &World, from: &Path, to: &Path) -> io::Result<()> {
        self.begin(world, DiskOp::Name, from).await?;
        self.0.image.borrow_mut().rename(from, to)
    }

    pub(crate) async fn remove_file(&self, world: &World, path: &Path) -> io::Result<()> {
        self.begin(world, DiskOp::Name, path).await?;
        let mut image = self.0.image.borrow_mut();
        image.file(path)?;
        image.remove(path);
        image.prune();
        Ok(())
    }

    pub(crate) async fn remove_dir_all(&self, world: &World, path: &Path) -> io::Result<()> {
        self.begin(world, DiskOp::Name, path).await?;
        let mut image = self.0.image.borrow_mut();
        if !image.visible.is_directory(path) {
            return Err(not_found(path));
        }
        image.remove_tree(path);
        image.prune();
        Ok(())
    }

    pub(crate) async fn exists(&self, world: &World, path: &Path) -> io::Result<bool> {
        self.begin(world, DiskOp::Name, path).await?;
        Ok(self.0.image.borrow().visible.get(path).is_some())
    }

    pub(crate) async fn free_bytes(&self, world: &World, path: &Path) -> io::Result<u64> {
        self.begin(world, DiskOp::Name, path).await?;
        Ok(self.free_now())
    }

    pub(crate) async fn read_to_end(
        &self,
        world: &World,
        path: &Path,
        bytes_max: usize,
    ) -> io::Result<Vec<u8>> {
        let file = self.open(world, path, OpenOptions::default()).await?;
        let len = file.len()?;
        if len > bytes_max as u64 {
            let message = format!("{}: longer than {bytes_max} bytes", path.display());
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        Ok(file.read_at(0, len as usize).await?.to_vec())
    }

    pub(crate) async fn replace(
        &self,
        world: &World,
        path: &Path,
        temporary: &Path,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        let write = OpenOptions { create: true, write: true, synchronous: false };
        let file = self.open(world, temporary, write).await?;
        file.truncate_now(0)?;
        file.write(&bytes, 0).await?;
        file.sync().await?;
        drop(file);
        self.rename(world, temporary, path).await?;
        self.sync_dir(world, path.parent().unwrap_or(Path::new(""))).await
    }

    pub(crate) async fn lock(&self, world: &World, path: &Path) -> io::Result<Lock> {
        self.begin(world, DiskOp::Name, path).await?;
        if !self.0.locks.borrow_mut().insert(path.to_owned()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut image = self.0.image.borrow_mut();
        if image.file(path).is_err() {
            image.create(path)?;
        }
        Ok(Lock { disk: self.clone(), path: path.to_owned() })
    }
}

/// A held lock file.
pub(crate) struct Lock {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.0.locks.borrow_mut().remove(&self.path);
    }
}

impl Image {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.visible.get(path) {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => Err(not_found(path)),
        }
    }
    fn inode(&self, inode: u64) -> io::Result<&Inode> {
        self.inodes.get(&inode).map(Rc::as_ref).ok_or_else(|| ErrorKind::NotFound.into())
    }
    fn inode_mut(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).map(Rc::make_mut).ok_or_else(|| ErrorKind::NotFound.into())
    }
    fn close(&mut self, inode: u64) {
        if let Some(count) = self.open.get_mut(&inode) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&inode);
            }
        }
    }
    fn used_bytes(&self) -> u64 {
        let used = self.inodes.values().map(|inode| inode.used_blocks());
        used.sum::<u64>() * BLOCK_BYTES as u64
    }

    fn change(&mut self, change: NameChange) {
        Rc::make_mut(&mut self.visible).apply(&change);
        self.pending.push(change);
    }

    fn create(&mut self, path: &Path) -> io::Result<u64> {
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

    fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
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

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
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

    fn remove(&mut self, path: &Path) {
        if let Some(key) = key_of(path) {
            self.change(NameChange::Remove(key));
        }
    }

    fn remove_tree(&mut self, path: &Path) {
        for (name, entry) in self.visible.children(path) {
            match entry {
                Entry::Directory => self.remove_tree(&path.join(name)),
                Entry::File(_) => self.remove(&path.join(name)),
            }
        }
        self.remove(path);
    }

    /// Makes the changes of one directory durable.
    fn sync_names(&mut self, directory: &Path) {
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

    /// Frees what no name, durable or not, and no open file refers to.
    fn prune(&mut self) {
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

    fn crashed(&self, plan: &CrashPlan, rng: &mut Rng) -> Self {
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

    fn killed(&self, rng: &mut Rng) -> Self {
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

fn not_found(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{}: not found", path.display()))
}

/// What the kernel says when the device fails (EIO).
fn device_error(path: &Path) -> io::Error {
    io::Error::other(format!("{}: input/output error", path.display()))
}
