//! Files, past the page cache, in the real world or a simulated one.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::chunk::{BLOCK_BYTES, Chunk, ReadBlock};
use crate::{real, sim};

/// A shard's way to files. Cheap to clone.
#[derive(Clone)]
pub struct Disk(DiskKind);

#[derive(Clone)]
enum DiskKind {
    Real(real::disk::Disk),
    Sim(sim::World),
}

/// One open file: direct I/O in whole blocks for writes, any range for reads.
///
/// Close it with [`File::close`]; dropping it closes it later and hides the outcome.
pub struct File(FileKind);

enum FileKind {
    Real(real::disk::File),
    Sim(sim::disk::File),
}

/// How to open a file. All false opens an existing file for reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Create it if it does not exist (its name is durable after [`Disk::sync_dir`]).
    pub create: bool,
    /// Allow writing too.
    pub write: bool,
    /// A write returns once it is on disk (O_DSYNC).
    pub synchronous: bool,
}

/// What kind of file system holds a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// Memory: nothing survives a power cut.
    Tmpfs,
    /// A container's layered file system: syncs and direct I/O are not to be trusted.
    Overlay,
    /// Anything else, with the kernel's magic number for it.
    Other(u64),
}

/// Holds a directory against other processes until dropped.
pub struct DirectoryLock {
    _held: LockKind,
}

/// Closing the file, or dropping the simulated lock, ends it.
enum LockKind {
    Real { _file: std::fs::File },
    Sim { _lock: sim::disk::Lock },
}

impl Disk {
    pub(crate) fn real(world: real::World) -> Self {
        Self(DiskKind::Real(real::disk::Disk::new(world)))
    }
    pub(crate) fn sim(world: sim::World) -> Self {
        Self(DiskKind::Sim(world))
    }

    /// Opens a file.
    pub async fn open(&self, path: impl AsRef<Path>, options: OpenOptions) -> io::Result<File> {
        match &self.0 {
            DiskKind::Real(disk) => {
                disk.open(path.as_ref(), options).await.map(|file| File(FileKind::Real(file)))
            }
            DiskKind::Sim(world) => {
                let file = world.disk().open(world, path.as_ref(), options).await?;
                Ok(File(FileKind::Sim(file)))
            }
        }
    }

    /// Creates a directory and its missing parents. Names are durable after [`Disk::sync_dir`] of
    /// each parent.
    pub async fn create_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        match &self.0 {
            DiskKind::Real(disk) => disk.create_dir_all(path.as_ref()).await,
            DiskKind::Sim(world) => world.disk().create_dir_all(world, path.as_ref()).await,
        }
    }

    /// Makes the names in a directory durable: creations, renames and removals.
    pub async fn sync_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        match &self.0 {
            DiskKind::Real(disk) => disk.sync_dir(path.as_ref()).await,
            DiskKind::Sim(world) => world.disk().sync_dir(world, path.as_ref()).await,
        }
    }

    /// Creates directories and their parents, those that do not exist.
    pub async fn create_dirs_all(&self, paths: Vec<PathBuf>) -> io::Result<()> {
        match &self.0 {
            DiskKind::Real(disk) => disk.create_dirs_all(paths).await,
            DiskKind::Sim(world) => {
                for path in paths {
                    world.disk().create_dir_all(world, &path).await?;
                }
                Ok(())
            }
        }
    }

    /// Makes files and the names in directories durable, side by side: a device that is asked to
    /// flush many times at once does it once or twice. What [`File::sync`] says of errors holds.
    pub async fn sync_all(&self, files: &[Rc<File>], dirs: Vec<PathBuf>) -> io::Result<()> {
        match (&self.0, files) {
            (_, [file]) if dirs.is_empty() => file.sync().await,
            (DiskKind::Real(disk), _) => {
                let real = files.iter().filter_map(|file| match &file.0 {
                    FileKind::Real(file) => Some(file),
                    FileKind::Sim(_) => None,
                });
                disk.sync_all(real, dirs).await
            }
            (DiskKind::Sim(world), _) => {
                for file in files {
                    file.sync().await?;
                }
                for dir in dirs {
                    world.disk().sync_dir(world, &dir).await?;
                }
                Ok(())
            }
        }
    }

    /// The names in a directory, sorted.
    pub async fn list(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        match &self.0 {
            DiskKind::Real(disk) => disk.list(path.as_ref()).await,
            DiskKind::Sim(world) => world.disk().list(world, path.as_ref()).await,
        }
    }

    /// Renames a file or directory, replacing a file of that name.
    pub async fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        match &self.0 {
            DiskKind::Real(disk) => disk.rename(from.as_ref(), to.as_ref()).await,
            DiskKind::Sim(world) => world.disk().rename(world, from.as_ref(), to.as_ref()).await,
        }
    }

    /// Removes a file.
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        match &self.0 {
            DiskKind::Real(disk) => disk.remove_file(path.as_ref()).await,
            DiskKind::Sim(world) => world.disk().remove_file(world, path.as_ref()).await,
        }
    }

    /// Removes a directory and everything in it.
    pub async fn remove_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        match &self.0 {
            DiskKind::Real(disk) => disk.remove_dir_all(path.as_ref()).await,
            DiskKind::Sim(world) => world.disk().remove_dir_all(world, path.as_ref()).await,
        }
    }

    /// Whether a file or directory of that name exists.
    pub async fn exists(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        match &self.0 {
            DiskKind::Real(disk) => disk.exists(path.as_ref()).await,
            DiskKind::Sim(world) => world.disk().exists(world, path.as_ref()).await,
        }
    }

    /// Bytes that can still be written to the file system that holds `path`.
    pub async fn free_bytes(&self, path: impl AsRef<Path>) -> io::Result<u64> {
        match &self.0 {
            DiskKind::Real(disk) => disk.free_bytes(path.as_ref()).await,
            DiskKind::Sim(world) => world.disk().free_bytes(world, path.as_ref()).await,
        }
    }

    /// What kind of file system holds `path`.
    pub async fn file_system(&self, path: impl AsRef<Path>) -> io::Result<FileSystem> {
        match &self.0 {
            DiskKind::Real(disk) => disk.file_system(path.as_ref()).await,
            DiskKind::Sim(_) => Ok(FileSystem::Other(0)),
        }
    }

    /// The whole of a small file, through the page cache; `InvalidData` if it is longer than
    /// `bytes_max`.
    pub async fn read_to_end(
        &self,
        path: impl AsRef<Path>,
        bytes_max: usize,
    ) -> io::Result<Vec<u8>> {
        match &self.0 {
            DiskKind::Real(disk) => disk.read_to_end(path.as_ref(), bytes_max).await,
            DiskKind::Sim(world) => world.disk().read_to_end(world, path.as_ref(), bytes_max).await,
        }
    }

    /// Replaces a small file's contents, durable when it returns: the old contents or the new ones
    /// survive a crash, never a mixture. Writes `path` with `.tmp` appended, syncs, renames, syncs
    /// the directory.
    pub async fn replace(&self, path: impl AsRef<Path>, bytes: Vec<u8>) -> io::Result<()> {
        let path = path.as_ref();
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        match &self.0 {
            DiskKind::Real(disk) => disk.replace(path, &temporary, bytes).await,
            DiskKind::Sim(world) => world.disk().replace(world, path, &temporary, bytes).await,
        }
    }

    /// Takes the lock file `path` (created if missing) against every other process;
    /// `WouldBlock` if another holds it.
    pub async fn lock(&self, path: impl AsRef<Path>) -> io::Result<DirectoryLock> {
        match &self.0 {
            DiskKind::Real(disk) => {
                let file = disk.lock(path.as_ref()).await?;
                Ok(DirectoryLock { _held: LockKind::Real { _file: file } })
            }
            DiskKind::Sim(world) => {
                let lock = world.disk().lock(world, path.as_ref()).await?;
                Ok(DirectoryLock { _held: LockKind::Sim { _lock: lock } })
            }
        }
    }
}

