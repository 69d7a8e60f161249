use protocol::RawBatch;
use protocol::epoch::ProducerEpoch;
use protocol::ids::ProducerId;

use super::*;

fn limits(compression: Compression) -> DraftLimits {
    DraftLimits { batch_bytes: 4096, record_bytes_max: 1 << 20, compression, level: None }
}

fn built(compression: Compression, count: u32) -> Built {
    let limits = limits(compression);
    let mut draft = Draft::new(&limits);
    for n in 0..count {
        let key = n.to_be_bytes();
        let headers = [Header { key: b"n", value: Some(&key) }];
        draft.push(&Record::to("t").key(&key).value("value").headers(&headers), i64::from(n));
    }
    draft.close()
}

fn keys(built: &Built) -> Vec<(u32, i64, usize)> {
    let header = BatchHeader::peek(&built.bytes).unwrap();
    let codec = Compression::from_id(header.attributes().0 & 7).unwrap();
    let plain = decompress(codec, &built.bytes[HEADER_BYTES..], 1 << 20).unwrap();
    Records::new(header, &plain)
        .map(|record| record.unwrap())
        .map(|it| {
            (
                u32::from_be_bytes(it.key.unwrap().try_into().unwrap()),
                it.timestamp,
                it.headers.len(),
            )
        })
        .collect()
}

#[test]
fn a_stamped_batch_still_passes_the_brokers_check_and_carries_its_numbers() {
    let identity =
        Identity { id: ProducerId::new(77).unwrap(), epoch: ProducerEpoch::new(3).unwrap() };
    let mut batch = built(Compression::Lz4, 10);
    let sent = batch.bytes();
    batch.stamp(identity, 41);
    let checked = RawBatch(&batch.bytes).check().expect("it was built to pass");
    let header = checked.header();
    assert_eq!(
        (header.producer_id(), header.producer_epoch(), header.base_sequence()),
        (77, 3, 41)
    );
    assert_eq!(
        BatchHeader::peek(&sent).unwrap().producer_id(),
        -1,
        "bytes under way are not touched"
    );
}

#[test]
fn a_split_batch_holds_the_same_records_in_the_same_order() {
    for codec in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        for count in [2, 3, 10] {
            let whole = built(codec, count);
            let halves = whole.split(&limits(codec));
            assert_eq!(halves[0].count() + halves[1].count(), count);
            assert!(halves.iter().all(|half| half.count() > 0), "{codec:?} {count}");
            let joined: Vec<_> = halves.iter().flat_map(keys).collect();
            assert_eq!(joined, keys(&whole), "{codec:?} {count}");
            for half in &halves {
                RawBatch(&half.bytes).check().expect("a half is a batch");
            }
        }
    }
}
