//! Kafka's protocol: versions are agreed on at connect, then each call is one request and its response.

mod admin;
mod data;
mod groups;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use protocol::epoch::ProducerEpoch;
use protocol::error_code::ErrorCode;
use protocol::ids::{ProducerId, TopicId};
use protocol::kafka::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use protocol::kafka::init_producer_id::InitProducerIdRequest;
use protocol::kafka::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use protocol::kafka::{Api, Request, RequestHeader, ResponseHeader};
use protocol::reader::{DecodeError, Reader};
use protocol::wire::{Version, Wire};

pub(super) use self::data::PendingProduce;
use super::{
    Bytes, Channel, ClientError, ClusterConfig, Expect, Framing, Identity, Metadata, Pending,
    Which, World,
};
use crate::channel::Admission;
use crate::error::ChannelError;
use crate::view::{Broker, ClusterView, Described, PartitionView, TopicRef, TopicView};

/// Where the correlation id stands in a request: behind length, key and version.
const CORRELATION_AT: usize = 8;

/// A connection to a broker that speaks Kafka's protocol.
#[derive(Clone)]
pub(super) struct Speaker {
    shared: Rc<Shared>,
}

struct Shared {
    world: World,
    channel: Channel,
    /// The newest version of each API that both sides speak.
    versions: BTreeMap<Api, Version>,
    client_id: String,
    timeout: Duration,
}

/// A response and the version it is written in.
struct Reply<Q> {
    frame: Bytes,
    version: Version,
    request: PhantomData<fn() -> Q>,
}

impl<Q: Request> Reply<Q> {
    /// Reads the response's body.
    fn body(&self) -> Result<Q::Response<'_>, DecodeError> {
        let mut reader = Reader::response(&self.frame[4..]);
        ResponseHeader::decode(&mut reader, Q::API, self.version)?;
        let body = Wire::decode(&mut reader, self.version)?;
        reader.finish()?;
        Ok(body)
    }
}

impl Speaker {
    pub(super) async fn connect(
        world: &World,
        address: &str,
        config: &ClusterConfig,
    ) -> Result<Self, ChannelError> {
        let framing = Framing::Kafka { bytes_max: config.response_bytes_max };
        let channel = Channel::connect(world, address, framing, config).await?;
        let mut shared = Shared {
            world: world.clone(),
            channel,
            versions: BTreeMap::new(),
            client_id: config.client_id.clone(),
            timeout: config.request_timeout,
        };
        shared.versions = shared.agree().await?;
        Ok(Self { shared: Rc::new(shared) })
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.shared.channel
    }

