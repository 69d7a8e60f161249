//! The recovery rules, each met by damage made on purpose on the simulated disk.

use std::path::{Path, PathBuf};

use protocol::batch::builder::BatchBuilder;
use protocol::batch::{Compression, RawBatch};
use protocol::epoch::LeaderEpoch;
use protocol::ids::{BrokerId, PartitionIndex, TopicId, TopicPartition};
use protocol::offset::Offset;
use runtime::sim::{DiskFaults, DiskOp, NodeId, Sim, SimDisk};
use runtime::{ShardId, World};

use crate::{
    AppendContext, DataDir, Identity, Log, LogConfig, OpenError, Origin, ReadError, ReadLimit,
    RecoveryReport, Rule, Store, StoreConfig, Ticket,
};

mod index;
mod journal;
mod order;

const RING: &str = "/data/shards/0/ring-0";

fn config() -> StoreConfig {
    let mut config = StoreConfig::new("/data", ShardId(0));
    config.tuning.ring_file_bytes = 256 << 10;
    config.tuning.group_bytes = 32 << 10;
    config.tuning.direct_bytes = 64 << 10;
    config.tuning.chunk_bytes = 16 << 10;
    config.journal_bytes = 1 << 20;
    config.cache_bytes = 0;
    config
}

fn partition(index: i32) -> TopicPartition {
    let index = PartitionIndex::new(index).unwrap();
    TopicPartition { topic: TopicId::new([7; 16]), index }
}

async fn try_open(world: &World) -> Result<(Store, RecoveryReport), OpenError> {
    let identity = Identity { cluster: "test".into(), broker: BrokerId::new(1).unwrap() };
    drop(DataDir::open(world, Path::new("/data"), &identity, 1).await?);
    Store::open(world.clone(), config()).await
}

async fn open(world: &World) -> (Store, RecoveryReport) {
    try_open(world).await.expect("it opens")
}

/// Appends a batch of one record; the ticket tells when it is durable.
fn append_soon(log: &Log, bytes: usize) -> Ticket {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(None, Some(&vec![9; bytes]), &[], 1_700_000_000_000).unwrap();
    let mut batch = Vec::new();
    builder.build(&mut batch).unwrap();
    let context = AppendContext {
        epoch: LeaderEpoch::ZERO,
        now_ms: 1_700_000_000_000,
        origin: Origin::Client,
        max_timestamp: None,
    };
    log.append(&RawBatch(&batch).check().unwrap(), context).unwrap().ticket
}

async fn append(store: &Store, log: &Log, bytes: usize) {
    store.durable(append_soon(log, bytes)).await.unwrap();
}

async fn create(store: &Store, index: i32) -> Log {
    store.create(partition(index), LogConfig::default(), LeaderEpoch::ZERO).await.unwrap()
}

/// Reads every offset; returns how many batches came and which ranges were lost.
async fn read_all(log: &Log) -> (usize, Vec<(i64, i64)>) {
    let (mut from, end) = (log.log_start_offset(), log.log_end_offset());
    let (mut batches, mut lost) = (0, Vec::new());
    while from < end {
        let limit = ReadLimit { max_bytes: 1, end, at_least_one: true };
        match log.read(from, limit).await {
            Ok(outcome) => {
                assert!(outcome.next > from, "{from} of {end}");
                batches += 1;
                from = outcome.next;
            }
            Err(ReadError::Lost(range)) => {
                from = Offset::new(range.end).unwrap();
                lost.push((range.start, range.end));
            }
            Err(error) => panic!("{error}"),
        }
    }
    (batches, lost)
}

/// Runs `before` and drops it where it stands, lets `damage` work on the disk, runs `after`.
fn scene<T>(
    before: impl AsyncFnOnce(World),
    damage: impl FnOnce(&SimDisk),
    after: impl AsyncFnOnce(World) -> T,
) -> T {
    let sim = Sim::new(1);
    sim.disk(NodeId(0)).set_faults(DiskFaults::instant());
    sim.run(|world| before(world)).expect("it ends");
    sim.kill(NodeId(0));
    let disk = sim.disk(NodeId(0)).kill();
    damage(&disk);
    sim.set_disk(NodeId(0), disk);
    sim.run(|world| after(world)).expect("it ends")
}

