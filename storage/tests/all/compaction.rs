//! Compaction against a model: whatever is compacted, killed and cut off when, the newest record of
//! each key is there, at its offset, and nothing above the compacted part is missing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::or;
use protocol::batch::builder::BatchBuilder;
use protocol::batch::compress::decompress;
use protocol::batch::records::Records;
use protocol::batch::{Compression, RawBatch};
use protocol::epoch::{LeaderEpoch, ProducerEpoch};
use protocol::ids::ProducerId;
use protocol::offset::Offset;
use runtime::World;
use runtime::sim::{DiskFaults, NodeId, Sim, SimDisk};
use storage::{CompactionConfig, Log, LogConfig, ReadLimit, Rule, Store, StoreConfig, Ticket};

use crate::model::{Random, append_at, open, partition, tiny};

/// How long tombstones stay, in milliseconds.
const DELETE_RETENTION_MS: i64 = 500;
const PRODUCERS: u64 = 3;

/// A record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    timestamp: i64,
}

/// A batch as it was appended.
#[derive(Debug, Clone)]
struct Sent {
    base: i64,
    next: i64,
    ticket: Ticket,
    acked: bool,
    bytes: Rc<Vec<u8>>,
    producer: Option<i64>,
}

/// What a compacted log was given.
#[derive(Debug, Clone, Default)]
struct Model {
    records: BTreeMap<i64, Kept>,
    batches: Vec<Sent>,
    sequences: BTreeMap<i64, i32>,
    next_mark: u64,
    acked: u64,
    /// Compacted up to here, as was seen.
    cleaned: i64,
    removed: u64,
    swaps: Swaps,
    /// The segments of which the last image holds two generations.
    in_swap: Segments,
    /// The files of the images since the last start.
    image: BTreeSet<PathBuf>,
    /// Files that a start may set aside: of segments that were begun and never heard of.
    unheard: BTreeSet<String>,
}

/// Crash images that hold an old segment and the one that takes its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Swaps {
    images: u64,
    /// Those of which the start went on with the old segment,
    old: u64,
    /// and with the new one.
    new: u64,
}

impl Swaps {
    fn add(&mut self, other: Self) {
        self.images += other.images;
        self.old += other.old;
        self.new += other.new;
    }

    fn say(self) {
        let Self { images, old, new } = self;
        println!(
            "{images} images in a swap: {old} went back to the old segment, {new} on with the new"
        );
    }

    /// Whether images fell on both sides of the entry that swaps.
    fn both(self) -> bool {
        self.old > 0 && self.new > 0
    }
}

/// The generations of each segment of which there are files.
type Segments = BTreeMap<(PathBuf, String), BTreeSet<u32>>;

fn segments(files: &[PathBuf]) -> Segments {
    let mut found = Segments::new();
    let logs = files.iter().filter(|it| it.extension().is_some_and(|it| it == "log"));
    for file in logs.filter(|it| !is_set_aside(it)) {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let (base, generation) = stem.split_once('.').unwrap_or((stem, "0"));
        let key = (file.parent().unwrap().to_owned(), base.to_owned());
        found.entry(key).or_default().insert(generation.parse().unwrap());
    }
    found
}

fn settings(random: &mut Random) -> LogConfig {
    LogConfig {
        segment_bytes: 8_000 + random.below(40_000) as u32,
        retention_ms: -1,
        compaction: Some(CompactionConfig {
            dirty_ratio_min: random.below(60) as f64 / 100.0,
            lag_min_ms: 0,
            lag_max_ms: i64::MAX,
            delete_retention_ms: DELETE_RETENTION_MS,
        }),
        ..LogConfig::default()
    }
}

impl Model {
    /// Notes the image that a crash left.
    fn crashed(&mut self, files: &[PathBuf]) {
        self.in_swap = segments(files);
        self.in_swap.retain(|_, generations| generations.len() > 1);
        self.swaps.images += u64::from(!self.in_swap.is_empty());
        self.image.extend(files.iter().filter(|it| !is_set_aside(it)).cloned());
    }

