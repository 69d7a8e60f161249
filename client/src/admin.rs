//! Changes and describes topics.

pub(crate) mod groups;
pub(crate) mod model;

use std::rc::Rc;

use protocol::error_code::ErrorCode;

pub use self::groups::{GroupListing, GroupMember, GroupOffset, GroupView};
pub use self::model::{
    ConfigChange, ConfigEntry, ConfigSource, ListedOffset, NewTopic, OffsetQuery, TopicListing,
};
use crate::call::{EARLIEST, LATEST, MAX_TIMESTAMP, OffsetPart, Verdict};
use crate::cluster::Cluster;
use crate::dialect::Peer;
use crate::error::ClientError;
use crate::view::{ClusterView, TopicView};

/// Creates, describes, changes and deletes topics. Cheap to clone.
///
/// ```no_run
/// # async fn example(world: runtime::World) -> Result<(), Box<dyn std::error::Error>> {
/// use client::{Admin, Cluster, ClusterConfig, NewTopic};
///
/// let cluster = Cluster::connect(&world, ClusterConfig::kafka("127.0.0.1:9092")).await?;
/// let admin = Admin::new(&cluster);
/// admin.create_topic(&NewTopic::named("orders").partitions(8).config("retention.ms", "86400000")).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Admin {
    cluster: Cluster,
}

impl Admin {
    /// Works on `cluster`.
    pub fn new(cluster: &Cluster) -> Self {
        Self { cluster: cluster.clone() }
    }

    /// Creates a topic; it can be used when this returns.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with, for example, [`ErrorCode::TopicAlreadyExists`] or [`ErrorCode::InvalidConfig`].
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<(), ClientError> {
        let verdict = self.peer().await?.create_topic(topic).await?;
        self.cluster.doubt_topic(&topic.name);
        accept(verdict)
    }

    /// Deletes a topic with all its records.
    ///
    /// # Errors
    /// [`ClientError::NoSuchTopic`], or another refusal.
    pub async fn delete_topic(&self, name: &str) -> Result<(), ClientError> {
        let verdict = self.peer().await?.delete_topic(name).await?;
        self.cluster.doubt_topic(name);
        accept_for(name, verdict)
    }

    /// Gives a topic more partitions, `count` in all. Keyed records then go to other partitions than before.
    ///
    /// # Errors
    /// [`ClientError::NoSuchTopic`], or [`ClientError::Refused`] with [`ErrorCode::InvalidPartitions`] unless `count`
    /// is more than there are.
    pub async fn create_partitions(&self, name: &str, count: i32) -> Result<(), ClientError> {
        let verdict = self.peer().await?.create_partitions(name, count).await?;
        self.cluster.doubt_topic(name);
        accept_for(name, verdict)
    }

    /// Every topic, by name.
    ///
    /// # Errors
    /// [`ClientError`] if no broker answers.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, ClientError> {
        let metadata = self.cluster.all_topics().await?;
        let mut listed: Vec<TopicListing> = metadata
            .topics
            .into_iter()
            .filter_map(|described| described.outcome.ok())
            .map(|view| TopicListing {
                name: view.name().to_owned(),
                id: view.id(),
                is_internal: view.is_internal,
                partition_count: view.partitions.len(),
            })
            .collect();
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    /// A topic's partitions as the cluster sees them now.
    ///
    /// # Errors
    /// [`ClientError::NoSuchTopic`], or another refusal.
    pub async fn describe_topic(&self, name: &str) -> Result<Rc<TopicView>, ClientError> {
        self.cluster.doubt_topic(name);
        self.cluster.topic(name).await
    }

    /// A topic's settings, all of them, by name.
    ///
    /// # Errors
    /// [`ClientError::NoSuchTopic`], or another refusal.
    pub async fn describe_configs(&self, topic: &str) -> Result<Vec<ConfigEntry>, ClientError> {
        match self.peer().await?.describe_configs(topic).await? {
            Ok(mut entries) => {
                entries.sort_by(|one, other| one.name.cmp(&other.name));
                Ok(entries)
            }
            Err(verdict) => Err(refusal(topic, verdict)),
        }
    }

    /// Changes single settings of a topic; the others stay as they are.
    ///
    /// # Errors
    /// [`ClientError::NoSuchTopic`], or [`ClientError::Refused`] with [`ErrorCode::InvalidConfig`].
    pub async fn alter_configs(
        &self,
        topic: &str,
        changes: &[ConfigChange],
    ) -> Result<(), ClientError> {
        let verdict = self.peer().await?.alter_configs(topic, changes).await?;
        accept_for(topic, verdict)
    }

