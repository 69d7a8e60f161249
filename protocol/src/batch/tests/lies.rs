//! Every lie a batch can tell, and the error it earns: rules S11, S12 and S13.

use super::*;

/// Overwrites bytes at a position.
fn put(bytes: &mut [u8], at: usize, with: &[u8]) {
    bytes[at..at + with.len()].copy_from_slice(with);
}

/// Replaces the record section and makes length and checksum true again.
fn with_section(section: &[u8], record_count: i32) -> Vec<u8> {
    let mut bytes = bytes_of(&three_records(Compression::None));
    bytes.truncate(HEADER_BYTES);
    bytes.extend_from_slice(section);
    let length = i32::try_from(bytes.len() - LENGTH_COVERS_FROM).unwrap();
    put(&mut bytes, LENGTH_AT, &length.to_be_bytes());
    put(&mut bytes, 23, &(record_count - 1).to_be_bytes());
    put(&mut bytes, 57, &record_count.to_be_bytes());
    seal(&mut bytes);
    bytes
}

type Change = fn(&mut Vec<u8>);

#[test]
fn every_lie_in_a_header_has_its_error() {
    use BatchError as E;
    use ErrorCode as C;
    let size = bytes_of(&three_records(Compression::None)).len();
    let attributes = |bits: i16| E::Attributes { attributes: bits };
    let count = |last_offset_delta, record_count| E::Count { last_offset_delta, record_count };
    let length = |declared_bytes| E::Length { declared_bytes, actual_bytes: size };
    // what is changed │ how │ whether the checksum is made true again │ error │ code
    let cases: [(&str, Change, bool, BatchError, ErrorCode); 38] = [
        ("nothing", |b| b.clear(), false, E::Short { actual_bytes: 0 }, C::InvalidRecord),
        ("16 bytes", |b| b.truncate(16), false, E::Short { actual_bytes: 16 }, C::InvalidRecord),
        ("60 bytes", |b| b.truncate(60), false, E::Short { actual_bytes: 60 }, C::InvalidRecord),
        ("magic 0", |b| b[16] = 0, true, E::OldMagic { magic: 0 }, C::InvalidRecord),
        ("magic 1", |b| b[16] = 1, true, E::OldMagic { magic: 1 }, C::InvalidRecord),
        ("magic 3", |b| b[16] = 3, true, E::UnknownMagic { magic: 3 }, C::CorruptMessage),
        ("magic -1", |b| b[16] = 255, true, E::UnknownMagic { magic: -1 }, C::CorruptMessage),
        ("length 0", |b| put(b, 8, &[0; 4]), true, length(0), C::CorruptMessage),
        ("length -1", |b| put(b, 8, &[255; 4]), true, length(-1), C::CorruptMessage),
        ("length 48", |b| put(b, 8, &[0, 0, 0, 48]), true, length(48), C::CorruptMessage),
        (
            "length 2 GiB",
            |b| put(b, 8, &[127, 255, 255, 255]),
            true,
            length(i32::MAX),
            C::InvalidRecord,
        ),
        (
            "smallest length",
            |b| put(b, 8, &[128, 0, 0, 0]),
            true,
            length(i32::MIN),
            C::CorruptMessage,
        ),
        ("a byte more", |b| b.push(0), false, E::Trailing { trailing_bytes: 1 }, C::InvalidRecord),
        (
            "a second batch",
            |b| b.extend_from_within(..),
            false,
            E::Trailing { trailing_bytes: size },
            C::InvalidRecord,
        ),
        ("count 0", |b| put(b, 57, &[0; 4]), true, count(2, 0), C::InvalidRecord),
        ("count 2", |b| put(b, 57, &[0, 0, 0, 2]), true, count(2, 2), C::InvalidRecord),
        ("count 4", |b| put(b, 57, &[0, 0, 0, 4]), true, count(2, 4), C::InvalidRecord),
        ("count -1", |b| put(b, 57, &[255; 4]), true, count(2, -1), C::InvalidRecord),
        (
            "largest count",
            |b| put(b, 57, &[127, 255, 255, 255]),
            true,
            count(2, i32::MAX),
            C::InvalidRecord,
        ),
        ("delta 1", |b| put(b, 23, &[0, 0, 0, 1]), true, count(1, 3), C::InvalidRecord),
        ("delta 3", |b| put(b, 23, &[0, 0, 0, 3]), true, count(3, 3), C::InvalidRecord),
        ("delta -1", |b| put(b, 23, &[255; 4]), true, count(-1, 3), C::InvalidRecord),
        (
            "largest delta",
            |b| put(b, 23, &[127, 255, 255, 255]),
            true,
            count(i32::MAX, 3),
            C::InvalidRecord,
        ),
        ("base offset 1", |b| b[7] = 1, false, E::BaseOffset { base_offset: 1 }, C::InvalidRecord),
        (
            "base offset -1",
            |b| put(b, 0, &[255; 8]),
            false,
            E::BaseOffset { base_offset: -1 },
            C::InvalidRecord,
        ),
        (
            "largest base offset",
            |b| put(b, 0, &[127, 255, 255, 255, 255, 255, 255, 255]),
            false,
            E::BaseOffset { base_offset: i64::MAX },
            C::InvalidRecord,
        ),
        ("codec 5", |b| b[22] = 5, true, E::Codec { codec: 5 }, C::UnsupportedCompressionType),
        ("codec 7", |b| b[22] = 7, true, E::Codec { codec: 7 }, C::UnsupportedCompressionType),
        ("attribute bit 7", |b| b[22] = 0x80, true, attributes(0x80), C::InvalidRecord),
        ("attribute bit 8", |b| b[21] = 0x01, true, attributes(0x100), C::InvalidRecord),
        ("attribute bit 15", |b| b[21] = 0x80, true, attributes(i16::MIN), C::InvalidRecord),
        ("delete horizon", |b| b[22] = 0x40, true, attributes(0x40), C::InvalidRecord),
        ("append time", |b| b[22] = 0x08, true, E::AppendTimeFromClient, C::InvalidTimestamp),
        ("control bit", |b| b[22] = 0x20, true, E::ControlFromClient, C::InvalidRecord),
        (
            "transaction without producer",
            |b| b[22] = 0x10,
            true,
            E::TransactionWithoutProducer,
            C::InvalidRecord,
        ),
        (
            "producer id -2",
            |b| put(b, 43, &[255, 255, 255, 255, 255, 255, 255, 254]),
            true,
            E::ProducerId { producer_id: -2 },
            C::InvalidRecord,
        ),
        (
            "producer without epoch",
            |b| put(b, 43, &[0; 8]),
            true,
            E::ProducerEpoch { epoch: -1 },
            C::InvalidProducerEpoch,
        ),
        (
            "producer without sequence",
            |b| put(b, 43, &[0; 10]),
            true,
            E::Sequence { producer_id: 0, base_sequence: -1 },
            C::InvalidRecord,
        ),
    ];
    for (name, change, sealed, expected, code) in cases {
        let mut bytes = bytes_of(&three_records(Compression::None));
        change(&mut bytes);
        if sealed {
            seal(&mut bytes);
        }
        assert_eq!(RawBatch(&bytes).check_produced().err(), Some(expected), "{name}");
        assert_eq!(expected.code(), code, "{name}");
    }
}

