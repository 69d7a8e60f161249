//! The writer: takes what has gathered whenever few enough groups are in flight, and writes it as
//! one group; large shares go straight to their segments beside it.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use protocol::batch::{BatchHeader, HEADER_BYTES};
use protocol::crc::crc32c_append;
use runtime::sync::{OneReceiver, oneshot};
use runtime::{Chunk, File, TaskClass};

use crate::bytes::Encode;
use crate::journal::entry::{Carriage, EXTENT_FIXED, Run, put_bytes_front, put_header};
use crate::journal::group::{GroupHeader, TableRow, group_blocks};
use crate::limits::{BLOCK_BYTES, GROUP_HEADER_BYTES, round_down};
use crate::log::Log;
use crate::log::tail::Piece;
use crate::mutation;
use crate::segment::walk::batch_bytes;
use crate::store::Inner;
use crate::store::durable::{Flying, FlyingRun};
use crate::store::gather::{Gather, Item, PendingRun};
use crate::store::ring::Spot;
use crate::store::stats::add;

/// A write of whole blocks to a segment, beside the group that names it.
struct Direct {
    log: Log,
    base: i64,
    range: Range<u32>,
    pieces: Vec<Piece>,
}

/// A group, built but for its place.
struct Built {
    chunk: Chunk,
    payload_bytes: usize,
    previous_count: u32,
    entry_count: u32,
    rows: Vec<TableRow>,
    runs: Vec<FlyingRun>,
    marks: Vec<(Log, i64, u32, u32)>,
    directs: Vec<Direct>,
    /// The end of the direct writes, once they were started.
    landing: Option<OneReceiver<io::Result<()>>>,
}

impl Built {
    /// Sends the direct writes off: at once, for the flusher may wait for them before it can give
    /// the group its place in the ring.
    fn start_directs(&mut self, inner: &Rc<Inner>) {
        if self.directs.is_empty() {
            return;
        }
        let (sender, receiver) = oneshot();
        let directs = std::mem::take(&mut self.directs);
        let (inner, world) = (inner.clone(), inner.world.clone());
        world.spawn(TaskClass::Serve, async move {
            let writes = directs.into_iter().map(|direct| write_direct(&inner, direct));
            // Nobody listens if the store ended.
            drop(sender.send(all(writes).await));
        });
        self.landing = Some(receiver);
    }
}

/// Runs until the store stops.
pub(crate) async fn run(inner: Rc<Inner>) {
    loop {
        let woken = inner.wake_writer.notified();
        if inner.ends() {
            return;
        }
        let busy = inner.flight.borrow().len() >= inner.config.tuning.groups_in_flight;
        if busy || inner.gathers.borrow().front().is_none() {
            woken.await;
            continue;
        }
        prepare_large(&inner).await;
        let Some(gather) = inner.gathers.borrow_mut().take() else { continue };
        let sequence = gather.sequence;
        let mut built = build(&inner, gather);
        built.start_directs(&inner);
        let blocks = group_blocks(built.payload_bytes);
        let Some((spot, file)) = place(&inner, blocks, sequence).await else { return };
        submit(&inner, built, spot, file, sequence);
    }
}

/// A gather too large for a ring file must go the direct way: waits until its segments are ready.
async fn prepare_large(inner: &Rc<Inner>) {
    loop {
        let large: Vec<_> = {
            let gathers = inner.gathers.borrow();
            let Some(gather) = gathers.front() else { return };
            if (gather.bytes as u64) <= inner.ring.borrow().file_bytes / 2 {
                return;
            }
            let runs = gather.items.iter().filter_map(|item| match item {
                Item::Run(pending) => Some(pending),
                Item::Entry(_) | Item::Repeated(..) => None,
            });
            runs.filter(|it| it.bytes() >= inner.config.tuning.direct_bytes && !it.is_ready())
                .map(|it| (it.log.clone(), it.run.segment, it.to))
                .collect()
        };
        if large.is_empty() {
            return;
        }
        for (log, segment, to) in large {
            if let Err(error) = inner.prepare_segment(&log, segment, to).await {
                if error.kind() != io::ErrorKind::StorageFull {
                    inner.fence("prepare a segment", error);
                } else {
                    inner.world.sleep(Duration::from_millis(50)).await;
                }
            }
        }
        if inner.ends() {
            return;
        }
    }
}

impl PendingRun {
    /// Whether the segment's file is there and has room for the run.
    fn is_ready(&self) -> bool {
        self.log.with_part(self.run.segment, |part| part.allocated >= u64::from(self.to))
            == Some(true)
    }
}

