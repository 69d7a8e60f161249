//! Create topics (kind 48), delete topics (49) and create partitions (50).
//!
//! Each is answered by [`super::outcomes`], one per topic of the request.

use flatbuffers::WIPOffset;

use super::encoder::{Builder, Encoder};
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::{no_payload, topic_id, uuid};
use crate::ids::TopicId;

/// A topic by its name or its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicRef<'a> {
    /// By name.
    Name(&'a str),
    /// By id.
    Id(TopicId),
}

/// A topic to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions; -1 for the broker's default.
    pub partitions: i32,
    /// How many replicas each; -1 for the broker's default.
    pub replicas: i16,
    /// Configurations other than the defaults: name and value.
    pub configs: &'a [(&'a str, &'a str)],
}

/// Topics to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateTopics<'a> {
    /// The topics; at most [`super::ENTRIES_MAX`].
    pub topics: &'a [NewTopic<'a>],
    /// How long to wait until they can be used, in milliseconds.
    pub timeout_ms: i32,
    /// Check only, change nothing.
    pub dry_run: bool,
}

/// Topics to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteTopics<'a> {
    /// The topics; at most [`super::ENTRIES_MAX`].
    pub topics: &'a [TopicRef<'a>],
    /// How long to wait until they are gone, in milliseconds.
    pub timeout_ms: i32,
}

/// Topics that should have more partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatePartitions<'a> {
    /// Each topic's name and the count it will have; at most [`super::ENTRIES_MAX`].
    pub topics: &'a [(&'a str, i32)],
    /// How long to wait until they can be used, in milliseconds.
    pub timeout_ms: i32,
    /// Check only, change nothing.
    pub dry_run: bool,
}

/// A create-topics request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct CreateTopicsView<'a> {
    table: generated::CreateTopicsRequest<'a>,
}

/// One topic of a create-topics request.
#[derive(Debug, Clone, Copy)]
pub struct NewTopicView<'a> {
    table: generated::NewTopic<'a>,
}

/// A delete-topics request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct DeleteTopicsView<'a> {
    table: generated::DeleteTopicsRequest<'a>,
}

/// A create-partitions request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct CreatePartitionsView<'a> {
    table: generated::CreatePartitionsRequest<'a>,
}

impl CreateTopics<'_> {
    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::CreateTopics, correlation, 0, |builder| {
            let topics: Vec<_> = self.topics.iter().map(|it| new_topic(it, builder)).collect();
            let fields = generated::CreateTopicsRequestArgs {
                topics: Some(builder.create_vector(&topics)),
                timeout_ms: self.timeout_ms,
                dry_run: self.dry_run,
            };
            generated::CreateTopicsRequest::create(builder, &fields)
        })
    }
}

impl<'a> CreateTopicsView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::CreateTopicsRequest<'a>>(Kind::CreateTopics, false)?;
        no_payload(frame)?;
        frame.bounded(table.topics().unwrap_or_default().len())?;
        Ok(Self { table })
    }

    /// See [`CreateTopics::topics`].
    pub fn topics(&self) -> impl ExactSizeIterator<Item = NewTopicView<'a>> + use<'a> {
        self.table.topics().unwrap_or_default().iter().map(|table| NewTopicView { table })
    }

    /// See [`CreateTopics::timeout_ms`].
    pub fn timeout_ms(&self) -> i32 {
        self.table.timeout_ms()
    }

    /// See [`CreateTopics::dry_run`].
    pub fn dry_run(&self) -> bool {
        self.table.dry_run()
    }
}

impl<'a> NewTopicView<'a> {
    /// See [`NewTopic::name`].
    pub fn name(&self) -> &'a str {
        self.table.name().unwrap_or_default()
    }

    /// See [`NewTopic::partitions`]; any number a peer may have written.
    pub fn partitions(&self) -> i32 {
        self.table.partitions()
    }

    /// See [`NewTopic::replicas`]; any number a peer may have written.
    pub fn replicas(&self) -> i16 {
        self.table.replicas()
    }

    /// See [`NewTopic::configs`].
    pub fn configs(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> + use<'a> {
        self.table
            .configs()
            .unwrap_or_default()
            .iter()
            .map(|it| (it.name().unwrap_or_default(), it.value().unwrap_or_default()))
    }
}

impl DeleteTopics<'_> {
    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::DeleteTopics, correlation, 0, |builder| {
            let topics: Vec<_> = self.topics.iter().map(|it| topic_ref(it, builder)).collect();
            let topics = Some(builder.create_vector(&topics));
            let timeout_ms = self.timeout_ms;
            let fields = generated::DeleteTopicsRequestArgs { topics, timeout_ms };
            generated::DeleteTopicsRequest::create(builder, &fields)
        })
    }
}

