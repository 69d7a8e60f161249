//! The file and the aligned buffers before it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::ring::{Ring, Write};

/// What one write carries at most.
const BUFFER_BYTES: usize = 256 * 1024;
const BUFFERS: usize = 32;
const BLOCK_BYTES: usize = 4096;
/// The file is written round and round.
const FILE_BYTES: u64 = 1 << 30;
/// Writes under way before what has gathered must wait for more. Two keep the device busy.
const GROUPS_MAX: u64 = 2;

/// Appends go into buffers, buffers to the file.
pub(crate) struct Disk {
    file: File,
    durable: bool,
    buffers: Vec<&'static mut [u8]>,
    /// Bytes in the buffer that is being filled.
    filled: usize,
    /// The number of the write that the buffer being filled will be; it is in buffer `next % BUFFERS`.
    next: u64,
    /// Every write below this number is done.
    done: u64,
    /// Which writes from `done` on are done, by number modulo `BUFFERS`.
    ahead: [bool; BUFFERS],
    at: u64,
}

impl Disk {
    /// A file all of whose blocks were written before, so that no write changes its extents.
    pub(crate) fn open(path: &Path, durable: bool) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)?;
        let mut buffers: Vec<&'static mut [u8]> = (0..BUFFERS).map(|_| aligned()).collect();
        if file.metadata()?.len() < FILE_BYTES {
            for _ in 0..FILE_BYTES / BUFFER_BYTES as u64 {
                file.write_all(buffers[0])?;
            }
            file.sync_all()?;
        }
        // Touched now, so that no page fault is left for the load.
        for buffer in &mut buffers {
            buffer.fill(0);
        }
        Ok(Self {
            file,
            durable,
            buffers,
            filled: 0,
            next: 0,
            done: 0,
            ahead: [false; BUFFERS],
            at: 0,
        })
    }

    /// Tells the kernel of the buffers.
    pub(crate) fn register(&self, ring: &Ring) -> io::Result<()> {
        ring.register(&self.buffers)
    }

    /// Whether so many bytes find room without waiting.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let free = BUFFERS as u64 - (self.next - self.done);
        bytes <= (free as usize * BUFFER_BYTES).saturating_sub(self.filled)
    }

    /// Copies a batch in; there must be room. Gives the number of the write that completes it.
    pub(crate) fn append(&mut self, ring: &mut Ring, mut batch: &[u8]) -> io::Result<u64> {
        let mut last = self.next;
        while !batch.is_empty() {
            let index = (self.next % BUFFERS as u64) as usize;
            let count = batch.len().min(BUFFER_BYTES - self.filled);
            let (now, rest) = batch.split_at(count);
            self.buffers[index][self.filled..self.filled + count].copy_from_slice(now);
            batch = rest;
            self.filled += count;
            last = self.next;
            if self.filled == BUFFER_BYTES {
                self.submit(ring)?;
            }
        }
        Ok(last)
    }

    /// Starts the write of what has gathered, if answers wait for it and the device has time.
    pub(crate) fn flush(&mut self, ring: &mut Ring) -> io::Result<()> {
        if self.durable && self.filled > 0 && self.next - self.done < GROUPS_MAX {
            self.submit(ring)?;
        }
        Ok(())
    }

    fn submit(&mut self, ring: &mut Ring) -> io::Result<()> {
        let index = (self.next % BUFFERS as u64) as usize;
        let bytes = self.filled.next_multiple_of(BLOCK_BYTES);
        if self.at + bytes as u64 > FILE_BYTES {
            self.at = 0;
        }
        ring.write(&Write {
            fd: self.file.as_raw_fd(),
            at: self.at,
            bytes: &self.buffers[index][..bytes],
            buffer: index as u16,
            durable: self.durable,
            number: self.next as u32,
        })?;
        self.at += bytes as u64;
        self.next += 1;
        self.filled = 0;
        Ok(())
    }

    /// Notes that a write ended.
    pub(crate) fn written(&mut self, number: u32, result: i32) -> io::Result<()> {
        if result <= 0 || !(result as usize).is_multiple_of(BLOCK_BYTES) {
            return Err(io::Error::from_raw_os_error(result.saturating_neg()));
        }
        self.ahead[number as usize % BUFFERS] = true;
        // The order of numbers is the order of answers, whatever order the device chooses.
        while self.done < self.next {
            let ended = &mut self.ahead[(self.done % BUFFERS as u64) as usize];
            if !std::mem::take(ended) {
                break;
            }
            self.done += 1;
        }
        Ok(())
    }

    /// Whether an answer may go out whose batch is in the write of this number.
    pub(crate) fn may_answer(&self, number: u64) -> bool {
        !self.durable || number < self.done
    }
}

/// A buffer on a block boundary, for the life of the process.
fn aligned() -> &'static mut [u8] {
    let memory = vec![0; BUFFER_BYTES + BLOCK_BYTES].leak();
    let start = memory.as_ptr().align_offset(BLOCK_BYTES);
    &mut memory[start..start + BUFFER_BYTES]
}
