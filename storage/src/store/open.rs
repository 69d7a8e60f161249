//! Opening a store: what the disk holds, what of it counts, and where writing goes on.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::rc::Rc;

use runtime::sync::{Notify, Semaphore};
use runtime::{File, OpenOptions, ReadBlock, TaskClass, World};

use crate::checkpoint::{self, Checkpoint};
use crate::config::StoreConfig;
use crate::error::OpenError;
use crate::journal::chain::{Cause, Chain, Ending, Start, decide};
use crate::journal::entry::Entry;
use crate::journal::group::JournalId;
use crate::journal::scan::RingScan;
use crate::journal::superblock::{Anchor, BadPage, Superblock};
use crate::limits::{BLOCK_BYTES, PAGE_BYTES, READ_ERRORS_MAX, RING_SLOTS_MAX, SUPERBLOCK_COPIES};
use crate::log::disk::ReadCache;
use crate::manifest::{Manifest, manifest_path};
use crate::store::files::{OpenFiles, Paths};
use crate::store::gather::Gathers;
use crate::store::replay::Replay;
use crate::store::report::{RecoveryReport, Rule};
use crate::store::ring::{Generation, Ring};
use crate::store::stats::Counters;
use crate::store::{Inner, Store, flush, init, writer};

/// Largest checkpoint that is read.
const CHECKPOINT_BYTES_MAX: usize = 1 << 30;

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |error| OpenError::Io { what, path, error }
}

/// See [`Store::open`].
pub(crate) async fn open(
    world: World,
    config: StoreConfig,
) -> Result<(Store, RecoveryReport), OpenError> {
    init::check(&config)?;
    let started = world.now();
    let mut report = RecoveryReport::default();
    let manifest = touch_manifest(&world, &config.dir).await?;
    let paths = Paths::new(&config.dir, u32::from(config.shard.0));
    let (superblock, checkpoint) =
        load_start(&world, &config, &paths, &manifest, &mut report).await?;
    let files = open_ring(&world, &paths, &superblock).await?;
    let scan = scan_ring(&files, &superblock, &mut report).await?;
    let start = Start {
        anchor: superblock.replay,
        durable: superblock.durable,
        file_bytes: superblock.file_bytes,
        incarnation: superblock.incarnation,
    };
    let chain = decide(&start, &scan, &BTreeSet::new());
    let end_at = (chain.end.position % superblock.file_bytes) as u32;
    let end_slot = chain.groups.last().map(|found| found.slot);
    let blind = scan
        .unreadable_blocks
        .iter()
        .any(|&(slot, at)| at == end_at && end_slot.is_none_or(|end_slot| end_slot == slot));
    if blind {
        // Something durable may lie there: an end that cannot be seen is not an end.
        return Err(OpenError::Journal("the device fails to read where the journal goes on"));
    }
    let inner = make_inner(world.clone(), config, paths, superblock, files);
    let mut replay = Replay::new(inner.clone(), chain);
    replay.take_checkpoint(checkpoint);
    let (chain, found) = replay.run(&mut report).await?;
    note_ending(&chain, &scan, &mut report);
    let damaged = !chain.gaps.is_empty() || found.damaged;
    place_ring(&inner, &chain, &scan, damaged);
    for &slot in &found.unsynced {
        let file = inner.ring.borrow().files.get(slot as usize).cloned().flatten();
        if let Some(file) = file {
            file.sync().await.map_err(io_error("sync", &inner.paths.ring(slot)))?;
        }
    }
    count_ring(&inner).await.map_err(io_error("write", &inner.paths.superblock()))?;
    report.incarnation = chain.incarnation + 1;
    report.logs = inner.logs.borrow().len() as u64;
    inner.rules.set(report.rules);
    begin(&inner, &chain, &report).await?;
    if damaged {
        // What is lost is said once: replay starts behind the damage from now on.
        let fenced = inner.flush_all().await;
        if fenced.is_err() {
            return Err(fence_error(&inner));
        }
    }
    inner.finish_removals(found.obsolete).await;
    report.took_ms = world.now().since(started).as_millis() as u64;
    tracing::info!(shard = inner.config.shard.0, "{report}");
    Ok((Store(inner), report))
}

