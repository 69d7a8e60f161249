//! One round of the flusher: what many logs owe to their segments is written side by side, and then
//! made durable with one round of syncs, for a device takes as long to flush once as a hundred times.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use runtime::{Chunk, File};

use crate::limits::{
    INDEX_PAGE_ENTRIES, INDEX_PAGE_ENTRIES_WANTED, INDEX_PAGE_SPAN_WANTED, PAGE_BYTES, round_down,
};
use crate::log::Log;
use crate::log::tail::Piece;
use crate::segment::index::{Identity, IndexPage};
use crate::store::Inner;
use crate::store::prepare::Opened;
use crate::store::stats::add;
use crate::store::writer::{all, unless_short};

/// Logs written side by side.
const WRITE_WIDTH: usize = 32;
/// Bytes of one segment in one round: the others shall not wait long for their turn.
pub(crate) const ROUND_BYTES: u32 = 16 << 20;
/// Smaller pieces are put together in one before they are written.
const PIECE_BYTES_SMALL: usize = 64 << 10;
/// Memory into which small pieces are put together.
const GATHER_BYTES: usize = 512 << 10;

/// Which bytes of a log must go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth {
    /// Whole blocks.
    Blocks,
    /// And the last block, padded, if the ring carries its first byte below this generation.
    Below(u64),
    /// And the last block.
    Everything,
}

/// What was written of a segment, and is not synced yet.
struct Written {
    log: Log,
    base: i64,
    /// Everything below is to be flushed when the round is over.
    target: u32,
    range: Option<Range<u32>>,
    /// Number and entries of each index page.
    pages: Vec<(u32, usize)>,
    opened: Option<Opened>,
}

/// What a round has done so far.
#[derive(Default)]
struct Round {
    written: Vec<Written>,
    files: Vec<Rc<File>>,
    /// Directories with new names.
    dirs: BTreeSet<PathBuf>,
    failure: Option<io::Error>,
}

impl Inner {
    /// Writes what logs have in memory to their segments, as deep as asked, and syncs it.
    ///
    /// # Errors
    /// The first one; what could be written and synced nevertheless counts.
    pub(crate) async fn flush_logs(self: &Rc<Self>, logs: &[Log], depth: Depth) -> io::Result<()> {
        let mut held = Vec::with_capacity(logs.len());
        let mut shares = Vec::new();
        for log in logs {
            held.push(log.hold_files(self).await?);
            shares.extend(log.unflushed_parts().into_iter().rev().map(|base| (log, base)));
        }
        self.make_dirs(logs).await?;
        let shares = RefCell::new(shares);
        let round = RefCell::new(Round::default());
        let writers = (0..WRITE_WIDTH.min(shares.borrow().len())).map(|_| async {
            loop {
                let share = shares.borrow_mut().pop();
                let Some((log, base)) = share else { return Ok(()) };
                if let Err(error) = self.write_share(log, base, depth, &round).await {
                    round.borrow_mut().failure.get_or_insert(error);
                }
            }
        });
        all(writers).await?;
        let round = round.into_inner();
        let synced = self.sync_all(&round.files, round.dirs.into_iter().collect()).await;
        for written in &round.written {
            self.share_landed(written, synced.is_ok());
        }
        synced?;
        for written in &round.written {
            self.await_older(written).await?;
        }
        for log in logs {
            self.update_dirty(log);
            log.drop_finished_parts(self);
        }
        round.failure.map_or(Ok(()), Err)
    }

    /// Makes the directories of logs that have none, all with one call.
    async fn make_dirs(&self, logs: &[Log]) -> io::Result<()> {
        let fresh: Vec<&Log> =
            logs.iter().filter(|log| !log.is_going() && log.wants_dir()).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let dirs = fresh.iter().map(|log| self.paths.partition(log.partition())).collect();
        self.disk.create_dirs_all(dirs).await?;
        for log in fresh {
            log.dir_is_made();
        }
        Ok(())
    }

