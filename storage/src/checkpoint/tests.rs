//! Checkpoints: what is written is read; nothing else is taken for one.

use super::*;

fn sample() -> LogState {
    let index = PartitionIndex::new(3).expect("three is an index");
    let partition = TopicPartition { topic: TopicId::new([8; 16]), index };
    let mut state = LogState::new(77, partition, 4, 10);
    state.log_start = 15;
    state.end = 500;
    state.high_watermark = 400;
    state.epochs = Epochs::from_pairs(vec![(3, 10), (4, 100)]);
    state.quarantined = vec![20..30, 50..60];
    let mut sealed = SegmentState::new(10, 1000);
    sealed.length = 9000;
    sealed.flushed = 12288;
    sealed.pages = 2;
    let mut active = SegmentState::new(200, 2000);
    active.length = 5000;
    active.pending =
        vec![IndexEntry { relative: 0, position: 0, max_timestamp: 5, crc: 6, gap: 0 }];
    state.segments = [sealed, active].into();
    let mut producer = Producer::new(2, 1234);
    producer.push(ProducedBatch { first_sequence: 0, last_sequence: 3, ..Default::default() });
    state.producers.insert(9000, producer);
    state
}

#[test]
fn a_checkpoint_is_read_as_written() {
    let state = sample();
    let mut writer = Writer::default();
    writer.add(&state, 42);
    writer.add(&LogState::new(78, state.partition, -1, 0), 43);
    let file = writer.finish(&[1; 16], 5, 79);
    assert_eq!(file.len() % BLOCK_BYTES as usize, 0);
    let read = decode(&file, &[1; 16], 5).expect("intact");
    assert_eq!((read.next_log, read.logs.len()), (79, 2));
    assert_eq!((read.logs[0].as_of, read.logs[1].as_of), (42, 43));
    assert_eq!(format!("{:?}", read.logs[0].state), format!("{state:?}"));
    assert!(decode(&file, &[1; 16], 6).is_none());
    assert!(decode(&file, &[2; 16], 5).is_none());
}

#[test]
fn a_flipped_or_missing_byte_is_seen_and_never_panics() {
    let mut writer = Writer::default();
    writer.add(&sample(), 42);
    let file = writer.finish(&[1; 16], 5, 79);
    let used = HEADER_BYTES + u64::from_le_bytes(file[40..48].try_into().expect("8")) as usize;
    for at in 0..used {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(decode(&damaged, &[1; 16], 5).is_none(), "byte {at}");
        assert!(decode(&file[..at], &[1; 16], 5).is_none(), "cut at {at}");
    }
    // A record whose counts lie is refused even if its checksums hold.
    let mut body = Vec::new();
    encode_record(&mut body, &sample(), 1);
    for at in 4..body.len() {
        let mut lie = body.clone();
        lie[at] = 0xff;
        let _either = decode_record(&mut Decoder(&lie)).is_ok();
    }
}