fn fence_error(inner: &Inner) -> OpenError {
    match inner.fence.borrow().clone() {
        Some(reason) => OpenError::Fenced(reason),
        None => OpenError::Journal("the store ended while it was opened"),
    }
}

/// The manifest is the first file an executor opens: it is whole and written, and tells how the
/// device is driven.
async fn touch_manifest(world: &World, dir: &Path) -> Result<Manifest, OpenError> {
    let path = manifest_path(dir);
    match world.disk().open(&path, OpenOptions::default()).await {
        Ok(file) => {
            file.read_at(0, PAGE_BYTES).await.map_err(io_error("read", &path))?;
            file.close().await.map_err(io_error("close", &path))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Manifest("missing"));
        }
        Err(error) => return Err(OpenError::Io { what: "open", path, error }),
    }
    Manifest::read(world, dir).await
}

/// The superblock and the checkpoint it names; a new journal if there is none.
async fn load_start(
    world: &World,
    config: &StoreConfig,
    paths: &Paths,
    manifest: &Manifest,
    report: &mut RecoveryReport,
) -> Result<(Superblock, Option<Checkpoint>), OpenError> {
    let disk = world.disk();
    let path = paths.superblock();
    if !disk.exists(&path).await.map_err(io_error("look for", &path))? {
        if has_history(world, paths).await.map_err(io_error("look into", &paths.shard))? {
            return Err(OpenError::Journal("the superblock is missing"));
        }
        report.fresh = true;
        return Ok((init::make(world, config, paths, manifest.directory).await?, None));
    }
    // A run that was killed may have left names that no sync covered.
    for dir in [&paths.shard, &paths.root.join("shards"), &paths.root] {
        disk.sync_dir(dir).await.map_err(io_error("sync", dir))?;
    }
    // Nor may what it says be in a cache only: ring files that it lets go are written to from now on.
    let options = OpenOptions { create: false, write: true, synchronous: false };
    let file = disk.open(&path, options).await.map_err(io_error("open", &path))?;
    file.sync().await.map_err(io_error("sync", &path))?;
    file.close().await.map_err(io_error("close", &path))?;
    let bytes_max = SUPERBLOCK_COPIES * PAGE_BYTES;
    let bytes = disk.read_to_end(&path, bytes_max).await.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => OpenError::Journal("the superblock is too long"),
        _ => OpenError::Io { what: "read", path: path.clone(), error },
    })?;
    let (superblock, damaged) = Superblock::choose(&bytes).map_err(|bad| match bad {
        BadPage::Damaged => OpenError::Journal("no copy of the superblock is intact"),
        BadPage::Version(version) => OpenError::Version(version),
    })?;
    let shard = u32::from(config.shard.0);
    if superblock.directory != manifest.directory || superblock.shard != shard {
        return Err(OpenError::Mixed(shard));
    }
    if damaged > 0 {
        report.hit(Rule::R6);
    }
    if superblock.checkpoint == 0 {
        return Ok((superblock, None));
    }
    for copy in ['a', 'b'] {
        let path = paths.checkpoint(superblock.checkpoint, copy);
        let bytes = disk.read_to_end(&path, CHECKPOINT_BYTES_MAX).await;
        let found = bytes.ok().and_then(|bytes| {
            checkpoint::decode(&bytes, &superblock.journal, superblock.checkpoint)
        });
        match found {
            Some(found) => return Ok((superblock, Some(found))),
            None => report.hit(Rule::R10),
        }
    }
    Err(OpenError::Journal("no copy of the checkpoint is intact"))
}

