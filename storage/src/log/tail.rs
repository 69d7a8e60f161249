//! The newest bytes of a log, in the chunks the appender fills: what the journal still owes to the
//! segments, and what readers of the tail get without a copy.

use std::collections::VecDeque;
use std::ops::Range;

use runtime::{BLOCK_BYTES, Chunk, ChunkSlice, World};

use crate::limits::{round_down, round_up};
use crate::segment::index::IndexEntry;

/// A segment's part in memory. All positions are bytes from the start of the segment.
///
/// `flushed <= submitted <= append_at`; the first two are whole blocks.
pub(crate) struct Part {
    pub(crate) base: i64,
    /// Where the next batch goes.
    pub(crate) append_at: u32,
    /// Nothing more is appended.
    pub(crate) sealed: bool,
    /// Writes to the segment were started for everything below.
    pub(crate) submitted: u32,
    /// Those of them that are not synced yet.
    pub(crate) outstanding: Vec<Range<u32>>,
    /// Everything below is in the segment, synced.
    pub(crate) flushed: u32,
    /// Everything below is durable in the journal or the segment.
    pub(crate) durable: u32,
    /// Everything below was given to a group.
    placed: u32,
    /// Where the newest batch ends; padding may follow.
    data_end: u32,
    /// Which ring generation carries the bytes from a position on.
    marks: VecDeque<(u64, u32)>,
    /// Memory, in order of position; each starts on a block. Holes lie in the segment or nowhere.
    held: VecDeque<Held>,
    /// Entries that left the pending list but whose bytes are still held.
    pub(crate) index: VecDeque<IndexEntry>,
    /// Bytes reserved in the file; 0: not opened for writing yet.
    pub(crate) allocated: u64,
    /// The file is being made or grown.
    pub(crate) preparing: bool,
    /// The file's name is durable.
    pub(crate) named: bool,
    /// Chunks that start below take no bytes from here on.
    closed_at: u32,
    /// Where the bytes ended that were repeated in the journal last; 0: none were.
    repeated: u32,
}

struct Held {
    start: u32,
    chunk: Chunk,
}

impl Held {
    fn end(&self) -> u32 {
        self.start + self.chunk.len() as u32
    }
}

/// Bytes to write to a segment: a chunk, which part of it, and where to.
pub(crate) struct Piece {
    pub(crate) chunk: Chunk,
    pub(crate) range: Range<usize>,
    pub(crate) position: u32,
}

impl Part {
    /// A part for a segment whose bytes below `flushed` are in its file and whose next byte goes to
    /// `append_at`, a block boundary if nothing is in memory.
    pub(crate) fn new(base: i64, flushed: u32) -> Self {
        Self {
            base,
            append_at: flushed,
            sealed: false,
            submitted: flushed,
            outstanding: Vec::new(),
            flushed,
            durable: flushed,
            placed: flushed,
            data_end: flushed,
            marks: VecDeque::new(),
            held: VecDeque::new(),
            index: VecDeque::new(),
            allocated: 0,
            preparing: false,
            named: flushed > 0,
            closed_at: 0,
            repeated: 0,
        }
    }

    /// Bytes that are in memory and journal only.
    pub(crate) fn unflushed(&self) -> u32 {
        self.append_at - self.flushed
    }

    /// What comes next goes to a chunk of its own, but for what fills the last block: a write to the
    /// segment that starts where a chunk does needs no copy.
    pub(crate) fn close_chunk(&mut self) {
        self.closed_at = round_up(self.append_at);
    }

