//! The same on a real disk.

use protocol::epoch::LeaderEpoch;
use protocol::offset::Offset;
use runtime::ShardId;
use storage::{LogConfig, ReadLimit, StoreConfig};

use crate::model::{append, batch, open, partition, stamped};

#[test]
fn append_restart_read() {
    let dir = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let mut config = StoreConfig::new(dir.path().join("data"), ShardId(0));
    config.journal_bytes = 64 << 20;
    runtime::block_on(async |world| {
        let (store, report) = open(&world, &config).await.unwrap();
        assert!(report.fresh);
        let log =
            store.create(partition(0), LogConfig::default(), LeaderEpoch::ZERO).await.unwrap();
        let mut expected = Vec::new();
        for mark in 0..200 {
            let size = if mark % 10 == 0 { 300_000 } else { 200 };
            let bytes = batch(mark, 1, size, None);
            let appended = append(&log, &bytes).unwrap();
            expected.extend(stamped(&bytes, mark as i64));
            store.durable(appended.ticket).await.unwrap();
        }
        assert!(store.stats().direct_bytes > 0, "{:?}", store.stats());
        drop(log);
        store.close().await.unwrap();
        let (store, report) = open(&world, &config).await.unwrap();
        assert!(report.clean);
        let log = store.log(partition(0)).unwrap();
        let mut found = Vec::new();
        let mut from = Offset::ZERO;
        while from < log.log_end_offset() {
            let limit =
                ReadLimit { max_bytes: 1 << 20, end: log.durable_offset(), at_least_one: true };
            let outcome = log.read(from, limit).await.unwrap();
            outcome.slices.iter().for_each(|slice| found.extend_from_slice(slice));
            from = outcome.next;
        }
        assert!(found == expected);
        store.close().await.unwrap();
    })
    .unwrap();
}
