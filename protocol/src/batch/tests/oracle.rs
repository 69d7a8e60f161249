//! The same records through another implementation, in both directions and every codec.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as oracle;

use super::*;

fn oracle_codec(codec: Compression) -> oracle::Compression {
    match codec {
        Compression::None => oracle::Compression::None,
        Compression::Gzip => oracle::Compression::Gzip,
        Compression::Snappy => oracle::Compression::Snappy,
        Compression::Lz4 => oracle::Compression::Lz4,
        Compression::Zstd => oracle::Compression::Zstd,
    }
}

fn copied(field: Option<&Vec<u8>>) -> Option<Bytes> {
    field.map(|bytes| Bytes::copy_from_slice(bytes))
}

fn oracle_record(made: &Made, index: usize, stamp: ProducerStamp) -> oracle::Record {
    let at = i32::try_from(index).unwrap();
    let mut record = oracle::Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 4,
        producer_id: stamp.id.get(),
        producer_epoch: stamp.epoch.get(),
        timestamp_type: oracle::TimestampType::Creation,
        offset: i64::from(at),
        sequence: stamp.base_sequence.unwrap() + at,
        timestamp: made.timestamp,
        key: copied(made.key.as_ref()),
        value: copied(made.value.as_ref()),
        headers: Default::default(),
    };
    for (key, value) in &made.headers {
        record.headers.insert(StrBytes::from_string(key.clone()), copied(value.as_ref()));
    }
    record
}

/// Header keys once each: the oracle keeps them in a map.
fn with_unique_headers(mut made: Vec<Made>) -> Vec<Made> {
    for record in &mut made {
        record.headers.sort();
        record.headers.dedup_by(|a, b| a.0 == b.0);
    }
    made
}

fn stamp() -> ProducerStamp {
    let (id, epoch) = producer(77, 5);
    ProducerStamp { id, epoch, base_sequence: Some(1_000), last_sequence: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_oracle_reads_what_we_write(
        codec in codec(), made in proptest::collection::vec(made(), 1..20),
    ) {
        let made = with_unique_headers(made);
        let mut builder = build_made(codec, &made);
        let stamp = stamp();
        builder.set_producer(stamp.id, stamp.epoch, 1_000).set_transactional();
        builder.set_place(Offset::ZERO, epoch(4));
        let mut bytes = Bytes::from(bytes_of(&builder));
        let read = oracle::RecordBatchDecoder::decode(&mut bytes).unwrap();
        prop_assert!(bytes.is_empty());
        let expected: Vec<_> =
            made.iter().enumerate().map(|(at, made)| oracle_record(made, at, stamp)).collect();
        prop_assert_eq!(read.records, expected);
        prop_assert_eq!(read.compression, oracle_codec(codec));
    }

    #[test]
    fn we_read_what_the_oracle_writes(
        codec in codec(), made in proptest::collection::vec(made(), 1..20),
    ) {
        let made = with_unique_headers(made);
        let records: Vec<_> =
            made.iter().enumerate().map(|(at, made)| oracle_record(made, at, stamp())).collect();
        let mut bytes = BytesMut::new();
        let options =
            oracle::RecordEncodeOptions { version: 2, compression: oracle_codec(codec) };
        oracle::RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();

        let batch = RawBatch(&bytes).check_produced().unwrap();
        prop_assert_eq!(batch.compression(), codec);
        prop_assert_eq!(batch.header().leader_epoch(), 4);
        let its_stamp = batch.producer().unwrap();
        prop_assert_eq!((its_stamp.id, its_stamp.epoch), (stamp().id, stamp().epoch));
        prop_assert_eq!(its_stamp.base_sequence, Some(1_000));
        let limit = compress::output_limit(batch.record_bytes().len());
        let section = compress::decompress(codec, batch.record_bytes(), limit).unwrap();
        let walk = batch.walk_decompressed(&section).unwrap();
        prop_assert_eq!(walk.max_timestamp, made.iter().map(|it| it.timestamp).max().unwrap());

        // Written again by us, the records are the same bytes.
        let mut again = build_made(Compression::None, &made);
        again.set_producer(stamp().id, stamp().epoch, 1_000).set_transactional();
        let again = bytes_of(&again);
        let base = RawBatch(&again).check().unwrap().header().base_timestamp();
        if base == batch.header().base_timestamp() {
            prop_assert_eq!(&again[HEADER_BYTES..], &section[..]);
        }
        for (record, made) in Records::new(batch.header(), &section).zip(&made) {
            let record = record.unwrap();
            prop_assert_eq!(record.key, made.key.as_deref());
            prop_assert_eq!(record.value, made.value.as_deref());
            prop_assert_eq!(record.timestamp, made.timestamp);
            prop_assert_eq!(record.headers.len(), made.headers.len());
            for (header, (key, value)) in record.headers.iter().zip(&made.headers) {
                prop_assert_eq!((header.key, header.value), (key.as_bytes(), value.as_deref()));
            }
        }
    }
}