impl<'a> DeleteTopicsView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::DeleteTopicsRequest<'a>>(Kind::DeleteTopics, false)?;
        no_payload(frame)?;
        check_topic_refs(frame, table.topics().unwrap_or_default())?;
        Ok(Self { table })
    }

    /// See [`DeleteTopics::topics`].
    pub fn topics(&self) -> impl ExactSizeIterator<Item = TopicRef<'a>> + use<'a> {
        self.table.topics().unwrap_or_default().iter().map(read_topic_ref)
    }

    /// See [`DeleteTopics::timeout_ms`].
    pub fn timeout_ms(&self) -> i32 {
        self.table.timeout_ms()
    }
}

impl CreatePartitions<'_> {
    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::CreatePartitions, correlation, 0, |builder| {
            let mut topics = Vec::with_capacity(self.topics.len());
            for &(topic, partitions) in self.topics {
                let topic = Some(builder.create_string(topic));
                let fields = generated::NewPartitionsArgs { topic, partitions };
                topics.push(generated::NewPartitions::create(builder, &fields));
            }
            let fields = generated::CreatePartitionsRequestArgs {
                topics: Some(builder.create_vector(&topics)),
                timeout_ms: self.timeout_ms,
                dry_run: self.dry_run,
            };
            generated::CreatePartitionsRequest::create(builder, &fields)
        })
    }
}

impl<'a> CreatePartitionsView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table =
            frame.table::<generated::CreatePartitionsRequest<'a>>(Kind::CreatePartitions, false)?;
        no_payload(frame)?;
        frame.bounded(table.topics().unwrap_or_default().len())?;
        Ok(Self { table })
    }

    /// See [`CreatePartitions::topics`]; counts are any number a peer may have written.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (&'a str, i32)> + use<'a> {
        let topics = self.table.topics().unwrap_or_default();
        topics.iter().map(|it| (it.topic().unwrap_or_default(), it.partitions()))
    }

    /// See [`CreatePartitions::timeout_ms`].
    pub fn timeout_ms(&self) -> i32 {
        self.table.timeout_ms()
    }

    /// See [`CreatePartitions::dry_run`].
    pub fn dry_run(&self) -> bool {
        self.table.dry_run()
    }
}

fn new_topic<'b>(
    topic: &NewTopic<'_>,
    builder: &mut Builder,
) -> WIPOffset<generated::NewTopic<'b>> {
    let mut configs = Vec::with_capacity(topic.configs.len());
    for (name, value) in topic.configs {
        let name = Some(builder.create_string(name));
        let value = Some(builder.create_string(value));
        let fields = generated::ConfigValueArgs { name, value };
        configs.push(generated::ConfigValue::create(builder, &fields));
    }
    let fields = generated::NewTopicArgs {
        name: Some(builder.create_string(topic.name)),
        partitions: topic.partitions,
        replicas: topic.replicas,
        configs: (!configs.is_empty()).then(|| builder.create_vector(&configs)),
    };
    generated::NewTopic::create(builder, &fields)
}

pub(super) fn topic_ref<'b>(
    topic: &TopicRef<'_>,
    builder: &mut Builder,
) -> WIPOffset<generated::TopicRef<'b>> {
    let (name, id) = match topic {
        TopicRef::Name(name) => (Some(builder.create_string(name)), None),
        TopicRef::Id(id) => (None, Some(uuid(*id))),
    };
    generated::TopicRef::create(builder, &generated::TopicRefArgs { name, id: id.as_ref() })
}

/// Proves what [`read_topic_ref`] relies on: each has a name or an id.
pub(super) fn check_topic_refs<'a>(
    frame: &Frame<'_>,
    topics: flatbuffers::Vector<'a, flatbuffers::ForwardsUOffset<generated::TopicRef<'a>>>,
) -> Result<(), FrameError> {
    frame.bounded(topics.len())?;
    let nameless = |it: generated::TopicRef<'_>| it.name().is_none() && it.id().is_none();
    if topics.iter().any(nameless) {
        Err(frame.wrong("a topic without name and id"))
    } else {
        Ok(())
    }
}

pub(super) fn read_topic_ref(topic: generated::TopicRef<'_>) -> TopicRef<'_> {
    match (topic.name(), topic.id()) {
        (Some(name), _) => TopicRef::Name(name),
        (None, Some(id)) => TopicRef::Id(topic_id(id)),
        (None, None) => TopicRef::Name(""),
    }
}
