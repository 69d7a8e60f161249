//! What the cluster says about itself: brokers, topics, partitions.

use std::rc::Rc;

use protocol::error_code::ErrorCode;
use protocol::ids::TopicId;

/// A broker and where to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its number in the cluster.
    pub id: i32,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The rack it says it stands in.
    pub rack: Option<String>,
}

impl Broker {
    /// `host:port`, with an IPv6 address in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The cluster as one broker sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The cluster's name.
    pub cluster_id: Option<String>,
    /// Which broker takes administrative requests.
    pub controller: Option<i32>,
    /// Every live broker.
    pub brokers: Vec<Broker>,
}

/// Names a topic for a request: brokers are asked by id where they speak ids, else by name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TopicRef {
    pub(crate) name: Rc<str>,
    pub(crate) id: TopicId,
}

/// A topic and its partitions, as far as the cluster has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicView {
    pub(crate) topic: Rc<TopicRef>,
    /// Whether it belongs to the system itself.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionView>,
}

impl TopicView {
    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.topic.name
    }

    /// The topic's id; zero from a cluster that has none.
    pub fn id(&self) -> TopicId {
        self.topic.id
    }

    /// The partition of this number.
    pub fn partition(&self, index: i32) -> Option<&PartitionView> {
        let place = self.partitions.binary_search_by_key(&index, |partition| partition.index);
        place.ok().map(|place| &self.partitions[place])
    }
}

/// A partition: who leads it and who holds copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Its number in the topic.
    pub index: i32,
    /// The broker that takes produces and fetches, if there is one.
    pub leader: Option<i32>,
    /// Which leader in a row that is; -1 if the cluster does not say.
    pub leader_epoch: i32,
    /// The brokers that hold a copy, preferred leader first.
    pub replicas: Vec<i32>,
    /// Those of them whose copies are complete.
    pub in_sync: Vec<i32>,
    /// What is wrong with it, if anything.
    pub error: Option<ErrorCode>,
}

/// One topic of an answer: the topic, or why it could not be described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) name: Rc<str>,
    pub(crate) outcome: Result<TopicView, ErrorCode>,
}

/// An answer to a question about the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) cluster: ClusterView,
    pub(crate) topics: Vec<Described>,
}
