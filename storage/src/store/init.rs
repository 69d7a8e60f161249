//! A journal's first day.

use std::io;
use std::path::Path;

use runtime::{OpenOptions, World};

use crate::config::StoreConfig;
use crate::error::OpenError;
use crate::journal::superblock::{Anchor, Superblock};
use crate::limits::{RING_FILE_BYTES_MAX, RING_FILE_BYTES_MIN, SUPERBLOCK_COPIES};
use crate::store::files::Paths;

/// Ring files a journal starts with: two may be full while a third is written, and one is kept for
/// the groups without which nothing could be released.
pub(crate) const SLOTS_AT_START: u32 = 4;

/// Checks what cannot work.
pub(crate) fn check(config: &StoreConfig) -> Result<(), OpenError> {
    let tuning = &config.tuning;
    let size = tuning.ring_file_bytes;
    if !size.is_power_of_two() || !(RING_FILE_BYTES_MIN..=RING_FILE_BYTES_MAX).contains(&size) {
        return Err(OpenError::Config("a ring file is a power of two from 16 KiB to 1 GiB"));
    }
    let group = 2 * tuning.group_bytes as u64 + u64::from(tuning.direct_bytes) + 4096;
    if group > size {
        return Err(OpenError::Config("a ring file must hold a group twice over"));
    }
    if tuning.groups_in_flight == 0 || tuning.chunk_bytes < runtime::BLOCK_BYTES {
        return Err(OpenError::Config("at least one group in flight, at least a block per chunk"));
    }
    Ok(())
}

/// Makes a new journal: the ring's files, and last the superblock that makes it one.
pub(crate) async fn make(
    world: &World,
    config: &StoreConfig,
    paths: &Paths,
    directory: [u8; 16],
) -> Result<Superblock, OpenError> {
    let made = make_files(world, config, paths, directory).await;
    made.map_err(|error| OpenError::Io {
        what: "make the journal in",
        path: paths.shard.clone(),
        error,
    })
}

async fn make_files(
    world: &World,
    config: &StoreConfig,
    paths: &Paths,
    directory: [u8; 16],
) -> io::Result<Superblock> {
    let disk = world.disk();
    disk.create_dir_all(&paths.shard).await?;
    disk.create_dir_all(&paths.topics).await?;
    disk.sync_dir(&paths.root).await?;
    disk.sync_dir(paths.shard.parent().unwrap_or(Path::new("."))).await?;
    let file_bytes = config.tuning.ring_file_bytes;
    for slot in 0..SLOTS_AT_START {
        let options = OpenOptions { create: true, write: true, synchronous: true };
        let file = disk.open(paths.ring(slot), options).await?;
        file.allocate(file_bytes).await?;
        file.zero(0..file_bytes).await?;
        file.sync().await?;
        file.close().await?;
    }
    disk.sync_dir(&paths.shard).await?;
    let mut journal = [0; 16];
    journal[..8].copy_from_slice(&world.random().to_le_bytes());
    journal[8..].copy_from_slice(&world.random().to_le_bytes());
    let mut superblock = Superblock {
        journal,
        sequence: 1,
        shard: u32::from(config.shard.0),
        parent_crc: 0,
        file_bytes,
        checkpoint: 0,
        replay: Anchor { position: 0, sequence: 1, prev_hash: 0 },
        durable: 0,
        incarnation: 0,
        directory,
        ring_files: SLOTS_AT_START,
        crc: 0,
    };
    let page = superblock.encode();
    disk.replace(paths.superblock(), page.repeat(SUPERBLOCK_COPIES)).await?;
    Ok(superblock)
}