    pub(super) async fn metadata(&self, which: Which<'_>) -> Result<Metadata, ClientError> {
        let named = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
        let (topics, auto_create) = match which {
            Which::All => (None, false),
            Which::Named { names, auto_create } => {
                (Some(names.iter().copied().map(named).collect()), auto_create)
            }
        };
        let request = MetadataRequest {
            topics,
            allow_auto_topic_creation: auto_create,
            ..Default::default()
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        refuse(body.error_code, None)?;
        Ok(metadata(&body))
    }

    pub(super) async fn init_producer(&self) -> Result<Identity, ClientError> {
        let request = InitProducerIdRequest {
            // Without a transactional id the timeout means nothing, but it must be positive.
            transaction_timeout_ms: 60_000,
            producer_epoch: -1,
            ..Default::default()
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        refuse(body.error_code, None)?;
        match (ProducerId::new(body.producer_id), ProducerEpoch::new(body.producer_epoch)) {
            (Some(id), Some(epoch)) => Ok(Identity { id, epoch }),
            _ => Err(self.channel().malformed("a producer id or epoch below zero").into()),
        }
    }
}

impl Shared {
    /// Asks what the broker speaks. A broker that does not know our version of the question answers in version 0.
    async fn agree(&self) -> Result<BTreeMap<Api, Version>, ChannelError> {
        let request = ApiVersionsRequest {
            client_software_name: "corelog",
            client_software_version: env!("CARGO_PKG_VERSION"),
        };
        let mut asked = version_of(Api::ApiVersions, 3);
        let mut reply = self.ask_in(&request, asked).await?;
        let code = self.read(&reply, |reply| {
            let mut reader = Reader::response(&reply.frame[8..]);
            i16::decode(&mut reader, asked)
        })?;
        if ErrorCode::from_wire(code) == ErrorCode::UnsupportedVersion {
            asked = version_of(Api::ApiVersions, 0);
            reply = self.ask_in(&request, asked).await?;
        }
        let body: ApiVersionsResponse<'_> = self.read(&reply, Reply::body)?;
        if body.error_code.is_error() {
            return Err(self
                .channel
                .malformed(format!("ApiVersions answered {}", body.error_code)));
        }
        let mut versions = BTreeMap::new();
        for offered in &body.api_keys {
            let Some(api) = Api::new(offered.api_key) else { continue };
            let served = api.served();
            let newest = offered.max_version.min(*served.end());
            if newest >= offered.min_version.max(*served.start()) {
                versions.insert(api, version_of(api, newest));
            }
        }
        Ok(versions)
    }

    fn version(&self, api: Api) -> Result<Version, ChannelError> {
        let address = || self.channel.address().to_owned();
        let agreed = self.versions.get(&api).copied();
        agreed.ok_or_else(|| ChannelError::Unsupported { address: address(), api: api.name() })
    }

    /// One request and its response, in the newest version that both sides speak.
    async fn ask<'q, Q: Request + Wire<'q>>(&self, request: &Q) -> Result<Reply<Q>, ChannelError> {
        self.ask_in(request, self.version(Q::API)?).await
    }

    async fn ask_in<'q, Q: Request + Wire<'q>>(
        &self,
        request: &Q,
        version: Version,
    ) -> Result<Reply<Q>, ChannelError> {
        let admission = self.channel.admit().await;
        let pending = self.submit(admission, Expect::Answer, request, version)?;
        self.reply(pending, version, self.timeout).await
    }

    fn submit<'q, Q: Request + Wire<'q>>(
        &self,
        admission: Admission,
        expect: Expect,
        request: &Q,
        version: Version,
    ) -> Result<Pending, ChannelError> {
        let mut frame = Vec::with_capacity(256);
        let client_id = Some(self.client_id.as_str());
        let header = RequestHeader { api: Q::API, version, correlation_id: 0, client_id };
        header.encode_frame(&mut frame, request).map_err(|error| {
            // Nothing was sent: the connection is as good as before.
            let api = Q::API.name();
            tracing::debug!(api, %error, "a request cannot be said in the agreed version");
            ChannelError::Unsupported { address: self.channel.address().to_owned(), api }
        })?;
        self.channel.submit(admission, expect, |correlation| {
            frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation.to_be_bytes());
            Ok(vec![frame.into()])
        })
    }

    async fn reply<Q: Request>(
        &self,
        pending: Pending,
        version: Version,
        timeout: Duration,
    ) -> Result<Reply<Q>, ChannelError> {
        let frame = self.channel.answer(&self.world, pending, timeout).await?;
        Ok(Reply { frame, version, request: PhantomData })
    }

    /// Reads a reply; one that cannot be read ends the connection.
    fn read<'r, Q: Request, T>(
        &self,
        reply: &'r Reply<Q>,
        read: impl FnOnce(&'r Reply<Q>) -> Result<T, DecodeError>,
    ) -> Result<T, ChannelError> {
        read(reply).map_err(|error| self.channel.malformed(format!("{} response: {error}", Q::API)))
    }
}

fn version_of(api: Api, number: i16) -> Version {
    Version { number, flexible: number >= api.first_flexible() }
}

/// Turns an error code into an error.
fn refuse(code: ErrorCode, message: Option<&str>) -> Result<(), ClientError> {
    if code.is_error() {
        return Err(ClientError::Refused { code, message: message.map(str::to_owned) });
    }
    Ok(())
}

/// -1 stands for none.
fn positive(number: i32) -> Option<i32> {
    Some(number).filter(|number| *number >= 0)
}

fn metadata(body: &MetadataResponse<'_>) -> Metadata {
    let brokers = body.brokers.iter().filter_map(|broker| {
        Some(Broker {
            id: broker.node_id,
            host: broker.host.to_owned(),
            // A port that cannot be is a broker that cannot be reached.
            port: u16::try_from(broker.port).ok()?,
            rack: broker.rack.map(str::to_owned),
        })
    });
    let cluster = ClusterView {
        cluster_id: body.cluster_id.map(str::to_owned),
        controller: positive(body.controller_id),
        brokers: brokers.collect(),
    };
    let topics = body.topics.iter().filter_map(described).collect();
    Metadata { cluster, topics }
}

fn described(topic: &MetadataResponseTopic<'_>) -> Option<Described> {
    let name: Rc<str> = topic.name?.into();
    if topic.error_code.is_error() {
        return Some(Described { name, outcome: Err(topic.error_code) });
    }
    let mut partitions: Vec<PartitionView> = topic
        .partitions
        .iter()
        .map(|partition| PartitionView {
            index: partition.partition_index,
            leader: positive(partition.leader_id),
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.clone(),
            in_sync: partition.isr_nodes.clone(),
            error: Some(partition.error_code).filter(|code| code.is_error()),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    let view = TopicView {
        topic: Rc::new(TopicRef { name: Rc::clone(&name), id: topic.topic_id }),
        is_internal: topic.is_internal,
        partitions,
    };
    Some(Described { name, outcome: Ok(view) })
}

/// Finds a topic of a request again in the response: by id where the version speaks ids, else by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TopicKey<'a> {
    Id(TopicId),
    Name(&'a str),
}
