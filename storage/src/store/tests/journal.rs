//! Damage in the journal: groups, superblock and ring files.

use super::*;

#[test]
fn r4_a_damaged_group_below_the_mark_costs_its_offsets_only() {
    // Groups: opened, create, then one per batch; block 5 is the fourth batch.
    let damage = |disk: &SimDisk| disk.flip(RING, 5 * 4096 + 200, 3).unwrap();
    scene(
        async |world| some_batches(world, 10).await,
        damage,
        async |world| {
            let (store, report) = open(&world).await;
            assert_eq!(report.count(Rule::R4), 1, "{report:?}");
            assert_eq!(report.lost.len(), 1);
            assert_eq!((report.lost[0].first, report.lost[0].next), (3, 4));
            let log = store.log(partition(0)).unwrap();
            assert_eq!(read_all(&log).await, (9, vec![(3, 4)]));
            append(&store, &log, 10).await;
            drop(store);
            // It is said once, and the loss stays known.
            let (store, report) = open(&world).await;
            assert!(report.lost.is_empty(), "{report:?}");
            assert_eq!(read_all(&store.log(partition(0)).unwrap()).await, (10, vec![(3, 4)]));
        },
    );
}

#[test]
fn r3_a_damaged_group_above_the_mark_is_a_torn_tail() {
    let damage = |disk: &SimDisk| disk.flip(RING, 11 * 4096 + 200, 3).unwrap();
    scene(
        async |world| some_batches(world, 10).await,
        damage,
        async |world| {
            let (store, report) = open(&world).await;
            assert_eq!((report.count(Rule::R3), report.count(Rule::R4)), (1, 0), "{report:?}");
            assert!(report.lost.is_empty());
            assert_eq!(read_all(&store.log(partition(0)).unwrap()).await, (9, vec![]));
        },
    );
}

#[test]
fn r5_groups_in_each_others_place_are_not_believed() {
    scene(
        async |world| some_batches(world, 10).await,
        |disk| swap_blocks(disk, RING, 5, 6),
        async |world| {
            let (store, report) = open(&world).await;
            assert_eq!(report.count(Rule::R5), 1, "{report:?}");
            assert_eq!(read_all(&store.log(partition(0)).unwrap()).await, (8, vec![(3, 5)]));
        },
    );
}

#[test]
fn r6_what_the_device_does_not_give_counts_as_damaged() {
    let damage = |disk: &SimDisk| {
        // Manifest three times, superblock; then the ring file as a whole, then its sixth block.
        disk.fail_next(DiskOp::Read, 4, std::io::ErrorKind::Other);
        disk.fail_next(DiskOp::Read, 5, std::io::ErrorKind::Other);
    };
    scene(
        async |world| some_batches(world, 10).await,
        damage,
        async |world| {
            let (store, report) = open(&world).await;
            assert_eq!(report.count(Rule::R6), 1, "{report:?}");
            assert_eq!(read_all(&store.log(partition(0)).unwrap()).await, (9, vec![(3, 4)]));
        },
    );
}

#[test]
fn an_end_that_cannot_be_read_is_not_taken_for_the_end() {
    let damage = |disk: &SimDisk| {
        let faults = DiskFaults { only: "ring-0".into(), read_error: 1.0, ..DiskFaults::instant() };
        disk.set_faults(faults);
    };
    scene(
        async |world| some_batches(world, 10).await,
        damage,
        async |world| {
            assert!(matches!(try_open(&world).await, Err(OpenError::Journal(_))));
        },
    );
}

#[test]
fn a_superblock_with_no_intact_copy_keeps_the_shard_shut() {
    let damage = |disk: &SimDisk| {
        for copy in 0..4 {
            disk.flip("/data/shards/0/superblock", copy * 4096 + 60, 1).unwrap();
        }
    };
    scene(
        async |world| some_batches(world, 3).await,
        damage,
        async |world| {
            assert!(matches!(try_open(&world).await, Err(OpenError::Journal(_))));
        },
    );
}

