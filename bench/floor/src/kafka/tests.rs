use protocol::batch::Compression;
use protocol::batch::builder::BatchBuilder;
use protocol::kafka::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};

use super::*;

/// A disk with room for so many bytes, whose every append is a write of its own.
struct Memory {
    room: usize,
    batches: Vec<Vec<u8>>,
}

impl Sink for Memory {
    fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.room
    }

    fn append(&mut self, batch: &[u8]) -> std::io::Result<u64> {
        self.batches.push(batch.to_vec());
        Ok(self.batches.len() as u64 - 1)
    }
}

fn topics() -> Topics {
    Topics::new("127.0.0.1:9092".parse().unwrap(), 6)
}

fn memory() -> Memory {
    Memory { room: 1 << 20, batches: Vec::new() }
}

fn batch(records: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..records {
        builder.append(None, Some(b"value"), &[], 1).unwrap();
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes
}

/// A produce request without its length.
fn request(version: i16, acks: i16, partition: i32, batch: &[u8]) -> Vec<u8> {
    let body = ProduceRequest {
        acks,
        topic_data: vec![TopicProduceData {
            name: "t",
            partition_data: vec![PartitionProduceData { index: partition, records: Some(batch) }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let version = Api::Produce.version(version).unwrap();
    let header = RequestHeader { api: Api::Produce, version, correlation_id: 7, client_id: None };
    let mut bytes = Vec::new();
    header.encode_frame(&mut bytes, &body).unwrap();
    bytes.split_off(4)
}

/// Produces and gives the error and the base offset of the answer.
fn produced(
    topics: &mut Topics,
    sink: &mut Memory,
    version: i16,
    frame: &[u8],
) -> (ErrorCode, i64) {
    let mut out = Vec::new();
    topics.handle(frame, sink, &mut out).unwrap();
    let mut reader = Reader::response(&out[8..]);
    let version = Api::Produce.version(version).unwrap();
    let body = ProduceResponse::decode(&mut reader, version).unwrap();
    reader.finish().unwrap();
    let partition = &body.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

#[test]
fn every_version_is_answered_as_declared_and_offsets_rise() {
    let (mut topics, mut sink) = (topics(), memory());
    for (turn, version) in (3..=8).enumerate() {
        let frame = request(version, 1, 2, &batch(10));
        let answer = produced(&mut topics, &mut sink, version, &frame);
        assert_eq!(answer, (ErrorCode::None, 10 * turn as i64), "version {version}");
    }
    assert_eq!(sink.batches.len(), 6);
    assert_eq!(sink.batches[0], batch(10));
}

#[test]
fn a_damaged_batch_and_a_strange_partition_are_refused() {
    let (mut topics, mut sink) = (topics(), memory());
    let mut damaged = batch(3);
    *damaged.last_mut().unwrap() ^= 1;
    let frame = request(7, 1, 0, &damaged);
    assert_eq!(produced(&mut topics, &mut sink, 7, &frame), (ErrorCode::CorruptMessage, -1));
    let frame = request(7, 1, 0, b"short");
    assert_eq!(produced(&mut topics, &mut sink, 7, &frame), (ErrorCode::CorruptMessage, -1));
    let frame = request(7, 1, 6, &batch(1));
    let unknown = (ErrorCode::UnknownTopicOrPartition, -1);
    assert_eq!(produced(&mut topics, &mut sink, 7, &frame), unknown);
    assert!(sink.batches.is_empty());
}

#[test]
fn a_full_disk_takes_nothing_and_answers_nothing() {
    let (mut topics, mut sink) = (topics(), Memory { room: 10, batches: Vec::new() });
    let mut out = Vec::new();
    let reply = topics.handle(&request(7, 1, 0, &batch(1)), &mut sink, &mut out).unwrap();
    assert!(matches!(reply, Reply::Full));
    assert!(out.is_empty() && sink.batches.is_empty());
}

#[test]
fn acks_0_has_no_answer() {
    let (mut topics, mut sink) = (topics(), memory());
    let mut out = Vec::new();
    let reply = topics.handle(&request(7, 0, 0, &batch(1)), &mut sink, &mut out).unwrap();
    assert!(matches!(reply, Reply::Now));
    assert!(out.is_empty());
    assert_eq!(sink.batches.len(), 1);
}

#[test]
fn nonsense_is_an_error() {
    let (mut topics, mut sink) = (topics(), memory());
    let whole = request(7, 1, 0, &batch(1));
    for cut in 0..whole.len() {
        assert!(topics.handle(&whole[..cut], &mut sink, &mut Vec::new()).is_err(), "cut at {cut}");
    }
    assert!(sink.batches.is_empty());
}
