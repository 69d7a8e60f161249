//! One connection to a fake broker: requests in, answers out, faults in between.

use std::future::pending;
use std::time::Duration;

use bytes::BytesMut;
use protocol::error_code::ErrorCode;
use protocol::kafka::any::{AnyRequest, AnyResponse};
use protocol::kafka::api_versions::{ApiVersion, ApiVersionsResponse};
use protocol::kafka::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use protocol::kafka::init_producer_id::InitProducerIdResponse;
use protocol::kafka::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use protocol::kafka::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use protocol::kafka::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use protocol::kafka::{Api, RequestHeader, ResponseFrame};
use protocol::reader::Reader;
use runtime::{Sender, Stream, World};

use super::{Fake, Fault};

pub(super) async fn connection(fake: &Fake, world: &World, stream: Stream, broker: i32) {
    let (mut receiver, mut sender) = stream.split();
    let mut buffer = BytesMut::with_capacity(64 << 10);
    loop {
        while let Some(frame) = next_frame(&mut buffer) {
            if request(fake, world, (&frame, broker), &mut sender).await.is_none() {
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

fn next_frame(buffer: &mut BytesMut) -> Option<BytesMut> {
    let length = i32::from_be_bytes(*buffer.first_chunk::<4>()?);
    let whole = 4 + usize::try_from(length).expect("clients send positive lengths");
    (buffer.len() >= whole).then(|| buffer.split_to(whole).split_off(4))
}

/// Serves one request; `None` when the connection shall end.
async fn request(
    fake: &Fake,
    world: &World,
    (frame, broker): (&[u8], i32),
    sender: &mut Sender,
) -> Option<()> {
    let mut reader = Reader::request(frame);
    let header = RequestHeader::decode(&mut reader).expect("the client's headers are right");
    let (api, version) = (header.api, header.version);
    let body = AnyRequest::decode(api, &mut reader, version).expect("and its bodies");
    reader.finish().expect("to the last byte");
    *fake.0.seen.borrow_mut().entry(api).or_insert(0) += 1;
    let fault = (fake.0.plan.borrow_mut())(api);
    match fault {
        Fault::Close => return None,
        Fault::Silence => pending().await,
        Fault::Delay(span) => world.sleep(span).await,
        Fault::Garbage => {
            sender.send_all(&[0, 0, 0, 8, 9, 9, 9, 9, 1, 2, 3, 4]).await.ok()?;
            return Some(());
        }
        Fault::None | Fault::Refuse(_) | Fault::ServeAndRefuse(_) | Fault::ServeAndClose => {}
    }
    let mut out = Vec::new();
    let correlation = header.correlation_id;
    let mut put = |body: &AnyResponse<'_>| {
        let frame = ResponseFrame::begin(&mut out, api, version, correlation);
        body.encode(&mut out, version).expect("the fake answers in the version it was asked in");
        frame.end(&mut out, 0).expect("a small answer");
    };
    match body {
        AnyRequest::ApiVersions(_) => put(&AnyResponse::ApiVersions(api_versions())),
        AnyRequest::Metadata(request) => metadata(fake, &request, |body| {
            put(&AnyResponse::Metadata(body));
        }),
        AnyRequest::InitProducerId(_) => {
            let id = fake.0.next_producer.get();
            fake.0.next_producer.set(id + 1);
            let body = InitProducerIdResponse { producer_id: id, ..Default::default() };
            put(&AnyResponse::InitProducerId(body));
        }
        AnyRequest::Produce(request) => {
            let body = produce(fake, &request, (broker, fault));
            if request.acks == 0 {
                return Some(());
            }
            put(&AnyResponse::Produce(body));
        }
        AnyRequest::Fetch(request) => {
            let wait = Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
            let deadline = world.now() + wait;
            while !has_news(fake, &request) && world.now() < deadline {
                let news = fake.0.appended.notified();
                if world.timeout(deadline.since(world.now()), news).await.is_err() {
                    break;
                }
            }
            fetch(fake, &request, (broker, fault), |body| put(&AnyResponse::Fetch(body)));
        }
        AnyRequest::ListOffsets(request) => {
            put(&AnyResponse::ListOffsets(list_offsets(fake, &request, (broker, fault))));
        }
        other => panic!("the fake does not serve {}", other.api()),
    }
    if fault == Fault::ServeAndClose {
        return None;
    }
    sender.send_all(&out).await.ok()
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

fn metadata(fake: &Fake, request: &MetadataRequest<'_>, put: impl FnOnce(MetadataResponse<'_>)) {
    let named: Vec<String> = match &request.topics {
        None => fake.0.topics.borrow().keys().cloned().collect(),
        Some(topics) => topics.iter().filter_map(|it| it.name.map(str::to_owned)).collect(),
    };
    for name in &named {
        let is_missing = !fake.0.topics.borrow().contains_key(name);
        if is_missing && request.allow_auto_topic_creation {
            fake.add_topic(name, 2);
        }
    }
    let topics = fake.0.topics.borrow();
    let hosts: Vec<(String, u16)> = fake
        .0
        .brokers
        .borrow()
        .iter()
        .map(|address| (address.ip().to_string(), address.port()))
        .collect();
    let brokers = hosts.iter().zip(0..).map(|((host, port), node_id)| MetadataResponseBroker {
        node_id,
        host,
        port: (*port).into(),
        rack: None,
    });
    let described = named.iter().map(|name| match topics.get(name) {
        None => MetadataResponseTopic {
            error_code: ErrorCode::UnknownTopicOrPartition,
            name: Some(name),
            ..Default::default()
        },
        Some(topic) => MetadataResponseTopic {
            name: Some(name),
            topic_id: topic.id,
            partitions: topic
                .partitions
                .iter()
                .zip(0..)
                .map(|(partition, partition_index)| MetadataResponsePartition {
                    partition_index,
                    leader_id: partition.leader.get(),
                    leader_epoch: 0,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        },
    });
    put(MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some("fake"),
        controller_id: 0,
        topics: described.collect(),
        ..Default::default()
    });
}

fn refused(fault: Fault) -> Option<ErrorCode> {
    match fault {
        Fault::Refuse(code) => Some(code),
        _ => None,
    }
}

fn produce<'a>(
    fake: &Fake,
    request: &ProduceRequest<'a>,
    (broker, fault): (i32, Fault),
) -> ProduceResponse<'a> {
    let topics = fake.0.topics.borrow();
    let responses = request.topic_data.iter().map(|asked| {
        let topic = topics.values().find(|topic| topic.id == asked.topic_id);
        let outcome = |index: i32, records: Option<&[u8]>| -> Result<i64, ErrorCode> {
            let topic = topic.ok_or(ErrorCode::UnknownTopicId)?;
            let partition = usize::try_from(index).ok().and_then(|it| topic.partitions.get(it));
            let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
            if partition.leader.get() != broker {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
            if let Some(code) = refused(fault) {
                return Err(code);
            }
            let base =
                partition.append(records.unwrap_or_default(), fake.0.batch_bytes_max.get())?;
            fake.0.appended.notify_all();
            match fault {
                Fault::ServeAndRefuse(code) => Err(code),
                _ => Ok(base),
            }
        };
        let partition_responses = asked.partition_data.iter().map(|part| {
            let outcome = outcome(part.index, part.records);
            PartitionProduceResponse {
                index: part.index,
                error_code: outcome.err().unwrap_or(ErrorCode::None),
                base_offset: outcome.unwrap_or(-1),
                ..Default::default()
            }
        });
        TopicProduceResponse {
            topic_id: asked.topic_id,
            partition_responses: partition_responses.collect(),
            ..Default::default()
        }
    });
    ProduceResponse { responses: responses.collect(), ..Default::default() }
}

fn has_news(fake: &Fake, request: &FetchRequest<'_>) -> bool {
    let topics = fake.0.topics.borrow();
    request.topics.iter().any(|asked| {
        let topic = topics.values().find(|topic| topic.id == asked.topic_id);
        topic.is_none_or(|topic| {
            asked.partitions.iter().any(|part| {
                let partition = usize::try_from(part.partition).ok();
                let partition = partition.and_then(|it| topic.partitions.get(it));
                // Out of range counts: it is answered at once.
                partition.is_none_or(|it| it.end() != part.fetch_offset)
            })
        })
    })
}

fn fetch(
    fake: &Fake,
    request: &FetchRequest<'_>,
    (broker, fault): (i32, Fault),
    put: impl FnOnce(FetchResponse<'_>),
) {
    let topics = fake.0.topics.borrow();
    let mut pools: Vec<Vec<u8>> = Vec::new();
    let mut facts = Vec::new();
    for asked in &request.topics {
        let topic = topics.values().find(|topic| topic.id == asked.topic_id);
        for part in &asked.partitions {
            let partition =
                topic.and_then(|topic| topic.partitions.get(usize::try_from(part.partition).ok()?));
            let mut records = Vec::new();
            let code = match (partition, refused(fault)) {
                (None, _) => ErrorCode::UnknownTopicId,
                (Some(partition), _) if partition.leader.get() != broker => {
                    ErrorCode::NotLeaderOrFollower
                }
                (Some(_), Some(code)) => code,
                (Some(partition), None) => {
                    let range = partition.log_start.get()..=partition.end();
                    if range.contains(&part.fetch_offset) {
                        let limit = usize::try_from(part.partition_max_bytes).unwrap_or(0);
                        let batches = partition.batches.borrow();
                        for written in batches.iter().filter(|it| it.next > part.fetch_offset) {
                            if !records.is_empty() && records.len() + written.bytes.len() > limit {
                                // Kafka cuts the last one off; clients must pass over it.
                                records.extend_from_slice(&written.bytes[..20]);
                                break;
                            }
                            records.extend_from_slice(&written.bytes);
                        }
                        ErrorCode::None
                    } else {
                        ErrorCode::OffsetOutOfRange
                    }
                }
            };
            facts.push((
                asked.topic_id,
                part.partition,
                code,
                partition.map_or(-1, super::FakePartition::end),
            ));
            pools.push(records);
        }
    }
    let responses = facts.iter().zip(&pools).map(|((topic_id, index, code, end), records)| {
        let data = PartitionData {
            partition_index: *index,
            error_code: *code,
            high_watermark: *end,
            records: Some(records),
            ..Default::default()
        };
        FetchableTopicResponse { topic_id: *topic_id, partitions: vec![data], ..Default::default() }
    });
    put(FetchResponse { responses: responses.collect(), ..Default::default() });
}

fn list_offsets<'a>(
    fake: &Fake,
    request: &ListOffsetsRequest<'a>,
    (broker, fault): (i32, Fault),
) -> ListOffsetsResponse<'a> {
    let topics = fake.0.topics.borrow();
    let found = |name: &str, index: i32, timestamp: i64| -> Result<i64, ErrorCode> {
        let topic = topics.get(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let partition = usize::try_from(index).ok().and_then(|it| topic.partitions.get(it));
        let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if partition.leader.get() != broker {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        match (refused(fault), timestamp) {
            (Some(code), _) => Err(code),
            (None, -1) => Ok(partition.end()),
            (None, -2) => Ok(partition.log_start.get()),
            (None, _) => Ok(-1),
        }
    };
    let topics = request.topics.iter().map(|asked| ListOffsetsTopicResponse {
        name: asked.name,
        partitions: asked
            .partitions
            .iter()
            .map(|part| {
                let outcome = found(asked.name, part.partition_index, part.timestamp);
                ListOffsetsPartitionResponse {
                    partition_index: part.partition_index,
                    error_code: outcome.err().unwrap_or(ErrorCode::None),
                    offset: outcome.unwrap_or(-1),
                    ..Default::default()
                }
            })
            .collect(),
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}
