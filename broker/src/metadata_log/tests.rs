//! Whatever is cut short, the image that was acknowledged comes back, from logs that stay small.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use protocol::BrokerId;
use protocol::metadata::record::PartitionRecord;
use runtime::ShardId;
use runtime::sim::{DiskFaults, NodeId, Sim, SimDisk};
use storage::{DataDir, Identity, StoreConfig};

use super::*;

const EVERY: u64 = 30;

async fn open(world: &World) -> (MetadataLog, Store) {
    let identity = Identity { cluster: "test".into(), broker: BrokerId::new(1).unwrap() };
    drop(DataDir::open(world, Path::new("/data"), &identity, 1).await.expect("it is ours"));
    let mut config = StoreConfig::new("/data", ShardId(0));
    config.tuning.ring_file_bytes = 64 << 10;
    config.tuning.group_bytes = 16 << 10;
    config.tuning.direct_bytes = 16 << 10;
    config.tuning.chunk_bytes = 4096;
    config.journal_bytes = 256 << 10;
    config.cache_bytes = 0;
    let (store, _) = Store::open(world.clone(), config).await.expect("it opens");
    let mut log = MetadataLog::open(world, &store).await.expect("it opens");
    log.snapshot_every = EVERY;
    log.log.configure(LogConfig { segment_bytes: 4096, ..keep_all() });
    // Each snapshot in a segment of its own, so that one can be damaged without the other.
    log.snapshots.configure(LogConfig { segment_bytes: 256, ..keep_all() });
    (log, store)
}

/// A change that may follow `image`: topics come and go, never many at once.
fn change(image: &Image, random: u64) -> Vec<Record> {
    if image.topic_count() > 4 + (random % 8) as usize {
        let topics: Vec<_> = image.topics().collect();
        let topic = topics[(random >> 8) as usize % topics.len()].id;
        return vec![Record::TopicDeleted { topic }];
    }
    let topic = TopicId::new((image.version().get() as u128 + 2).to_be_bytes());
    let broker = BrokerId::new(1).unwrap();
    let partition = PartitionRecord {
        topic,
        index: PartitionIndex::ZERO,
        replicas: vec![broker],
        in_sync: vec![broker],
        leader: Some(broker),
        leader_epoch: LeaderEpoch::ZERO,
        partition_epoch: 0,
    };
    let name = format!("topic-{}", image.version());
    vec![Record::TopicCreated { topic, name }, Record::Partition(partition)]
}

/// Changes one after the other, each noted as begun and as done, with snapshots when they are due.
async fn changes(
    world: &World,
    (log, store): &(MetadataLog, Store),
    count: usize,
    acknowledged: &RefCell<Image>,
    asked: &RefCell<Image>,
) {
    for _ in 0..count {
        let mut image = acknowledged.borrow().clone();
        let records = change(&image, world.random());
        image.apply_all(&records).expect("it follows");
        *asked.borrow_mut() = image.clone();
        log.append(&records).await.expect("nothing fails");
        *acknowledged.borrow_mut() = image.clone();
        if log.is_snapshot_due(&image) {
            log.write_snapshot(&image).await.expect("nothing fails");
        }
        store.tick(world.wall_ms()).await.expect("nothing fails");
    }
}