    /// Notes which files of the image a start may set aside: those that begin at the end or beyond.
    fn opened(&mut self, end: i64) {
        let image = std::mem::take(&mut self.image);
        let names = image.iter().filter_map(|file| file.file_name()?.to_str());
        let unheard = names.filter(|name| {
            let base = name.strip_suffix(".log").or(name.strip_suffix(".index"));
            base.and_then(|it| it.parse::<i64>().ok()).is_some_and(|base| base >= end)
        });
        self.unheard.extend(unheard.map(str::to_owned));
    }

    /// Notes with which segments of the image a start, which has been checked, went on.
    fn started(&mut self, files: &[PathBuf]) {
        let there = segments(files);
        let (mut old, mut new) = (false, false);
        for (segment, generations) in std::mem::take(&mut self.in_swap) {
            let Some(stayed) = there.get(&segment) else { continue };
            old |= stayed.first() == generations.first();
            new |= stayed.last() == generations.last();
        }
        self.swaps.old += u64::from(old);
        self.swaps.new += u64::from(new);
    }

    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |it| it.next)
    }

    fn ack(&mut self, ticket: Ticket) {
        for batch in self.batches.iter_mut().filter(|it| !it.acked && it.ticket <= ticket) {
            batch.acked = true;
            self.acked += 1;
        }
    }

    fn append(&mut self, log: &Log, random: &mut Random, now_ms: i64, keys: u64) -> bool {
        let codec = Compression::ALL[random.below(8).min(4) as usize];
        let mut builder = BatchBuilder::new(codec);
        let producer = random.chance(60).then(|| random.below(PRODUCERS).cast_signed());
        if let Some(id) = producer {
            let sequence = *self.sequences.entry(id).or_default();
            let id = ProducerId::new(id).unwrap();
            builder.set_producer(id, ProducerEpoch::new(0).unwrap(), sequence);
        }
        let mut records = Vec::new();
        for _ in 0..1 + random.below(12) {
            self.next_mark += 1;
            let filler_max = if random.chance(5) { 9000 } else { 300 };
            let key = format!("key-{}", random.below(keys)).into_bytes();
            let filler = vec![b'.'; random.below(filler_max) as usize];
            let value = [self.next_mark.to_string().into_bytes(), filler].concat();
            let value = random.chance(80).then_some(value);
            let timestamp = now_ms - random.below(100).cast_signed();
            builder.append(Some(&key), value.as_deref(), &[], timestamp).unwrap();
            records.push(Kept { key, value, timestamp });
        }
        let mut bytes = Vec::new();
        builder.build(&mut bytes).unwrap();
        let Ok(appended) = append_at(log, &bytes, now_ms) else { return false };
        assert!(!appended.duplicate);
        let (base, next) = (appended.base_offset.get(), appended.next_offset.get());
        assert_eq!(base, self.end());
        if let Some(id) = producer {
            *self.sequences.entry(id).or_default() += records.len() as i32;
        }
        self.records.extend((base..).zip(records));
        let (ticket, bytes) = (appended.ticket, Rc::new(bytes));
        self.batches.push(Sent { base, next, ticket, acked: false, bytes, producer });
        true
    }

    /// Compares a log with what it was given; after a crash what was not promised may be missing.
    async fn check(&mut self, log: &Log, now_ms: i64) {
        let end = log.log_end_offset().get();
        let acked = self.batches.iter().rev().find(|it| it.acked).map_or(0, |it| it.next);
        assert!(end >= acked, "acknowledged up to {acked}, there up to {end}");
        assert!(log.lost().is_empty(), "lost {:?}", log.lost());
        self.batches.retain(|it| it.next <= end);
        assert_eq!(self.end(), end);
        self.records.retain(|offset, _| *offset < end);
        self.batches.iter_mut().for_each(|it| it.acked = true);
        self.cleaned = log.cleaned_offset().get();
        let (found, reached) = read_all(log, end).await;
        assert_eq!(reached, end, "a reader does not get past the end");
        self.compare(&found, now_ms);
        self.check_producers(log, now_ms);
    }

    fn compare(&mut self, found: &BTreeMap<i64, Kept>, now_ms: i64) {
        for (offset, record) in found {
            assert_eq!(self.records.get(offset), Some(record), "offset {offset}");
        }
        let mut newest = BTreeMap::new();
        let mut newest_clean = BTreeMap::new();
        for (offset, record) in &self.records {
            newest.insert(&record.key, *offset);
            if *offset < self.cleaned {
                newest_clean.insert(&record.key, *offset);
            }
        }
        for (offset, record) in &self.records {
            let is_there = found.contains_key(offset);
            if *offset >= self.cleaned {
                // A pass that was cut off has compacted some segments with newer keys already.
                let superseded = newest[&record.key] > *offset;
                assert!(is_there || superseded, "offset {offset} is missing");
                continue;
            }
            if newest_clean[&record.key] > *offset {
                let batch = self.batches.iter().find(|it| it.next > *offset);
                let same = self.records.iter().filter(|(_, it)| it.key == record.key);
                let same: Vec<_> = same.map(|(at, _)| (*at, found.contains_key(at))).collect();
                assert!(
                    !is_there,
                    "offset {offset} was to be compacted, up to {}: {:?} {same:?} {:?}",
                    self.cleaned,
                    batch.map(|it| (it.base, it.next, it.bytes.len())),
                    found.keys().collect::<Vec<_>>(),
                );
                continue;
            }
            let superseded = newest[&record.key] > *offset;
            let expired =
                record.value.is_none() && record.timestamp + DELETE_RETENTION_MS <= now_ms;
            assert!(is_there || superseded || expired, "offset {offset} was its key's newest");
        }
        self.removed = (self.records.len() - found.len()) as u64;
    }

    /// What a producer sent last is recognised.
    fn check_producers(&mut self, log: &Log, now_ms: i64) {
        self.sequences.clear();
        for id in 0..PRODUCERS.cast_signed() {
            let last = self.batches.iter().rev().find(|it| it.producer == Some(id));
            let Some(last) = last else { continue };
            let again = append_at(log, &last.bytes, now_ms).expect("a duplicate is answered");
            assert!(again.duplicate, "offset {} was appended twice", last.base);
            assert_eq!(again.base_offset.get(), last.base);
            let header = protocol::batch::BatchHeader::peek(&last.bytes).unwrap();
            self.sequences.insert(id, header.base_sequence() + header.record_count());
        }
    }
}