#[test]
fn a_ring_file_that_is_gone_or_short_keeps_the_shard_shut() {
    // All groups there are lie in the first file, and no checkpoint speaks of them.
    let refused = |damage: fn(&SimDisk), expected: &'static str| {
        scene(
            async |world| some_batches(world, 3).await,
            damage,
            async |world| match try_open(&world).await {
                Err(error @ OpenError::Ring { .. }) => {
                    assert!(error.to_string().contains(expected), "{error}");
                }
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("it opens without what was acknowledged"),
            },
        );
    };
    refused(|disk| disk.lose(RING).unwrap(), "ring-0 is missing");
    refused(|disk| disk.plant(RING, &[0; 8192]).unwrap(), "ring-0 is shorter than it was");
    refused(|disk| disk.lose("/data/shards/0/ring-3").unwrap(), "ring-3 is missing");
    // What the message advises.
    let zeros = |disk: &SimDisk| disk.plant(RING, &vec![0; 256 << 10]).unwrap();
    let before = async |world| some_batches(world, 3).await;
    scene(before, zeros, async |world| drop(open(&world).await));
}

#[test]
fn files_that_the_ring_grew_by_count_before_they_are_used() {
    let before = async |world: World| {
        let (store, _) = open(&world).await;
        let log = create(&store, 0).await;
        store.0.ring.borrow_mut().slots_wanted = 8;
        // Two at a time, as the writer and the background may.
        let (one, other) = futures_lite::future::zip(store.0.grow(), store.0.grow()).await;
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(store.0.superblock.borrow().ring_files, 6);
        append(&store, &log, 100).await;
    };
    let after = async |world: World| {
        let (store, _) = open(&world).await;
        assert_eq!(store.0.ring.borrow().slots(), 6);
        let log = store.log(partition(0)).unwrap();
        assert_eq!(read_all(&log).await, (1, vec![]));
    };
    scene(before, |_| {}, after);
    scene(
        before,
        |disk| disk.lose("/data/shards/0/ring-5").unwrap(),
        async |world: World| {
            assert!(matches!(try_open(&world).await, Err(OpenError::Ring { .. })));
        },
    );
    // A crash between the file and its count: it was never used, and is counted now.
    let uncounted = |disk: &SimDisk| {
        disk.plant("/data/shards/0/ring-6", &[7; 4096]).unwrap();
        disk.plant("/data/shards/0/ring-8", &[7; 4096]).unwrap();
    };
    scene(before, uncounted, async |world: World| {
        let (store, _) = open(&world).await;
        assert_eq!(store.0.ring.borrow().slots(), 7);
        assert_eq!(store.0.superblock.borrow().ring_files, 7);
        let log = store.log(partition(0)).unwrap();
        append(&store, &log, 100).await;
        assert_eq!(read_all(&log).await, (2, vec![]));
    });
}

#[test]
fn whoever_waited_for_room_is_not_refused() {
    let sim = Sim::new(3);
    // A disk that takes its time, so that the limit is reached.
    sim.disk(NodeId(0)).set_faults(DiskFaults::default());
    let refused = sim.run(async |world| {
        let identity = Identity { cluster: "test".into(), broker: BrokerId::new(1).unwrap() };
        drop(DataDir::open(&world, Path::new("/data"), &identity, 1).await.unwrap());
        let config = StoreConfig { unflushed_bytes: 128 << 10, ..config() };
        let (store, _) = Store::open(world.clone(), config).await.unwrap();
        let mut logs = Vec::new();
        for index in 0..40 {
            logs.push(create(&store, index).await);
        }
        // Requests of eight batches each, as bench and clients send them: none of them in part.
        let mut most = 0;
        for request in 0..200 {
            store.room().await.unwrap();
            for log in logs.iter().cycle().skip(request * 8 % logs.len()).take(8) {
                append_soon(log, 10_000);
            }
            most = most.max(store.stats().unflushed_bytes);
        }
        most
    });
    let most = refused.expect("it ends");
    // Up to the limit, and what one request brings.
    assert!(most > 128 << 10, "{most}: the limit was never reached");
    assert!(most < (128 << 10) + 8 * 10_200, "{most}");
}

