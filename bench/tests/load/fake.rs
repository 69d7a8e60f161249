//! A broker that does nothing but answer, after a time that the test decides: latency and rate known beforehand.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use protocol::batch::RawBatch;
use protocol::kafka::any::{AnyRequest, AnyResponse};
use protocol::kafka::api_versions::{ApiVersion, ApiVersionsResponse};
use protocol::kafka::create_topics::{CreatableTopicResult, CreateTopicsResponse};
use protocol::kafka::init_producer_id::InitProducerIdResponse;
use protocol::kafka::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use protocol::kafka::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use protocol::kafka::{Api, RequestHeader, ResponseFrame};
use protocol::reader::Reader;
use protocol::{ErrorCode, TopicId};
use runtime::{ListenOptions, Nanos, Sender, Stream, TaskClass, World};

/// How it behaves, and what it saw.
pub(crate) struct Fake {
    /// How long it takes for one produce request; one at a time on each connection.
    pub(crate) service: Duration,
    /// In this span, counted from the first produce request, it answers nothing.
    pub(crate) stall: Range<Duration>,
    pub(crate) partitions: i32,
    /// It closes a connection on which a produce request comes this long after the first one.
    pub(crate) closes: Cell<Option<Duration>>,
    /// How often it refuses a producer id before it gives one.
    pub(crate) not_yet: Cell<u32>,
    /// For each partition the sequence that must come next.
    pub(crate) sequences: RefCell<BTreeMap<i32, i32>>,
    first: Cell<Option<Nanos>>,
    /// When each produce request came, since the first one, and how many records it had.
    pub(crate) seen: RefCell<Vec<(Duration, u64)>>,
}

impl Fake {
    pub(crate) fn new(service: Duration, stall: Range<Duration>) -> Rc<Self> {
        Rc::new(Self {
            service,
            stall,
            partitions: 3,
            closes: Cell::new(None),
            not_yet: Cell::new(0),
            sequences: RefCell::default(),
            first: Cell::new(None),
            seen: RefCell::default(),
        })
    }

    /// Starts it; answers where.
    pub(crate) async fn start(self: &Rc<Self>, world: &World) -> SocketAddr {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = world.listen(any, ListenOptions::default()).await.unwrap();
        let address = listener.local_addr();
        let (fake, served) = (Rc::clone(self), world.clone());
        world.spawn(TaskClass::Serve, async move {
            while let Ok(stream) = listener.accept().await {
                let (fake, world) = (Rc::clone(&fake), served.clone());
                served.spawn(TaskClass::Serve, async move {
                    fake.connection(&world, stream, address).await;
                });
            }
        });
        address
    }

    async fn connection(&self, world: &World, stream: Stream, address: SocketAddr) {
        let (mut receiver, mut sender) = stream.split();
        let mut buffer = BytesMut::with_capacity(64 << 10);
        loop {
            while let Some(frame) = next_frame(&mut buffer) {
                if self.answer(world, &frame, (&mut sender, address)).await.is_none() {
                    return;
                }
            }
            buffer.reserve(64 << 10);
            match receiver.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    async fn answer(
        &self,
        world: &World,
        frame: &[u8],
        (sender, address): (&mut Sender, SocketAddr),
    ) -> Option<()> {
        let mut reader = Reader::request(frame);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let (api, version) = (header.api, header.version);
        let body = AnyRequest::decode(api, &mut reader, version).unwrap();
        reader.finish().unwrap();
        let host = address.ip().to_string();
        let answer = match &body {
            AnyRequest::ApiVersions(_) => AnyResponse::ApiVersions(api_versions()),
            AnyRequest::Metadata(_) => AnyResponse::Metadata(self.metadata(&host, address.port())),
            AnyRequest::CreateTopics(_) => AnyResponse::CreateTopics(CreateTopicsResponse {
                topics: vec![CreatableTopicResult { name: "load", ..Default::default() }],
                ..Default::default()
            }),
            AnyRequest::InitProducerId(_) => {
                let left = self.not_yet.get();
                self.not_yet.set(left.saturating_sub(1));
                let error_code =
                    if left > 0 { ErrorCode::CoordinatorLoadInProgress } else { ErrorCode::None };
                let producer_id = if left > 0 { -1 } else { 7 };
                let body = InitProducerIdResponse { error_code, producer_id, ..Default::default() };
                AnyResponse::InitProducerId(body)
            }
            AnyRequest::Produce(request) => {
                let batches = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
                let records = batches.map(|it| {
                    let batch = RawBatch(it.records.unwrap()).check_produced().unwrap();
                    if let Some(stamp) = batch.producer() {
                        let mut sequences = self.sequences.borrow_mut();
                        let next = sequences.entry(it.index).or_insert(0);
                        assert_eq!(stamp.base_sequence, Some(*next), "numbered without a gap");
                        *next += i32::try_from(batch.record_count()).unwrap();
                    }
                    u64::from(batch.record_count())
                });
                let now = world.now();
                let first = self.first.get().unwrap_or(now);
                self.first.set(Some(first));
                self.seen.borrow_mut().push((now.since(first), records.sum()));
                if self.closes.get().is_some_and(|after| now.since(first) >= after) {
                    return None;
                }
                let done = now + self.service;
                let is_stalled = self.stall.contains(&done.since(first));
                world.sleep_until(if is_stalled { first + self.stall.end } else { done }).await;
                let topics = request.topic_data.iter().map(|topic| TopicProduceResponse {
                    name: topic.name,
                    partition_responses: topic
                        .partition_data
                        .iter()
                        .map(|it| PartitionProduceResponse {
                            index: it.index,
                            ..Default::default()
                        })
                        .collect(),
                    ..Default::default()
                });
                AnyResponse::Produce(ProduceResponse {
                    responses: topics.collect(),
                    ..Default::default()
                })
            }
            other => panic!("the fake does not serve {}", other.api()),
        };
        let mut out = Vec::new();
        let frame = ResponseFrame::begin(&mut out, api, version, header.correlation_id);
        answer.encode(&mut out, version).unwrap();
        frame.end(&mut out, 0).unwrap();
        sender.send_all(&out).await.ok()
    }

    fn metadata<'a>(&self, host: &'a str, port: u16) -> MetadataResponse<'a> {
        let broker = MetadataResponseBroker { node_id: 0, host, port: port.into(), rack: None };
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 0,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("load"),
            topic_id: TopicId::new([1; 16]),
            partitions: (0..self.partitions).map(partition).collect(),
            ..Default::default()
        };
        MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() }
    }
}

fn next_frame(buffer: &mut BytesMut) -> Option<BytesMut> {
    let length = i32::from_be_bytes(*buffer.first_chunk::<4>()?);
    let whole = 4 + usize::try_from(length).unwrap();
    (buffer.len() >= whole).then(|| buffer.split_to(whole).split_off(4))
}

fn api_versions() -> ApiVersionsResponse<'static> {
    let versions = |api: &Api| ApiVersion {
        api_key: api.key(),
        min_version: *api.advertised().start(),
        max_version: *api.advertised().end(),
    };
    let api_keys = Api::ALL.iter().map(versions).collect();
    ApiVersionsResponse { api_keys, ..Default::default() }
}
