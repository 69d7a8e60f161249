//! A segment's bytes: what is in its file, and what is still only in the journal.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much of a file is read at once.
const READ_BYTES: usize = 4 << 20;

/// Bytes of a segment that are in the journal, by where they belong.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    pieces: BTreeMap<u32, Vec<u8>>,
}

impl Overlay {
    /// Puts bytes at `position`; they replace everything at and behind it.
    pub(super) fn put(&mut self, position: u32, bytes: &[u8]) {
        self.cut(position);
        self.pieces.insert(position, bytes.to_vec());
    }

    /// Forgets everything at and behind `position`.
    pub(super) fn cut(&mut self, position: u32) {
        self.pieces.split_off(&position);
        if let Some(mut last) = self.pieces.last_entry() {
            let keep = (position - last.key()) as usize;
            last.get_mut().truncate(keep);
        }
    }

    /// Forgets what lies wholly below `position`: the file has it.
    pub(super) fn drop_below(&mut self, position: u32) {
        self.pieces.retain(|&start, piece| start as usize + piece.len() > position as usize);
    }

    /// Copies what it holds of `[position, position + out.len())`; whether that was everything.
    fn copy(&self, position: u64, out: &mut [u8]) -> bool {
        let end = position + out.len() as u64;
        let mut at = position;
        for (&start, piece) in &self.pieces {
            let (start, piece_end) = (u64::from(start), u64::from(start) + piece.len() as u64);
            if piece_end <= at || start > at {
                continue;
            }
            let count = piece_end.min(end) - at;
            let (from, to) = ((at - start) as usize, (at - position) as usize);
            out[to..to + count as usize].copy_from_slice(&piece[from..from + count as usize]);
            at += count;
            if at == end {
                return true;
            }
        }
        at == end
    }
}

/// Reads a segment from its file below `flushed` and from the journal above.
#[derive(Debug)]
pub(super) struct SegmentBytes<'a> {
    pub(super) file: Option<&'a File>,
    pub(super) flushed: u64,
    pub(super) overlay: &'a Overlay,
    cached_at: u64,
    cache: Vec<u8>,
}

impl<'a> SegmentBytes<'a> {
    pub(super) fn new(file: Option<&'a File>, flushed: u64, overlay: &'a Overlay) -> Self {
        Self { file, flushed, overlay, cached_at: 0, cache: Vec::new() }
    }

    /// The bytes `[position, position + count)`; `None` if they are nowhere.
    pub(super) fn get(&mut self, position: u64, count: usize) -> io::Result<Option<&[u8]>> {
        let end = position + count as u64;
        if position < self.cached_at || end > self.cached_at + self.cache.len() as u64 {
            self.cached_at = position;
            self.cache.clear();
            let in_file = self.flushed.saturating_sub(position);
            let ahead = (count.max(READ_BYTES) as u64).min(in_file);
            // Read ahead only in the file; from the journal just what is wanted.
            let from_file = ahead as usize;
            self.cache.resize(from_file.max(count), 0);
            if from_file > 0 {
                let Some(file) = self.file else { return Ok(None) };
                match file.read_exact_at(&mut self.cache[..from_file], position) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        self.cache.clear();
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
            if from_file < count
                && !self.overlay.copy(position + ahead, &mut self.cache[from_file..count])
            {
                self.cache.clear();
                return Ok(None);
            }
        }
        let from = (position - self.cached_at) as usize;
        Ok(Some(&self.cache[from..from + count]))
    }
}