/// One log with `count` batches, one group each.
async fn some_batches(world: World, count: usize) {
    let (store, _) = open(&world).await;
    let log = create(&store, 0).await;
    for _ in 0..count {
        append(&store, &log, 100).await;
    }
}

fn swap_blocks(disk: &SimDisk, path: &str, a: usize, b: usize) {
    let mut bytes = disk.peek(path).unwrap();
    let block: Vec<u8> = bytes[a * 4096..][..4096].to_vec();
    bytes.copy_within(b * 4096..(b + 1) * 4096, a * 4096);
    bytes[b * 4096..][..4096].copy_from_slice(&block);
    disk.plant(path, &bytes).unwrap();
}

fn index_file(index: i32) -> PathBuf {
    let dir = Path::new("/data/topics/07070707-0707-0707-0707-070707070707");
    dir.join(index.to_string()).join("00000000000000000000.index")
}

/// Batches enough for several index pages.
const BATCHES: usize = 400;

/// Two logs with several index pages each, all flushed.
async fn with_indexes(world: World) {
    let (store, _) = open(&world).await;
    for index in 0..2 {
        let log = create(&store, index).await;
        for _ in 0..BATCHES {
            append(&store, &log, 5000).await;
        }
    }
    store.flush().await.unwrap();
}

#[test]
fn a_flipped_bit_in_a_segment_is_never_served() {
    let segment = index_file(0).with_extension("log");
    scene(
        with_indexes,
        |disk| disk.flip(&segment, 20_000, 1).unwrap(),
        async |world| {
            let (store, _) = open(&world).await;
            let (batches, lost) = read_all(&store.log(partition(0)).unwrap()).await;
            assert_eq!((batches, lost), (BATCHES - 1, vec![(3, 4)]));
            assert_eq!(store.rules()[Rule::R4 as usize], 1);
        },
    );
}

#[test]
fn r10_one_copy_of_the_checkpoint_is_enough() {
    let damage = |disk: &SimDisk| {
        let newest =
            disk.files().into_iter().filter(|path| path.extension().is_some_and(|it| it == "a"));
        let newest = newest.max_by_key(|path| {
            path.file_stem().unwrap().to_str().unwrap()["checkpoint-".len()..]
                .parse::<u64>()
                .unwrap()
        });
        disk.flip(newest.unwrap(), 70, 1).unwrap();
    };
    scene(with_indexes, damage, async |world| {
        let (store, report) = open(&world).await;
        assert_eq!(report.count(Rule::R10), 1);
        assert_eq!(read_all(&store.log(partition(0)).unwrap()).await, (BATCHES, vec![]));
    });
}

/// A log whose checkpoint says what `spoil` makes of it.
fn spoiled(rule: Rule, spoil: fn(&mut crate::log::state::LogState)) -> bool {
    scene(
        async |world| {
            let (store, _) = open(&world).await;
            let log = create(&store, 0).await;
            append(&store, &log, 100).await;
            log.with_state_mut(spoil);
            store.flush().await.unwrap();
        },
        |_| {},
        async |world| {
            let (store, report) = open(&world).await;
            assert_eq!(report.count(rule), 1, "{report:?}");
            store.log(partition(0)).unwrap().is_offline()
        },
    )
}

#[test]
fn r9_r11_r12_state_that_does_not_fit_the_log() {
    assert!(!spoiled(Rule::R9, |state| {
        state.epochs = crate::log::epochs::Epochs::from_pairs(vec![(3, 900), (1, 2)]);
    }));
    assert!(!spoiled(Rule::R11, |state| state.high_watermark = 77));
    assert!(spoiled(Rule::R12, |state| state.log_start = 50));
}

#[test]
fn r13_a_missing_segment_leaves_a_hole() {
    let segment = index_file(0).with_extension("log");
    scene(
        with_indexes,
        |disk| disk.plant(&segment, &[0; 8192]).unwrap(),
        async |world| {
            let (store, _) = open(&world).await;
            let log = store.log(partition(0)).unwrap();
            let (_, lost) = read_all(&log).await;
            assert_eq!(lost.last().map(|it| it.1), Some(BATCHES as i64), "{lost:?}");
            assert_eq!(store.rules()[Rule::R13 as usize], 1);
            assert_eq!(log.log_end_offset().get(), BATCHES as i64, "nothing is renumbered");
            assert_eq!(read_all(&store.log(partition(1)).unwrap()).await, (BATCHES, vec![]));
        },
    );
}