/// Whether a shard directory without superblock ever held a journal.
async fn has_history(world: &World, paths: &Paths) -> io::Result<bool> {
    let disk = world.disk();
    let names = match disk.list(&paths.shard).await {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for name in names {
        if name.starts_with("checkpoint-") && !name.ends_with(".tmp") {
            return Ok(true);
        }
        if name.starts_with("ring-") {
            let file = disk.open(paths.shard.join(&name), OpenOptions::default()).await?;
            let first = file.read_at(0, BLOCK_BYTES as usize).await?;
            file.close().await?;
            // A file that was ever used begins with a group. Anything else is what a power cut
            // left of the zeros.
            if first.starts_with(&crate::journal::group::MAGIC) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Opens the ring's files, by slot. One that the superblock counts and that is not whole keeps the
/// shard shut: it may have held the only groups there were, and nothing else would say so.
async fn open_ring(
    world: &World,
    paths: &Paths,
    superblock: &Superblock,
) -> Result<Vec<Option<Rc<File>>>, OpenError> {
    let (disk, file_bytes) = (world.disk(), superblock.file_bytes);
    let names = disk.list(&paths.shard).await.map_err(io_error("list", &paths.shard))?;
    let slots = names.iter().filter_map(|name| name.strip_prefix("ring-")?.parse::<u32>().ok());
    let mut files: Vec<Option<Rc<File>>> = Vec::new();
    for slot in slots.filter(|slot| *slot < RING_SLOTS_MAX) {
        let path = paths.ring(slot);
        let synchronous = !crate::mutation::on(2);
        let options = OpenOptions { create: false, write: true, synchronous };
        let file = disk.open(&path, options).await.map_err(io_error("open", &path))?;
        let length = file.len().await.map_err(io_error("look at", &path))?;
        if length < file_bytes && slot < superblock.ring_files {
            return Err(OpenError::Ring { path, what: "shorter than it was", bytes: file_bytes });
        }
        if length < file_bytes {
            // A crash while the ring grew: nothing was ever written here.
            let zeroed = async {
                file.allocate(file_bytes).await?;
                file.zero(length / u64::from(BLOCK_BYTES) * u64::from(BLOCK_BYTES)..file_bytes)
                    .await?;
                file.sync().await
            };
            zeroed.await.map_err(io_error("repair", &path))?;
        } else {
            // Direct writes of a process that was killed may still be on their way when it is gone
            // and its lock with it. Allocating what is allocated changes nothing, but the kernel
            // waits for them first; otherwise one could land on what is written from here on.
            file.allocate(length).await.map_err(io_error("settle", &path))?;
        }
        let at = slot as usize;
        if files.len() <= at {
            files.resize_with(at + 1, || None);
        }
        files[at] = Some(Rc::new(file));
    }
    let counted = superblock.ring_files.min(RING_SLOTS_MAX);
    if let Some(slot) =
        (0..counted).find(|slot| !matches!(files.get(*slot as usize), Some(Some(_))))
    {
        return Err(OpenError::Ring { path: paths.ring(slot), what: "missing", bytes: file_bytes });
    }
    if counted > 0 {
        // What growth left behind a name that a power cut took was never used.
        files.truncate(files.iter().take_while(|file| file.is_some()).count());
    }
    Ok(files)
}

/// Lets the superblock count files that growth made and did not come to count.
async fn count_ring(inner: &Inner) -> io::Result<()> {
    let counted = inner.superblock.borrow().ring_files as usize;
    let files = inner.ring.borrow().files.clone();
    if files.len() == counted || files.iter().any(Option::is_none) {
        return Ok(());
    }
    // Their names are durable by now; whether they are whole only a sync tells.
    for file in files.iter().skip(counted).flatten() {
        file.sync().await?;
    }
    let turn = inner.superblock_turn.acquire(1).await;
    inner.rewrite_superblock(&turn, |next| next.ring_files = files.len() as u32).await
}

/// Looks at every block of the ring.
async fn scan_ring(
    files: &[Option<Rc<File>>],
    superblock: &Superblock,
    report: &mut RecoveryReport,
) -> Result<RingScan, OpenError> {
    let mut scan = RingScan::default();
    for (slot, file) in files.iter().enumerate() {
        let Some(file) = file else { continue };
        report.scanned_bytes += superblock.file_bytes;
        scan_file(&superblock.journal, slot as u32, file, superblock.file_bytes, &mut scan).await;
    }
    if scan.newer {
        return Err(OpenError::Journal("a group of a newer format"));
    }
    if scan.unreadable > READ_ERRORS_MAX {
        return Err(OpenError::Journal("the device fails to read too much of the ring"));
    }
    Ok(scan)
}

async fn scan_file(
    journal: &JournalId,
    slot: u32,
    file: &File,
    file_bytes: u64,
    scan: &mut RingScan,
) {
    if let Ok(bytes) = file.read_at(0, file_bytes as usize).await {
        scan.add(journal, slot, &bytes);
        return;
    }
    // Block by block: what cannot be read counts as damaged, and is not asked for again (R6).
    let mut bytes = Vec::with_capacity(file_bytes as usize);
    let mut failed = false;
    while (bytes.len() as u64) < file_bytes {
        match file.read_at(bytes.len() as u64, BLOCK_BYTES as usize).await {
            Ok(block) if block.len() == BLOCK_BYTES as usize => {
                bytes.extend_from_slice(&block);
                failed = false;
            }
            Ok(_) | Err(_) => {
                // Neighbours are one range.
                scan.unreadable += u32::from(!failed);
                scan.unreadable_blocks.push((slot, bytes.len() as u32));
                failed = true;
                bytes.resize(bytes.len() + BLOCK_BYTES as usize, 0);
            }
        }
    }
    scan.add(journal, slot, &bytes);
}

fn make_inner(
    world: World,
    config: StoreConfig,
    paths: Paths,
    superblock: Superblock,
    files: Vec<Option<Rc<File>>>,
) -> Rc<Inner> {
    let file_bytes = superblock.file_bytes;
    let ring = Ring {
        file_bytes,
        usable: files.iter().flatten().count(),
        files,
        free: VecDeque::new(),
        live: VecDeque::new(),
        next: superblock.replay,
        rows: Vec::new(),
        slots_wanted: (config.journal_bytes / file_bytes).min(u64::from(RING_SLOTS_MAX)) as usize,
    };
    Rc::new(Inner {
        disk: world.disk(),
        world,
        paths,
        logs: RefCell::default(),
        by_id: RefCell::default(),
        going: RefCell::default(),
        next_log: Cell::new(1),
        gathers: RefCell::new(Gathers::default()),
        flight: RefCell::default(),
        ring: RefCell::new(ring),
        superblock: RefCell::new(superblock),
        superblock_turn: Semaphore::new(1),
        incarnation: Cell::new(superblock.incarnation),
        durable_sequence: Cell::new(0),
        durable_position: Cell::new(0),
        waiting: RefCell::default(),
        reserved_below: Cell::new(0),
        fence: RefCell::default(),
        unflushed: Cell::new(0),
        cached: Cell::new(0),
        cache_order: RefCell::default(),
        dirty: RefCell::default(),
        files: OpenFiles::new(config.open_files_max),
        topic_dirs: RefCell::default(),
        reads: ReadCache::default(),
        disk_full: Cell::new(false),
        release_all: Cell::new(false),
        producers: Cell::new(0),
        compaction: crate::compact::Progress::default(),
        closing: Cell::new(false),
        stopped: Cell::new(false),
        growing: Cell::new(false),
        marker_due: Cell::new(false),
        last_group_said_something: Cell::new(false),
        wake_writer: Notify::new(),
        wake_flusher: Notify::new(),
        room: Notify::new(),
        landed: Notify::new(),
        released: Notify::new(),
        rules: Cell::new([0; Rule::ALL.len()]),
        counters: Counters::default(),
        config,
    })
}

/// What the chain's end and gaps mean.
fn note_ending(chain: &Chain, scan: &RingScan, report: &mut RecoveryReport) {
    report.void_groups = chain.void;
    report.damaged_blocks = scan.damaged.len() as u32;
    if chain.ending == Ending::Torn {
        report.hit(Rule::R3);
    }
    if report.clean {
        report.hit(Rule::R1);
    } else if !report.fresh {
        report.hit(Rule::R2);
    }
    if chain.ending == Ending::Clean && chain.gaps.is_empty() && !scan.damaged.is_empty() {
        report.hit(Rule::R24);
    }
    for gap in &chain.gaps {
        let rule = match gap.cause {
            Cause::Damaged => Rule::R4,
            Cause::Discontinuous => Rule::R5,
            Cause::Unreadable => Rule::R6,
        };
        report.hit(rule);
        let groups = gap.groups.unwrap_or(1);
        report.lost_groups = Some(report.lost_groups.unwrap_or(0) + groups);
        tracing::error!(from = gap.from, to = gap.to, ?rule, "durable journal groups are lost");
    }
}

/// Tells the ring which files hold what, and where to go on.
fn place_ring(inner: &Inner, chain: &Chain, scan: &RingScan, damaged: bool) {
    let ring = &mut *inner.ring.borrow_mut();
    for found in &chain.groups {
        let number = found.header.position / ring.file_bytes;
        if ring.live.back().is_none_or(|last| last.number < number) {
            let first = Anchor {
                position: found.header.position,
                sequence: found.header.sequence,
                prev_hash: found.header.prev_hash,
            };
            ring.live.push_back(Generation { number, slot: found.slot, first });
        }
    }
    ring.next = chain.end;
    if damaged {
        // Beyond everything that lies in the ring, so that nothing of it is ever taken for new.
        let sequences = scan.groups.iter().map(|found| found.header.sequence + 1);
        ring.next.sequence = sequences.max().unwrap_or(0).max(chain.end.sequence);
        let beyond = chain.highest.max(chain.durable).max(chain.end.position);
        ring.next.position = beyond.next_multiple_of(ring.file_bytes);
    }
    let used: BTreeSet<u32> = ring.live.iter().map(|it| it.slot).collect();
    let slots = 0..ring.files.len() as u32;
    ring.free =
        slots.filter(|slot| !used.contains(slot) && ring.files[*slot as usize].is_some()).collect();
}

/// Starts the tasks, and says in the journal that a new incarnation has begun.
async fn begin(inner: &Rc<Inner>, chain: &Chain, report: &RecoveryReport) -> Result<(), OpenError> {
    let next = inner.ring.borrow().next;
    inner.incarnation.set(chain.incarnation + 1);
    inner.durable_sequence.set(next.sequence - 1);
    inner.durable_position.set(next.position.max(chain.durable).min(next.position));
    inner.gathers.borrow_mut().next_sequence = next.sequence;
    inner.world.spawn(TaskClass::Serve, writer::run(inner.clone()));
    inner.world.spawn(TaskClass::Serve, flush::run(inner.clone()));
    let mut entry = Vec::new();
    Entry::Opened {
        incarnation: inner.incarnation.get(),
        rules: report.rule_bits(),
        end: chain.end.position,
        durable: chain.durable,
    }
    .encode(&mut entry);
    let group_bytes = inner.config.tuning.group_bytes;
    let sequence = inner.gathers.borrow_mut().add_entry(group_bytes, entry);
    // The opening is durable before anything else is even gathered with it.
    inner.gathers.borrow_mut().cut();
    inner.wake_writer.notify_one();
    inner.durable(sequence).await.map_err(|_fenced| fence_error(inner))
}

/// The ring file that replay is in.
pub(crate) struct LoadedSlot {
    pub(crate) slot: u32,
    pub(crate) bytes: ReadBlock,
}

/// Names by id of logs that replay made.
pub(crate) type AsOf = BTreeMap<u32, u64>;
