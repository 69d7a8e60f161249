//! The native protocol: a hello, then frames with FlatBuffers headers and batches behind them, sent without a copy.

mod admin;
mod data;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use protocol::epoch::ProducerEpoch;
use protocol::error_code::ErrorCode;
use protocol::ids::{PartitionIndex, ProducerId, TopicId, TopicPartition};
use protocol::native::refusal::Refusal;
use protocol::native::topics::TopicRef as WireTopic;
use protocol::native::{Encoder, Frame, FrameError, VERSION, hello, metadata, producer};

pub(super) use self::data::PendingProduce;
use super::{
    Bytes, Channel, ClientError, ClusterConfig, Expect, Framing, Identity, Metadata, Pending,
    Which, World,
};
use crate::channel::Admission;
use crate::error::ChannelError;
use crate::view::{Broker, ClusterView, Described, PartitionView, TopicRef, TopicView};

/// Pages of a list of topics; far more than there can be topics.
const PAGES_MAX: usize = 10_000;

/// A connection to a broker that speaks the native protocol.
#[derive(Clone)]
pub(super) struct Speaker {
    shared: Rc<Shared>,
}

struct Shared {
    world: World,
    channel: Channel,
    encoder: RefCell<Encoder>,
    timeout: Duration,
}

impl Speaker {
    pub(super) async fn connect(
        world: &World,
        address: &str,
        config: &ClusterConfig,
    ) -> Result<Self, ChannelError> {
        let framing = Framing::Native { bytes_max: config.response_bytes_max };
        let channel = Channel::connect(world, address, framing, config).await?;
        let shared = Shared {
            world: world.clone(),
            channel,
            encoder: RefCell::default(),
            timeout: config.request_timeout,
        };
        let speaker = Self { shared: Rc::new(shared) };
        speaker.greet(config).await?;
        Ok(speaker)
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.shared.channel
    }

    async fn greet(&self, config: &ClusterConfig) -> Result<(), ChannelError> {
        let request = hello::Request {
            version_min: VERSION,
            version_max: VERSION,
            client_id: &config.client_id,
            software_name: "corelog",
            software_version: env!("CARGO_PKG_VERSION"),
            cluster_id: None,
        };
        let channel = self.channel();
        let answer = self.ask(|correlation, encoder| request.encode(correlation, encoder)).await;
        let answer = answer.map_err(|error| match error {
            ClientError::Channel(error) => error,
            other => channel.malformed(format!("the greeting was refused: {other}")),
        })?;
        let frame = self.frame(&answer)?;
        let hello = self.read(hello::Answer::read(&frame))?;
        if hello.version == VERSION {
            return Ok(());
        }
        Err(channel.malformed(format!("version {} was never offered", hello.version)))
    }

    pub(super) async fn metadata(&self, which: Which<'_>) -> Result<Metadata, ClientError> {
        let Which::Named { names, auto_create } = which else { return self.all_topics().await };
        let topics: Vec<WireTopic<'_>> = names.iter().copied().map(WireTopic::Name).collect();
        let mut request = metadata::Request::describe(&topics);
        request.create = auto_create;
        let answer = self.ask(|correlation, encoder| request.encode(correlation, encoder)).await?;
        let frame = self.frame(&answer)?;
        let view = self.read(metadata::AnswerView::read(&frame))?;
        Ok(Metadata { cluster: cluster(&view), topics: view.topics().map(described).collect() })
    }