#[test]
fn r19_a_journal_of_another_directory_is_not_opened() {
    // Two directories of the same broker, so only their uuids differ.
    let other = Sim::new(2);
    other.run(async |world| some_batches(world, 1).await).expect("it ends");
    let theirs = other.disk(NodeId(0)).peek("/data/manifest").unwrap();
    let damage = |disk: &SimDisk| disk.plant("/data/manifest", &theirs).unwrap();
    scene(
        async |world| some_batches(world, 3).await,
        damage,
        async |world| {
            assert!(matches!(try_open(&world).await, Err(OpenError::Mixed(0))));
        },
    );
}

#[test]
fn r19_a_journal_of_another_shard_is_not_opened() {
    let damage = |disk: &SimDisk| {
        for name in ["superblock", "ring-0", "ring-1", "ring-2", "ring-3"] {
            let bytes = disk.peek(format!("/data/shards/0/{name}")).unwrap();
            disk.plant(format!("/data/shards/1/{name}"), &bytes).unwrap();
        }
    };
    scene(
        async |world| some_batches(world, 3).await,
        damage,
        async |world| {
            drop(open(&world).await);
            let config = StoreConfig { shard: ShardId(1), ..config() };
            let opened = Store::open(world.clone(), config).await;
            assert!(matches!(opened, Err(OpenError::Mixed(1))));
        },
    );
}

#[test]
fn a_slow_logs_bytes_are_repeated_in_the_journal_and_written_once_it_stands_still() {
    let before = async |world: World| {
        let (store, _) = open(&world).await;
        let (hot, slow, still) =
            (create(&store, 0).await, create(&store, 1).await, create(&store, 2).await);
        append(&store, &still, 100).await;
        for _ in 0..20 {
            append(&store, &slow, 50).await;
            for _ in 0..20 {
                append(&store, &hot, 5000).await;
            }
        }
        let stats = store.stats();
        assert!(stats.checkpoints > 5, "the ring came round: {stats:?}");
        assert!(stats.repeated_bytes > 0, "{stats:?}");
        let exists = async |index| {
            let segment = index_file(index).with_extension("log");
            world.disk().exists(segment).await.unwrap()
        };
        assert!(!exists(1).await, "bytes were added in every lap");
        assert!(exists(2).await, "nothing was added");
    };
    scene(
        before,
        |_| {},
        async |world| {
            let (store, report) = open(&world).await;
            assert!(report.lost.is_empty(), "{report:?}");
            for (index, batches) in [(0, 400), (1, 20), (2, 1)] {
                let log = store.log(partition(index)).unwrap();
                assert_eq!(read_all(&log).await, (batches, vec![]), "log {index}");
                append(&store, &log, 10).await;
            }
        },
    );
}

#[test]
fn a_clean_mark_is_worth_nothing_once_groups_follow() {
    let before = async |world: World| {
        some_batches(world.clone(), 2).await;
        let (store, _) = open(&world).await;
        store.close().await.unwrap();
        let (store, report) = open(&world).await;
        assert!(report.clean);
        append(&store, &store.log(partition(0)).unwrap(), 100).await;
    };
    scene(
        before,
        |_| {},
        async |world| {
            let (store, _) = open(&world).await;
            assert_eq!(read_all(&store.log(partition(0)).unwrap()).await, (3, vec![]));
        },
    );
}

#[test]
fn a_short_write_is_written_again() {
    let sim = Sim::new(1);
    let disk = sim.disk(NodeId(0));
    disk.set_faults(DiskFaults::instant());
    let faults = disk.clone();
    sim.run(async |world| {
        let (store, _) = open(&world).await;
        let log = create(&store, 0).await;
        append(&store, &log, 30_000).await;
        let short = DiskFaults { only: ".log".into(), write_short: 1.0, ..DiskFaults::instant() };
        faults.set_faults(short);
        let flushed = world.timeout(std::time::Duration::from_millis(200), store.flush()).await;
        assert!(flushed.is_err(), "nothing was flushed");
        faults.set_faults(DiskFaults::instant());
        store.flush().await.unwrap();
        assert_eq!(read_all(&log).await, (1, vec![]));
        assert!(store.fenced().is_none());
    })
    .unwrap();
}
