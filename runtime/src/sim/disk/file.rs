//! One open file on a simulated disk.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::PathBuf;

use super::blocks::{Block, ZEROS};
use super::inode::Inode;
use super::{DiskOp, Latency, SimDisk, World, device_error};
use crate::OpenOptions;
use crate::chunk::{BLOCK_BYTES, Chunk, ReadBlock};

const BLOCK: u64 = BLOCK_BYTES as u64;

pub(crate) struct File {
    disk: SimDisk,
    world: World,
    inode: u64,
    path: PathBuf,
    options: OpenOptions,
}

impl File {
    pub(super) fn new(
        disk: SimDisk,
        world: World,
        inode: u64,
        path: PathBuf,
        options: OpenOptions,
    ) -> Self {
        Self { disk, world, inode, path, options }
    }

    fn with<T>(&self, work: impl FnOnce(&Inode) -> T) -> io::Result<T> {
        self.disk.0.image.borrow().inode(self.inode).map(work)
    }
    fn with_mut<T>(&self, work: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        self.disk.0.image.borrow_mut().inode_mut(self.inode).map(work)
    }
    fn writable(&self) -> io::Result<()> {
        if self.options.write { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        self.with(Inode::len)
    }

    pub(crate) async fn read_at(&self, position: u64, count: usize) -> io::Result<ReadBlock> {
        self.disk.begin(&self.world, DiskOp::Read, &self.path).await?;
        if self.disk.strikes(&self.path, |faults| faults.read_error) {
            return Err(device_error(&self.path));
        }
        let old = self.disk.strikes(&self.path, |faults| faults.read_old);
        let flip = self.disk.strikes(&self.path, |faults| faults.read_flip);
        let mut rng = self.disk.0.rng.borrow_mut();
        let image = self.disk.0.image.borrow();
        let inode = image.inode(self.inode)?;
        let end = inode.len().min(position.saturating_add(count as u64));
        let count = end.saturating_sub(position) as usize;
        let mut chunk = Chunk::new(self.world.pool(), count);
        let mut at = position;
        while at < position + count as u64 {
            let (index, from) = (at / BLOCK, (at % BLOCK) as usize);
            let upto = BLOCK_BYTES.min(from + (end - at) as usize);
            let earlier = if old { inode.old_block(index, &mut rng) } else { None };
            let block = earlier.as_deref().unwrap_or_else(|| inode.block(index));
            chunk.push(&block[from..upto]).expect("the chunk was made for `count` bytes");
            at += (upto - from) as u64;
        }
        if flip && count > 0 {
            let (byte, bit) = (rng.below(count as u64) as usize, rng.below(8));
            chunk.unique().expect("nobody else has seen it")[byte] ^= 1 << bit;
        }
        Ok(chunk.slice(0..count).into())
    }

    pub(crate) async fn write_chunk(
        &self,
        chunk: &Chunk,
        range: Range<usize>,
        position: u64,
    ) -> io::Result<()> {
        self.write(&chunk.as_bytes()[range], position).await
    }

    /// Writes bytes at a block boundary; the last block may be partial (for small files).
    pub(super) async fn write(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.writable()?;
        let first = position / BLOCK;
        let blocks = bytes.len().div_ceil(BLOCK_BYTES);
        let room = self.disk.free_now() / BLOCK;
        let fits = self.with(|inode| {
            let fits = |&count: &usize| inode.new_blocks(first, count as u64) <= room;
            if fits(&blocks) { blocks } else { (0..blocks).rev().find(fits).unwrap_or(0) }
        })?;
        let number = {
            let mut image = self.disk.0.image.borrow_mut();
            let number = image.number();
            image.inode_mut(self.inode)?.submit(number, first, bytes);
            number
        };
        self.disk.begin(&self.world, DiskOp::Write, &self.path).await?;
        let lies = self.disk.0.faults.borrow().sync_lies;
        let synchronous = self.options.synchronous && !lies;
        if self.options.synchronous && self.disk.0.faults.borrow().sync != Latency::NONE {
            let time = self.disk.time_of(DiskOp::Sync);
            self.world.sleep(time).await;
            if self.disk.0.halted.get() {
                return std::future::pending().await;
            }
        }
        let strikes = |chance: fn(&super::DiskFaults) -> f64| self.disk.strikes(&self.path, chance);
        if strikes(|faults| faults.write_error) {
            return Err(device_error(&self.path));
        }
        if self.options.synchronous && strikes(|faults| faults.sync_error) {
            return Err(device_error(&self.path));
        }
        let mut landed = fits;
        if landed > 0 && strikes(|faults| faults.write_short) {
            landed = self.disk.0.rng.borrow_mut().below(landed as u64) as usize;
        }
        let misdirected = strikes(|faults| faults.write_misdirected);
        let keep_old = self.disk.0.faults.borrow().read_old > 0.0;
        let end = position + (landed * BLOCK_BYTES).min(bytes.len()) as u64;
        let file_blocks = self.len()?.div_ceil(BLOCK);
        let to = match file_blocks.checked_sub(blocks as u64) {
            Some(places) if misdirected && places > 0 => {
                Some(self.disk.0.rng.borrow_mut().below(places))
            }
            _ => None,
        };
        self.with_mut(|inode| {
            if let Some(to) = to {
                inode.misdirect(number, to);
            }
            inode.complete(number, landed, end, synchronous, keep_old);
        })?;
        if landed < blocks {
            let message = format!("{}: no space left on device", self.path.display());
            return Err(io::Error::new(ErrorKind::StorageFull, message));
        }
        Ok(())
    }

    pub(crate) async fn sync(&self) -> io::Result<()> {
        let covered = self.with(Inode::covered)?;
        let begun = self.disk.begin(&self.world, DiskOp::Sync, &self.path).await;
        if begun.is_err() || self.disk.strikes(&self.path, |faults| faults.sync_error) {
            self.with_mut(|inode| inode.lose(&covered))?;
            return Err(begun.err().unwrap_or_else(|| device_error(&self.path)));
        }
        if self.disk.0.faults.borrow().sync_lies {
            return Ok(());
        }
        self.with_mut(|inode| inode.make_durable(&covered))
    }

    pub(crate) async fn allocate(&self, count: u64) -> io::Result<()> {
        self.writable()?;
        self.disk.begin(&self.world, DiskOp::Allocate, &self.path).await?;
        let room = self.disk.free_now() / BLOCK;
        let wanted = self.with(|inode| inode.new_blocks(0, count.div_ceil(BLOCK)))?;
        if wanted > room {
            let message = format!("{}: no space left on device", self.path.display());
            return Err(io::Error::new(ErrorKind::StorageFull, message));
        }
        self.with_mut(|inode| inode.reserve(count))
    }

    pub(crate) async fn zero(&self, range: Range<u64>) -> io::Result<()> {
        const PIECE: u64 = 64 * BLOCK;
        static PIECE_OF_ZEROS: [Block; 64] = [ZEROS; 64];
        let mut at = range.start;
        while at < range.end {
            let count = PIECE.min(range.end - at);
            self.write(&PIECE_OF_ZEROS.as_flattened()[..count as usize], at).await?;
            at += count;
        }
        Ok(())
    }

    pub(crate) async fn truncate(&self, count: u64) -> io::Result<()> {
        self.writable()?;
        self.disk.begin(&self.world, DiskOp::Name, &self.path).await?;
        self.truncate_now(count)
    }

    pub(super) fn truncate_now(&self, count: u64) -> io::Result<()> {
        self.with_mut(|inode| inode.truncate(count))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.disk.0.image.borrow_mut().close(self.inode);
    }
}