/// Every record, by offset, and how far reading got. What was each producer's last batch is there.
async fn read_all(log: &Log, end: i64) -> (BTreeMap<i64, Kept>, i64) {
    let mut found = BTreeMap::new();
    let mut lasts = BTreeSet::new();
    let mut from = log.log_start_offset().get();
    while from < end {
        let bytes = read(log, from, 10_000, end).await;
        let mut rest = &bytes[..];
        let mut next = from;
        while !rest.is_empty() {
            let (batch, after) = RawBatch::split_first(rest).unwrap();
            rest = after;
            let batch = batch.check().unwrap();
            next = batch.base_offset().get() + i64::from(batch.offset_count());
            assert!(next > from);
            if let Some(producer) = batch.producer() {
                lasts.insert((producer.id.get(), producer.last_sequence));
            }
            let section = decompress(batch.compression(), batch.record_bytes(), 1 << 20).unwrap();
            for record in Records::new(batch.header(), &section) {
                let record = record.unwrap();
                let kept = Kept {
                    key: record.key.unwrap().to_vec(),
                    value: record.value.map(<[u8]>::to_vec),
                    timestamp: record.timestamp,
                };
                assert!(found.last_key_value().is_none_or(|(last, _)| *last < record.offset));
                found.insert(record.offset, kept);
            }
        }
        if next == from {
            break;
        }
        from = next;
    }
    for producer in log.producers() {
        let last = (producer.id, Some(producer.last_sequence));
        assert!(lasts.contains(&last), "the last batch of producer {} is gone", producer.id);
    }
    (found, from)
}

async fn read(log: &Log, from: i64, max_bytes: usize, end: i64) -> Vec<u8> {
    let end = Offset::new(end).unwrap();
    let limit = ReadLimit { max_bytes, end, at_least_one: true };
    let outcome = log.read(Offset::new(from).unwrap(), limit).await;
    let outcome = outcome.unwrap_or_else(|error| panic!("at {from}: {error}"));
    outcome.slices.iter().flat_map(|slice| slice.to_vec()).collect()
}

