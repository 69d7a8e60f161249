//! The sparse index: where regions of a segment start, how large their timestamps are, and their
//! checksums (`docs/format.md` 5.2).

use crate::bytes::{Decoder, Encode, Short};
use crate::limits::{INDEX_PAGE_ENTRIES, PAGE_BYTES};
use protocol::crc::crc32c;

const MAGIC: [u8; 4] = *b"CLIX";
const VERSION: u16 = 1;
const FRONT_BYTES: usize = 64;
/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 24;

/// The start of a region: whole batches up to the next entry's `position - gap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// The first batch's base offset less the segment's.
    pub(crate) relative: u32,
    /// Where that batch starts.
    pub(crate) position: u32,
    /// The largest timestamp in the region; -1: none.
    pub(crate) max_timestamp: i64,
    /// CRC-32C of the region.
    pub(crate) crc: u32,
    /// Bytes between the previous region's end and `position`.
    pub(crate) gap: u32,
}

impl IndexEntry {
    pub(crate) fn encode(&self, out: &mut impl Encode) {
        out.put_u32(self.relative);
        out.put_u32(self.position);
        out.put_i64(self.max_timestamp);
        out.put_u32(self.crc);
        out.put_u32(self.gap);
    }

    pub(crate) fn decode(fields: &mut Decoder<'_>) -> Result<Self, Short> {
        Ok(Self {
            relative: fields.u32()?,
            position: fields.u32()?,
            max_timestamp: fields.i64()?,
            crc: fields.u32()?,
            gap: fields.u32()?,
        })
    }
}

/// Which segment an index belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) topic: [u8; 16],
    pub(crate) partition: i32,
    pub(crate) base: i64,
}

/// One page: some regions and where the last of them ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexPage {
    pub(crate) identity: Identity,
    /// Its place in the file.
    pub(crate) number: u32,
    pub(crate) entries: Vec<IndexEntry>,
    pub(crate) end_position: u32,
    pub(crate) end_offset: i64,
    /// In the segment up to the end of this page.
    pub(crate) max_timestamp: i64,
}

/// Why a page is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadIndex {
    /// Missing, torn or flipped (R7).
    Damaged,
    /// Intact, and of another partition or segment (R16).
    Foreign,
    /// Intact, and claims what the log does not have (R8).
    Wrong,
}

impl IndexPage {
    /// The block to write.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_BYTES);
        page.put(&MAGIC);
        page.put_u16(VERSION);
        page.put_u16(self.entries.len() as u16);
        page.put_u32(0);
        page.put_u32(self.number);
        page.put(&self.identity.topic);
        page.put_i32(self.identity.partition);
        page.put_u32(self.end_position);
        page.put_i64(self.identity.base);
        page.put_i64(self.end_offset);
        page.put_i64(self.max_timestamp);
        page.resize(FRONT_BYTES, 0);
        for entry in &self.entries {
            entry.encode(&mut page);
        }
        page.resize(PAGE_BYTES, 0);
        let crc = crc32c(&page);
        page[8..12].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads a page that should be number `number` of segment `identity`.
    pub(crate) fn decode(page: &[u8], identity: &Identity, number: u32) -> Result<Self, BadIndex> {
        let page = page.get(..PAGE_BYTES).ok_or(BadIndex::Damaged)?;
        let mut unsigned = page.to_vec();
        unsigned[8..12].fill(0);
        let found = Self::fields(page).map_err(|_short| BadIndex::Damaged)?;
        let (found, crc) = found.ok_or(BadIndex::Damaged)?;
        if crc != crc32c(&unsigned) {
            return Err(BadIndex::Damaged);
        }
        if found.identity != *identity {
            return Err(BadIndex::Foreign);
        }
        let ordered = found.entries.is_sorted_by(|a, b| {
            a.position < b.position && a.relative < b.relative && b.position - a.position >= b.gap
        });
        let last = found.entries.last().map_or(0, |entry| entry.position);
        if found.number != number || !ordered || last >= found.end_position {
            return Err(BadIndex::Wrong);
        }
        Ok(found)
    }

    fn fields(page: &[u8]) -> Result<Option<(Self, u32)>, Short> {
        let mut fields = Decoder(page);
        if fields.array()? != MAGIC || fields.u16()? != VERSION {
            return Ok(None);
        }
        let count = fields.u16()? as usize;
        let crc = fields.u32()?;
        let number = fields.u32()?;
        let (topic, partition) = (fields.array()?, fields.i32()?);
        let end_position = fields.u32()?;
        let (base, end_offset) = (fields.i64()?, fields.i64()?);
        let max_timestamp = fields.i64()?;
        if count == 0 || count > INDEX_PAGE_ENTRIES {
            return Ok(None);
        }
        let mut fields = Decoder(&page[FRONT_BYTES..]);
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(IndexEntry::decode(&mut fields)?);
        }
        let identity = Identity { topic, partition, base };
        let page = Self { identity, number, entries, end_position, end_offset, max_timestamp };
        Ok(Some((page, crc)))
    }
}

#[cfg(test)]
mod tests;