/// Makes the group: its entries into one chunk, and the direct writes beside it.
fn build(inner: &Rc<Inner>, gather: Gather) -> Built {
    let rows_before = std::mem::take(&mut inner.ring.borrow_mut().rows);
    let mut front = Vec::with_capacity(rows_before.len() * 24);
    for row in &rows_before {
        row.encode(&mut front);
    }
    let mut built = Built {
        chunk: inner.world.chunk(GROUP_HEADER_BYTES + front.len() + gather.bytes + 512),
        payload_bytes: 0,
        previous_count: rows_before.len() as u32,
        entry_count: 0,
        rows: Vec::new(),
        runs: Vec::new(),
        marks: Vec::new(),
        directs: Vec::new(),
        landing: None,
    };
    built.chunk.push_with(GROUP_HEADER_BYTES, |bytes| bytes.fill(0)).expect("a fresh chunk");
    push(&built.chunk, &front);
    for item in gather.items {
        match item {
            Item::Entry(bytes) => {
                push(&built.chunk, &bytes);
                built.entry_count += 1;
            }
            Item::Run(pending) => add_run(inner, &mut built, pending),
            Item::Repeated(PendingRun { log, run, from, to }, bytes) => {
                push(&built.chunk, &bytes);
                built.entry_count += 1;
                built.rows.push(TableRow { log: run.log, first: run.first, next: run.next });
                built.marks.push((log, run.segment, from, to));
            }
        }
    }
    built.payload_bytes = built.chunk.len() - GROUP_HEADER_BYTES;
    built.chunk.pad_to_block();
    built
}

fn push(chunk: &Chunk, bytes: &[u8]) {
    chunk.push(bytes).expect("the gather counted its bytes");
}

fn add_run(inner: &Rc<Inner>, built: &mut Built, pending: PendingRun) {
    let PendingRun { log, run, from, to } = pending;
    let direct_bytes = inner.config.tuning.direct_bytes;
    let mut fragment = (from, false);
    if to - from >= direct_bytes {
        match start_direct(&log, &run, from, to) {
            Some((direct, entry)) => {
                push(&built.chunk, &entry);
                built.entry_count += 1;
                fragment = (direct.range.end, true);
                built.directs.push(direct);
            }
            None => inner.prepare_soon(&log, run.segment, to),
        }
    }
    let (start, continues) = fragment;
    if start < to || !continues {
        let mut front = Vec::with_capacity(64);
        let kind = if continues { Carriage::Continues } else { Carriage::Whole };
        put_bytes_front(&mut front, &run, start, kind, (to - start) as usize);
        push(&built.chunk, &front);
        log.with_part(run.segment, |part| {
            for bytes in part.bytes(start..to) {
                push(&built.chunk, bytes);
            }
        });
        built.entry_count += 1;
    }
    built.rows.push(TableRow { log: run.log, first: run.first, next: run.next });
    built.marks.push((log.clone(), run.segment, start, to));
    built.runs.push(FlyingRun { log, segment: run.segment, to, next: run.next });
}

/// Starts the direct way for a run whose segment has room, and encodes its extent entry.
fn start_direct(log: &Log, run: &Run, from: u32, to: u32) -> Option<(Direct, Vec<u8>)> {
    log.with_part(run.segment, |part| {
        let end = round_down(to);
        if part.allocated < u64::from(to) {
            return None;
        }
        let mut headers = Vec::new();
        let mut at = from;
        while at < to {
            let mut header = [0; HEADER_BYTES];
            part.copy(at, &mut header)?;
            headers.extend_from_slice(&header);
            at += batch_bytes(BatchHeader::peek(&header)?)? as u32;
        }
        // What is older and not written yet goes with it; what the flusher wrote already, unsynced
        // perhaps, is written once more.
        let (range, pieces) = part.submit_from(round_down(from), end);
        let crc = part.bytes(range.clone()).fold(0, crc32c_append);
        let mut entry = Vec::with_capacity(EXTENT_FIXED + 8 + headers.len());
        put_header(&mut entry, 2, 0, EXTENT_FIXED + headers.len());
        for field in [run.log, range.start, from, end, crc] {
            entry.put_u32(field);
        }
        entry.put_count(headers.len() / HEADER_BYTES);
        entry.put_i64(run.segment);
        entry.put_i64(run.first);
        entry.put_i64(run.next);
        entry.put(&headers);
        Some((Direct { log: log.clone(), base: run.segment, range, pieces }, entry))
    })?
}

