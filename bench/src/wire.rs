//! A bare connection in either dialect: frames out without copying record bytes, frames in.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use client::Dialect;
use protocol::kafka::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use protocol::kafka::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use protocol::kafka::produce::ProduceResponse;
use protocol::kafka::{Api, RequestHeader};
use protocol::native::{self, Encoder, FRAME_BYTES_MAX, Frame, FrameError, refusal};
use protocol::reader::Reader;
use protocol::wire::{Version, Wire};
use protocol::{ErrorCode, PartitionIndex, TopicId, TopicPartition};
use runtime::{Closer, Receiver, Sender, World};

use crate::template::Batch;
use crate::{BenchError, ConsumePlan};

/// The versions spoken. Chosen so that every broker since Kafka 2.4 knows them.
const PRODUCE: Version = Version { number: 8, flexible: false };
const FETCH: Version = Version { number: 11, flexible: false };
const INIT_PRODUCER: Version = Version { number: 1, flexible: false };

const CLIENT_ID: &str = "corelog-bench";
const TIMEOUT_MS: i32 = 30_000;
/// Bytes read from the socket at a time.
const READ_BYTES: usize = 256 * 1024;
/// Larger answers than this are not believed.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The topic as both dialects name it.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: TopicId,
}

impl Topic {
    fn partition(&self, index: u32) -> TopicPartition {
        let index = i32::try_from(index).ok().and_then(PartitionIndex::new).unwrap_or_default();
        TopicPartition { topic: self.id, index }
    }
}

/// A connection that has been greeted.
pub(crate) struct Line {
    pub(crate) sender: Sender,
    pub(crate) frames: Frames,
    pub(crate) writer: Writer,
}

/// Takes frames off a socket.
pub(crate) struct Frames {
    receiver: Receiver,
    buffer: BytesMut,
    dialect: Dialect,
}

/// An answer: which request's, and its bytes (Kafka: the body; native: the whole frame).
pub(crate) struct Answer {
    pub(crate) correlation: u64,
    pub(crate) bytes: Bytes,
}

impl Frames {
    /// The next answer.
    pub(crate) async fn next(&mut self) -> io::Result<Answer> {
        loop {
            if let Some(answer) = self.take()? {
                return Ok(answer);
            }
            self.buffer.reserve(READ_BYTES);
            if self.receiver.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Answer>> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let frame_bytes = match self.dialect {
            Dialect::Native => native::frame_size(&self.buffer, FRAME_BYTES_MAX)
                .map_err(|error| wrong(error.to_string()))?,
            Dialect::Kafka => match self.buffer.split_first_chunk::<4>() {
                Some((length, _)) => {
                    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                    if !(4..=ANSWER_BYTES_MAX).contains(&length) {
                        return Err(wrong("an impossible answer length".to_owned()));
                    }
                    Some(4 + length)
                }
                None => None,
            },
        };
        let Some(frame_bytes) = frame_bytes else { return Ok(None) };
        if self.buffer.len() < frame_bytes {
            self.buffer.reserve(frame_bytes - self.buffer.len());
            return Ok(None);
        }
        let mut bytes = self.buffer.split_to(frame_bytes).freeze();
        let correlation = match self.dialect {
            Dialect::Native => {
                let frame = Frame::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
                frame.correlation()
            }
            Dialect::Kafka => {
                bytes.advance(4);
                u64::from(bytes.get_u32())
            }
        };
        Ok(Some(Answer { correlation, bytes }))
    }
}

/// Connects to a broker and greets it.
pub(crate) async fn connect(
    world: &World,
    addr: SocketAddr,
    (dialect, topic): (Dialect, &Topic),
) -> Result<(Line, Closer), BenchError> {
    let stream =
        world.connect(addr).await.map_err(|error| BenchError::Connection { addr, error })?;
    let closer = stream.closer();
    let (receiver, sender) = stream.split();
    let frames = Frames { receiver, buffer: BytesMut::with_capacity(READ_BYTES), dialect };
    let writer = Writer { dialect, topic: topic.clone(), encoder: Encoder::new(), correlation: 0 };
    let mut line = Line { sender, frames, writer };
    if dialect == Dialect::Native {
        let hello = native::hello::Request {
            version_min: native::VERSION,
            version_max: native::VERSION,
            client_id: CLIENT_ID,
            software_name: CLIENT_ID,
            software_version: env!("CARGO_PKG_VERSION"),
            cluster_id: None,
        };
        let answer =
            line.ask(|writer| writer.native(|it, encoder| hello.encode(it, encoder))).await?;
        native::hello::Answer::read(&native_frame(&answer)?).map_err(unreadable)?;
    }
    Ok((line, closer))
}

impl Line {
    async fn ask(
        &mut self,
        encode: impl FnOnce(&mut Writer) -> Result<Vec<u8>, BenchError>,
    ) -> Result<Bytes, BenchError> {
        let request = encode(&mut self.writer)?;
        self.sender.send_all(&request).await?;
        Ok(self.frames.next().await?.bytes)
    }