impl File {
    /// Reads `count` bytes from `position`; fewer only at the end of the file.
    pub async fn read_at(&self, position: u64, count: usize) -> io::Result<ReadBlock> {
        match &self.0 {
            FileKind::Real(file) => file.read_at(position, count).await,
            FileKind::Sim(file) => file.read_at(position, count).await,
        }
    }

    /// Writes published bytes of a chunk to `position`. Both ends of `range` and `position` are
    /// multiples of [`BLOCK_BYTES`]. A short write is `StorageFull`, never `Ok` (W5); how much of
    /// it is on disk after an error, or if the future is dropped, is unknown.
    ///
    /// A range that starts at 0 goes to disk from the chunk's own memory; any other through a
    /// pooled copy. Many writes to one file may be in flight.
    pub async fn write_chunk(
        &self,
        chunk: &Chunk,
        range: Range<usize>,
        position: u64,
    ) -> io::Result<()> {
        let aligned = range.start.is_multiple_of(BLOCK_BYTES)
            && range.end.is_multiple_of(BLOCK_BYTES)
            && position.is_multiple_of(BLOCK_BYTES as u64);
        if !aligned || range.start > range.end || range.end > chunk.len() {
            let message = format!(
                "write of {range:?} of a chunk of {} bytes to {position}: whole published blocks \
                 only",
                chunk.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if range.is_empty() {
            return Ok(());
        }
        match &self.0 {
            FileKind::Real(file) => file.write_chunk(chunk, range, position).await,
            FileKind::Sim(file) => file.write_chunk(chunk, range, position).await,
        }
    }

    /// Returns once everything written before the call survives a power cut (fdatasync). After an
    /// error the file is not to be trusted: a second sync may succeed without the bytes.
    pub async fn sync(&self) -> io::Result<()> {
        match &self.0 {
            FileKind::Real(file) => file.sync().await,
            FileKind::Sim(file) => file.sync().await,
        }
    }

    /// Reserves space for the first `count` bytes; the file is at least that long afterwards.
    /// `StorageFull` if there is not enough.
    pub async fn allocate(&self, count: u64) -> io::Result<()> {
        match &self.0 {
            FileKind::Real(file) => file.allocate(count).await,
            FileKind::Sim(file) => file.allocate(count).await,
        }
    }

    /// Writes zeros over a range of whole blocks, so that later synchronous writes there change no
    /// file-system metadata.
    pub async fn zero(&self, range: Range<u64>) -> io::Result<()> {
        match &self.0 {
            FileKind::Real(file) => file.zero(range).await,
            FileKind::Sim(file) => file.zero(range).await,
        }
    }

    /// Sets the file's length.
    pub async fn truncate(&self, count: u64) -> io::Result<()> {
        match &self.0 {
            FileKind::Real(file) => file.truncate(count).await,
            FileKind::Sim(file) => file.truncate(count).await,
        }
    }

    /// The file's length in bytes.
    pub async fn len(&self) -> io::Result<u64> {
        match &self.0 {
            FileKind::Real(file) => file.len(),
            FileKind::Sim(file) => file.len(),
        }
    }

    /// Whether the file has no bytes.
    pub async fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// Closes the file. Does not sync it.
    pub async fn close(self) -> io::Result<()> {
        match self.0 {
            FileKind::Real(file) => file.close().await,
            FileKind::Sim(_) => Ok(()),
        }
    }
}
