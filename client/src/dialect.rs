//! A broker that was reached, and the dialect spoken with it. Above this file nobody knows which one it is.

mod kafka;
mod native;

use bytes::Bytes;
use runtime::World;

use crate::accumulator::Identity;
use crate::admin::groups::{GroupListing, GroupOffset, GroupView};
use crate::admin::model::{ConfigChange, ConfigEntry, NewTopic};
use crate::call::{
    FetchLimits, FetchPart, FetchedPart, OffsetFound, OffsetPart, ProducePart, Produced, Verdict,
    Which,
};
use crate::channel::{Admission, Channel, Expect, Framing, Pending};
use crate::config::{Acks, ClusterConfig, Dialect};
use crate::error::{ChannelError, ClientError};
use crate::view::Metadata;

/// A connection to a broker. Cheap to clone; the connection ends with the last clone.
#[derive(Clone)]
pub(crate) struct Peer {
    speaker: Speaker,
}

#[derive(Clone)]
enum Speaker {
    Kafka(kafka::Speaker),
    Native(native::Speaker),
}

/// A produce request on its way.
pub(crate) enum PendingProduce {
    Kafka(kafka::PendingProduce),
    Native(native::PendingProduce),
}

macro_rules! each {
    ($self:ident, $speaker:ident => $call:expr) => {
        match &$self.speaker {
            Speaker::Kafka($speaker) => $call,
            Speaker::Native($speaker) => $call,
        }
    };
}

impl Peer {
    /// Connects and agrees on versions.
    pub(crate) async fn connect(
        world: &World,
        address: &str,
        config: &ClusterConfig,
    ) -> Result<Self, ChannelError> {
        let speaker = match config.dialect {
            Dialect::Kafka => {
                Speaker::Kafka(kafka::Speaker::connect(world, address, config).await?)
            }
            Dialect::Native => {
                Speaker::Native(native::Speaker::connect(world, address, config).await?)
            }
        };
        Ok(Self { speaker })
    }

    /// Whether the connection can still be used.
    pub(crate) fn is_alive(&self) -> bool {
        each!(self, speaker => speaker.channel().is_alive())
    }

    /// Describes brokers and topics.
    pub(crate) async fn metadata(&self, which: Which<'_>) -> Result<Metadata, ClientError> {
        each!(self, speaker => speaker.metadata(which).await)
    }

    /// Asks for a producer id.
    pub(crate) async fn init_producer(&self) -> Result<Identity, ClientError> {
        each!(self, speaker => speaker.init_producer().await)
    }

    /// Waits until one more request may be on its way.
    pub(crate) async fn admit(&self) -> Admission {
        each!(self, speaker => speaker.channel().admit().await)
    }

    /// Queues a produce request: calls go out in their order.
    pub(crate) fn submit_produce(
        &self,
        admission: Admission,
        acks: Acks,
        parts: &[ProducePart],
    ) -> Result<PendingProduce, ChannelError> {
        match &self.speaker {
            Speaker::Kafka(speaker) => {
                speaker.submit_produce(admission, acks, parts).map(PendingProduce::Kafka)
            }
            Speaker::Native(speaker) => {
                speaker.submit_produce(admission, acks, parts).map(PendingProduce::Native)
            }
        }
    }

    /// What became of each part, in the order of the parts; `None` for one the answer left out. With [`Acks::None`]
    /// there is no answer, and all of them are `None` once the request was handed to the network.
    pub(crate) async fn produced(
        &self,
        pending: PendingProduce,
        parts: &[ProducePart],
    ) -> Result<Vec<Option<Produced>>, ChannelError> {
        match (&self.speaker, pending) {
            (Speaker::Kafka(speaker), PendingProduce::Kafka(pending)) => {
                speaker.produced(pending, parts).await
            }
            (Speaker::Native(speaker), PendingProduce::Native(pending)) => {
                speaker.produced(pending, parts).await
            }
            // Another peer's request: there is no answer to it here.
            (Speaker::Kafka(_) | Speaker::Native(_), _) => Ok(vec![None; parts.len()]),
        }
    }

    /// Fetches; the answer is in the order of the parts, `None` for one that it left out.
    pub(crate) async fn fetch(
        &self,
        limits: FetchLimits,
        parts: &[FetchPart],
    ) -> Result<Vec<Option<FetchedPart>>, ClientError> {
        each!(self, speaker => speaker.fetch(limits, parts).await)
    }

    /// Finds offsets; the answer is in the order of the parts.
    pub(crate) async fn list_offsets(
        &self,
        parts: &[OffsetPart],
    ) -> Result<Vec<Option<OffsetFound>>, ClientError> {
        each!(self, speaker => speaker.list_offsets(parts).await)
    }

    /// Creates a topic.
    pub(crate) async fn create_topic(&self, topic: &NewTopic) -> Result<Verdict, ClientError> {
        each!(self, speaker => speaker.create_topic(topic).await)
    }

    /// Deletes a topic.
    pub(crate) async fn delete_topic(&self, name: &str) -> Result<Verdict, ClientError> {
        each!(self, speaker => speaker.delete_topic(name).await)
    }

    /// Gives a topic more partitions: `count` in all.
    pub(crate) async fn create_partitions(
        &self,
        name: &str,
        count: i32,
    ) -> Result<Verdict, ClientError> {
        each!(self, speaker => speaker.create_partitions(name, count).await)
    }

    /// The settings of a topic.
    pub(crate) async fn describe_configs(
        &self,
        topic: &str,
    ) -> Result<Result<Vec<ConfigEntry>, Verdict>, ClientError> {
        each!(self, speaker => speaker.describe_configs(topic).await)
    }

    /// Changes single settings of a topic.
    pub(crate) async fn alter_configs(
        &self,
        topic: &str,
        changes: &[ConfigChange],
    ) -> Result<Verdict, ClientError> {
        each!(self, speaker => speaker.alter_configs(topic, changes).await)
    }

    /// The broker that a group lives on.
    pub(crate) async fn find_group(&self, group: &str) -> Result<i32, ClientError> {
        self.kafka()?.find_group(group).await
    }

    /// The groups that live there.
    pub(crate) async fn list_groups(&self) -> Result<Vec<GroupListing>, ClientError> {
        self.kafka()?.list_groups().await
    }

    /// One group's state and members.
    pub(crate) async fn describe_group(&self, group: &str) -> Result<GroupView, ClientError> {
        self.kafka()?.describe_group(group).await
    }

    /// How far a group has read.
    pub(crate) async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, ClientError> {
        self.kafka()?.group_offsets(group).await
    }

    /// Says how far a group has read.
    pub(crate) async fn set_group_offsets(
        &self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), ClientError> {
        self.kafka()?.set_group_offsets(group, offsets).await
    }

    /// Forgets a group.
    pub(crate) async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        self.kafka()?.delete_group(group).await
    }

    /// Groups are spoken of in Kafka's protocol only.
    fn kafka(&self) -> Result<&kafka::Speaker, ClientError> {
        match &self.speaker {
            Speaker::Kafka(speaker) => Ok(speaker),
            Speaker::Native(_) => Err(ClientError::Config(
                "groups are managed in Kafka's protocol: use --protocol kafka and its port"
                    .to_owned(),
            )),
        }
    }

    /// Raises a partition's log start to `offset` (-1: its end); answers where it then begins.
    pub(crate) async fn delete_records(
        &self,
        part: &OffsetPart,
        offset: i64,
    ) -> Result<Result<i64, Verdict>, ClientError> {
        each!(self, speaker => speaker.delete_records(part, offset).await)
    }
}
