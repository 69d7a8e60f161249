//! Which directory this is (`docs/format.md` 1), and who holds it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use runtime::{DirectoryLock, World};

use crate::bytes::{Decoder, Encode, Short};
use crate::config::Identity;
use crate::error::OpenError;
use crate::journal::superblock::{BadPage, sign, verify};
use crate::limits::{CLUSTER_ID_BYTES_MAX, FORMAT_VERSION, PAGE_BYTES};
use crate::store::background::move_into;
use crate::store::files::{Paths, parse_topic};
use protocol::ids::{BrokerId, PartitionIndex, TopicPartition};

const MAGIC: [u8; 8] = *b"CORELOGM";
const VERSION: u32 = FORMAT_VERSION;

/// What a directory says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Whose it is.
    pub identity: Identity,
    /// Made at random when the directory was first used.
    pub directory: [u8; 16],
    /// How many shard journals it holds.
    pub shards: u32,
}

/// A log directory, held against other processes until dropped. Made once per process, before any
/// shard opens its store.
pub struct DataDir {
    /// What the directory says of itself.
    pub manifest: Manifest,
    /// Shards the directory had before; different from the manifest's: their journals are to be
    /// drained.
    pub shards_before: u32,
    _lock: DirectoryLock,
}

/// What [`DataDir::sweep`] moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Partition directories, to `.stray`.
    pub strays: u32,
    /// Anything else, to `.lost`.
    pub lost: u32,
}

pub(crate) fn manifest_path(dir: &Path) -> PathBuf {
    dir.join("manifest")
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |error| OpenError::Io { what, path, error }
}

/// Makes a directory and its missing parents, and their names durable.
async fn make_durable_dir(world: &World, dir: &Path) -> Result<(), OpenError> {
    let disk = world.disk();
    let mut missing = Vec::new();
    for ancestor in dir.ancestors().filter(|it| !it.as_os_str().is_empty()) {
        if disk.exists(ancestor).await.map_err(io_error("look for", ancestor))? {
            break;
        }
        missing.push(ancestor);
    }
    disk.create_dir_all(dir).await.map_err(io_error("create", dir))?;
    // The directory itself may be left from a start that was cut short.
    missing.retain(|it| *it != dir);
    for made in missing.into_iter().rev().chain([dir]) {
        let parent = made.parent().filter(|it| !it.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        disk.sync_dir(parent).await.map_err(io_error("sync", parent))?;
    }
    Ok(())
}

impl DataDir {
    /// Takes the directory for `identity`, making it if it does not exist or is empty.
    ///
    /// # Errors
    /// It is in use, somebody else's, of another release, or not readable.
    pub async fn open(
        world: &World,
        dir: &Path,
        identity: &Identity,
        shards: u32,
    ) -> Result<Self, OpenError> {
        let disk = world.disk();
        if identity.cluster.len() > CLUSTER_ID_BYTES_MAX {
            return Err(OpenError::Config("the cluster id is longer than 256 bytes"));
        }
        make_durable_dir(world, dir).await?;
        let lock_path = dir.join("lock");
        let lock = disk.lock(&lock_path).await.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked(dir.to_owned()),
            _ => OpenError::Io { what: "lock", path: lock_path, error },
        })?;
        let names = disk.list(dir).await.map_err(io_error("list", dir))?;
        let path = manifest_path(dir);
        let found = if names.iter().any(|name| name == "manifest") {
            let manifest = Manifest::read(world, dir).await?;
            manifest.check(identity)?;
            // A start that was killed may have left a name that no sync covered.
            disk.sync_dir(dir).await.map_err(io_error("sync", dir))?;
            Some(manifest)
        } else if names.iter().any(|name| name == "shards" || name == "topics") {
            return Err(OpenError::Manifest("missing beside data"));
        } else {
            None
        };
        let shards_before = found.as_ref().map_or(shards, |it| it.shards);
        let mut directory = [0; 16];
        directory[..8].copy_from_slice(&world.random().to_le_bytes());
        directory[8..].copy_from_slice(&world.random().to_le_bytes());
        let manifest = found.unwrap_or(Manifest { identity: identity.clone(), directory, shards });
        if !names.iter().any(|name| name == "manifest") {
            disk.replace(&path, manifest.encode()).await.map_err(io_error("write", &path))?;
        }
        Ok(Self { manifest, shards_before, _lock: lock })
    }

    /// Moves partition directories that no journal knows, and other strangers among them, to
    /// `.stray` and `.lost` (R14, R15). Nothing is deleted. Returns how many were moved.
    ///
    /// `known` are the partitions of all shards; call it once, after all of them have opened.
    ///
    /// # Errors
    /// The device failed.
    pub async fn sweep(
        world: &World,
        dir: &Path,
        known: &BTreeSet<TopicPartition>,
    ) -> io::Result<Swept> {
        let (disk, paths) = (world.disk(), Paths::new(dir, 0));
        let mut swept = Swept::default();
        let topics = match disk.list(&paths.topics).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(swept),
            listed => listed?,
        };
        for topic_name in topics {
            let topic_dir = paths.topics.join(&topic_name);
            let Some(topic) = parse_topic(&topic_name) else {
                move_into(&disk, &topic_dir, &paths.lost(), &topic_name).await?;
                swept.lost += 1;
                continue;
            };
            for name in disk.list(&topic_dir).await? {
                let index = name.parse().ok().and_then(PartitionIndex::new);
                let id = index.map(|index| TopicPartition { topic, index });
                if id.is_some_and(|id| known.contains(&id)) {
                    continue;
                }
                let kept = format!("{topic_name}.{name}");
                let into = if id.is_some() { paths.stray() } else { paths.lost() };
                tracing::warn!(kept, "a directory that no journal knows is set aside");
                move_into(&disk, &topic_dir.join(&name), &into, &kept).await?;
                disk.sync_dir(&topic_dir).await?;
                swept.strays += u32::from(id.is_some());
                swept.lost += u32::from(id.is_none());
            }
        }
        Ok(swept)
    }

    /// Records another number of shards, after their journals were drained.
    ///
    /// # Errors
    /// The device failed.
    pub async fn set_shards(
        &mut self,
        world: &World,
        dir: &Path,
        shards: u32,
    ) -> Result<(), OpenError> {
        let manifest = Manifest { shards, ..self.manifest.clone() };
        let path = manifest_path(dir);
        world.disk().replace(&path, manifest.encode()).await.map_err(io_error("write", &path))?;
        self.manifest = manifest;
        self.shards_before = shards;
        Ok(())
    }
}

