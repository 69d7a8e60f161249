//! Proof that the harness sees loss where there is some, and none where there is none.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tests::device::Device;
use tests::seeded::Seeded;

use crate::say;

const BLOCK: usize = 4096;
const BLOCKS: u64 = 200;
const TRIES: u64 = 4;
const DISK_MIB: u64 = 64;

/// Writes blocks with a sync after each, and without any, cuts the power, and counts what is gone.
///
/// # Errors
/// When a synced block is lost, or no unsynced one is.
pub(crate) fn of_the_harness(dir: &Path, seeded: &mut Seeded) -> io::Result<()> {
    let synced = lost_of(dir, true, seeded)?;
    if synced > 0 {
        return Err(io::Error::other(format!("the harness lost {synced} synced blocks")));
    }
    let mut unsynced = 0;
    for _ in 0..TRIES {
        unsynced += lost_of(dir, false, seeded)?;
        if unsynced > 0 {
            say(&format!("proof: 0 of {BLOCKS} synced blocks lost, {unsynced} without sync"));
            return Ok(());
        }
    }
    Err(io::Error::other("the harness lost nothing that was not synced"))
}

fn lost_of(dir: &Path, sync: bool, seeded: &mut Seeded) -> io::Result<u64> {
    let dir = dir.join("proof");
    fs::create_dir_all(&dir)?;
    let image = dir.join("image");
    Device::format(&image, DISK_MIB)?;
    let device = Device::mount(&image, &dir)?;
    let path = device.mount.join("blocks");
    let file = File::create(&path)?;
    file.sync_all()?;
    File::open(&device.mount)?.sync_all()?;
    for number in 0..BLOCKS {
        file.write_all_at(&block(number), number * BLOCK as u64)?;
        if sync {
            file.sync_data()?;
        }
    }
    device.cut(seeded)?;
    drop(file);
    drop(device);

    let device = Device::mount(&image, &dir)?;
    let file = File::open(&path)?;
    let mut lost = 0;
    for number in 0..BLOCKS {
        let mut read = [0; BLOCK];
        let there = file.read_exact_at(&mut read, number * BLOCK as u64).is_ok();
        lost += u64::from(!there || read != block(number));
    }
    drop(file);
    drop(device);
    fs::remove_dir_all(dir)?;
    Ok(lost)
}

fn block(number: u64) -> [u8; BLOCK] {
    let mut block = [0xA5; BLOCK];
    block[..8].copy_from_slice(&number.to_le_bytes());
    block
}