#[test]
fn r14_r15_strangers_are_set_aside_never_deleted() {
    let damage = |disk: &SimDisk| {
        disk.plant(index_file(0).with_file_name("what.is.this"), b"?").unwrap();
        disk.plant(index_file(9).with_extension("log"), b"whose?").unwrap();
        disk.plant("/data/topics/not-a-topic/x", b"!").unwrap();
    };
    scene(with_indexes, damage, async |world| {
        let (store, _) = open(&world).await;
        read_all(&store.log(partition(0)).unwrap()).await;
        assert_eq!(store.rules()[Rule::R14 as usize], 1);
        let known = store.logs().into_iter().map(|log| log.partition()).collect();
        let swept = DataDir::sweep(&world, Path::new("/data"), &known).await.unwrap();
        assert_eq!(swept, crate::Swept { strays: 1, lost: 1 });
        store.stray(partition(1)).await.unwrap();
        world.sleep(std::time::Duration::from_millis(10)).await;
        assert_eq!(store.rules()[Rule::R15 as usize], 1);
        let stray = world.disk().list("/data/.stray").await.unwrap();
        assert_eq!(stray.len(), 2, "{stray:?}");
        assert_eq!(world.disk().list("/data/.lost").await.unwrap().len(), 2);
    });
}

#[test]
fn r17_an_epoch_ahead_of_the_clusters_takes_the_log_offline() {
    let sim = Sim::new(1);
    sim.run(async |world| {
        let (store, _) = open(&world).await;
        let log = create(&store, 0).await;
        log.start_epoch(LeaderEpoch::new(5).unwrap()).unwrap();
        assert!(log.check_epoch(LeaderEpoch::new(5).unwrap()));
        assert!(!log.check_epoch(LeaderEpoch::new(4).unwrap()));
        assert!(log.is_offline());
    })
    .unwrap();
}

#[test]
fn a_failed_sync_or_write_fences_for_good() {
    for op in [DiskOp::Sync, DiskOp::Write] {
        let sim = Sim::new(1);
        let disk = sim.disk(NodeId(0));
        sim.run(async |world| {
            let (store, _) = open(&world).await;
            let log = create(&store, 0).await;
            append(&store, &log, 100).await;
            store.flush().await.unwrap();
            append(&store, &log, 100).await;
            disk.fail_next(op, 0, std::io::ErrorKind::Other);
            assert!(store.flush().await.is_err());
            assert!(store.fenced().is_some());
            let ticket = store.newest_ticket();
            assert!(store.durable(Ticket(ticket.0 + 1)).await.is_err());
            assert!(
                store.create(partition(1), LogConfig::default(), LeaderEpoch::ZERO).await.is_err()
            );
        })
        .unwrap();
    }
}

#[test]
fn a_full_disk_refuses_appends_serves_reads_and_heals() {
    let sim = Sim::new(1);
    let disk = sim.disk(NodeId(0));
    disk.set_faults(DiskFaults { capacity_bytes: Some(3 << 20), ..DiskFaults::instant() });
    sim.run(async |world| {
        let (store, _) = open(&world).await;
        let log = create(&store, 0).await;
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(None, Some(&vec![9; 10_000]), &[], 1_700_000_000_000).unwrap();
        let mut batch = Vec::new();
        builder.build(&mut batch).unwrap();
        let context = AppendContext {
            epoch: LeaderEpoch::ZERO,
            now_ms: 1_700_000_000_000,
            origin: Origin::Client,
            max_timestamp: None,
        };
        let mut taken = 0;
        loop {
            match log.append(&RawBatch(&batch).check().unwrap(), context) {
                Ok(_) => taken += 1,
                Err(crate::AppendError::Full) => break,
                Err(error) => panic!("{error}"),
            }
            world.sleep(std::time::Duration::from_micros(300)).await;
            assert!(taken < 2000, "the disk never fills");
        }
        assert!(store.fenced().is_none(), "{:?}", store.fenced());
        let limit = ReadLimit { max_bytes: 1, end: log.durable_offset(), at_least_one: true };
        assert!(log.read(Offset::ZERO, limit).await.unwrap().bytes > 10_000);
        disk.set_faults(DiskFaults::instant());
        store.room().await.unwrap();
        append(&store, &log, 100).await;
        assert_eq!(read_all(&log).await, (taken + 1, vec![]));
    })
    .unwrap();
}
