//! Batches: what passes, every lie that does not, and what stamping changes.

use proptest::prelude::*;

use super::builder::{BatchBuilder, ControlMarker};
use super::records::Header;
use super::*;
use crate::error_code::ErrorCode;

mod lies;
mod oracle;

const NOW: i64 = 1_700_000_000_000;

fn offset(value: i64) -> Offset {
    Offset::new(value).unwrap()
}

fn epoch(value: i32) -> LeaderEpoch {
    LeaderEpoch::new(value).unwrap()
}

fn producer(id: i64, epoch: i16) -> (ProducerId, ProducerEpoch) {
    (ProducerId::new(id).unwrap(), ProducerEpoch::new(epoch).unwrap())
}

/// Three records: plain, with headers and a null key, and a tombstone.
fn three_records(compression: Compression) -> BatchBuilder {
    let mut batch = BatchBuilder::new(compression);
    let headers =
        [Header { key: b"trace", value: Some(b"7") }, Header { key: b"empty", value: None }];
    batch.append(Some(b"first"), Some(b"one"), &[], NOW).unwrap();
    batch.append(None, Some(&[b'x'; 300]), &headers, NOW + 90).unwrap();
    batch.append(Some(b"gone"), None, &[], NOW - 5).unwrap();
    batch
}

fn bytes_of(batch: &BatchBuilder) -> Vec<u8> {
    let mut bytes = Vec::new();
    let size = batch.build(&mut bytes).unwrap();
    assert_eq!(size, bytes.len());
    bytes
}

/// Makes the checksum true again after a change.
fn seal(bytes: &mut [u8]) {
    let crc = crc32c(&bytes[CRC_COVERS_FROM..]);
    bytes[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
}

#[test]
fn a_built_batch_says_what_was_put_in() {
    let (id, its_epoch) = producer(4_000, 3);
    let mut builder = three_records(Compression::None);
    builder.set_producer(id, its_epoch, 17).set_transactional();
    let bytes = bytes_of(&builder);
    assert_eq!(bytes.len(), builder.uncompressed_bytes());

    let batch = RawBatch(&bytes).check_produced().unwrap();
    assert_eq!(batch.record_count(), 3);
    assert_eq!(batch.offset_count(), 3);
    assert_eq!(batch.base_offset(), Offset::ZERO);
    assert_eq!(batch.max_timestamp(), NOW + 90);
    assert_eq!(batch.compression(), Compression::None);
    assert!(batch.is_transactional() && !batch.is_control() && !batch.is_log_append_time());
    let stamp =
        ProducerStamp { id, epoch: its_epoch, base_sequence: Some(17), last_sequence: Some(19) };
    assert_eq!(batch.producer(), Some(stamp));
    let walk = Walk {
        max_timestamp: NOW + 90,
        max_timestamp_delta: 1,
        min_timestamp: NOW - 5,
        first_null_key: Some(1),
    };
    assert_eq!(batch.walk(), Ok(walk));

    let records: Vec<_> = batch.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 3);
    assert_eq!((records[0].key, records[0].value), (Some(&b"first"[..]), Some(&b"one"[..])));
    assert_eq!((records[1].key, records[1].value), (None, Some(&[b'x'; 300][..])));
    assert_eq!((records[2].key, records[2].value), (Some(&b"gone"[..]), None));
    let headers: Vec<_> = records[1].headers.iter().collect();
    assert_eq!(headers[0], Header { key: b"trace", value: Some(b"7") });
    assert_eq!(headers[1], Header { key: b"empty", value: None });
    assert!(records[0].headers.is_empty());
    let places: Vec<_> = records.iter().map(|it| (it.offset, it.timestamp)).collect();
    assert_eq!(places, [(0, NOW), (1, NOW + 90), (2, NOW - 5)]);
}

#[test]
fn every_codec_gives_the_records_back() {
    let plain = bytes_of(&three_records(Compression::None));
    for codec in Compression::ALL {
        let bytes = bytes_of(&three_records(codec));
        let batch = RawBatch(&bytes).check_produced().unwrap();
        assert_eq!(batch.compression(), codec);
        let section = batch.record_bytes();
        compress::check_framing(codec, section).unwrap();
        let limit = compress::output_limit(section.len());
        let records = compress::decompress(codec, section, limit).unwrap();
        assert_eq!(records, plain[HEADER_BYTES..], "{codec:?}");
        assert_eq!(batch.walk_decompressed(&records).unwrap().max_timestamp, NOW + 90);
        if codec != Compression::None {
            let compressed = RecordError { index: 0, fault: RecordFault::Compressed };
            assert_eq!(batch.walk(), Err(compressed));
            assert_eq!(batch.records().collect::<Vec<_>>(), [Err(compressed)]);
        }
    }
}