    /// Writes what a segment is owed; it is synced with the others of the round.
    async fn write_share(
        self: &Rc<Self>,
        log: &Log,
        base: i64,
        depth: Depth,
        round: &RefCell<Round>,
    ) -> io::Result<()> {
        if log.is_going() {
            return Ok(());
        }
        let target = log.with_part(base, |part| {
            let last_block = round_down(part.append_at);
            let old = match depth {
                Depth::Blocks => false,
                Depth::Below(cut) => part.generation_of(last_block).is_some_and(|it| it < cut),
                Depth::Everything => true,
            };
            if part.sealed {
                return part.append_at;
            }
            if old && last_block < part.append_at && last_block >= part.flushed {
                let padding = part.pad();
                self.unflushed.set(self.unflushed.get() + u64::from(padding));
                return part.append_at;
            }
            match depth {
                Depth::Blocks => last_block.min(part.submitted.saturating_add(ROUND_BYTES)),
                Depth::Below(_) | Depth::Everything => last_block,
            }
        });
        let Some(target) = target else { return Ok(()) };
        let mut written = Written {
            log: log.clone(),
            base,
            target,
            range: None,
            pages: Vec::new(),
            opened: None,
        };
        let owes = log.with_part(base, |part| part.submitted < target) == Some(true);
        let outcome = match owes {
            true => self.write_bytes(&mut written, round).await,
            false => Ok(()),
        };
        let outcome = match outcome {
            Ok(()) => self.write_pages(&mut written, round).await,
            failed => failed,
        };
        match outcome {
            Ok(()) => round.borrow_mut().written.push(written),
            Err(_) => self.share_landed(&written, false),
        }
        outcome
    }

    async fn write_bytes(
        self: &Rc<Self>,
        written: &mut Written,
        round: &RefCell<Round>,
    ) -> io::Result<()> {
        let Written { log, base, target, .. } = &*written;
        let (log, base, target) = (log.clone(), *base, *target);
        let opened = self.reserve_segment(&log, base, target).await?;
        let file = match &opened {
            Some(opened) => opened.file.clone(),
            None => self.segment_file(&log, base).await?,
        };
        if let Some(opened) = &opened {
            round.borrow_mut().dirs.extend(opened.names.iter().cloned());
        }
        written.opened = opened;
        let submitted =
            log.with_part(base, |part| (part.submitted < target).then(|| part.submit(target)));
        let Some(Some((range, pieces))) = submitted else { return Ok(()) };
        written.range = Some(range);
        round.borrow_mut().files.push(file.clone());
        self.write_pieces(&file, &pieces).await
    }

    /// Writes index pages for regions whose bytes are, or will be after this round, in the segment.
    async fn write_pages(&self, written: &mut Written, round: &RefCell<Round>) -> io::Result<()> {
        let Written { log, base, target, .. } = &*written;
        let mut pages = Vec::new();
        let (mut first, mut skip) = (0, 0);
        while let Some((page, count)) = next_page(log, *base, *target, pages.len(), skip) {
            if pages.is_empty() {
                first = page.number;
            }
            skip += count;
            pages.push((page, count));
        }
        if pages.is_empty() {
            return Ok(());
        }
        let bytes = pages.len() * PAGE_BYTES;
        let chunk = self.world.chunk(bytes);
        for (page, _) in &pages {
            chunk
                .push(&page.encode())
                .map_err(|_full| io::Error::other("pages fit their chunk"))?;
        }
        let (file, made) = self.index_file(log, *base, first == 0).await?;
        if made {
            round.borrow_mut().dirs.insert(self.paths.partition(log.partition()));
        }
        let position = u64::from(first) * PAGE_BYTES as u64;
        unless_short(file.write_chunk(&chunk, 0..bytes, position).await)?;
        add(&self.counters.index_bytes, bytes as u64);
        round.borrow_mut().files.push(file);
        written.pages = pages.iter().map(|(page, count)| (page.number, *count)).collect();
        Ok(())
    }

    /// The round is over for a segment. What is not durable is still to be written: a full disk may
    /// heal, everything else fences.
    fn share_landed(&self, written: &Written, durable: bool) {
        let Written { log, base, range, opened, .. } = written;
        if let Some(opened) = opened {
            self.reserved(log, *base, durable.then_some(opened));
        }
        match range {
            Some(range) if durable => self.piece_landed(log, *base, range),
            Some(range) => {
                log.with_part(*base, |part| part.withdraw(range));
            }
            None => {}
        }
    }