    /// Appends bytes; tells `made` of every new chunk (its start and capacity).
    pub(crate) fn push(
        &mut self,
        world: &World,
        mut bytes: &[u8],
        chunk_bytes: usize,
        mut made: impl FnMut(u32, usize),
    ) {
        while !bytes.is_empty() {
            let room = match self.held.back() {
                Some(held) if held.end() == self.append_at => {
                    let closed = held.start < self.closed_at;
                    let until = if closed { self.closed_at } else { u32::MAX };
                    held.chunk.room().min(until.saturating_sub(held.end()) as usize)
                }
                _ => 0,
            };
            if room == 0 {
                debug_assert!(self.append_at.is_multiple_of(BLOCK_BYTES as u32));
                let chunk = world.chunk(chunk_bytes);
                made(self.append_at, chunk.capacity());
                self.held.push_back(Held { start: self.append_at, chunk });
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let held = self.held.back().expect("a chunk with room was just found or made");
            held.chunk.push(now).expect("only as much as there is room for");
            self.append_at += now.len() as u32;
            self.data_end = self.append_at;
            bytes = later;
        }
    }

    /// Fills the last block with zeros: the next batch starts on a new one. Returns how many.
    pub(crate) fn pad(&mut self) -> u32 {
        let padding = round_up(self.append_at) - self.append_at;
        if padding > 0 {
            let held = self.held.back().expect("a block that is partly filled is in memory");
            held.chunk.pad_to_block();
            self.append_at += padding;
        }
        padding
    }

    /// Moves the next byte to `position`, beyond the present one, during recovery: padding within
    /// the block, a hole beyond it.
    pub(crate) fn skip_to(
        &mut self,
        world: &World,
        position: u32,
        mut made: impl FnMut(u32, usize),
    ) {
        if position <= round_up(self.append_at)
            && !self.append_at.is_multiple_of(BLOCK_BYTES as u32)
        {
            let zeros = vec![0; (position - self.append_at) as usize];
            self.push(world, &zeros, BLOCK_BYTES, &mut made);
            return;
        }
        self.pad();
        let start = round_down(position);
        self.append_at = start;
        if position > start {
            let zeros = vec![0; (position - start) as usize];
            self.push(world, &zeros, BLOCK_BYTES, &mut made);
        }
    }

    /// During recovery: `[from, end)`, whole blocks, is in the segment. Memory goes on at `end`.
    pub(crate) fn found(
        &mut self,
        world: &World,
        from: u32,
        end: u32,
        made: impl FnMut(u32, usize),
    ) {
        if self.append_at > from {
            self.cut(world, from, made);
        } else {
            self.pad();
        }
        if self.flushed >= from {
            self.flushed = self.flushed.max(end);
            self.submitted = self.flushed;
        }
        self.append_at = end;
        self.durable = end;
        self.placed = end;
        self.data_end = end;
    }

    /// Drops bytes at and after `position`; they never happened. A partly filled block is copied,
    /// for its chunk may be in other hands.
    pub(crate) fn cut(&mut self, world: &World, position: u32, mut made: impl FnMut(u32, usize)) {
        while let Some(held) = self.held.back() {
            if held.start >= position {
                self.held.pop_back();
                continue;
            }
            if held.end() > position {
                let bytes = held.chunk.as_bytes();
                let kept = bytes[..(position - held.start) as usize].to_vec();
                let start = held.start;
                self.held.pop_back();
                self.append_at = start;
                self.push(world, &kept, kept.len(), &mut made);
            }
            break;
        }
        self.append_at = position;
        self.marks.retain(|&(_, from)| from < position);
        self.durable = self.durable.min(position);
        self.data_end = position;
        self.placed = self.placed.min(position);
    }

    /// Notes that the bytes `from..to` are in ring generation `generation`, perhaps once more.
    pub(crate) fn mark(&mut self, generation: u64, from: u32, to: u32) {
        self.placed = self.placed.max(to);
        while self.marks.back().is_some_and(|last| last.1 >= from) {
            self.marks.pop_back();
        }
        if to > self.flushed && self.marks.back().is_none_or(|last| last.0 != generation) {
            self.marks.push_back((generation, from));
        }
    }

    /// The ring generation that carries the byte at `position`, if the journal still has it.
    pub(crate) fn generation_of(&self, position: u32) -> Option<u64> {
        let after = self.marks.partition_point(|&(_, from)| from <= position);
        self.marks.get(after.saturating_sub(1)).map(|mark| mark.0)
    }

    /// What may be repeated in the journal instead of being written to the segment, if the ring
    /// carries any of it below generation `cut`: less than a block, and not the same bytes twice,
    /// for then nothing was added in a whole lap of the ring.
    pub(crate) fn repeat(&mut self, cut: u64) -> Option<Range<u32>> {
        let old = self.oldest_generation().is_some_and(|it| it < cut);
        let settled = self.outstanding.is_empty() && self.submitted == self.flushed;
        let little = self.unflushed() < BLOCK_BYTES as u32;
        if !old || !settled || !little || self.sealed || self.repeated == self.append_at {
            return None;
        }
        self.repeated = self.append_at;
        Some(self.flushed..self.append_at)
    }

    /// The ring generation of the oldest byte that is not flushed, if any.
    pub(crate) fn oldest_generation(&self) -> Option<u64> {
        if self.flushed >= self.append_at { None } else { self.generation_of(self.flushed) }
    }

    /// A write to `range` of the segment is synced: raises `flushed` as far as nothing before it
    /// is outstanding. Returns by how much.
    pub(crate) fn landed(&mut self, range: &Range<u32>) -> u32 {
        if let Some(at) = self.outstanding.iter().position(|it| it == range) {
            self.outstanding.swap_remove(at);
        }
        let first = self.outstanding.iter().map(|it| it.start).min();
        let flushed = first.unwrap_or(self.submitted);
        let risen = flushed.saturating_sub(self.flushed);
        self.flushed += risen;
        while self.marks.len() > 1 && self.marks[1].1 <= self.flushed {
            self.marks.pop_front();
        }
        if self.flushed >= self.append_at {
            self.marks.clear();
        }
        risen
    }

    /// Starts the writing of whole blocks up to `end`: what is in memory from `submitted` on.
    pub(crate) fn submit(&mut self, end: u32) -> (Range<u32>, Vec<Piece>) {
        self.submit_from(self.submitted, end)
    }

    /// The same, from `start` at the latest.
    pub(crate) fn submit_from(&mut self, start: u32, end: u32) -> (Range<u32>, Vec<Piece>) {
        let range = self.submitted.min(start)..end;
        self.submitted = self.submitted.max(end);
        self.outstanding.push(range.clone());
        (range.clone(), self.pieces(range))
    }

    /// A write that was started failed for want of space: it is to be done again.
    pub(crate) fn withdraw(&mut self, range: &Range<u32>) {
        if let Some(at) = self.outstanding.iter().position(|it| it == range) {
            self.outstanding.swap_remove(at);
        }
        let later = self.outstanding.iter().any(|it| it.start >= range.end);
        debug_assert!(!later || self.submitted >= range.end);
        self.submitted = self.submitted.min(range.start);
    }

    /// What is in memory of a range.
    pub(crate) fn pieces(&self, range: Range<u32>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for held in self.held_from(range.start) {
            if held.start >= range.end {
                break;
            }
            let (start, end) = (held.start.max(range.start), held.end().min(range.end));
            let within = (start - held.start) as usize..(end - held.start) as usize;
            pieces.push(Piece { chunk: held.chunk.clone(), range: within, position: start });
        }
        pieces
    }

    /// The bytes of a range that is wholly in memory, chunk by chunk.
    pub(crate) fn bytes(&self, range: Range<u32>) -> impl Iterator<Item = &[u8]> {
        self.held_from(range.start).take_while(move |held| held.start < range.end).map(
            move |held| {
                let (start, end) = (held.start.max(range.start), held.end().min(range.end));
                &held.chunk.as_bytes()[(start - held.start) as usize..(end - held.start) as usize]
            },
        )
    }

    fn held_from(&self, position: u32) -> impl Iterator<Item = &Held> {
        let first = self.held.partition_point(|held| held.end() <= position);
        self.held.range(first..)
    }

    /// Where memory goes on without a hole from `position`; `None` if it is not in memory.
    pub(crate) fn held_until(&self, position: u32) -> Option<u32> {
        let mut end = None;
        for held in self.held_from(position) {
            match end {
                None if held.start <= position => end = Some(held.end()),
                Some(it) if it == held.start => end = Some(held.end()),
                _ => break,
            }
        }
        end
    }

    /// The first position at or after `position` that is in memory.
    pub(crate) fn held_after(&self, position: u32) -> Option<u32> {
        self.held_from(position).next().map(|held| held.start.max(position))
    }

    /// Copies bytes that lie in memory; `None` if not all of them do.
    pub(crate) fn copy(&self, position: u32, out: &mut [u8]) -> Option<()> {
        let end = position + out.len() as u32;
        if self.held_until(position)? < end {
            return None;
        }
        let mut at = 0;
        for piece in self.bytes(position..end) {
            out[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        Some(())
    }

    /// Shares of memory that make up a range.
    pub(crate) fn slices(&self, range: Range<u32>) -> impl Iterator<Item = ChunkSlice> {
        self.pieces(range).into_iter().map(|piece| piece.chunk.slice(piece.range))
    }

    /// Lets go of the oldest chunk if it starts at `start` and its bytes are in the segment; returns
    /// its capacity. `None`: it is still needed; `Some(0)`: it is gone already.
    pub(crate) fn evict(&mut self, start: u32) -> Option<usize> {
        let Some(first) = self.held.front().filter(|held| held.start == start) else {
            return Some(0);
        };
        let last = self.held.len() == 1;
        let owed = first.end() > self.flushed || self.placed < first.end().min(self.data_end);
        if owed || last && self.append_at > self.flushed {
            return None;
        }
        let capacity = first.chunk.capacity();
        self.held.pop_front();
        let from = self.held.front().map_or(u32::MAX, |held| held.start);
        // The entry before the first held byte is still needed to find batches after it.
        while self.index.len() > 1 && self.index[1].position <= from {
            self.index.pop_front();
        }
        if self.held.is_empty() {
            self.index.clear();
        }
        Some(capacity)
    }

    /// Capacity of all chunks, when the part goes as a whole.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.iter().map(|held| held.chunk.capacity()).sum()
    }

    pub(crate) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }
}