#[test]
fn stamping_moves_the_batch_and_keeps_its_checksum() {
    let bytes = bytes_of(&three_records(Compression::Zstd));
    let batch = RawBatch(&bytes).check_produced().unwrap();
    let mut placed = vec![0; bytes.len()];
    batch.copy_assigned(offset(1 << 40), epoch(9), &mut placed);

    let stored = RawBatch(&placed).check().unwrap();
    assert_eq!(stored.base_offset(), offset(1 << 40));
    assert_eq!(stored.header().leader_epoch(), 9);
    assert_eq!(placed[MAGIC_AT..], bytes[MAGIC_AT..]);
    assert_eq!(placed[LENGTH_AT..LEADER_EPOCH_AT], bytes[LENGTH_AT..LEADER_EPOCH_AT]);
    assert!(matches!(
        RawBatch(&placed).check_produced(),
        Err(BatchError::BaseOffset { base_offset }) if base_offset == 1 << 40
    ));
}

#[test]
fn append_time_replaces_every_timestamp_and_renews_the_checksum() {
    let bytes = bytes_of(&three_records(Compression::None));
    let batch = RawBatch(&bytes).check_produced().unwrap();
    let mut placed = vec![0; bytes.len()];
    let later = NOW + 1_000_000;
    batch.copy_restamped(offset(5), epoch(1), Restamp::LogAppendTime(later), &mut placed);

    let stored = RawBatch(&placed).check().unwrap();
    assert!(stored.is_log_append_time());
    assert_eq!(stored.max_timestamp(), later);
    assert_eq!(stored.walk().unwrap().min_timestamp, later);
    let stamps: Vec<_> =
        stored.records().map(Result::unwrap).map(|it| (it.offset, it.timestamp)).collect();
    assert_eq!(stamps, [(5, later), (6, later), (7, later)]);
    assert!(matches!(
        RawBatch(&placed).check_produced(),
        Err(BatchError::BaseOffset { base_offset: 5 })
    ));

    batch.copy_restamped(offset(5), epoch(1), Restamp::MaxTimestamp(NOW), &mut placed);
    let stored = RawBatch(&placed).check().unwrap();
    assert!(!stored.is_log_append_time());
    assert_eq!(stored.max_timestamp(), NOW);
}

#[test]
fn a_misstated_largest_timestamp_is_corrected_like_kafka_does() {
    let mut bytes = bytes_of(&three_records(Compression::None));
    let batch = RawBatch(&bytes).check_produced().unwrap();
    assert_eq!(batch.walk().unwrap().correction(batch.header()), None);

    bytes[35..43].copy_from_slice(&(NOW - 1_000).to_be_bytes());
    seal(&mut bytes);
    let batch = RawBatch(&bytes).check_produced().unwrap();
    let correction = batch.walk().unwrap().correction(batch.header()).unwrap();
    assert_eq!(correction, Restamp::MaxTimestamp(NOW + 90));
    let mut placed = vec![0; bytes.len()];
    batch.copy_restamped(Offset::ZERO, epoch(1), correction, &mut placed);
    let stored = RawBatch(&placed).check().unwrap();
    assert_eq!(stored.max_timestamp(), NOW + 90);
    assert_eq!(stored.walk().unwrap().correction(stored.header()), None);
}

#[test]
fn markers_are_control_batches_that_no_client_may_write() {
    for marker in [ControlMarker::Abort, ControlMarker::Commit] {
        let bytes = bytes_of(&BatchBuilder::marker(marker, producer(8, 2), 6, NOW));
        let batch = RawBatch(&bytes).check().unwrap();
        assert!(batch.is_control() && batch.is_transactional());
        let stamp = batch.producer().unwrap();
        assert_eq!((stamp.id.get(), stamp.epoch.get()), (8, 2));
        assert_eq!((stamp.base_sequence, stamp.last_sequence), (None, None));
        let record = batch.records().next().unwrap().unwrap();
        assert_eq!(ControlMarker::of(&record), Some(marker));
        assert_eq!(record.value, Some(&[0, 0, 0, 0, 0, 6][..]));
        assert_eq!(RawBatch(&bytes).check_produced().err(), Some(BatchError::ControlFromClient));
    }
}