/// Reading from any offset begins with the batch that holds it, or the first one after it.
async fn read_somewhere(log: &Log, model: &Model, random: &mut Random) {
    let end = log.log_end_offset().get();
    if end == 0 {
        return;
    }
    let from = random.below(end.cast_unsigned()).cast_signed();
    let bytes = read(log, from, random.below(20_000) as usize, end).await;
    let (first, _) = RawBatch::split_first(&bytes).unwrap();
    let first = first.check().unwrap();
    let next = first.base_offset().get() + i64::from(first.offset_count());
    assert!(next > from, "reading at {from} gave a batch that ends at {next}");
    let was = model.batches.iter().find(|it| it.base == first.base_offset().get());
    assert_eq!(was.map(|it| it.next), Some(next), "a batch keeps its offsets");
}

/// The files of the partition: no segment in two generations.
fn check_files(files: &[PathBuf]) {
    let mut bases = BTreeSet::new();
    let logs = files.iter().filter(|it| it.extension().is_some_and(|it| it == "log"));
    for file in logs.filter(|it| !is_set_aside(it)) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let base = (file.parent(), name.split('.').next().unwrap().to_owned());
        assert!(bases.insert(base), "{} is left over in {files:?}", file.display());
    }
}

fn is_set_aside(file: &Path) -> bool {
    file.components().any(|it| it.as_os_str() == ".lost")
}

/// What was set aside are segments that were begun and never heard of, nothing that was compacted.
fn check_lost(files: &[PathBuf], unheard: &BTreeSet<String>) {
    for file in files.iter().filter(|it| is_set_aside(it)) {
        let name = file.file_name().unwrap().to_str().unwrap();
        // Topic, partition, and the name it had.
        let had = name.splitn(3, '.').nth(2);
        assert!(had.is_some_and(|it| unheard.contains(it)), "{name}, not of {unheard:?}");
    }
}

async fn session(
    world: &World,
    config: &StoreConfig,
    model: &Rc<RefCell<Model>>,
    (disk, seed): (&SimDisk, u64),
) {
    let random = &mut Random::new(seed);
    let (store, report) = open(world, config).await.expect("it opens");
    assert!(report.lost.is_empty(), "{:?}", report.lost);
    let log = match store.log(partition(0)) {
        Some(log) => log,
        None => {
            assert_eq!(model.borrow().acked, 0);
            store.create(partition(0), settings(random), LeaderEpoch::ZERO).await.unwrap()
        }
    };
    log.configure(settings(random));
    model.borrow_mut().opened(log.log_end_offset().get());
    let mut known = model.borrow().clone();
    known.check(&log, world.wall_ms()).await;
    known.started(&disk.files());
    *model.borrow_mut() = known;
    let keys = 1 + random.below(60);
    let background = {
        let (store, world, mut random) = (store.clone(), world.clone(), random.clone());
        async move {
            loop {
                world.sleep(Duration::from_millis(random.below(300))).await;
                if store.compact(world.wall_ms()).await.is_err() {
                    return;
                }
            }
        }
    };
    let foreground = work(&store, world, &log, model, (random, keys));
    or(foreground, async {
        background.await;
        std::future::pending::<()>().await;
    })
    .await;
}

async fn work(
    store: &Store,
    world: &World,
    log: &Log,
    model: &Rc<RefCell<Model>>,
    (random, keys): (&mut Random, u64),
) {
    for _ in 0..random.below(300) {
        match random.below(100) {
            0..60 => {
                let now = world.wall_ms();
                model.borrow_mut().append(log, random, now, keys);
            }
            60..70 => {
                let ticket = store.newest_ticket();
                store.durable(ticket).await.expect("nothing fails");
                model.borrow_mut().ack(ticket);
            }
            70..80 => {
                let known = model.borrow().clone();
                read_somewhere(log, &known, random).await;
            }
            80..84 => store.flush().await.expect("nothing fails"),
            84..86 => store.tick(world.wall_ms()).await.expect("nothing fails"),
            86..88 => {
                store.compact(world.wall_ms()).await.expect("nothing fails");
            }
            88 => log.configure(settings(random)),
            _ => world.sleep(Duration::from_millis(random.below(200))).await,
        }
    }
    if random.chance(30) {
        store.close().await.expect("nothing fails");
        let ticket = store.newest_ticket();
        model.borrow_mut().ack(ticket);
    }
}

