//! A journal group's header and the table of the group before it (`docs/format.md` 3.2).

use crate::bytes::{Decoder, Encode, Short};
use crate::checksum::seed;
use crate::limits::{BLOCK_BYTES, GROUP_HEADER_BYTES, TABLE_ROW_BYTES};
use protocol::crc::crc32c_append;

pub(crate) const MAGIC: [u8; 4] = *b"CLG1";
const VERSION: u16 = 1;

/// What identifies a journal: every checksum is seeded with it.
pub(crate) type JournalId = [u8; 16];

/// A group's header as written; sizes in bytes unless they say blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) position: u64,
    pub(crate) sequence: u64,
    pub(crate) incarnation: u32,
    pub(crate) slot: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) prev_hash: u64,
    pub(crate) durable_upto: u64,
    pub(crate) previous_count: u32,
    pub(crate) entry_count: u32,
    pub(crate) wall_ms: i64,
    /// `header crc << 32 | payload crc`: what the next group's `prev_hash` must be.
    pub(crate) hash: u64,
}

/// Why a block does not start a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoGroup {
    /// All zeros where the header would be.
    Zero,
    /// Something else lies here: batch bytes, an abandoned payload.
    Other,
    /// It says it is a group of this journal and its checksums do not hold.
    Damaged,
    /// A group of this journal, in a version we do not know.
    Newer,
}

impl GroupHeader {
    /// Where the next group starts unless it moves to the next generation.
    pub(crate) fn end(&self) -> u64 {
        self.position + u64::from(self.blocks()) * u64::from(BLOCK_BYTES)
    }

    pub(crate) fn blocks(&self) -> u32 {
        group_blocks(self.payload_bytes as usize)
    }

    /// Writes the header over the first 128 bytes of `group`, whose payload is in place and whose
    /// end is padded. Returns the group's hash.
    pub(crate) fn seal(&mut self, journal: &JournalId, group: &mut [u8]) -> u64 {
        let payload_end = GROUP_HEADER_BYTES + self.payload_bytes as usize;
        let seeded = seed(journal, self.position);
        let payload_crc = crc32c_append(seeded, &group[GROUP_HEADER_BYTES..payload_end]);
        let mut header = Vec::with_capacity(GROUP_HEADER_BYTES);
        header.put(&MAGIC);
        header.put_u16(VERSION);
        header.put_u16(GROUP_HEADER_BYTES as u16);
        header.put_u32(0);
        header.put_u32(payload_crc);
        header.put(journal);
        header.put_u64(self.position);
        header.put_u64(self.sequence);
        header.put_u32(self.incarnation);
        header.put_u32(self.slot);
        header.put_u32(self.payload_bytes);
        header.put_u32(self.blocks());
        header.put_u64(self.prev_hash);
        header.put_u64(self.durable_upto);
        header.put_u32(self.previous_count);
        header.put_u32(self.entry_count);
        header.put_i64(self.wall_ms);
        header.resize(GROUP_HEADER_BYTES, 0);
        let header_crc = crc32c_append(seeded, &header);
        header[8..12].copy_from_slice(&header_crc.to_le_bytes());
        group[..GROUP_HEADER_BYTES].copy_from_slice(&header);
        self.hash = hash_of(header_crc, payload_crc);
        self.hash
    }

    /// Reads the group that starts at the front of `bytes`, which reach to the end of its file.
    pub(crate) fn parse(journal: &JournalId, bytes: &[u8]) -> Result<Self, NoGroup> {
        let Some(header) = bytes.get(..GROUP_HEADER_BYTES) else {
            return Err(NoGroup::Other);
        };
        if header[..4] != MAGIC || header[16..32] != *journal {
            let zero = header.iter().all(|&byte| byte == 0);
            return Err(if zero { NoGroup::Zero } else { NoGroup::Other });
        }
        if crate::mutation::on(12) && header[8..12] == [0; 4] {
            // A checksum field of zero taken for the end of the log.
            return Err(NoGroup::Zero);
        }
        Self::parse_own(journal, header, bytes).map_err(|()| NoGroup::Damaged).and_then(|it| it)
    }

    fn parse_own(
        journal: &JournalId,
        header: &[u8],
        bytes: &[u8],
    ) -> Result<Result<Self, NoGroup>, ()> {
        let mut fields = Decoder(&header[4..]);
        let short = |_: Short| ();
        let version = fields.u16().map_err(short)?;
        let header_bytes = fields.u16().map_err(short)?;
        let header_crc = fields.u32().map_err(short)?;
        let payload_crc = fields.u32().map_err(short)?;
        fields.take(16).map_err(short)?;
        let position = fields.u64().map_err(short)?;
        let seeded = seed(journal, position);
        let mut unsigned = [0u8; GROUP_HEADER_BYTES];
        unsigned.copy_from_slice(header);
        unsigned[8..12].fill(0);
        if crc32c_append(seeded, &unsigned) != header_crc {
            return Err(());
        }
        if version != VERSION {
            return Ok(Err(NoGroup::Newer));
        }
        let group = Self {
            position,
            sequence: fields.u64().map_err(short)?,
            incarnation: fields.u32().map_err(short)?,
            slot: fields.u32().map_err(short)?,
            payload_bytes: fields.u32().map_err(short)?,
            prev_hash: {
                fields.u32().map_err(short)?;
                fields.u64().map_err(short)?
            },
            durable_upto: fields.u64().map_err(short)?,
            previous_count: fields.u32().map_err(short)?,
            entry_count: fields.u32().map_err(short)?,
            wall_ms: fields.i64().map_err(short)?,
            hash: hash_of(header_crc, payload_crc),
        };
        let payload_end = GROUP_HEADER_BYTES.checked_add(group.payload_bytes as usize).ok_or(())?;
        let payload = bytes.get(GROUP_HEADER_BYTES..payload_end).ok_or(())?;
        if header_bytes as usize != GROUP_HEADER_BYTES
            || crc32c_append(seeded, payload) != payload_crc
            || group.previous_count as usize > payload.len() / TABLE_ROW_BYTES
        {
            return Err(());
        }
        Ok(Ok(group))
    }
}

/// Blocks of a group with that much payload.
pub(crate) fn group_blocks(payload_bytes: usize) -> u32 {
    let blocks = (GROUP_HEADER_BYTES + payload_bytes).div_ceil(BLOCK_BYTES as usize);
    u32::try_from(blocks).expect("a group is far smaller than its ring file")
}

const fn hash_of(header_crc: u32, payload_crc: u32) -> u64 {
    (header_crc as u64) << 32 | payload_crc as u64
}

/// Which offsets of which log a group carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableRow {
    pub(crate) log: u32,
    pub(crate) first: i64,
    pub(crate) next: i64,
}

impl TableRow {
    pub(crate) fn encode(&self, out: &mut impl Encode) {
        out.put_u32(self.log);
        out.put_u32(0);
        out.put_i64(self.first);
        out.put_i64(self.next);
    }

    pub(crate) fn decode(fields: &mut Decoder<'_>) -> Result<Self, Short> {
        let log = fields.u32()?;
        fields.u32()?;
        Ok(Self { log, first: fields.i64()?, next: fields.i64()? })
    }
}

#[cfg(test)]
mod tests;