    /// Asks for a producer's id and epoch.
    pub(crate) async fn init_producer(&mut self) -> Result<(i64, i16), BenchError> {
        let refused = |code| BenchError::Refused { what: "init producer", code };
        match self.writer.dialect {
            Dialect::Kafka => {
                let body = InitProducerIdRequest {
                    transaction_timeout_ms: TIMEOUT_MS,
                    ..InitProducerIdRequest::default()
                };
                let ask =
                    |writer: &mut Writer| writer.kafka(Api::InitProducerId, INIT_PRODUCER, &body);
                let answer = self.ask(ask).await?;
                let told: InitProducerIdResponse = decode(&answer, INIT_PRODUCER)?;
                match told.error_code {
                    ErrorCode::None => Ok((told.producer_id, told.producer_epoch)),
                    code => Err(refused(code)),
                }
            }
            Dialect::Native => {
                let body = native::producer::Request {
                    transactional_id: None,
                    transaction_timeout_ms: TIMEOUT_MS,
                    producer_id: -1,
                    producer_epoch: -1,
                };
                let answer = self
                    .ask(|writer| writer.native(|it, encoder| body.encode(it, encoder)))
                    .await?;
                let told = native::producer::Answer::read(&native_frame(&answer)?);
                let told = told.map_err(unreadable)?;
                Ok((told.producer_id, told.producer_epoch))
            }
        }
    }
}

/// Encodes requests and reads answers of one connection.
pub(crate) struct Writer {
    dialect: Dialect,
    topic: Topic,
    encoder: Encoder,
    correlation: u64,
}

/// Requests about to leave: heads, and the bodies between them.
#[derive(Default)]
pub(crate) struct Outgoing {
    heads: Vec<u8>,
    /// Up to where in the heads, and what follows there.
    cuts: Vec<(usize, Bytes)>,
}

impl Outgoing {
    /// What to send, in order.
    pub(crate) fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut at = 0;
        let mut slices = Vec::with_capacity(2 * self.cuts.len());
        for (end, body) in &self.cuts {
            slices.extend([IoSlice::new(&self.heads[at..*end]), IoSlice::new(body)]);
            at = *end;
        }
        slices
    }

    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.cuts.clear();
    }

    fn follow(&mut self, batch: &Batch) {
        self.heads.extend_from_slice(&batch.head);
        self.cuts.push((self.heads.len(), batch.body.clone()));
    }
}

impl Writer {
    /// Adds a produce request; answers its correlation id.
    pub(crate) fn produce(
        &mut self,
        acks: i16,
        batches: &[Batch],
        out: &mut Outgoing,
    ) -> Result<u64, BenchError> {
        self.correlation = (self.correlation + 1) & 0x7fff_ffff;
        let bytes = |batch: &Batch| batch.head.len() + batch.body.len();
        match self.dialect {
            Dialect::Kafka => {
                let at = out.heads.len();
                let head = &mut out.heads;
                put_i32(head, 0);
                put_i16(head, Api::Produce.key());
                put_i16(head, PRODUCE.number);
                put_i32(head, self.correlation as i32);
                put_text(head, CLIENT_ID);
                put_i16(head, -1);
                put_i16(head, acks);
                put_i32(head, TIMEOUT_MS);
                put_i32(head, 1);
                put_text(head, &self.topic.name);
                put_count(head, batches.len());
                let own = out.heads.len() - at - 4;
                let frame = own + batches.iter().map(|batch| 8 + bytes(batch)).sum::<usize>();
                let frame = i32::try_from(frame).unwrap_or(i32::MAX);
                out.heads[at..at + 4].copy_from_slice(&frame.to_be_bytes());
                for batch in batches {
                    put_i32(&mut out.heads, batch.partition as i32);
                    put_count(&mut out.heads, bytes(batch));
                    out.follow(batch);
                }
            }
            Dialect::Native => {
                let entry = |batch: &Batch| native::produce::Entry {
                    partition: self.topic.partition(batch.partition),
                    batch_bytes: u32::try_from(bytes(batch)).unwrap_or(u32::MAX),
                };
                let entries: Vec<_> = batches.iter().map(entry).collect();
                let request = native::produce::Request {
                    acks,
                    timeout_ms: TIMEOUT_MS,
                    transactional_id: None,
                    entries: &entries,
                };
                let head =
                    request.encode(self.correlation, &mut self.encoder).map_err(impossible)?;
                out.heads.extend_from_slice(head);
                for batch in batches {
                    out.follow(batch);
                }
            }
        }
        Ok(self.correlation)
    }