impl Manifest {
    /// Reads a directory's manifest.
    ///
    /// # Errors
    /// It is missing, damaged, or of another release.
    pub async fn read(world: &World, dir: &Path) -> Result<Self, OpenError> {
        let path = manifest_path(dir);
        let page =
            world.disk().read_to_end(&path, PAGE_BYTES).await.map_err(|error| {
                match error.kind() {
                    io::ErrorKind::NotFound => OpenError::Manifest("missing"),
                    io::ErrorKind::InvalidData => OpenError::Manifest("damaged"),
                    _ => OpenError::Io { what: "read", path, error },
                }
            })?;
        Self::decode(&page)
    }

    fn decode(page: &[u8]) -> Result<Self, OpenError> {
        verify(page, MAGIC, VERSION).map_err(|bad| match bad {
            BadPage::Damaged => OpenError::Manifest("damaged"),
            BadPage::Version(version) => OpenError::Version(version),
        })?;
        Self::fields(&page[16..])
            .map_err(|_short| OpenError::Manifest("damaged"))?
            .ok_or(OpenError::Manifest("damaged"))
    }

    fn fields(bytes: &[u8]) -> Result<Option<Self>, Short> {
        let mut fields = Decoder(bytes);
        let directory = fields.array()?;
        let (broker, shards) = (fields.i32()?, fields.u32()?);
        let size = usize::from(fields.u16()?);
        let cluster = String::from_utf8(fields.take(size)?.to_vec()).ok();
        Ok(cluster.zip(BrokerId::new(broker)).map(|(cluster, broker)| Self {
            identity: Identity { cluster, broker },
            directory,
            shards,
        }))
    }

    fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_BYTES);
        page.put(&MAGIC);
        page.put_u32(VERSION);
        page.put_u32(0);
        page.put(&self.directory);
        page.put_i32(self.identity.broker.get());
        page.put_u32(self.shards);
        page.put_u16(self.identity.cluster.len() as u16);
        page.put(self.identity.cluster.as_bytes());
        page.resize(PAGE_BYTES, 0);
        sign(&mut page);
        page
    }

    fn check(&self, wanted: &Identity) -> Result<(), OpenError> {
        let differs = |what, found: String, expected: String| {
            Err(OpenError::WrongOwner { what, found, expected })
        };
        if self.identity.cluster != wanted.cluster {
            return differs("cluster", self.identity.cluster.clone(), wanted.cluster.clone());
        }
        if self.identity.broker != wanted.broker {
            let (found, expected) = (self.identity.broker, wanted.broker);
            return differs("broker", found.get().to_string(), expected.get().to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
