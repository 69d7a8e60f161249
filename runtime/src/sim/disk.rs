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
mod faults;
mod file;
mod image;
mod inode;
mod names;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

pub use faults::{CrashPlan, DiskFaults, DiskOp, Latency};
pub(crate) use file::File;
use image::Image;

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

    /// Takes a file away for good.
    pub fn lose(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut image = self.0.image.borrow_mut();
        image.file(path.as_ref())?;
        image.remove(path.as_ref());
        image.sync_all_names();
        Ok(())
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
        image.sync_all_names();
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

fn not_found(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{}: not found", path.display()))
}

/// What the kernel says when the device fails (EIO).
fn device_error(path: &Path) -> io::Error {
    io::Error::other(format!("{}: input/output error", path.display()))
}