#[test]
fn any_single_changed_bit_behind_the_checksum_is_seen() {
    let good = bytes_of(&three_records(Compression::None));
    for at in CRC_AT..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let error = RawBatch(&bytes).check().expect_err("the checksum covers this bit");
            assert!(matches!(error, BatchError::Checksum { .. }), "{at} {bit}: {error}");
            assert_eq!(error.code(), ErrorCode::CorruptMessage);
        }
    }
}

#[test]
fn what_clients_leave_in_unused_producer_fields_is_no_lie() {
    // Without a producer id some clients write epoch 0 and sequence 0, others -1.
    for (its_epoch, sequence) in [(0_i16, 0_i32), (-1, 0), (0, -1), (-1, -1), (7, 5)] {
        let mut bytes = bytes_of(&three_records(Compression::None));
        put(&mut bytes, 51, &its_epoch.to_be_bytes());
        put(&mut bytes, 53, &sequence.to_be_bytes());
        seal(&mut bytes);
        let batch = RawBatch(&bytes).check_produced().unwrap();
        assert_eq!(batch.producer(), None);
    }
}

#[test]
fn every_lie_in_a_record_has_its_error() {
    use RecordFault as F;
    // A record: length, attributes, timestamp delta, offset delta, key, value, header count.
    // Varints are zigzag: 2 means 1, 1 means -1.
    let cases: [(&str, &[u8], i32, u32, RecordFault); 32] = [
        ("no record at all", &[], 1, 0, F::Truncated),
        ("length cut", &[0x80], 1, 0, F::Truncated),
        ("length of six bytes", &[0x80, 0x80, 0x80, 0x80, 0x80, 0], 1, 0, F::Varint),
        ("length of 33 bits", &[0xff, 0xff, 0xff, 0xff, 0x7f, 0], 1, 0, F::Varint),
        ("length -1", &[1, 0, 0, 0, 1, 1, 0], 1, 0, F::Length),
        ("length 0", &[0], 1, 0, F::Length),
        ("length below any record", &[10, 0, 0, 0, 1, 1, 0], 1, 0, F::Length),
        ("length past the batch", &[14, 0, 0, 0, 1, 1, 0], 1, 0, F::Truncated),
        ("length of 2 GiB", &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0], 1, 0, F::Truncated),
        ("a second record missing", &[12, 0, 0, 0, 1, 1, 0], 2, 1, F::Truncated),
        (
            "a second record uncounted",
            &[12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0],
            1,
            1,
            F::Trailing,
        ),
        ("one byte after the last", &[12, 0, 0, 0, 1, 1, 0, 0], 1, 1, F::Trailing),
        ("first offset delta 1", &[12, 0, 0, 2, 1, 1, 0], 1, 0, F::OffsetDelta),
        ("negative offset delta", &[12, 0, 0, 1, 1, 1, 0], 1, 0, F::OffsetDelta),
        (
            "offset delta repeated",
            &[12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0],
            2,
            1,
            F::OffsetDelta,
        ),
        ("offset delta skips", &[12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 4, 1, 1, 0], 2, 1, F::OffsetDelta),
        (
            "endless timestamp",
            &[24, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0],
            1,
            0,
            F::Varint,
        ),
        ("endless offset delta", &[14, 0, 0, 255, 255, 255, 255, 255], 1, 0, F::Varint),
        ("key of one byte too many", &[12, 0, 0, 0, 6, 1, 0], 1, 0, F::Key),
        ("key of 2 GiB", &[20, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0], 1, 0, F::Key),
        ("key length -2", &[12, 0, 0, 0, 3, 1, 0], 1, 0, F::Key),
        ("key swallows the rest", &[12, 0, 0, 0, 4, 1, 0], 1, 0, F::Varint),
        ("value past the record", &[12, 0, 0, 0, 1, 4, 0], 1, 0, F::Value),
        (
            "value into the next record",
            &[12, 0, 0, 0, 1, 4, 0, 12, 0, 0, 2, 1, 1, 0],
            2,
            0,
            F::Value,
        ),
        ("value length -2", &[12, 0, 0, 0, 1, 3, 0], 1, 0, F::Value),
        ("value swallows the header count", &[12, 0, 0, 0, 1, 2, 0], 1, 0, F::Varint),
        ("header count -1", &[12, 0, 0, 0, 1, 1, 1], 1, 0, F::HeaderCount),
        ("a header that is not there", &[12, 0, 0, 0, 1, 1, 2], 1, 0, F::HeaderCount),
        (
            "a billion headers",
            &[20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f],
            1,
            0,
            F::HeaderCount,
        ),
        ("header key null", &[16, 0, 0, 0, 1, 1, 2, 1, 1], 1, 0, F::Header),
        ("header value past the record", &[16, 0, 0, 0, 1, 1, 2, 0, 4], 1, 0, F::Header),
        ("bytes after the headers", &[14, 0, 0, 0, 1, 1, 0, 0], 1, 0, F::Leftover),
    ];
    for (name, section, count, index, fault) in cases {
        let bytes = with_section(section, count);
        let batch = RawBatch(&bytes).check_produced().expect("only a record lies");
        let error = RecordError { index, fault };
        assert_eq!(batch.walk(), Err(error), "{name}");
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
        // Reading knows no order of offsets and no smallest length, but stays inside all the same.
        let last = batch.records().last();
        match fault {
            F::OffsetDelta => {}
            F::Length => assert!(matches!(last, Some(Err(_))), "{name}"),
            _ => assert_eq!(last, Some(Err(error)), "{name}"),
        }
    }
}

