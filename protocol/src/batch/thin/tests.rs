//! Whatever is taken out of a batch, what is left reads as before.

use super::*;
use crate::batch::RawBatch;
use crate::batch::builder::BatchBuilder;
use crate::batch::compress::decompress;
use crate::batch::records::Header;
use crate::epoch::{LeaderEpoch, ProducerEpoch};
use crate::ids::ProducerId;
use crate::offset::Offset;

const HORIZON: i64 = 1_800_000_000_000;

/// What must stay of a record.
type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

fn batch(codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    builder.set_place(Offset::new(1000).unwrap(), LeaderEpoch::new(3).unwrap());
    let producer = ProducerId::new(7).unwrap();
    builder.set_producer(producer, ProducerEpoch::new(2).unwrap(), 40);
    let header = Header { key: b"h", value: Some(b"x") };
    for number in 0..100_i64 {
        let key = (number % 10).to_string();
        let value = (number % 7 != 3).then(|| vec![b'v'; number as usize * 3]);
        let headers = if number % 3 == 0 { &[header][..] } else { &[] };
        let timestamp = if number == 50 { -1 } else { 1_700_000_000_000 - number * 1_000_000 };
        builder.append(Some(key.as_bytes()), value.as_deref(), headers, timestamp).unwrap();
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes
}

fn section(batch: &CheckedBatch<'_>) -> Vec<u8> {
    decompress(batch.compression(), batch.record_bytes(), 1 << 20).unwrap()
}

fn seen(bytes: &[u8]) -> Vec<Seen> {
    let batch = RawBatch(bytes).check().unwrap();
    let section = section(&batch);
    let records = Records::new(batch.header(), &section);
    records
        .map(|record| {
            let it = record.unwrap();
            let owned = |field: Option<&[u8]>| field.map(<[u8]>::to_vec);
            (it.offset, it.timestamp, owned(it.key), owned(it.value), it.headers.len())
        })
        .collect()
}

fn thinned(bytes: &[u8], keep: impl FnMut(&Record<'_>) -> bool) -> Remains {
    let batch = RawBatch(bytes).check().unwrap();
    batch.thin(&section(&batch), HORIZON, keep).unwrap()
}

#[test]
fn what_stays_reads_as_before() {
    for codec in Compression::ALL {
        let bytes = batch(codec);
        let before = seen(&bytes);
        for (name, keep) in [
            ("every third", (|it: &Record<'_>| it.offset % 3 == 0) as fn(&Record<'_>) -> bool),
            ("the first", |it| it.offset == 1000),
            ("the last", |it| it.offset == 1099),
            ("runs", |it| it.offset / 8 % 2 == 0),
            ("no tombstone", |it| it.value.is_some()),
            ("tombstones", |it| it.value.is_none()),
            ("all", |_| true),
        ] {
            let Remains::Some(left) = thinned(&bytes, keep) else { panic!("{name}") };
            let packed = left.pack().unwrap();
            let batch = RawBatch(&packed).check().unwrap();
            let kept: Vec<_> = before
                .iter()
                .filter(|it| {
                    keep(&Record {
                        offset: it.0,
                        timestamp: it.1,
                        attributes: 0,
                        key: it.2.as_deref(),
                        value: it.3.as_deref(),
                        headers: crate::batch::records::Headers::default(),
                    })
                })
                .cloned()
                .collect();
            assert_eq!(seen(&packed), kept, "{name} {codec:?}");
            assert_eq!(batch.record_count() as usize, kept.len(), "{name}");
            // Its place, its codec and its producer are what they were.
            assert_eq!(batch.base_offset().get(), 1000);
            assert_eq!((batch.offset_count(), batch.compression()), (100, codec));
            let old = RawBatch(&bytes).check().unwrap();
            assert_eq!(batch.producer(), old.producer());
            assert_eq!(batch.header().leader_epoch(), 3);
            let newest = kept.iter().map(|it| it.1).max().unwrap();
            assert_eq!(batch.max_timestamp(), newest, "{name}");
            let tombstones = kept.iter().any(|it| it.3.is_none());
            assert_eq!(batch.delete_horizon(), tombstones.then_some(HORIZON), "{name}");
        }
    }
}

#[test]
fn a_horizon_is_set_once() {
    let bytes = batch(Compression::Zstd);
    let Remains::Some(left) = thinned(&bytes, |_| true) else { panic!() };
    let once = left.pack().unwrap();
    let old = RawBatch(&once).check().unwrap();
    assert_eq!(old.thin(&section(&old), HORIZON + 5, |_| true), Ok(Remains::Untouched));
    let fewer = old.thin(&section(&old), HORIZON + 5, |it| it.offset > 1010).unwrap();
    let Remains::Some(left) = fewer else { panic!() };
    let twice = left.pack().unwrap();
    assert_eq!(RawBatch(&twice).check().unwrap().delete_horizon(), Some(HORIZON));
    assert_eq!(seen(&twice), seen(&bytes)[11..]);
}

#[test]
fn nothing_left_is_nothing_or_an_empty_batch() {
    for codec in Compression::ALL {
        let bytes = batch(codec);
        assert_eq!(thinned(&bytes, |_| false), Remains::Nothing);
        let old = RawBatch(&bytes).check().unwrap();
        let empty = old.emptied();
        let batch = RawBatch(&empty).check().unwrap();
        assert_eq!((batch.record_count(), batch.offset_count()), (0, 100));
        assert_eq!(batch.base_offset().get(), 1000);
        assert_eq!(batch.producer(), old.producer());
        assert_eq!(batch.compression(), Compression::None);
        assert_eq!(batch.max_timestamp(), old.max_timestamp());
        assert_eq!(batch.delete_horizon(), None);
        assert_eq!(batch.records().count(), 0);
    }
}

#[test]
fn append_time_stays() {
    let plain = batch(Compression::None);
    let old = RawBatch(&plain).check().unwrap();
    let mut bytes = vec![0; plain.len()];
    let at = crate::batch::Restamp::LogAppendTime(1_750_000_000_000);
    old.copy_restamped(Offset::new(1000).unwrap(), LeaderEpoch::ZERO, at, &mut bytes);
    let Remains::Some(left) = thinned(&bytes, |it| it.offset >= 1090) else { panic!() };
    let packed = left.pack().unwrap();
    assert_eq!(seen(&packed), seen(&bytes)[90..]);
    assert!(seen(&packed).iter().all(|it| it.1 == 1_750_000_000_000));
}

#[test]
fn a_record_that_lies_is_an_error() {
    let bytes = batch(Compression::None);
    let batch = RawBatch(&bytes).check().unwrap();
    let mut lie = batch.record_bytes().to_vec();
    lie[0] = 0x03;
    assert!(batch.thin(&lie, HORIZON, |_| true).is_err());
    lie.truncate(40);
    assert!(batch.thin(&lie, HORIZON, |_| true).is_err());
}