#[test]
fn what_compaction_leaves_behind_is_a_batch_but_no_produce() {
    // A batch whose records are gone keeps its offsets, for the producer's state.
    let mut bytes = bytes_of(&three_records(Compression::None));
    bytes.truncate(HEADER_BYTES);
    bytes[LENGTH_AT..LENGTH_COVERS_FROM].copy_from_slice(&49_i32.to_be_bytes());
    bytes[57..61].copy_from_slice(&0_i32.to_be_bytes());
    seal(&mut bytes);
    let batch = RawBatch(&bytes).check().unwrap();
    assert_eq!((batch.record_count(), batch.offset_count()), (0, 3));
    assert_eq!(batch.records().count(), 0);
    let walk = batch.walk().unwrap();
    assert_eq!((walk.max_timestamp, walk.min_timestamp), (NO_TIMESTAMP, NO_TIMESTAMP));
    let refused = BatchError::Count { last_offset_delta: 2, record_count: 0 };
    assert_eq!(RawBatch(&bytes).check_produced().err(), Some(refused));

    // But never more records than offsets, nor offsets that no log has.
    let lies: [(usize, [u8; 4], BatchError); 2] = [
        (57, [0, 0, 0, 4], BatchError::Count { last_offset_delta: 2, record_count: 4 }),
        (23, [255; 4], BatchError::Count { last_offset_delta: -1, record_count: 0 }),
    ];
    for (at, to, refused) in lies {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&to);
        seal(&mut bytes);
        assert_eq!(RawBatch(&bytes).check().err(), Some(refused));
    }
}

#[test]
fn sequences_wrap_to_zero() {
    let cases =
        [(0, 0, 0), (5, 3, 8), (i32::MAX, 0, i32::MAX), (i32::MAX, 1, 0), (i32::MAX - 1, 4, 2)];
    for (base, count, expected) in cases {
        assert_eq!(sequence_plus(base, count), expected, "{base} {count}");
    }
}