#[test]
fn a_crash_at_any_moment_keeps_the_image_and_the_logs_small() {
    let mut from_snapshot = 0;
    for seed in 0..60 {
        let sim = Sim::new(seed);
        let acknowledged = Rc::new(RefCell::new(Image::new()));
        let asked = Rc::new(RefCell::new(Image::new()));
        for round in 0..6 {
            let disk = sim.disk(NodeId(0));
            let halt = disk.ops() + 30 + (seed * 7919 + round * 104_729) % 900;
            disk.set_faults(DiskFaults { halt_after_ops: Some(halt), ..DiskFaults::instant() });
            let (acknowledged, asked, halted) = (acknowledged.clone(), asked.clone(), disk.clone());
            let resumed = sim.run(|world| {
                futures_lite::future::or(
                    async move {
                        halted.halted().await;
                        0
                    },
                    async move {
                        let open = open(&world).await;
                        let found = open.0.load().await.expect("it can be read").image;
                        let known = acknowledged.borrow().clone();
                        // What was asked for may have become durable without an answer.
                        assert!(found == known || found == *asked.borrow(), "seed {seed}");
                        *acknowledged.borrow_mut() = found;
                        let resumed = u32::from(open.0.newest.get().is_some());
                        changes(&world, &open, 200, &acknowledged, &asked).await;
                        assert!(open.0.log.size_bytes() < 40_000, "{}", open.0.log.size_bytes());
                        assert!(open.0.snapshots.size_bytes() < 40_000);
                        resumed
                    },
                )
            });
            from_snapshot += resumed.expect("it does not hang");
            sim.kill(NodeId(0));
            sim.set_disk(NodeId(0), if seed % 3 == 0 { disk.kill() } else { disk.crash(seed) });
        }
    }
    assert!(from_snapshot > 20, "only {from_snapshot} starts from a snapshot");
}

/// Makes `count` changes, damages the disk, and loads.
fn load_after(
    count: usize,
    damage: impl FnOnce(&SimDisk),
) -> (Image, Result<Loaded, MetadataLogError>) {
    let sim = Sim::new(3);
    sim.disk(NodeId(0)).set_faults(DiskFaults::instant());
    let acknowledged = Rc::new(RefCell::new(Image::new()));
    let noted = acknowledged.clone();
    sim.run(async move |world| {
        let open = open(&world).await;
        changes(&world, &open, count, &noted, &RefCell::default()).await;
        open.1.flush().await.expect("nothing fails");
        open.1.close().await.expect("nothing fails");
    })
    .expect("it ends");
    sim.kill(NodeId(0));
    let disk = sim.disk(NodeId(0)).kill();
    damage(&disk);
    sim.set_disk(NodeId(0), disk);
    let loaded = sim.run(async |world| open(&world).await.0.load().await).expect("it ends");
    (acknowledged.borrow().clone(), loaded)
}

/// The segment files of one of the two logs, oldest first.
fn segments(disk: &SimDisk, partition: TopicPartition) -> Vec<std::path::PathBuf> {
    let part = format!("/{}/", partition.index);
    let files = disk.files().into_iter();
    files
        .filter(|it| it.extension().is_some_and(|it| it == "log"))
        .filter(|it| it.to_string_lossy().contains(&part))
        .collect()
}

#[test]
fn the_older_snapshot_leads_to_the_same_image() {
    let (image, loaded) = load_after(300, |disk| {
        let newest = segments(disk, SNAPSHOT_PARTITION).pop().expect("there are snapshots");
        disk.flip(newest, 100, 1).unwrap();
    });
    assert_eq!(loaded.unwrap().image, image);
}

#[test]
fn without_any_snapshot_the_start_says_so() {
    let (_, loaded) = load_after(300, |disk| {
        for segment in segments(disk, SNAPSHOT_PARTITION) {
            for block in 0..disk.peek(&segment).unwrap().len() / 4096 {
                disk.flip(&segment, block as u64 * 4096 + 100, 1).unwrap();
            }
        }
    });
    assert!(matches!(loaded, Err(MetadataLogError::NoSnapshot { .. })), "{loaded:?}");
}

#[test]
fn a_lost_record_that_no_snapshot_holds_keeps_the_broker_from_starting() {
    let (_, loaded) = load_after(20, |disk| {
        let newest = segments(disk, METADATA_PARTITION).pop().expect("there are records");
        disk.flip(newest, 100, 1).unwrap();
    });
    assert!(matches!(loaded, Err(MetadataLogError::Read { .. })), "{loaded:?}");
}