/// Opens, works and crashes a few times; then everything is compacted and compared.
fn run_seed(seed: u64) -> (Model, u64) {
    let mut random = Random::new(seed);
    let mut config = tiny(&mut random);
    // Sometimes the keys of a batch or two fit at a time.
    config.compaction_bytes = if random.chance(40) { 24 << (4 + random.below(3)) } else { 1 << 20 };
    let sim = Sim::new(seed);
    let model = Rc::new(RefCell::new(Model::default()));
    for _ in 0..3 + random.below(6) {
        let disk = sim.disk(NodeId(0));
        let mut faults = DiskFaults::instant();
        let span = if random.chance(50) { 100 } else { 1500 };
        faults.halt_after_ops = Some(disk.ops() + 5 + random.below(span));
        disk.set_faults(faults);
        let (halted, run_model, run_config) = (disk.clone(), model.clone(), config.clone());
        let (run_disk, seed) = (disk.clone(), random.next());
        sim.run(|world| {
            or(halted.halted(), async move {
                session(&world, &run_config, &run_model, (&run_disk, seed)).await;
            })
        })
        .expect("it does not hang");
        sim.kill(NodeId(0));
        let next = if random.chance(70) { disk.crash(random.next()) } else { disk.kill() };
        model.borrow_mut().crashed(&next.files());
        sim.set_disk(NodeId(0), next);
    }
    let disk = sim.disk(NodeId(0));
    disk.set_faults(DiskFaults::instant());
    let (last_model, last_config) = (model.clone(), config);
    let compactions = sim
        .run(async |world| {
            let (store, _) = open(&world, &last_config).await.expect("it opens");
            let Some(log) = store.log(partition(0)) else { return 0 };
            let mut model = last_model.borrow().clone();
            model.opened(log.log_end_offset().get());
            log.configure(settings(&mut random));
            model.check(&log, world.wall_ms()).await;
            check_files(&disk.files());
            model.started(&disk.files());
            let config = CompactionConfig { dirty_ratio_min: 0.0, ..CompactionConfig::default() };
            log.configure(LogConfig { compaction: Some(config), ..settings(&mut random) });
            while store.compact(world.wall_ms()).await.expect("nothing fails") {
                model.check(&log, world.wall_ms()).await;
            }
            check_files(&disk.files());
            check_lost(&disk.files(), &model.unheard);
            store.close().await.expect("nothing fails");
            *last_model.borrow_mut() = model;
            store.stats().compactions
        })
        .expect("it does not hang");
    let model = model.borrow().clone();
    (model, compactions)
}

#[test]
fn the_newest_record_of_each_key_survives_every_crash() {
    let seeds = match std::env::var("CORELOG_SEED") {
        Ok(text) => {
            let seed = text.parse().expect("CORELOG_SEED is a number");
            seed..seed + 1
        }
        Err(_) if std::env::var_os("CORELOG_LONG").is_some() => 1..10_000,
        Err(_) => 1..60,
    };
    let (mut acked, mut removed, mut compactions) = (0, 0, 0);
    let mut swaps = Swaps::default();
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| run_seed(seed));
        let Ok((model, passes)) = outcome else {
            panic!("run again with CORELOG_SEED={seed}");
        };
        acked += model.acked;
        removed += model.removed;
        compactions += passes;
        swaps.add(model.swaps);
    }
    println!("{count} seeds, {acked} acknowledged batches, {removed} records removed");
    if count > 1 {
        swaps.say();
        assert!(removed > 50 * count && compactions > count / 2);
        assert!(swaps.images > count / 4, "hardly a crash in a swap");
        assert!(count < 1000 || swaps.both(), "all on one side of the swap");
    }
}

