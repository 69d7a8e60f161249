//! One native connection, used a frame at a time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use protocol::batch::Compression;
use protocol::batch::builder::BatchBuilder;
use protocol::crc::{crc32c, crc32c_append};
use protocol::native::refusal::Refusal;
use protocol::native::topics::{CreateTopics, NewTopic};
use protocol::native::{Encoder, Frame, FrameError, Kind, hello, outcomes};
use protocol::{ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, TopicId, TopicPartition};

/// Long enough for a busy machine; only a broken broker uses it up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frame that does not arrive is given up after 5 s.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A connection.
pub(crate) struct Peer {
    stream: TcpStream,
    encoder: Encoder,
    correlation: u64,
}

impl Peer {
    /// Connected, and a stranger yet.
    pub(crate) fn stranger() -> Self {
        let stream = TcpStream::connect(super::serving().native).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, encoder: Encoder::new(), correlation: 0 }
    }

    /// Connected and greeted.
    pub(crate) fn greeted() -> Self {
        let mut peer = Self::stranger();
        let answer = peer.ask(&[], |id, encoder| greeting(None).encode(id, encoder));
        assert_eq!(frame(&answer).kind(), Kind::Hello);
        peer
    }

    /// Encodes a request under the next correlation id.
    pub(crate) fn encode(
        &mut self,
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> Vec<u8> {
        self.correlation += 1;
        encode(self.correlation, &mut self.encoder).unwrap().to_vec()
    }

    /// Sends a request and its payload, without waiting.
    pub(crate) fn send(
        &mut self,
        payload: &[u8],
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> u64 {
        let head = self.encode(encode);
        self.send_raw(&[&head[..], payload].concat());
        self.correlation
    }

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next answer's bytes.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut bytes = length.to_vec();
        bytes.resize(u32::from_le_bytes(length) as usize, 0);
        self.stream.read_exact(&mut bytes[4..]).unwrap();
        assert!(frame(&bytes).is_answer());
        bytes
    }

    /// Sends a request and gives its answer's bytes.
    pub(crate) fn ask(
        &mut self,
        payload: &[u8],
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> Vec<u8> {
        let correlation = self.send(payload, encode);
        let answer = self.receive();
        assert_eq!(frame(&answer).correlation(), correlation);
        answer
    }

    /// Whether the broker ends the connection, having sent nothing more, before it could do so for being slow.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.stream.set_read_timeout(Some(AT_ONCE)).unwrap();
        match self.stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Creates a topic and gives its id.
    pub(crate) fn create(&mut self, name: &str, partitions: i32) -> TopicId {
        let topics = [NewTopic { name, partitions, replicas: 1, configs: &[] }];
        let request = CreateTopics { topics: &topics, timeout_ms: 5_000, dry_run: false };
        let answer = self.ask(&[], |id, encoder| request.encode(id, encoder));
        let frame = frame(&answer);
        let view = outcomes::AnswerView::read(&frame, Kind::CreateTopics).unwrap();
        let created = view.outcomes().next().unwrap();
        assert_eq!(created.error, ErrorCode::None, "{}", created.message);
        created.topic.unwrap()
    }
}

/// What this peer says first.
pub(crate) fn greeting(cluster_id: Option<&str>) -> hello::Request<'_> {
    hello::Request {
        version_min: 1,
        version_max: 3,
        client_id: "test",
        software_name: "tests",
        software_version: "1",
        cluster_id,
    }
}

/// The frame that these bytes are.
pub(crate) fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame::parse(bytes).unwrap()
}

/// The code of an answer that refuses the whole request.
pub(crate) fn refusal(answer: &[u8]) -> ErrorCode {
    let refusal = Refusal::read(&frame(answer)).unwrap().expect("a refusal");
    assert!(!refusal.message.is_empty(), "a refusal says why");
    refusal.code
}

/// A topic's partition.
pub(crate) fn part(topic: TopicId, index: i32) -> TopicPartition {
    TopicPartition { topic, index: PartitionIndex::new(index).unwrap() }
}

/// A batch of records with these values, the first at `timestamp` and each a millisecond later.
pub(crate) fn batch(values: &[&str], timestamp: i64) -> Vec<u8> {
    built(values, timestamp, None)
}

/// The same from an idempotent producer.
pub(crate) fn stamped(values: &[&str], producer: ProducerId, sequence: i32) -> Vec<u8> {
    built(values, 1_000, Some((producer, sequence)))
}

fn built(values: &[&str], timestamp: i64, producer: Option<(ProducerId, i32)>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some((id, sequence)) = producer {
        builder.set_producer(id, ProducerEpoch::new(0).unwrap(), sequence);
    }
    for (value, timestamp) in values.iter().zip(timestamp..) {
        builder.append(None, Some(value.as_bytes()), &[], timestamp).unwrap();
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes
}

/// Writes the checksum that belongs to a frame's prefix and header.
pub(crate) fn seal(bytes: &mut [u8]) {
    let header_bytes = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    let sum = crc32c_append(crc32c(&bytes[..20]), &bytes[24..24 + header_bytes]);
    bytes[20..24].copy_from_slice(&sum.to_le_bytes());
}
