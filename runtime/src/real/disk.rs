//! Files through glommio's direct I/O.
#![expect(unsafe_code, reason = "fstat, statfs, flock and ftruncate on raw descriptors")]

use std::fs;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use glommio::io::{DmaFile, OpenOptions as DmaOpenOptions};

use super::World;
use super::memory::{Alias, DmaRead};
use crate::chunk::{BLOCK_BYTES, Chunk, Memory, ReadBlock, round_up_to_block};
use crate::{FileSystem, OpenOptions};

/// The most one read asks of the device at once; longer reads are put together.
const READ_BYTES_MAX: usize = 1 << 20;
const ZERO_BYTES: usize = 1 << 20;

#[derive(Clone)]
pub(crate) struct Disk {
    world: World,
}

pub(crate) struct File {
    file: DmaFile,
    world: World,
}

impl Disk {
    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }

    pub(crate) async fn open(&self, path: &Path, options: OpenOptions) -> io::Result<File> {
        self.prime(path).await;
        let mut open = DmaOpenOptions::new();
        open.read(true).write(options.write).create(options.create && options.write).mode(0o644);
        if options.synchronous {
            open.custom_flags(libc::O_DSYNC);
        }
        let file = open.dma_open(path).await?;
        Ok(File { file, world: self.world.clone() })
    }

    /// glommio decides from the first file it opens on a device whether to poll that device, by
    /// reading its first block; an empty or unwritten file misleads it into polling what cannot be
    /// polled (W2). So the first file is one that holds a written, synced block. Where none can be
    /// created (a read-only directory) nothing is written either, and reads of a file that has
    /// bytes probe correctly by themselves.
    async fn prime(&self, path: &Path) {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        let Ok(device) = fs::metadata(&directory).map(|found| found.dev()) else { return };
        if self.world.0.primed.borrow().contains(&device) {
            return;
        }
        let name = format!(".probe-{}-{:016x}", std::process::id(), self.world.random());
        let probe = directory.join(name);
        let written = self.blocking(probe.clone(), |probe| {
            let mut file = fs::File::create_new(probe)?;
            file.write_all(&[0xC0; BLOCK_BYTES])?;
            file.sync_all()
        });
        let Ok(()) = written.await else { return };
        let opened = DmaOpenOptions::new().read(true).dma_open(&probe).await;
        if let Ok(file) = opened {
            self.world.0.primed.borrow_mut().insert(device);
            if let Err(error) = file.close().await {
                tracing::warn!(%error, "closing the probe file failed");
            }
        }
        if let Err(error) = self.blocking(probe, |probe| fs::remove_file(probe)).await {
            tracing::warn!(%error, "removing the probe file failed");
        }
    }

    pub(crate) async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.blocking(path.to_owned(), |path| fs::create_dir_all(path)).await
    }
    pub(crate) async fn create_dirs_all(&self, paths: Vec<PathBuf>) -> io::Result<()> {
        let first = paths.first().cloned().unwrap_or_default();
        self.blocking(first, move |_| paths.iter().try_for_each(fs::create_dir_all)).await
    }
    pub(crate) async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.blocking(path.to_owned(), sync_dir).await
    }
    /// Asks for all syncs at once: the kernel merges flushes of a device that wait for it, so
    /// hundreds of files take little longer than one. On threads of their own, for the ring would
    /// hand each sync to a kernel thread, and to eight of them at most.
    pub(crate) async fn sync_all<'a>(
        &self,
        files: impl Iterator<Item = &'a File>,
        dirs: Vec<PathBuf>,
    ) -> io::Result<()> {
        // Descriptors of their own: the work may outlive the files if the caller goes away.
        let files = files.map(File::duplicate).collect::<io::Result<Vec<OwnedFd>>>()?;
        crate::World(crate::world::Kind::Real(self.world.clone()))
            .blocking(move || sync_side_by_side(&files, &dirs))
            .await?
    }

    pub(crate) async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.blocking(path.to_owned(), |path| {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                // We only ever make names that are text; another's file is none of our business.
                if let Ok(name) = entry?.file_name().into_string() {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        })
        .await
    }
    pub(crate) async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let to = to.to_owned();
        self.blocking(from.to_owned(), move |from| fs::rename(from, to)).await
    }
    pub(crate) async fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.blocking(path.to_owned(), |path| fs::remove_file(path)).await
    }
    pub(crate) async fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.blocking(path.to_owned(), |path| fs::remove_dir_all(path)).await
    }
    pub(crate) async fn exists(&self, path: &Path) -> io::Result<bool> {
        self.blocking(path.to_owned(), Path::try_exists).await
    }
    pub(crate) async fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let found = self.blocking(path.to_owned(), statfs).await?;
        Ok(found.f_bavail.saturating_mul(found.f_bsize.unsigned_abs()))
    }
    pub(crate) async fn file_system(&self, path: &Path) -> io::Result<FileSystem> {
        let found = self.blocking(path.to_owned(), statfs).await?;
        Ok(match found.f_type {
            libc::TMPFS_MAGIC => FileSystem::Tmpfs,
            libc::OVERLAYFS_SUPER_MAGIC => FileSystem::Overlay,
            other => FileSystem::Other(other.unsigned_abs()),
        })
    }
    pub(crate) async fn read_to_end(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.blocking(path.to_owned(), move |path| {
            let mut bytes = Vec::new();
            let limit = bytes_max as u64 + 1;
            fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
            if bytes.len() > bytes_max {
                let message = format!("longer than {bytes_max} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            Ok(bytes)
        })
        .await
    }
    pub(crate) async fn replace(
        &self,
        path: &Path,
        temporary: &Path,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        let temporary = temporary.to_owned();
        self.blocking(path.to_owned(), move |path| {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            fs::rename(&temporary, path)?;
            sync_dir(path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new(".")))
        })
        .await
    }
    pub(crate) async fn lock(&self, path: &Path) -> io::Result<fs::File> {
        self.blocking(path.to_owned(), |path| {
            let file = fs::File::options().create(true).truncate(false).write(true).open(path)?;
            // SAFETY: a system call on a descriptor that `file` keeps open.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(file)
        })
        .await
    }

    /// Name operations may wait for the device for long: never on the shard's own thread.
    async fn blocking<T: Send + 'static>(
        &self,
        path: PathBuf,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let shown = path.clone();
        let outcome = crate::World(crate::world::Kind::Real(self.world.clone()))
            .blocking(move || work(&path))
            .await?;
        outcome
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", shown.display())))
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Syncs under way at once.
const SYNC_WIDTH: usize = 32;

/// Syncs files and directories on several threads; the first error counts.
fn sync_side_by_side(files: &[OwnedFd], dirs: &[PathBuf]) -> io::Result<()> {
    let count = files.len() + dirs.len();
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let outcome = match (files.get(at), at.checked_sub(files.len())) {
                (Some(file), _) => fdatasync(file),
                (None, Some(dir)) if at < count => sync_dir(&dirs[dir]),
                _ => return,
            };
            if let Err(error) = outcome {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..count.min(SYNC_WIDTH) {
            let helper = std::thread::Builder::new().name("corelog-sync".into());
            // Fewer threads are slower, not wrong: this one goes on until all is done.
            if helper.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn fdatasync(file: &OwnedFd) -> io::Result<()> {
    // SAFETY: a system call on a descriptor that `file` keeps open.
    match unsafe { libc::fdatasync(file.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn statfs(path: &Path) -> io::Result<libc::statfs> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `path` ends with a zero and `found` has room for the structure.
    if unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the structure.
    Ok(unsafe { found.assume_init() })
}

impl File {
    pub(crate) async fn read_at(&self, position: u64, count: usize) -> io::Result<ReadBlock> {
        let block = BLOCK_BYTES as u64;
        let skip = (position % block) as usize;
        let whole = round_up_to_block(skip.saturating_add(count));
        if whole > READ_BYTES_MAX {
            return self.read_pieces(position, count).await;
        }
        let read = DmaRead(self.file.read_at_aligned(position - skip as u64, whole).await?);
        let got = read.len().min(skip + count).saturating_sub(skip);
        if got < count && position + (got as u64) < self.len()? {
            // Fewer bytes than asked for although the file goes on: allowed, and rare.
            return self.read_pieces(position, count).await;
        }
        Ok(ReadBlock::dma(if got == 0 { read.slice(0..0) } else { read.slice(skip..skip + got) }))
    }

    /// Reads piece by piece into one chunk.
    async fn read_pieces(&self, position: u64, count: usize) -> io::Result<ReadBlock> {
        let end = self.len()?.min(position.saturating_add(count as u64));
        let count = end.saturating_sub(position) as usize;
        let chunk = Chunk::new(&self.world.0.pool, count);
        while chunk.len() < count {
            let at = position + chunk.len() as u64;
            let skip = (at % BLOCK_BYTES as u64) as usize;
            let wanted = round_up_to_block(skip + count - chunk.len()).min(READ_BYTES_MAX);
            let read = DmaRead(self.file.read_at_aligned(at - skip as u64, wanted).await?);
            let take = read.len().min(skip + count - chunk.len());
            if take <= skip {
                break;
            }
            chunk.push(&read[skip..take]).expect("the chunk was made for `count` bytes");
        }
        let got = chunk.len();
        Ok(chunk.slice(0..got).into())
    }

    pub(crate) async fn write_chunk(
        &self,
        chunk: &Chunk,
        range: Range<usize>,
        position: u64,
    ) -> io::Result<()> {
        if range.start == 0 {
            return self.write_front(chunk, range.end, position).await;
        }
        let copy = Chunk::new(&self.world.0.pool, range.len());
        copy.push(&chunk.as_bytes()[range.clone()]).expect("the copy was made for the range");
        self.write_front(&copy, range.len(), position).await
    }

    /// Writes the first `len` bytes from the chunk's own memory.
    async fn write_front(&self, chunk: &Chunk, len: usize, position: u64) -> io::Result<()> {
        let Memory::Dma(memory) = chunk.memory() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a chunk of another world"));
        };
        let loan = Loan { alias: Some(memory.alias(len)), chunk: chunk.clone() };
        let share = loan.alias.as_ref().expect("taken in drop only").share();
        let written = self.file.write_rc_at(share, position).await?;
        drop(loan);
        if written < len {
            let message = format!("wrote {written} of {len} bytes at {position}: no space left");
            return Err(io::Error::new(io::ErrorKind::StorageFull, message));
        }
        Ok(())
    }

    pub(crate) async fn sync(&self) -> io::Result<()> {
        Ok(self.file.fdatasync().await?)
    }

    pub(crate) async fn allocate(&self, count: u64) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        Ok(self.file.pre_allocate(count, false).await?)
    }

    pub(crate) async fn zero(&self, range: Range<u64>) -> io::Result<()> {
        let block = BLOCK_BYTES as u64;
        if !range.start.is_multiple_of(block) || !range.end.is_multiple_of(block) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "zeros in whole blocks only"));
        }
        let bytes = range.end.saturating_sub(range.start).min(ZERO_BYTES as u64) as usize;
        if bytes == 0 {
            return Ok(());
        }
        let zeros = Chunk::new(&self.world.0.pool, bytes);
        let filled = zeros.push_with(bytes, |bytes| bytes.fill(0));
        filled.expect("the chunk was made for them");
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(bytes as u64) as usize;
            self.write_front(&zeros, len, at).await?;
            at += len as u64;
        }
        Ok(())
    }

    pub(crate) async fn truncate(&self, count: u64) -> io::Result<()> {
        let count = libc::off_t::try_from(count)
            .map_err(|too_large| io::Error::new(io::ErrorKind::InvalidInput, too_large))?;
        // Its own descriptor: the work may outlive this file if the caller goes away.
        let descriptor = self.duplicate()?;
        crate::World(crate::world::Kind::Real(self.world.clone()))
            .blocking(move || {
                // SAFETY: a system call on a descriptor owned by this closure.
                match unsafe { libc::ftruncate(descriptor.as_raw_fd(), count) } {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            })
            .await?
    }

    /// By descriptor: glommio asks by path, which fails after a rename.
    pub(crate) fn len(&self) -> io::Result<u64> {
        let mut found = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the descriptor is open while `self` lives, and `found` has room.
        if unsafe { libc::fstat(self.file.as_raw_fd(), found.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it filled the structure.
        Ok(unsafe { found.assume_init() }.st_size.unsigned_abs())
    }

    pub(crate) async fn close(self) -> io::Result<()> {
        Ok(self.file.close().await?)
    }

    fn duplicate(&self) -> io::Result<OwnedFd> {
        // SAFETY: the descriptor is open while `self` lives.
        unsafe { BorrowedFd::borrow_raw(self.file.as_raw_fd()) }.try_clone_to_owned()
    }
}

/// Memory lent to a write, returned when the write ends, or kept until the kernel is done with it
/// if the write's future is dropped before.
struct Loan {
    alias: Option<Alias>,
    chunk: Chunk,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(mut alias) = self.alias.take() else { return };
        if !alias.try_release() {
            self.chunk.pool().abandon(alias, self.chunk.clone());
        }
    }
}
