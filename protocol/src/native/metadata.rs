//! Metadata (kind 16): the cluster, its brokers, and topics.
//!
//! Listing topics, describing some and describing the cluster are one request:
//! [`Request::list`], [`Request::describe`] and [`Request::cluster`].

use super::encoder::Encoder;
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::{check_index, no_payload, topic_id, uuid};
use super::topics::{TopicRef, check_topic_refs, read_topic_ref, topic_ref};
use crate::error_code::ErrorCode;
use crate::ids::TopicId;

mod write;

/// What a peer wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Which topics; at most [`super::ENTRIES_MAX`]. Not read if `all` is set.
    pub topics: &'a [TopicRef<'a>],
    /// All topics, in the order of their names.
    pub all: bool,
    /// With `all`: only names after this one, for the next page of a long list.
    pub after: &'a str,
    /// Whether topics list their partitions.
    pub partitions: bool,
    /// Whether to create named topics that do not exist, if the broker allows it.
    pub create: bool,
}

/// A broker and where it listens for this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broker<'a> {
    /// Its id.
    pub id: i32,
    /// Its host name or address.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// Where it stands; may be empty.
    pub rack: &'a str,
    /// How many cores serve.
    pub lanes: u16,
    /// The port of each core, if they have their own; else empty.
    pub lane_ports: &'a [u16],
}

/// One partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition<'a> {
    /// Its index.
    pub index: i32,
    /// The leader's broker id; -1 if there is none.
    pub leader: i32,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// The core of the leader that owns the partition.
    pub lane: u16,
    /// The brokers that hold it, the preferred leader first; at most 255.
    pub replicas: &'a [i32],
    /// Those of them that are in sync.
    pub in_sync: &'a [i32],
}

/// One topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic<'a> {
    /// [`ErrorCode::None`], or why nothing more is known.
    pub error: ErrorCode,
    /// Its name; empty if it was asked for by an unknown id.
    pub name: &'a str,
    /// Its id; [`TopicId::ZERO`] if it was asked for by an unknown name.
    pub id: TopicId,
    /// Whether it is one of the broker's own.
    pub internal: bool,
    /// How many partitions it has.
    pub partition_count: i32,
    /// The partitions, if the request wants them.
    pub partitions: &'a [Partition<'a>],
}

/// What the broker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The cluster's id.
    pub cluster_id: &'a str,
    /// The broker id of the controller; -1 if there is none.
    pub controller: i32,
    /// All brokers.
    pub brokers: &'a [Broker<'a>],
    /// The topics: those asked for, in that order, or all by name.
    pub topics: &'a [Topic<'a>],
    /// Set if there are more: ask again with this as `after`.
    pub next_after: Option<&'a str>,
}

/// A metadata request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    table: generated::MetadataRequest<'a>,
}

/// A metadata answer, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct AnswerView<'a> {
    table: generated::MetadataAnswer<'a>,
}

/// A broker of a metadata answer.
#[derive(Debug, Clone, Copy)]
pub struct BrokerView<'a> {
    table: generated::Broker<'a>,
}

/// A topic of a metadata answer.
#[derive(Debug, Clone, Copy)]
pub struct TopicView<'a> {
    table: generated::Topic<'a>,
}

/// A partition of a topic of a metadata answer.
#[derive(Debug, Clone, Copy)]
pub struct PartitionView<'a> {
    fixed: &'a generated::Partition,
    replicas: Ids<'a>,
    in_sync: Ids<'a>,
}

/// A run of broker ids.
#[derive(Debug, Clone, Copy)]
struct Ids<'a> {
    all: flatbuffers::Vector<'a, i32>,
    from: usize,
    count: usize,
}

impl<'a> Request<'a> {
    /// The cluster and its brokers, no topics.
    pub const fn cluster() -> Self {
        Self { topics: &[], all: false, after: "", partitions: false, create: false }
    }

    /// The names and sizes of all topics after `after`, by name.
    pub const fn list(after: &'a str) -> Self {
        Self { topics: &[], all: true, after, partitions: false, create: false }
    }

    /// These topics with their partitions.
    pub const fn describe(topics: &'a [TopicRef<'a>]) -> Self {
        Self { topics, all: false, after: "", partitions: true, create: false }
    }

    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::Metadata, correlation, 0, |builder| {
            let topics: Vec<_> = self.topics.iter().map(|it| topic_ref(it, builder)).collect();
            let fields = generated::MetadataRequestArgs {
                topics: (!topics.is_empty()).then(|| builder.create_vector(&topics)),
                all: self.all,
                after: (!self.after.is_empty()).then(|| builder.create_string(self.after)),
                partitions: self.partitions,
                create_missing: self.create,
            };
            generated::MetadataRequest::create(builder, &fields)
        })
    }
}

impl<'a> RequestView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::MetadataRequest<'a>>(Kind::Metadata, false)?;
        no_payload(frame)?;
        check_topic_refs(frame, table.topics().unwrap_or_default())?;
        Ok(Self { table })
    }

    /// See [`Request::topics`].
    pub fn topics(&self) -> impl ExactSizeIterator<Item = TopicRef<'a>> + use<'a> {
        self.table.topics().unwrap_or_default().iter().map(read_topic_ref)
    }

    /// See [`Request::all`].
    pub fn all(&self) -> bool {
        self.table.all()
    }

    /// See [`Request::after`].
    pub fn after(&self) -> &'a str {
        self.table.after().unwrap_or_default()
    }

    /// See [`Request::partitions`].
    pub fn partitions(&self) -> bool {
        self.table.partitions()
    }

    /// See [`Request::create`].
    pub fn create(&self) -> bool {
        self.table.create_missing()
    }
}

