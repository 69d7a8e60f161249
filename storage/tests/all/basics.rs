//! One thing at a time, on the simulated disk.

use protocol::epoch::LeaderEpoch;
use protocol::offset::Offset;
use runtime::World;
use runtime::sim::Sim;
use storage::{LogConfig, ReadLimit, Store, StoreConfig};

use crate::model::{Random, append, batch, identity, open, partition, stamped, tiny};

fn run<F: Future>(seed: u64, test: impl FnOnce(World, StoreConfig) -> F) -> F::Output {
    let sim = Sim::new(seed);
    sim.run(|world| test(world, tiny(&mut Random::new(seed)))).expect("it ends")
}

async fn read(log: &storage::Log, from: i64) -> Vec<u8> {
    let limit = ReadLimit { max_bytes: 1 << 20, end: log.durable_offset(), at_least_one: true };
    let outcome = log.read(Offset::new(from).unwrap(), limit).await.unwrap();
    outcome.slices.iter().flat_map(|slice| slice.to_vec()).collect()
}

async fn create(store: &Store, number: u8) -> storage::Log {
    store.create(partition(number), LogConfig::default(), LeaderEpoch::ZERO).await.unwrap()
}

#[test]
fn what_is_appended_is_read() {
    run(1, async |world, config| {
        let (store, report) = open(&world, &config).await.unwrap();
        assert!(report.fresh);
        let log = create(&store, 0).await;
        let (a, b) = (batch(1, 3, 100, None), batch(2, 1, 10, None));
        let first = append(&log, &a).unwrap();
        assert_eq!((first.base_offset.get(), first.next_offset.get()), (0, 3));
        assert!(!store.is_durable(first.ticket));
        let second = append(&log, &b).unwrap();
        assert_eq!(second.base_offset.get(), 3);
        store.durable(second.ticket).await.unwrap();
        assert_eq!(log.durable_offset().get(), 4);
        assert_eq!(read(&log, 0).await, [stamped(&a, 0), stamped(&b, 3)].concat());
        assert_eq!(read(&log, 2).await, [stamped(&a, 0), stamped(&b, 3)].concat());
        assert_eq!(read(&log, 3).await, stamped(&b, 3));
        assert!(read(&log, 4).await.is_empty());
        store.close().await.unwrap();
    });
}

#[test]
fn a_clean_stop_is_recognised_once() {
    run(2, async |world, config| {
        let (store, _) = open(&world, &config).await.unwrap();
        let log = create(&store, 0).await;
        let bytes = batch(1, 3, 100, None);
        append(&log, &bytes).unwrap();
        store.close().await.unwrap();
        let (store, report) = open(&world, &config).await.unwrap();
        assert!(report.clean, "{report:?}");
        assert_eq!(read(&store.log(partition(0)).unwrap(), 0).await, stamped(&bytes, 0));
        drop(store);
        let (store, report) = open(&world, &config).await.unwrap();
        assert!(!report.clean, "the mark lost its force when the store was opened");
        assert_eq!(report.incarnation, 3);
        assert_eq!(read(&store.log(partition(0)).unwrap(), 0).await, stamped(&bytes, 0));
    });
}

#[test]
fn many_laps_of_the_ring_and_many_segments() {
    run(3, async |world, config| {
        let (store, _) = open(&world, &config).await.unwrap();
        let settings = LogConfig { segment_bytes: 50_000, ..LogConfig::default() };
        let log = store.create(partition(0), settings, LeaderEpoch::ZERO).await.unwrap();
        let mut expected = Vec::new();
        let mut next = 0;
        for mark in 0..600 {
            let bytes = batch(mark, 1, 50 + (mark as usize * 37) % 3000, None);
            let appended = loop {
                match append(&log, &bytes) {
                    Ok(appended) => break appended,
                    Err(storage::AppendError::Full) => store.room().await.unwrap(),
                    Err(error) => panic!("{error}"),
                }
            };
            assert_eq!(appended.base_offset.get(), next);
            expected.extend(stamped(&bytes, next));
            next += 1;
            if mark % 7 == 0 {
                store.durable(appended.ticket).await.unwrap();
            }
        }
        store.durable(log.last_ticket()).await.unwrap();
        let stats = store.stats();
        assert!(stats.checkpoints > 3, "{stats:?}");
        for _ in 0..2 {
            let log = store.log(partition(0)).unwrap();
            let mut found = Vec::new();
            let mut from = Offset::ZERO;
            while from < log.durable_offset() {
                let limit =
                    ReadLimit { max_bytes: 9000, end: log.durable_offset(), at_least_one: true };
                let outcome = log.read(from, limit).await.unwrap();
                outcome.slices.iter().for_each(|slice| found.extend_from_slice(slice));
                from = outcome.next;
            }
            assert!(found == expected);
            store.flush().await.unwrap();
        }
        store.close().await.unwrap();
    });
}

#[test]
fn a_directory_belongs_to_one_broker() {
    run(4, async |world, config| {
        let (store, _) = open(&world, &config).await.unwrap();
        store.close().await.unwrap();
        let other = storage::Identity { cluster: "other".into(), ..identity() };
        let refused = storage::DataDir::open(&world, &config.dir, &other, 1).await;
        assert!(matches!(refused, Err(storage::OpenError::WrongOwner { what: "cluster", .. })));
        let _held = storage::DataDir::open(&world, &config.dir, &identity(), 1).await.unwrap();
        let twice = storage::DataDir::open(&world, &config.dir, &identity(), 1).await;
        assert!(matches!(twice, Err(storage::OpenError::Locked(_))));
    });
}