#[test]
fn the_smallest_record_is_no_lie() {
    let bytes = with_section(&[12, 0, 0, 0, 1, 1, 0], 1);
    let batch = RawBatch(&bytes).check_produced().unwrap();
    assert_eq!(batch.walk().unwrap().first_null_key, Some(0));
    let record = batch.records().next().unwrap().unwrap();
    assert_eq!((record.key, record.value, record.headers.len()), (None, None, 0));
}

/// What a walk must find, by the slower way through the records.
fn walk_by_records(batch: &CheckedBatch<'_>) -> Option<Walk> {
    let records: Vec<_> = batch.records().collect::<Result<_, _>>().ok()?;
    let in_order = records.iter().zip(0_i64..).all(|(record, place)| record.offset == place);
    let stamps = || records.iter().map(|it| it.timestamp);
    let max_timestamp = stamps().max()?;
    let place = |at: Option<usize>| at.map(|it| u32::try_from(it).unwrap());
    in_order.then_some(Walk {
        max_timestamp,
        max_timestamp_delta: place(stamps().position(|it| it == max_timestamp))?,
        min_timestamp: stamps().filter(|it| *it != NO_TIMESTAMP).min().unwrap_or(NO_TIMESTAMP),
        first_null_key: place(records.iter().position(|it| it.key.is_none())),
    })
}