#[test]
fn the_same_seed_makes_the_same_day() {
    let day = |seed| {
        let (model, compactions) = run_seed(seed);
        (model.acked, model.removed, model.cleaned, compactions, model.records)
    };
    assert_eq!(day(7), day(7));
}

/// A log of a few segments, all in their files, ready to be compacted.
async fn prepare(world: &World, config: &StoreConfig, model: &mut Model) -> (Store, Log) {
    let random = &mut Random::new(5);
    let (store, _) = open(world, config).await.unwrap();
    let fixed = LogConfig { segment_bytes: 12_000, ..settings(&mut Random::new(1)) };
    let log = store.create(partition(0), fixed, LeaderEpoch::ZERO).await.unwrap();
    while log.size_bytes() < 50_000 {
        model.append(&log, random, world.wall_ms(), 20);
        let ticket = store.newest_ticket();
        store.durable(ticket).await.unwrap();
        model.ack(ticket);
    }
    store.flush().await.unwrap();
    (store, log)
}

/// One run up to a crash after so many disk operations of the compaction; whether it got to its end,
/// and whether the image was in a swap.
fn crash_at(point: u64, how: u64) -> (bool, Swaps) {
    let sim = Sim::new(11);
    let config = tiny(&mut Random::new(3));
    let disk = sim.disk(NodeId(0));
    disk.set_faults(DiskFaults::instant());
    let model = Rc::new(RefCell::new(Model::default()));
    let (run_model, run_config, run_disk) = (model.clone(), config.clone(), disk.clone());
    let (halted, ended) = (disk.clone(), disk.clone());
    let finished = sim
        .run(|world| {
            or(
                async move {
                    halted.halted().await;
                    false
                },
                async move {
                    let mut known = Model::default();
                    let (store, _log) = prepare(&world, &run_config, &mut known).await;
                    *run_model.borrow_mut() = known;
                    let mut faults = DiskFaults::instant();
                    faults.halt_after_ops = Some(run_disk.ops() + point);
                    run_disk.set_faults(faults);
                    let compacted = store.compact(world.wall_ms()).await;
                    assert!(compacted.expect("nothing fails"), "there is something to compact");
                    true
                },
            )
        })
        .expect("it does not hang");
    sim.kill(NodeId(0));
    sim.set_disk(NodeId(0), if how == 0 { ended.kill() } else { ended.crash(how * 1000 + point) });
    let disk = sim.disk(NodeId(0));
    disk.set_faults(DiskFaults::instant());
    model.borrow_mut().crashed(&disk.files());
    let swaps = sim.run(async |world| {
        let mut model = model.borrow().clone();
        let (store, report) = open(&world, &config).await.expect("it opens");
        assert!(report.lost.is_empty(), "{:?}", report.lost);
        let log = store.log(partition(0)).expect("it was made");
        model.opened(log.log_end_offset().get());
        log.configure(settings(&mut Random::new(1)));
        model.check(&log, world.wall_ms()).await;
        check_files(&disk.files());
        model.started(&disk.files());
        while store.compact(world.wall_ms()).await.expect("nothing fails") {}
        model.check(&log, world.wall_ms()).await;
        check_files(&disk.files());
        assert!(model.removed > 0);
        check_lost(&disk.files(), &model.unheard);
        store.close().await.expect("nothing fails");
        model.swaps
    });
    (finished, swaps.expect("it does not hang"))
}

#[test]
fn a_crash_at_any_point_of_a_pass_leaves_the_old_or_the_new() {
    for how in 0..4 {
        let (mut point, mut swaps) = (0, Swaps::default());
        loop {
            point += 1;
            assert!(point < 2000, "a pass has an end");
            let (finished, one) = crash_at(point, how);
            swaps.add(one);
            if finished {
                break;
            }
        }
        println!("crash {how}: {point} points");
        assert!(point > 20, "a pass does more than that");
        swaps.say();
        assert!(swaps.both(), "all on one side of the swap");
    }
}

