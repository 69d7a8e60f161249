//! A whole snapshot is found wherever the log begins and ends; half of one never is.

use super::*;
use crate::batch::{RawBatch, stamp};
use crate::metadata::record::PartitionRecord;
use crate::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

/// An image of `topics` topics with long names, so that a few thousand fill several batches.
fn image(topics: u128) -> Image {
    let mut image = Image::new();
    for number in 0..topics {
        let topic = TopicId::new((number + 1).to_be_bytes());
        let name = format!("{number:0>200}");
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
        image.apply(&Record::TopicCreated { topic, name }).unwrap();
        image.apply(&Record::Partition(partition)).unwrap();
    }
    image
}

/// Batches with the offsets that a log gives them.
struct SnapshotLog {
    batches: Vec<Vec<u8>>,
    end: Offset,
}

impl SnapshotLog {
    fn add(&mut self, image: &Image) {
        for mut batch in write(image, 5).unwrap() {
            stamp(self.end, LeaderEpoch::ZERO, &mut batch);
            self.end = self.end.plus(RawBatch(&batch).check().unwrap().offset_count());
            self.batches.push(batch);
        }
    }
}

fn read(batches: &[Vec<u8>]) -> Option<Snapshot> {
    let mut reader = SnapshotReader::default();
    for batch in batches {
        reader.take(&RawBatch(batch).check().unwrap()).unwrap();
    }
    reader.newest()
}

#[test]
fn the_newest_whole_snapshot_is_found_at_every_length_of_the_log() {
    let (small, large) = (image(1), image(3_000));
    let mut log = SnapshotLog { batches: Vec::new(), end: Offset::ZERO };
    log.add(&Image::new());
    log.add(&small);
    let start = log.end;
    log.add(&large);
    let count = log.batches.len();
    assert!(count > 4, "the large one is several batches");
    assert_eq!(read(&log.batches[..0]), None);
    assert_eq!(read(&log.batches[..1]).unwrap().version, Offset::ZERO);
    for length in 2..count {
        assert_eq!(read(&log.batches[..length]).unwrap().version, small.version(), "{length}");
    }
    let newest = read(&log.batches).unwrap();
    assert_eq!((newest.version, newest.start), (large.version(), start));
    assert_eq!(Image::restore(newest.version, &newest.records).unwrap(), large);
    // Trimmed in the middle of an older one, it is found all the same.
    assert_eq!(read(&log.batches[1..]).unwrap(), newest);
    assert_eq!(read(&log.batches[3..]), None, "its begin is gone");
}

#[test]
fn a_snapshot_that_lost_a_batch_does_not_count() {
    let (old, new) = (image(1), image(3_000));
    let mut log = SnapshotLog { batches: Vec::new(), end: Offset::ZERO };
    log.add(&old);
    log.add(&new);
    for lost in 1..log.batches.len() {
        let mut left = log.batches.clone();
        left.remove(lost);
        assert_eq!(read(&left).unwrap().version, old.version(), "batch {lost}, not told");
        let mut reader = SnapshotReader::default();
        for (at, batch) in log.batches.iter().enumerate() {
            if at == lost {
                reader.skip();
                continue;
            }
            reader.take(&RawBatch(batch).check().unwrap()).unwrap();
        }
        assert_eq!(reader.newest().unwrap().version, old.version(), "batch {lost}, told");
    }
}

#[test]
fn one_that_was_cut_short_and_begun_anew_counts_once() {
    let whole = image(3_000);
    let mut log = SnapshotLog { batches: Vec::new(), end: Offset::ZERO };
    log.add(&whole);
    // A crash in the middle of the first; the second holds the same version.
    log.batches.truncate(2);
    log.add(&whole);
    let newest = read(&log.batches).unwrap();
    assert_eq!(Image::restore(newest.version, &newest.records).unwrap(), whole);
}

#[test]
fn what_no_controller_writes_is_an_error() {
    let mut reader = SnapshotReader::default();
    let mut take = |key: Option<&[u8]>, value: Option<&[u8]>| {
        let mut batch = BatchBuilder::new(Compression::None);
        batch.append(key, value, &[], 0).unwrap();
        reader.take(&RawBatch(&built(&batch).unwrap()).check().unwrap())
    };
    assert_eq!(take(Some(b"begun"), Some(&[0; 12])), Err(ReadError::Foreign));
    assert_eq!(take(Some(BEGIN), Some(&[0; 11])), Err(ReadError::Foreign));
    assert_eq!(take(Some(BEGIN), Some(&[0xff; 12])), Err(ReadError::Foreign));
    assert_eq!(take(None, None), Err(ReadError::Foreign));
    assert_eq!(take(None, Some(&[200, 0])), Ok(()), "outside of a snapshot nothing is read");
    assert_eq!(take(Some(BEGIN), Some(&[0; 12])), Ok(()));
    assert!(matches!(take(None, Some(&[200, 0])), Err(ReadError::Record { .. })));
}
