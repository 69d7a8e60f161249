//! Native frames: every message comes back, old bytes still do, and no bytes do harm.

use flatbuffers::FlatBufferBuilder;
use proptest::prelude::*;

use super::configs::{self, AlterConfigs, Change, Changes, DescribeConfigs, Resource};
use super::generated::corelog::native as generated;
use super::outcomes::{self, Outcome};
use super::refusal::Refusal;
use super::topics::{CreatePartitions, CreateTopics, DeleteTopics, NewTopic, TopicRef};
use super::visit::visit;
use super::*;
use crate::error_code::ErrorCode;
use crate::ids::{PartitionIndex, TopicId, TopicPartition};

mod samples;

use samples::{ENTRIES, SAMPLES};

/// Makes the checksum true again after a change of prefix or header.
fn seal(bytes: &mut [u8]) {
    let header_bytes = u32::from_le_bytes(*bytes[16..].first_chunk().unwrap()) as usize;
    let end = (PREFIX_BYTES + header_bytes).min(bytes.len());
    let crc = crate::crc::crc32c_append(crate::crc::crc32c(&bytes[..20]), &bytes[24..end]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn every_message_comes_back() {
    let mut encoder = Encoder::new();
    for (name, write, check) in SAMPLES {
        let bytes = write(&mut encoder);
        assert_eq!(frame_size(&bytes, FRAME_BYTES_MAX), Ok(Some(bytes.len())), "{name}");
        let frame = Frame::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&frame);
        visit(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_kind_has_a_sample_in_each_direction() {
    let mut encoder = Encoder::new();
    let seen: Vec<_> = SAMPLES
        .iter()
        .map(|(_, write, _)| write(&mut encoder))
        .map(|bytes| Frame::parse(&bytes).map(|it| (it.kind(), it.is_answer())).unwrap())
        .collect();
    for kind in Kind::ALL {
        assert!(seen.contains(&(*kind, true)), "{kind:?} answer");
        assert!(*kind == Kind::Error || seen.contains(&(*kind, false)), "{kind:?} request");
        assert_eq!(Kind::new(kind.number()), Some(*kind));
    }
}

/// Frames that version 1 wrote, one per line: a sample's name, then its bytes in hex. Lines are
/// added, never changed: what peers of that version send must be read for ever.
const GOLDEN: &str = include_str!("tests/golden.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn what_earlier_releases_wrote_is_still_read() {
    let golden: Vec<_> =
        GOLDEN.lines().map(|line| line.split_once(' ').expect("a name and bytes")).collect();
    let mut encoder = Encoder::new();
    let mut missing = String::new();
    for (name, write, check) in SAMPLES {
        let lines: Vec<_> = golden.iter().filter(|(it, _)| it == name).collect();
        if lines.is_empty() {
            missing += &format!("{name} {}\n", hex(&write(&mut encoder)));
        }
        for (_, bytes) in lines {
            let bytes = unhex(bytes);
            check(&Frame::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}")));
        }
    }
    assert!(missing.is_empty(), "golden.txt lacks:\n{missing}");
    assert!(golden.iter().all(|(name, _)| SAMPLES.iter().any(|(it, ..)| it == name)));
}

#[test]
fn fields_that_a_later_release_adds_are_passed_over() {
    // An init-producer answer with the two fields we know and two that we do not.
    let mut builder = FlatBufferBuilder::new();
    let text = builder.create_string("from the future");
    let start = builder.start_table();
    builder.push_slot::<i64>(4, 77, -1);
    builder.push_slot::<i16>(6, 3, -1);
    builder.push_slot::<i64>(8, 99, 0);
    builder.push_slot_always(10, text);
    let end = builder.end_table(start);
    builder.finish(end, None);
    let header = builder.finished_data();
    let bytes = raw_frame(Kind::InitProducer.number(), 1, header, &[]);
    let frame = Frame::parse(&bytes).unwrap();
    let answer = producer::Answer::read(&frame).unwrap();
    assert_eq!(answer, producer::Answer { producer_id: 77, producer_epoch: 3 });
}

#[test]
fn fields_that_an_earlier_release_lacks_have_their_defaults() {
    let mut builder = FlatBufferBuilder::new();
    let start = builder.start_table();
    let end = builder.end_table(start);
    builder.finish(end, None);
    let header = builder.finished_data().to_vec();
    let read = |kind: Kind, flags: u16| raw_frame(kind.number(), flags, &header, &[]);

    let bytes = read(Kind::Produce, 0);
    let request = produce::RequestView::read(&Frame::parse(&bytes).unwrap()).unwrap();
    assert_eq!((request.acks(), request.timeout_ms(), request.len()), (-1, 30_000, 0));
    let bytes = read(Kind::Hello, 1);
    let answer = hello::Answer::read(&Frame::parse(&bytes).unwrap()).unwrap();
    assert_eq!((answer.broker_id, answer.lanes, answer.frame_bytes_max), (-1, 1, 16 << 20));
    let bytes = read(Kind::Metadata, 0);
    let request = metadata::RequestView::read(&Frame::parse(&bytes).unwrap()).unwrap();
    assert!(request.partitions() && !request.all() && !request.create());
}

/// A frame around any header.
fn raw_frame(kind: u16, flags: u16, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut header = header.to_vec();
    header.resize(header.len().next_multiple_of(8), 0);
    let mut bytes = Vec::new();
    let size = u32::try_from(PREFIX_BYTES + header.len() + payload.len()).unwrap();
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(&5_u64.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(payload);
    seal(&mut bytes);
    bytes
}

#[test]
fn sizes_are_refused_before_anything_is_buffered() {
    let prefix = |frame_bytes: u32, header_bytes: u32| {
        let mut bytes = [0_u8; PREFIX_BYTES];
        bytes[..4].copy_from_slice(&frame_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&header_bytes.to_le_bytes());
        frame_size(&bytes, FRAME_BYTES_MAX)
    };
    assert_eq!(prefix(32, 8), Ok(Some(32)));
    assert_eq!(prefix(16 << 20, 4 << 20), Ok(Some(16 << 20)));
    let lies = [
        (0, 0),
        (24, 0),
        (31, 8),
        (32, 16),
        (32, 7),
        (40, 12),
        ((16 << 20) + 1, 8),
        (u32::MAX, 8),
        (16 << 20, (4 << 20) + 8),
        (32, u32::MAX),
        // Other protocols: "GET / HT", a TLS hello, a Kafka request.
        (u32::from_le_bytes(*b"GET "), u32::from_le_bytes(*b"Host")),
        (0x0100_0316, 8),
    ];
    for (frame_bytes, header_bytes) in lies {
        let size = FrameError::Size { frame_bytes, header_bytes };
        assert_eq!(prefix(frame_bytes, header_bytes), Err(size));
        assert!(size.is_fatal());
    }
    assert_eq!(frame_size(&[1; PREFIX_BYTES - 1], FRAME_BYTES_MAX), Ok(None));
    // A smaller limit, as before a peer has said who it is.
    let bytes = raw_frame(1, 0, &[0; 8], &[0; 100]);
    assert!(frame_size(&bytes, 131).is_err());
    assert_eq!(frame_size(&bytes, 132), Ok(Some(132)));
}

#[test]
fn frames_that_lie_are_refused() {
    let (_, write, _) = SAMPLES.iter().find(|(name, ..)| *name == "produce_request").unwrap();
    let good = write(&mut Encoder::new());
    let changed = |at: usize, to: u8, sealed: bool| {
        let mut bytes = good.clone();
        bytes[at] = to;
        if sealed {
            seal(&mut bytes);
        }
        visit(&bytes).expect_err("it lies")
    };
    assert_eq!(changed(4, 250, true), FrameError::UnknownKind { number: 250, correlation: 7 });
    assert_eq!(changed(6, 2, true), FrameError::Flags { flags: 2 });
    assert_eq!(changed(7, 1, true), FrameError::Flags { flags: 0x100 });
    assert!(matches!(changed(9, 1, false), FrameError::Checksum { .. }));
    assert!(matches!(changed(40, 0xff, false), FrameError::Checksum { .. }));
    assert_eq!(changed(24, 0xff, true), FrameError::Header { kind: Kind::Produce });

    let long = [&good[..], &[0]].concat();
    let incomplete = FrameError::Incomplete { frame_bytes: good.len(), actual_bytes: long.len() };
    assert_eq!(Frame::parse(&long).err(), Some(incomplete));
    for cut in 0..good.len() {
        assert!(matches!(Frame::parse(&good[..cut]), Err(FrameError::Incomplete { .. })), "{cut}");
    }

    // A produce whose payload is a byte shorter than its entries say.
    let mut short = good.clone();
    short.pop();
    let size = u32::try_from(short.len()).unwrap();
    short[..4].copy_from_slice(&size.to_le_bytes());
    seal(&mut short);
    let error = visit(&short).unwrap_err();
    assert!(matches!(error, FrameError::Field { kind: Kind::Produce, .. }), "{error}");
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    assert!(!error.is_fatal());
}

#[test]
fn a_message_is_only_read_as_what_it_is() {
    let (_, write, _) = SAMPLES.iter().find(|(name, ..)| *name == "fetch_request").unwrap();
    let bytes = write(&mut Encoder::new());
    let frame = Frame::parse(&bytes).unwrap();
    let wrong = |expected| FrameError::WrongKind { expected, actual: Kind::Fetch };
    assert_eq!(fetch::AnswerView::read(&frame).err(), Some(wrong(Kind::Fetch)));
    assert_eq!(produce::RequestView::read(&frame).err(), Some(wrong(Kind::Produce)));
    assert_eq!(Refusal::read(&frame), Ok(None));
}

#[test]
fn a_payload_above_the_frame_is_refused_when_written() {
    let entry = produce::Entry { batch_bytes: 8 << 20, ..ENTRIES[0] };
    let entries = [entry, entry];
    let request =
        produce::Request { acks: 1, timeout_ms: 1, transactional_id: None, entries: &entries };
    let mut encoder = Encoder::new();
    assert!(matches!(request.encode(1, &mut encoder), Err(FrameError::TooLarge { .. })));
    // What fits beside the largest header always fits.
    let entry =
        produce::Entry { batch_bytes: u32::try_from(PAYLOAD_BYTES_MAX).unwrap(), ..ENTRIES[0] };
    let request =
        produce::Request { acks: 1, timeout_ms: 1, transactional_id: None, entries: &[entry] };
    assert!(request.encode(1, &mut encoder).is_ok());
}

#[test]
fn lists_longer_than_any_request_needs_are_refused() {
    let entries = vec![produce::Entry { batch_bytes: 0, ..ENTRIES[0] }; ENTRIES_MAX + 1];
    let request =
        produce::Request { acks: 1, timeout_ms: 1, transactional_id: None, entries: &entries };
    let mut encoder = Encoder::new();
    let bytes = request.encode(1, &mut encoder).unwrap();
    let error = produce::RequestView::read(&Frame::parse(bytes).unwrap()).unwrap_err();
    assert_eq!(error, FrameError::Field { kind: Kind::Produce, what: "too many entries" });
}

#[test]
fn a_small_frame_that_claims_much_is_refused() {
    // 5,000 entries of a list that all point to one table: a small frame, a large claim.
    let mut builder = FlatBufferBuilder::new();
    let name = Some(builder.create_string("t"));
    let topic =
        generated::TopicRef::create(&mut builder, &generated::TopicRefArgs { name, id: None });
    let topics = Some(builder.create_vector(&vec![topic; 5_000]));
    let fields = generated::DeleteTopicsRequestArgs { topics, timeout_ms: 1 };
    let root = generated::DeleteTopicsRequest::create(&mut builder, &fields);
    builder.finish(root, None);
    let bytes = raw_frame(Kind::DeleteTopics.number(), 0, builder.finished_data(), &[]);
    assert_eq!(visit(&bytes), Err(FrameError::Header { kind: Kind::DeleteTopics }));
}

#[test]
fn negative_partitions_are_refused_in_every_message() {
    // Partition 7 of topic 2, which the samples name, becomes partition -1.
    let mut seventh = vec![0xa0; 15];
    seventh.extend_from_slice(&[2, 7, 0, 0, 0]);
    let mut encoder = Encoder::new();
    let mut refused = Vec::new();
    for (name, write, _) in SAMPLES {
        let mut bytes = write(&mut encoder);
        let Some(at) = bytes.windows(20).position(|it| it == seventh) else { continue };
        bytes[at + 16..at + 20].copy_from_slice(&[255; 4]);
        seal(&mut bytes);
        let error = visit(&bytes).expect_err("no partition is negative");
        assert!(matches!(error, FrameError::Field { .. }), "{name}: {error}");
        refused.push(*name);
    }
    let expected = [
        "produce_request",
        "produce_answer",
        "fetch_request",
        "fetch_answer",
        "list_offsets_request",
        "delete_records_request",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn tables_beyond_the_limit_are_refused() {
    let mut encoder = Encoder::new();
    let topics = vec![TopicRef::Name("t"); TABLES_MAX];
    // The request itself is a table too.
    for (count, expected) in [
        (TABLES_MAX - 1, Ok(TABLES_MAX - 1)),
        (TABLES_MAX, Err(FrameError::Header { kind: Kind::DeleteTopics })),
    ] {
        let request = DeleteTopics { topics: &topics[..count], timeout_ms: 1 };
        assert_eq!(visit(request.encode(1, &mut encoder).unwrap()), expected, "{count}");
    }
}

#[test]
fn versions_meet_at_the_largest_common_one() {
    let request = hello::Request { version_min: 2, version_max: 4, ..hello::Request::default() };
    let cases = [(1, 1, None), (1, 2, Some(2)), (3, 9, Some(4)), (4, 4, Some(4)), (5, 9, None)];
    for (min, max, expected) in cases {
        assert_eq!(request.common_version(min, max), expected, "{min} {max}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _error = visit(&bytes);
    }

    #[test]
    fn garbage_headers_never_panic(
        kind in proptest::sample::select(Kind::ALL), answer: bool,
        header in proptest::collection::vec(any::<u8>(), 1..300),
        payload in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let bytes = raw_frame(kind.number(), u16::from(answer), &header, &payload);
        let _error = visit(&bytes);
    }

    #[test]
    fn changed_frames_never_panic(
        sample in 0..SAMPLES.len(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = (SAMPLES[sample].1)(&mut Encoder::new());
        for (at, to) in changes {
            // Kind, correlation, header and payload; lengths stay, or nothing would be read.
            let at = 4 + at.index(bytes.len() - 4);
            if !(16..24).contains(&at) {
                bytes[at] = to;
            }
        }
        seal(&mut bytes);
        let _read = visit(&bytes);
    }
}

#[test]
fn every_changed_bit_of_prefix_and_header_is_seen() {
    let mut encoder = Encoder::new();
    for (name, write, _) in SAMPLES {
        let good = write(&mut encoder);
        let header_bytes = u32::from_le_bytes(*good[16..].first_chunk().unwrap()) as usize;
        for at in 0..PREFIX_BYTES + header_bytes {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                assert!(Frame::parse(&bytes).is_err(), "{name} {at} {bit}");
            }
        }
    }
}
