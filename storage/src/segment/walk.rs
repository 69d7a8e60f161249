//! Walking the batches in a segment's bytes, stepping over padding (`docs/format.md` 5.1).

use protocol::batch::{BatchHeader, HEADER_BYTES, LENGTH_COVERS_FROM, MAGIC};

use crate::limits::{BLOCK_BYTES, round_up};

/// A batch's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    /// Bytes from the start of the segment.
    pub(crate) position: u32,
    pub(crate) header: &'a BatchHeader,
    /// The whole batch.
    pub(crate) bytes: &'a [u8],
}

impl Placed<'_> {
    pub(crate) fn next_offset(&self) -> i64 {
        next_offset(self.header)
    }
}

/// The offset after a batch's last record.
pub(crate) fn next_offset(header: &BatchHeader) -> i64 {
    header.base_offset().saturating_add(i64::from(header.last_offset_delta())).saturating_add(1)
}

/// A batch's size in bytes, if its length field can be true.
pub(crate) fn batch_bytes(header: &BatchHeader) -> Option<usize> {
    let size = usize::try_from(header.length()).ok()?.checked_add(LENGTH_COVERS_FROM)?;
    (size >= HEADER_BYTES && header.length() < i32::MAX - LENGTH_COVERS_FROM as i32).then_some(size)
}

/// The header at the front of `bytes`, if a batch that may follow `next` starts there.
pub(crate) fn header_at(bytes: &[u8], position: u32, next: i64) -> Option<(&BatchHeader, usize)> {
    let header = BatchHeader::peek(bytes)?;
    let base = header.base_offset();
    let plausible = header.magic() == MAGIC
        && header.last_offset_delta() >= 0
        && base >= next
        && (base > 0 || position == 0);
    let size = batch_bytes(header)?;
    plausible.then_some((header, size))
}

/// The batches in `bytes`, which start at `position` of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    position: u32,
    next: i64,
}

impl<'a> Walk<'a> {
    /// `next` is the offset expected first; smaller ones are not batches but padding.
    pub(crate) const fn new(bytes: &'a [u8], position: u32, next: i64) -> Self {
        Self { bytes, at: 0, position, next }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Placed<'a>;

    fn next(&mut self) -> Option<Placed<'a>> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let position = self.position + self.at as u32;
            if let Some((header, size)) = header_at(rest, position, self.next) {
                let bytes = rest.get(..size)?;
                self.at += size;
                self.next = next_offset(header);
                return Some(Placed { position, header, bytes });
            }
            if rest.is_empty() {
                return None;
            }
            let to = if position.is_multiple_of(BLOCK_BYTES) {
                position.checked_add(BLOCK_BYTES)?
            } else {
                round_up(position)
            };
            self.at += (to - position) as usize;
        }
    }
}

#[cfg(test)]
mod tests;