    /// A fetch of every position.
    pub(crate) fn fetch(
        &mut self,
        plan: &ConsumePlan,
        positions: &[(u32, i64)],
    ) -> Result<Vec<u8>, BenchError> {
        let wait_ms = i32::try_from(plan.fetch_wait.as_millis()).unwrap_or(i32::MAX);
        let wire = |bytes: u32| i32::try_from(bytes).unwrap_or(i32::MAX);
        match self.dialect {
            Dialect::Kafka => {
                let partitions = positions.iter().map(|&(partition, offset)| FetchPartition {
                    partition: partition as i32,
                    fetch_offset: offset,
                    partition_max_bytes: wire(plan.partition_bytes),
                    ..FetchPartition::default()
                });
                let partitions = partitions.collect();
                let name = self.topic.name.clone();
                let body = FetchRequest {
                    replica_id: -1,
                    max_wait_ms: wait_ms,
                    min_bytes: wire(plan.fetch_bytes_min),
                    max_bytes: wire(plan.fetch_bytes),
                    topics: vec![FetchTopic { topic: &name, partitions, ..FetchTopic::default() }],
                    ..FetchRequest::default()
                };
                self.kafka(Api::Fetch, FETCH, &body)
            }
            Dialect::Native => {
                let entry = |&(partition, offset): &(u32, i64)| native::fetch::Entry {
                    partition: self.topic.partition(partition),
                    leader_epoch: -1,
                    offset,
                    bytes_max: plan.partition_bytes,
                };
                let entries: Vec<_> = positions.iter().map(entry).collect();
                let request = native::fetch::Request {
                    wait_ms_max: wait_ms,
                    bytes_min: plan.fetch_bytes_min,
                    bytes_max: plan.fetch_bytes.min(native::PAYLOAD_BYTES_MAX as u32),
                    read_committed: false,
                    rack: "",
                    entries: &entries,
                };
                self.native(|correlation, encoder| request.encode(correlation, encoder))
            }
        }
    }

    fn kafka<'a>(
        &mut self,
        api: Api,
        version: Version,
        body: &impl Wire<'a>,
    ) -> Result<Vec<u8>, BenchError> {
        self.correlation = (self.correlation + 1) & 0x7fff_ffff;
        let correlation_id = self.correlation as i32;
        let header = RequestHeader { api, version, correlation_id, client_id: Some(CLIENT_ID) };
        let mut bytes = Vec::new();
        header
            .encode_frame(&mut bytes, body)
            .map_err(|error| BenchError::Plan(error.to_string()))?;
        Ok(bytes)
    }

    fn native(
        &mut self,
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> Result<Vec<u8>, BenchError> {
        self.correlation += 1;
        encode(self.correlation, &mut self.encoder).map(<[u8]>::to_vec).map_err(impossible)
    }
}

/// Fails if the broker refused one of a request's batches.
pub(crate) fn check_produced(dialect: Dialect, answer: &[u8]) -> Result<(), BenchError> {
    let check = |code| match code {
        ErrorCode::None => Ok(()),
        code => Err(BenchError::Refused { what: "produce", code }),
    };
    match dialect {
        Dialect::Kafka => {
            let answer: ProduceResponse<'_> = decode(answer, PRODUCE)?;
            let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
            partitions.map(|partition| partition.error_code).try_for_each(check)
        }
        Dialect::Native => {
            let frame = native_frame(answer)?;
            let answer = native::produce::AnswerView::read(&frame).map_err(unreadable)?;
            answer.outcomes().map(|outcome| outcome.error).try_for_each(check)
        }
    }
}

/// Gives every partition's batches of a fetch answer to `each`.
pub(crate) fn read_fetched(
    dialect: Dialect,
    answer: &[u8],
    mut each: impl FnMut(u32, &[u8]) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    let mut one = |index: i32, code: ErrorCode, batches: &[u8]| match code {
        ErrorCode::None => each(u32::try_from(index).unwrap_or(u32::MAX), batches),
        code => Err(BenchError::Refused { what: "fetch", code }),
    };
    match dialect {
        Dialect::Kafka => {
            let answer: FetchResponse<'_> = decode(answer, FETCH)?;
            for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
                let batches = partition.records.unwrap_or_default();
                one(partition.partition_index, partition.error_code, batches)?;
            }
        }
        Dialect::Native => {
            let frame = native_frame(answer)?;
            let answer = native::fetch::AnswerView::read(&frame).map_err(unreadable)?;
            for (outcome, batches) in answer.outcomes() {
                one(outcome.partition.index.get(), outcome.error, batches)?;
            }
        }
    }
    Ok(())
}

/// A native answer that is no refusal.
fn native_frame(bytes: &[u8]) -> Result<Frame<'_>, BenchError> {
    let frame = Frame::parse(bytes).map_err(unreadable)?;
    match refusal::Refusal::read(&frame).map_err(unreadable)? {
        None => Ok(frame),
        Some(refusal) => Err(BenchError::Refused { what: "a request", code: refusal.code }),
    }
}

fn decode<'a, T: Wire<'a>>(bytes: &'a [u8], version: Version) -> Result<T, BenchError> {
    let mut reader = Reader::response(bytes);
    T::decode(&mut reader, version).map_err(|error| BenchError::Answer(error.to_string()))
}

fn unreadable(error: FrameError) -> BenchError {
    BenchError::Answer(error.to_string())
}

fn impossible(error: FrameError) -> BenchError {
    BenchError::Plan(error.to_string())
}

fn put_i16(out: &mut Vec<u8>, number: i16) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_i32(out: &mut Vec<u8>, number: i32) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    put_i32(out, i32::try_from(count).unwrap_or(i32::MAX));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_i16(out, i16::try_from(text.len()).unwrap_or(i16::MAX));
    out.extend_from_slice(text.as_bytes());
}
