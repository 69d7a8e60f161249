//! Where recovery starts, in four copies (`docs/format.md` 2).

use protocol::crc::crc32c;

use crate::bytes::{Decoder, Encode, Short};
use crate::journal::group::JournalId;
use crate::limits::{
    FORMAT_VERSION, PAGE_BYTES, RING_FILE_BYTES_MAX, RING_FILE_BYTES_MIN, SUPERBLOCK_COPIES,
};

const MAGIC: [u8; 8] = *b"CORELOGS";
const VERSION: u32 = FORMAT_VERSION;

/// The newest checkpoint and the group that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) journal: JournalId,
    pub(crate) sequence: u64,
    pub(crate) shard: u32,
    /// The checksum of the superblock before this one.
    pub(crate) parent_crc: u32,
    /// Bytes of every ring file.
    pub(crate) file_bytes: u64,
    /// 0: none yet.
    pub(crate) checkpoint: u64,
    pub(crate) replay: Anchor,
    pub(crate) durable: u64,
    pub(crate) incarnation: u32,
    /// The directory it was made in, as the manifest names it.
    pub(crate) directory: [u8; 16],
    /// How many ring files there are, slots from 0 on; 0: nobody counted them.
    pub(crate) ring_files: u32,
    /// Its own checksum, as found or as written.
    pub(crate) crc: u32,
}

/// Where a chain of groups begins or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Where the next group starts, unless it moves to the next generation.
    pub(crate) position: u64,
    /// The sequence it has.
    pub(crate) sequence: u64,
    /// The hash of the group before it.
    pub(crate) prev_hash: u64,
}

/// Why a copy is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPage {
    Damaged,
    /// Intact, of another format version.
    Version(u32),
}

impl Superblock {
    /// The block to write; sets [`Self::crc`].
    pub(crate) fn encode(&mut self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_BYTES);
        page.put(&MAGIC);
        page.put_u32(VERSION);
        page.put_u32(0);
        page.put(&self.journal);
        page.put_u64(self.sequence);
        page.put_u32(self.shard);
        page.put_u32(self.parent_crc);
        page.put_u64(self.file_bytes);
        page.put_u64(self.checkpoint);
        page.put_u64(self.replay.position);
        page.put_u64(self.replay.sequence);
        page.put_u64(self.replay.prev_hash);
        page.put_u64(self.durable);
        page.put_u32(self.incarnation);
        page.put(&self.directory);
        page.put_u32(self.ring_files);
        page.resize(PAGE_BYTES, 0);
        self.crc = sign(&mut page);
        page
    }

    /// Reads one copy.
    pub(crate) fn decode(page: &[u8]) -> Result<Self, BadPage> {
        let crc = verify(page, MAGIC, VERSION)?;
        Self::fields(&page[16..], crc).map_err(|_short| BadPage::Damaged).and_then(|it| {
            let size = it.file_bytes;
            let fits = (RING_FILE_BYTES_MIN..=RING_FILE_BYTES_MAX).contains(&size);
            if fits && size.is_power_of_two() { Ok(it) } else { Err(BadPage::Damaged) }
        })
    }

    fn fields(bytes: &[u8], crc: u32) -> Result<Self, Short> {
        let mut fields = Decoder(bytes);
        Ok(Self {
            journal: fields.array()?,
            sequence: fields.u64()?,
            shard: fields.u32()?,
            parent_crc: fields.u32()?,
            file_bytes: fields.u64()?,
            checkpoint: fields.u64()?,
            replay: Anchor {
                position: fields.u64()?,
                sequence: fields.u64()?,
                prev_hash: fields.u64()?,
            },
            durable: fields.u64()?,
            incarnation: fields.u32()?,
            directory: fields.array()?,
            ring_files: fields.u32()?,
            crc,
        })
    }

    /// The newest believable copy of a superblock file, and how many copies are damaged.
    pub(crate) fn choose(file: &[u8]) -> Result<(Self, u32), BadPage> {
        let mut newest: Option<Self> = None;
        let mut damaged = 0;
        for copy in file.chunks(PAGE_BYTES).take(SUPERBLOCK_COPIES) {
            match Self::decode(copy) {
                Ok(found) if newest.is_none_or(|best| best.sequence < found.sequence) => {
                    newest = Some(found);
                }
                Ok(_) => {}
                Err(BadPage::Version(version)) => return Err(BadPage::Version(version)),
                Err(BadPage::Damaged) => damaged += 1,
            }
        }
        newest.map(|found| (found, damaged)).ok_or(BadPage::Damaged)
    }
}

/// Puts the checksum of a page, computed with the field zero, at byte 12.
pub(crate) fn sign(page: &mut [u8]) -> u32 {
    let crc = crc32c(page);
    page[12..16].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// Checks magic, checksum and version of a page, in the order that lets another version be told
/// from damage. Returns the checksum.
pub(crate) fn verify(page: &[u8], magic: [u8; 8], version: u32) -> Result<u32, BadPage> {
    if page.len() < PAGE_BYTES || page[..8] != magic {
        return Err(BadPage::Damaged);
    }
    let number = |at: usize| {
        let bytes = page[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes)
    };
    let mut unsigned = page[..PAGE_BYTES].to_vec();
    unsigned[12..16].fill(0);
    if crc32c(&unsigned) != number(12) {
        return Err(BadPage::Damaged);
    }
    if number(8) != version {
        return Err(BadPage::Version(number(8)));
    }
    Ok(number(12))
}

#[cfg(test)]
mod tests;