#[test]
fn a_fetch_that_runs_while_segments_are_swapped_reads_one_or_the_other() {
    let sim = Sim::new(21);
    // Reads take their time.
    sim.disk(NodeId(0)).set_faults(DiskFaults::default());
    sim.run(async |world| {
        let config = tiny(&mut Random::new(9));
        let mut model = Model::default();
        let (store, log) = prepare(&world, &config, &mut model).await;
        let end = log.log_end_offset().get();
        let readers = async {
            let random = &mut Random::new(4);
            for _ in 0..400 {
                read_somewhere(&log, &model, random).await;
            }
            let (_, reached) = read_all(&log, end).await;
            assert_eq!(reached, end);
        };
        let compaction = async {
            while store.compact(world.wall_ms()).await.expect("nothing fails") {}
            assert!(store.stats().compactions > 0);
            assert!(store.stats().compact_out_bytes < store.stats().compact_in_bytes);
        };
        futures_lite::future::zip(readers, compaction).await;
        let rules = store.rules();
        for rule in [Rule::R4, Rule::R7, Rule::R8, Rule::R13, Rule::R14, Rule::R16] {
            assert_eq!(rules[rule as usize], 0, "{rule:?} was taken for damage");
        }
        model.check(&log, world.wall_ms()).await;
    })
    .expect("it does not hang");
}

/// A batch of one record that says it is packed and is not, as only a client can make it.
fn opaque(key: &[u8], now_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Some(key), Some(b"old"), &[], now_ms).unwrap();
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes[22] |= Compression::Gzip.id() as u8;
    let crc = protocol::crc::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Whether the tombstone of a key is still there long after it expired.
fn tombstone_stays(behind_opaque: bool) -> bool {
    let sim = Sim::new(23);
    sim.disk(NodeId(0)).set_faults(DiskFaults::instant());
    sim.run(async |world| {
        let config = tiny(&mut Random::new(3));
        let (store, _) = open(&world, &config).await.unwrap();
        let fixed = LogConfig { segment_bytes: 12_000, ..settings(&mut Random::new(1)) };
        let log = store.create(partition(0), fixed, LeaderEpoch::ZERO).await.unwrap();
        let append = async |bytes: &[u8]| {
            let appended = append_at(&log, bytes, world.wall_ms()).unwrap();
            store.durable(appended.ticket).await.unwrap();
            appended.base_offset.get()
        };
        let record = |key: &[u8], value: Option<&[u8]>| {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.append(Some(key), value, &[], world.wall_ms()).unwrap();
            let mut bytes = Vec::new();
            builder.build(&mut bytes).unwrap();
            bytes
        };
        if behind_opaque {
            append(&opaque(b"k", world.wall_ms())).await;
        }
        let tombstone = append(&record(b"k", None)).await;
        let mut passes = 0;
        for round in 0..4_u8 {
            // Enough that the segment before is sealed.
            for at in 0..5_u8 {
                append(&record(&[round, at], Some(&[b'.'; 3000]))).await;
            }
            store.flush().await.unwrap();
            while store.compact(world.wall_ms()).await.expect("nothing fails") {
                passes += 1;
            }
            world.sleep(Duration::from_millis(2 * DELETE_RETENTION_MS.cast_unsigned())).await;
        }
        assert!(passes >= 3, "{passes} passes");
        assert!(log.cleaned_offset().get() > tombstone);
        let offsets = offsets_with_records(&log).await;
        assert_eq!(offsets.contains(&0), behind_opaque, "{offsets:?}");
        offsets.contains(&tombstone)
    })
    .expect("it does not hang")
}

/// Where the batches that have records begin.
async fn offsets_with_records(log: &Log) -> Vec<i64> {
    let (mut offsets, mut from) = (Vec::new(), 0);
    let end = log.log_end_offset().get();
    while from < end {
        let bytes = read(log, from, 1, end).await;
        let header = protocol::batch::BatchHeader::peek(&bytes).unwrap();
        if header.record_count() > 0 {
            offsets.push(header.base_offset());
        }
        from = header.base_offset() + i64::from(header.last_offset_delta()) + 1;
    }
    offsets
}

#[test]
fn a_tombstone_behind_a_batch_that_cannot_be_unpacked_stays() {
    assert!(tombstone_stays(true), "the value in the batch is the key's last word again");
    assert!(!tombstone_stays(false), "an expired tombstone goes");
}