    /// Every topic with its partitions, page by page.
    async fn all_topics(&self) -> Result<Metadata, ClientError> {
        let mut topics = Vec::new();
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let request = metadata::Request { partitions: true, ..metadata::Request::list(&after) };
            let answer =
                self.ask(|correlation, encoder| request.encode(correlation, encoder)).await?;
            let frame = self.frame(&answer)?;
            let view = self.read(metadata::AnswerView::read(&frame))?;
            topics.extend(view.topics().map(described));
            match view.next_after() {
                Some(next) if next > after.as_str() => after = next.to_owned(),
                Some(_) => return Err(self.channel().malformed("pages out of order").into()),
                None => return Ok(Metadata { cluster: cluster(&view), topics }),
            }
        }
        Err(self.channel().malformed("a list of topics without an end").into())
    }

    pub(super) async fn init_producer(&self) -> Result<Identity, ClientError> {
        let request = producer::Request {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
        };
        let answer = self.ask(|correlation, encoder| request.encode(correlation, encoder)).await?;
        let frame = self.frame(&answer)?;
        let told = self.read(producer::Answer::read(&frame))?;
        match (ProducerId::new(told.producer_id), ProducerEpoch::new(told.producer_epoch)) {
            (Some(id), Some(epoch)) => Ok(Identity { id, epoch }),
            _ => Err(self.channel().malformed("a producer id or epoch below zero").into()),
        }
    }

    /// One request and its answer: a frame that is no refusal.
    async fn ask(
        &self,
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> Result<Bytes, ClientError> {
        let admission = self.channel().admit().await;
        let pending = self.submit(admission, Expect::Answer, Vec::new(), encode)?;
        self.answer(pending, self.shared.timeout).await
    }

    /// Queues a request: the encoded head, then `payload`.
    fn submit(
        &self,
        admission: Admission,
        expect: Expect,
        payload: Vec<Bytes>,
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> Result<Pending, ChannelError> {
        let channel = self.channel();
        channel.submit(admission, expect, |correlation| {
            let mut encoder = self.shared.encoder.borrow_mut();
            let correlation = u64::from(correlation.unsigned_abs());
            let head = encode(correlation, &mut encoder).map_err(|error| {
                // Nothing was sent: the connection is as good as before.
                tracing::debug!(%error, "a request does not fit a frame");
                let address = channel.address().to_owned();
                ChannelError::Unsupported { address, api: "a request of this size" }
            })?;
            let mut segments = Vec::with_capacity(1 + payload.len());
            segments.push(Bytes::copy_from_slice(head));
            segments.extend(payload);
            Ok(segments)
        })
    }

    async fn answer(&self, pending: Pending, timeout: Duration) -> Result<Bytes, ClientError> {
        let answer = self.channel().answer(&self.shared.world, pending, timeout).await?;
        if answer.is_empty() {
            return Ok(answer);
        }
        let refusal = Refusal::read(&self.frame(&answer)?);
        match self.read(refusal)? {
            None => Ok(answer),
            Some(refusal) => Err(ClientError::Refused {
                code: refusal.code,
                message: Some(refusal.message).filter(|it| !it.is_empty()).map(str::to_owned),
            }),
        }
    }

    fn frame<'a>(&self, answer: &'a Bytes) -> Result<Frame<'a>, ChannelError> {
        self.read(Frame::parse(answer))
    }

    /// An answer that cannot be read ends the connection.
    fn read<T>(&self, outcome: Result<T, FrameError>) -> Result<T, ChannelError> {
        outcome.map_err(|error| self.channel().malformed(error.to_string()))
    }
}

/// The partition as the wire names it.
fn wire_partition(topic: &TopicRef, partition: i32) -> TopicPartition {
    let index = PartitionIndex::new(partition).unwrap_or_default();
    TopicPartition { topic: topic.id, index }
}

fn positive(number: i32) -> Option<i32> {
    Some(number).filter(|number| *number >= 0)
}

fn text(text: &str) -> Option<String> {
    Some(text).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn cluster(view: &metadata::AnswerView<'_>) -> ClusterView {
    let broker = |broker: metadata::BrokerView<'_>| Broker {
        id: broker.id(),
        host: broker.host().to_owned(),
        port: broker.port(),
        rack: text(broker.rack()),
    };
    ClusterView {
        cluster_id: text(view.cluster_id()),
        controller: positive(view.controller()),
        brokers: view.brokers().map(broker).collect(),
    }
}

fn described(topic: metadata::TopicView<'_>) -> Described {
    let name: Rc<str> = topic.name().into();
    let error = topic.error();
    if error.is_error() {
        return Described { name, outcome: Err(error) };
    }
    // Without an id nothing could be produced or fetched; and a name that was asked for always has one.
    if topic.id() == TopicId::ZERO {
        return Described { name, outcome: Err(ErrorCode::UnknownTopicId) };
    }
    let mut partitions: Vec<PartitionView> = topic
        .partitions()
        .map(|partition| PartitionView {
            index: partition.index(),
            leader: positive(partition.leader()),
            leader_epoch: partition.leader_epoch(),
            replicas: partition.replicas().collect(),
            in_sync: partition.in_sync().collect(),
            error: None,
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    let view = TopicView {
        topic: Rc::new(TopicRef { name: Rc::clone(&name), id: topic.id() }),
        is_internal: topic.internal(),
        partitions,
    };
    Described { name, outcome: Ok(view) }
}