#[test]
fn no_change_of_any_byte_gets_past_the_quick_reader() {
    // Lengths of one, two and three bytes, with and without keys, deltas of one to three bytes;
    // the last record keeps the others away from the end, where the careful reader takes over.
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Some(b"key"), Some(b"v"), &[], NOW).unwrap();
    builder.append(None, Some(&[1; 100]), &[], NOW + 100).unwrap();
    builder.append(Some(&[2; 63]), Some(b""), &[], NOW + 10_000).unwrap();
    builder.append(Some(b""), Some(&[3; 8_200]), &[], NOW - 1).unwrap();
    builder.append(None, None, &[], NOW).unwrap();
    builder.append(None, Some(&[4; 40]), &[], NOW).unwrap();
    let good = bytes_of(&builder);
    let long_value = good.windows(100).rposition(|it| it == [3; 100]).unwrap();
    for at in HEADER_BYTES..good.len() {
        // Inside the long value every byte is like its neighbour.
        if (long_value - 8_000..long_value).contains(&at) {
            continue;
        }
        let mut bytes = good.clone();
        for to in 0..=255 {
            bytes[at] = to;
            seal(&mut bytes);
            let batch = RawBatch(&bytes).check_produced().unwrap();
            assert_eq!(batch.walk().ok(), walk_by_records(&batch), "{at} {to}");
        }
    }
}

#[test]
fn a_walk_follows_offset_deltas_of_every_length() {
    let mut builder = BatchBuilder::new(Compression::None);
    for place in 0..20_000 {
        builder.append(None, Some(b"value"), &[], NOW + place / 3).unwrap();
    }
    let good = bytes_of(&builder);
    let batch = RawBatch(&good).check_produced().unwrap();
    assert_eq!(batch.walk().ok(), walk_by_records(&batch));
    assert_eq!(batch.walk().unwrap().max_timestamp_delta, 19_998);

    // One record away at every place where the delta's length changes, and a false one instead.
    for place in [0, 63, 64, 127, 128, 8_191, 8_192, 19_990] {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..place {
            builder.append(None, Some(b"value"), &[], NOW).unwrap();
        }
        let lie_at = builder.uncompressed_bytes();
        for _ in place..20_000 {
            builder.append(None, Some(b"value"), &[], NOW).unwrap();
        }
        let mut bytes = bytes_of(&builder);
        // Length, attributes, timestamp delta, then the lowest byte of the offset delta.
        bytes[lie_at + 3] ^= 2;
        seal(&mut bytes);
        let error = RecordError { index: place, fault: RecordFault::OffsetDelta };
        assert_eq!(RawBatch(&bytes).check_produced().unwrap().walk(), Err(error));
    }
}