impl<'a> AnswerView<'a> {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`FrameError`], also if partitions and their replicas do not add up.
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::MetadataAnswer<'a>>(Kind::Metadata, true)?;
        no_payload(frame)?;
        for topic in table.topics().unwrap_or_default() {
            let (mut replicas, mut in_sync) = (0, 0);
            for partition in topic.partitions().unwrap_or_default() {
                check_index(frame, partition.index())?;
                replicas += usize::from(partition.replicas());
                in_sync += usize::from(partition.in_sync());
            }
            let listed = topic.replicas().unwrap_or_default().len();
            let listed_in_sync = topic.in_sync().unwrap_or_default().len();
            if (listed, listed_in_sync) != (replicas, in_sync) {
                return Err(frame.wrong("partitions whose replicas do not add up"));
            }
        }
        Ok(Self { table })
    }

    /// See [`Answer::cluster_id`].
    pub fn cluster_id(&self) -> &'a str {
        self.table.cluster_id().unwrap_or_default()
    }

    /// See [`Answer::controller`].
    pub fn controller(&self) -> i32 {
        self.table.controller()
    }

    /// See [`Answer::brokers`].
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = BrokerView<'a>> + use<'a> {
        self.table.brokers().unwrap_or_default().iter().map(|table| BrokerView { table })
    }

    /// See [`Answer::topics`].
    pub fn topics(&self) -> impl ExactSizeIterator<Item = TopicView<'a>> + use<'a> {
        self.table.topics().unwrap_or_default().iter().map(|table| TopicView { table })
    }

    /// See [`Answer::next_after`].
    pub fn next_after(&self) -> Option<&'a str> {
        self.table.next_after()
    }
}

impl<'a> BrokerView<'a> {
    /// See [`Broker::id`].
    pub fn id(&self) -> i32 {
        self.table.id()
    }

    /// See [`Broker::host`].
    pub fn host(&self) -> &'a str {
        self.table.host().unwrap_or_default()
    }

    /// See [`Broker::port`].
    pub fn port(&self) -> u16 {
        self.table.port()
    }

    /// See [`Broker::rack`].
    pub fn rack(&self) -> &'a str {
        self.table.rack().unwrap_or_default()
    }

    /// See [`Broker::lanes`].
    pub fn lanes(&self) -> u16 {
        self.table.lanes()
    }

    /// See [`Broker::lane_ports`].
    pub fn lane_ports(&self) -> impl ExactSizeIterator<Item = u16> + use<'a> {
        self.table.lane_ports().unwrap_or_default().iter()
    }
}

impl<'a> TopicView<'a> {
    /// See [`Topic::error`].
    pub fn error(&self) -> ErrorCode {
        ErrorCode::new(self.table.error()).unwrap_or(ErrorCode::UnknownServerError)
    }

    /// See [`Topic::name`].
    pub fn name(&self) -> &'a str {
        self.table.name().unwrap_or_default()
    }

    /// See [`Topic::id`].
    pub fn id(&self) -> TopicId {
        self.table.id().map_or(TopicId::ZERO, topic_id)
    }

    /// See [`Topic::internal`].
    pub fn internal(&self) -> bool {
        self.table.internal()
    }

    /// See [`Topic::partition_count`].
    pub fn partition_count(&self) -> i32 {
        self.table.partition_count()
    }

    /// See [`Topic::partitions`].
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = PartitionView<'a>> + use<'a> {
        let replicas = self.table.replicas().unwrap_or_default();
        let in_sync = self.table.in_sync().unwrap_or_default();
        let (mut replicas_at, mut in_sync_at) = (0, 0);
        self.table.partitions().unwrap_or_default().iter().map(move |fixed| PartitionView {
            fixed,
            replicas: Ids::next(replicas, &mut replicas_at, fixed.replicas()),
            in_sync: Ids::next(in_sync, &mut in_sync_at, fixed.in_sync()),
        })
    }
}

impl<'a> PartitionView<'a> {
    /// See [`Partition::index`].
    pub fn index(&self) -> i32 {
        self.fixed.index()
    }

    /// See [`Partition::leader`].
    pub fn leader(&self) -> i32 {
        self.fixed.leader()
    }

    /// See [`Partition::leader_epoch`].
    pub fn leader_epoch(&self) -> i32 {
        self.fixed.leader_epoch()
    }

    /// See [`Partition::lane`].
    pub fn lane(&self) -> u16 {
        self.fixed.lane()
    }

    /// See [`Partition::replicas`].
    pub fn replicas(&self) -> impl ExactSizeIterator<Item = i32> + use<'a> {
        self.replicas.iter()
    }

    /// See [`Partition::in_sync`].
    pub fn in_sync(&self) -> impl ExactSizeIterator<Item = i32> + use<'a> {
        self.in_sync.iter()
    }
}

impl<'a> Ids<'a> {
    fn next(all: flatbuffers::Vector<'a, i32>, at: &mut usize, count: u8) -> Self {
        let ids = Self { all, from: *at, count: count.into() };
        *at += ids.count;
        ids
    }

    fn iter(self) -> impl ExactSizeIterator<Item = i32> + use<'a> {
        (self.from..self.from + self.count).map(move |at| self.all.get(at))
    }
}