    /// Waits for direct writes of older bytes, which may still be on their way; then the pages that
    /// cover them count as well.
    async fn await_older(&self, written: &Written) -> io::Result<()> {
        let Written { log, base, target, pages, .. } = written;
        loop {
            let landed = self.landed.notified();
            let flushed = log.with_part(*base, |part| part.flushed >= *target);
            if flushed != Some(false) || log.is_going() {
                break;
            }
            if self.ends() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            landed.await;
        }
        for (number, count) in pages {
            log.page_written(*base, *number, *count);
        }
        Ok(())
    }

    /// Writes pieces of memory to a segment, side by side; many small ones as few large ones.
    pub(crate) async fn write_pieces(&self, file: &File, pieces: &[Piece]) -> io::Result<()> {
        let bytes: usize = pieces.iter().map(|piece| piece.range.len()).sum();
        add(&self.counters.segment_bytes, bytes as u64);
        if pieces.len() > 1 && bytes / pieces.len() < PIECE_BYTES_SMALL {
            return self.write_gathered(file, pieces).await;
        }
        let writes = pieces.iter().map(|piece| async move {
            let position = u64::from(piece.position);
            unless_short(file.write_chunk(&piece.chunk, piece.range.clone(), position).await)
        });
        all(writes).await
    }

    async fn write_gathered(&self, file: &File, pieces: &[Piece]) -> io::Result<()> {
        let mut writes: Vec<(Chunk, u64)> = Vec::new();
        let mut left: usize = pieces.iter().map(|piece| piece.range.len()).sum();
        for piece in pieces {
            let bytes = &piece.chunk.as_bytes()[piece.range.clone()];
            let goes_on = writes.last().filter(|(chunk, start)| {
                chunk.room() >= bytes.len() && start + chunk.len() as u64 == piece.position.into()
            });
            if goes_on.is_none() {
                let room = left.min(GATHER_BYTES).max(bytes.len());
                writes.push((self.world.chunk(room), piece.position.into()));
            }
            let last = writes.last().map(|(chunk, _)| chunk.push(bytes));
            last.and_then(Result::ok).ok_or_else(|| io::Error::other("a piece fits its chunk"))?;
            left -= bytes.len();
        }
        let writes = writes.iter().map(|(chunk, position)| async move {
            unless_short(file.write_chunk(chunk, 0..chunk.len(), *position).await)
        });
        all(writes).await
    }
}

/// The page after `pages_before` others, which take the first `skip` of the pending regions: those
/// whose bytes end at or below `target`. `None` if they are not worth a page yet.
fn next_page(
    log: &Log,
    base: i64,
    target: u32,
    pages_before: usize,
    skip: usize,
) -> Option<(IndexPage, usize)> {
    let sealed = log.with_part(base, |part| part.sealed)?;
    log.with_state(|state| {
        let partition = state.partition;
        let segment = state.segment(base)?;
        let pending = segment.pending.get(skip..)?;
        // The last region of the active segment may still grow.
        let closed = pending.len() - usize::from(!sealed && !pending.is_empty());
        let ready = (0..closed).take_while(|at| segment.pending_end(skip + at) <= target).count();
        let count = ready.min(INDEX_PAGE_ENTRIES);
        let end_position = segment.pending_end(skip + count.checked_sub(1)?);
        let span = end_position - pending.first()?.position;
        let wanted = count >= INDEX_PAGE_ENTRIES_WANTED || span >= INDEX_PAGE_SPAN_WANTED;
        if !wanted && !sealed {
            return None;
        }
        let end_offset =
            pending.get(count).map_or(segment.end, |next| segment.base + i64::from(next.relative));
        let identity =
            Identity { topic: partition.topic.get(), partition: partition.index.get(), base };
        let entries = pending[..count].to_vec();
        let number = segment.pages + pages_before as u32;
        let largest = segment.pending[..skip + count].iter().map(|it| it.max_timestamp).max();
        let max_timestamp = segment.paged_timestamp.max(largest.unwrap_or(-1));
        let page = IndexPage { identity, number, entries, end_position, end_offset, max_timestamp };
        Some((page, count))
    })
}