#[test]
fn batches_split_where_the_length_says() {
    let first = bytes_of(&three_records(Compression::None));
    let second = bytes_of(&three_records(Compression::Lz4));
    let both = [first.clone(), second.clone()].concat();
    let (head, rest) = RawBatch::split_first(&both).unwrap();
    assert_eq!(head.0, first);
    let (head, rest) = RawBatch::split_first(rest).unwrap();
    assert_eq!(head.0, second);
    assert!(rest.is_empty());
    for cut in 0..first.len() {
        assert!(RawBatch::split_first(&first[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn timestamps_may_be_absent() {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(Some(b"k"), Some(b"v"), &[], NO_TIMESTAMP).unwrap();
    batch.append(Some(b"k"), Some(b"v"), &[], NO_TIMESTAMP).unwrap();
    let bytes = bytes_of(&batch);
    let walk = RawBatch(&bytes).check_produced().unwrap().walk().unwrap();
    assert_eq!((walk.max_timestamp, walk.min_timestamp), (NO_TIMESTAMP, NO_TIMESTAMP));
    assert_eq!(walk.first_null_key, None);
}

#[test]
fn timestamps_reach_to_both_ends() {
    for stamps in
        [[i64::MAX, i64::MAX], [i64::MAX, NO_TIMESTAMP], [i64::MIN, i64::MAX], [0, i64::MIN]]
    {
        let mut batch = BatchBuilder::new(Compression::None);
        for stamp in stamps {
            batch.append(None, None, &[], stamp).unwrap();
        }
        let bytes = bytes_of(&batch);
        let walk = RawBatch(&bytes).check_produced().unwrap().walk().unwrap();
        assert_eq!(walk.max_timestamp, stamps.into_iter().max().unwrap());
        let min = stamps.into_iter().filter(|it| *it != NO_TIMESTAMP).min();
        assert_eq!(Some(walk.min_timestamp), min, "{stamps:?}");
    }
}

#[test]
fn an_empty_builder_builds_nothing_and_a_cleared_one_starts_again() {
    let mut builder = BatchBuilder::new(Compression::Gzip);
    assert_eq!(builder.build(&mut Vec::new()), Err(builder::BuildError::Empty));
    builder.append(None, Some(b"a"), &[], 5).unwrap();
    let first = bytes_of(&builder);
    builder.clear();
    assert!(builder.is_empty());
    builder.append(None, Some(b"a"), &[], 5).unwrap();
    assert_eq!(bytes_of(&builder), first);
    builder.set_level(10);
    let mut out = vec![1, 2, 3];
    assert!(matches!(builder.build(&mut out), Err(builder::BuildError::Compress(_))));
    assert_eq!(out, [1, 2, 3], "a failed build leaves the buffer as it was");
}

/// A record as a test makes it up.
#[derive(Debug, Clone)]
struct Made {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: i64,
}

fn made() -> impl Strategy<Value = Made> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let headers = proptest::collection::vec(("[a-z]{0,9}", bytes()), 0..4);
    (bytes(), bytes(), headers, NOW - 100_000..NOW + 100_000)
        .prop_map(|(key, value, headers, timestamp)| Made { key, value, headers, timestamp })
}

fn codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(&Compression::ALL[..])
}

fn build_made(codec: Compression, records: &[Made]) -> BatchBuilder {
    let mut batch = BatchBuilder::new(codec);
    for record in records {
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() })
            .collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let before = batch.uncompressed_bytes();
        batch.append(key, value, &headers, record.timestamp).unwrap();
        let added = batch.uncompressed_bytes() - before;
        assert!(added <= BatchBuilder::record_bytes_max(key, value, &headers));
    }
    batch
}

proptest! {
    #[test]
    fn any_records_come_back(codec in codec(), made in proptest::collection::vec(made(), 1..40)) {
        let bytes = bytes_of(&build_made(codec, &made));
        let batch = RawBatch(&bytes).check_produced().unwrap();
        let limit = compress::output_limit(batch.record_bytes().len());
        let section = compress::decompress(codec, batch.record_bytes(), limit).unwrap();
        let walk = batch.walk_decompressed(&section).unwrap();
        prop_assert_eq!(walk.max_timestamp, made.iter().map(|it| it.timestamp).max().unwrap());
        prop_assert_eq!(walk.min_timestamp, made.iter().map(|it| it.timestamp).min().unwrap());
        prop_assert_eq!(walk.max_timestamp, batch.max_timestamp());
        let null_key = made.iter().position(|it| it.key.is_none());
        prop_assert_eq!(walk.first_null_key.map(|it| it as usize), null_key);
        let records: Vec<_> =
            Records::new(batch.header(), &section).map(Result::unwrap).collect();
        prop_assert_eq!(records.len(), made.len());
        for (record, made) in records.iter().zip(&made) {
            prop_assert_eq!(record.key, made.key.as_deref());
            prop_assert_eq!(record.value, made.value.as_deref());
            prop_assert_eq!(record.timestamp, made.timestamp);
            let headers: Vec<_> = record.headers.iter()
                .map(|it| (String::from_utf8(it.key.to_vec()).unwrap(), it.value.map(<[u8]>::to_vec)))
                .collect();
            prop_assert_eq!(&headers, &made.headers);
        }
    }

    #[test]
    fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), fix: bool) {
        // Half of it gets a true length, magic and checksum, so that it reaches further.
        if fix && bytes.len() >= HEADER_BYTES {
            let length = i32::try_from(bytes.len() - LENGTH_COVERS_FROM).unwrap();
            bytes[LENGTH_AT..LENGTH_COVERS_FROM].copy_from_slice(&length.to_be_bytes());
            bytes[MAGIC_AT] = 2;
            seal(&mut bytes);
        }
        if let Ok(batch) = RawBatch(&bytes).check() {
            let _producer = batch.producer();
            let _walk = batch.walk();
            for codec in Compression::ALL {
                let _any = compress::decompress(codec, batch.record_bytes(), 1 << 16);
            }
        }
        if let Some(header) = BatchHeader::peek(&bytes) {
            let _count = Records::new(header, &bytes[HEADER_BYTES..]).count();
        }
    }

    #[test]
    fn a_walk_and_the_records_agree_on_any_change(
        made in proptest::collection::vec(made(), 1..6), at: prop::sample::Index, to: u8,
    ) {
        let mut bytes = bytes_of(&build_made(Compression::None, &made));
        let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
        bytes[at] = to;
        seal(&mut bytes);
        let batch = RawBatch(&bytes).check_produced().unwrap();
        let read: Result<Vec<_>, _> = batch.records().collect();
        match batch.walk() {
            Ok(walk) => {
                let read = read.unwrap();
                prop_assert_eq!(read.len(), made.len());
                prop_assert_eq!(walk.max_timestamp, read.iter().map(|it| it.timestamp).max().unwrap());
            }
            // Reading is more lenient in one thing only: offsets may have gaps.
            Err(RecordError { fault: RecordFault::OffsetDelta | RecordFault::Length, .. }) => {}
            Err(error) => prop_assert_eq!(read.unwrap_err(), error),
        }
    }
}