/// Waits for a place in the ring; `None` if the store ends.
async fn place(inner: &Rc<Inner>, blocks: u32, sequence: u64) -> Option<(Spot, Rc<File>)> {
    let mut stalled = false;
    loop {
        let released = inner.released.notified();
        if inner.ends() {
            return None;
        }
        let reserve = sequence < inner.reserved_below.get();
        let spot = inner.ring.borrow_mut().place(blocks, reserve);
        if let Some(spot) = spot {
            let (file, release, grow) = {
                let ring = inner.ring.borrow();
                let grow = ring.wants_growth(inner.busy_logs());
                (ring.files[spot.slot as usize].clone(), ring.wants_release(), grow)
            };
            if release {
                inner.wake_flusher.notify_one();
            }
            if grow {
                inner.grow_soon();
            }
            return Some((spot, file.expect("only slots with files are free")));
        }
        if !stalled {
            stalled = true;
            add(&inner.counters.ring_stalls, 1);
        }
        inner.wake_flusher.notify_one();
        if reserve {
            // The checkpoint that would free a file waits for this very group.
            if let Err(error) = inner.grow().await {
                tracing::warn!(%error, "the journal cannot grow");
                inner.world.sleep(Duration::from_millis(50)).await;
            }
            continue;
        }
        released.await;
    }
}

/// Seals the group at its place and sends it off.
fn submit(inner: &Rc<Inner>, mut built: Built, spot: Spot, file: Rc<File>, sequence: u64) {
    let mut header = {
        let ring = inner.ring.borrow();
        debug_assert_eq!(ring.next.sequence, sequence);
        GroupHeader {
            position: spot.position,
            sequence,
            incarnation: inner.incarnation.get(),
            slot: spot.slot,
            payload_bytes: built.payload_bytes as u32,
            prev_hash: ring.next.prev_hash,
            durable_upto: inner.durable_position.get(),
            previous_count: built.previous_count,
            entry_count: built.entry_count,
            wall_ms: inner.world.wall_ms(),
            hash: 0,
        }
    };
    let group = built.chunk.unique().expect("nobody else has seen the group yet");
    let hash = header.seal(&inner.superblock.borrow().journal, group);
    inner.ring.borrow_mut().advance(header.end(), hash, built.rows);
    for (log, segment, from, to) in &built.marks {
        inner.mark(log, *segment, spot.generation, *from, *to);
    }
    inner.last_group_said_something.set(built.entry_count > 0);
    inner.flight.borrow_mut().push_back(Flying {
        sequence,
        end: header.end(),
        done: false,
        runs: built.runs,
    });
    let group_bytes = built.chunk.len() as u64;
    assert!(group_bytes <= inner.ring.borrow().file_bytes, "a group fits a ring file");
    add(&inner.counters.groups, 1);
    add(&inner.counters.journal_bytes, group_bytes);
    let at = spot.position % inner.ring.borrow().file_bytes;
    if mutation::on(1) {
        inner.group_done(sequence);
    }
    let inner = inner.clone();
    let world = inner.world.clone();
    world.spawn(TaskClass::Serve, async move {
        let start = inner.world.now();
        let written = write(&file, &built.chunk, at, built.landing).await;
        add(&inner.counters.group_nanos, inner.world.now().since(start).as_nanos() as u64);
        match written {
            Ok(()) => inner.group_done(sequence),
            Err(error) => inner.fence("write the journal", error),
        }
    });
}

/// Writes a group and waits for everything it names; all of it is synced when this returns.
async fn write(
    file: &File,
    chunk: &Chunk,
    at: u64,
    landing: Option<OneReceiver<io::Result<()>>>,
) -> io::Result<()> {
    let group = file.write_chunk(chunk, 0..chunk.len(), at).await;
    let directs = match landing {
        Some(landing) => landing.await.unwrap_or(Err(io::ErrorKind::Interrupted.into())),
        None => Ok(()),
    };
    unless_short(group)?;
    directs
}

/// Seeded bug 16 takes a short write for a whole one.
pub(crate) fn unless_short(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if mutation::on(16) && error.kind() == io::ErrorKind::StorageFull => Ok(()),
        outcome => outcome,
    }
}

async fn write_direct(inner: &Rc<Inner>, direct: Direct) -> io::Result<()> {
    let file = inner.segment_file(&direct.log, direct.base).await?;
    inner.write_pieces(&file, &direct.pieces).await?;
    add(&inner.counters.direct_bytes, u64::from(direct.range.end - direct.range.start));
    inner.sync(&file).await?;
    inner.piece_landed(&direct.log, direct.base, &direct.range);
    Ok(())
}

/// Runs futures side by side; all of them end, the first error is kept.
pub(crate) async fn all<F>(futures: impl IntoIterator<Item = F>) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outcome = Ok(());
    std::future::poll_fn(|context| {
        running.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                if outcome.is_ok() {
                    outcome = result;
                }
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outcome
}

const _: () = assert!(GROUP_HEADER_BYTES < BLOCK_BYTES as usize);