    /// Deletes a partition's records before `before`; `None` deletes all there are. Answers the offset at which the
    /// partition begins then.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`ErrorCode::OffsetOutOfRange`] for an offset beyond the end.
    pub async fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        before: Option<i64>,
    ) -> Result<i64, ClientError> {
        let part = self.part(topic, partition, LATEST).await?;
        self.patiently(topic, async || {
            let peer = self.leader(&part).await?;
            let answer = peer.delete_records(&part, before.unwrap_or(-1)).await?;
            answer.map_err(|verdict| refusal(topic, verdict))
        })
        .await
    }

    /// Finds an offset of a partition.
    ///
    /// # Errors
    /// [`ClientError::NoSuchPartition`], [`ClientError::NoLeader`], or another refusal.
    pub async fn list_offset(
        &self,
        topic: &str,
        partition: i32,
        query: OffsetQuery,
    ) -> Result<ListedOffset, ClientError> {
        let timestamp = match query {
            OffsetQuery::Earliest => EARLIEST,
            OffsetQuery::Latest => LATEST,
            OffsetQuery::MaxTimestamp => MAX_TIMESTAMP,
            OffsetQuery::Timestamp(timestamp) => timestamp.max(0),
        };
        let part = self.part(topic, partition, timestamp).await?;
        self.patiently(topic, async || {
            let peer = self.leader(&part).await?;
            let found = peer.list_offsets(std::slice::from_ref(&part)).await?;
            let Some(Some(found)) = found.first() else {
                return Err(ClientError::NoLeader { topic: topic.to_owned(), partition });
            };
            accept(Verdict { error: found.error, message: None })?;
            let known = |number: i64| Some(number).filter(|number| *number >= 0);
            Ok(ListedOffset { offset: known(found.offset), timestamp_ms: known(found.timestamp) })
        })
        .await
    }

    /// The brokers and the cluster's name, asked for now.
    ///
    /// # Errors
    /// [`ClientError`] if no broker answers.
    pub async fn describe_cluster(&self) -> Result<ClusterView, ClientError> {
        self.cluster.refresh_view().await
    }

    async fn peer(&self) -> Result<Peer, ClientError> {
        self.cluster.any_peer().await
    }

    async fn part(
        &self,
        topic: &str,
        partition: i32,
        timestamp: i64,
    ) -> Result<OffsetPart, ClientError> {
        let view = self.cluster.topic(topic).await?;
        Ok(OffsetPart { topic: Rc::clone(&view.topic), partition, timestamp })
    }

    async fn leader(&self, part: &OffsetPart) -> Result<Peer, ClientError> {
        let topic = &part.topic.name;
        let view = self.cluster.topic(topic).await?;
        let (topic, partition) = (topic.to_string(), part.partition);
        let Some(known) = view.partition(partition) else {
            return Err(ClientError::NoSuchPartition { topic, partition });
        };
        match known.leader {
            Some(leader) => self.cluster.peer(leader).await,
            None => Err(ClientError::NoLeader { topic, partition }),
        }
    }

    /// Asks a partition's leader again while it is not ready or has moved, for as long as the configuration allows.
    async fn patiently<T>(
        &self,
        topic: &str,
        ask: impl AsyncFn() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let (world, config) = (self.cluster.world(), self.cluster.config());
        let deadline = world.now() + config.metadata_timeout;
        loop {
            let outcome = ask().await;
            let passes = match &outcome {
                Err(ClientError::Refused { code, .. }) => code.retriable(),
                Err(ClientError::NoLeader { .. }) => true,
                Ok(_) | Err(_) => false,
            };
            if !passes || world.now() >= deadline {
                return outcome;
            }
            self.cluster.doubt_topic(topic);
            world.sleep(config.retry_pause).await;
        }
    }
}

fn accept(verdict: Verdict) -> Result<(), ClientError> {
    let Verdict { error: code, message } = verdict;
    if code.is_error() { Err(ClientError::Refused { code, message }) } else { Ok(()) }
}

fn accept_for(topic: &str, verdict: Verdict) -> Result<(), ClientError> {
    if verdict.error.is_error() { Err(refusal(topic, verdict)) } else { Ok(()) }
}

fn refusal(topic: &str, verdict: Verdict) -> ClientError {
    match verdict {
        Verdict { error: ErrorCode::UnknownTopicOrPartition, .. } => {
            ClientError::NoSuchTopic(topic.to_owned())
        }
        Verdict { error: code, message } => ClientError::Refused { code, message },
    }
}
