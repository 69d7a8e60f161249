//! Describe configs (kind 51) and alter configs (52), with Kafka's names, sources and operations.

use super::encoder::Encoder;
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::no_payload;
use crate::error_code::ErrorCode;

mod write;

use write::{changes, described, query};

/// What is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic, by name.
    Topic(&'a str),
    /// A broker, by id as text; empty for the defaults of all.
    Broker(&'a str),
    /// A type of resource that this release does not know, and its name.
    Unknown(u8, &'a str),
}

/// Whose configurations to describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The resource.
    pub resource: Resource<'a>,
    /// Which configurations; none for all of them.
    pub keys: &'a [&'a str],
}

/// Configurations to describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescribeConfigs<'a> {
    /// At most [`super::ENTRIES_MAX`].
    pub resources: &'a [Query<'a>],
}

/// One configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value; `None` if it has none or is a secret.
    pub value: Option<&'a str>,
    /// Where it comes from, in Kafka's numbers: 1 the topic, 2 the broker, 3 all brokers, 4 the
    /// broker's file, 5 the default.
    pub source: u8,
    /// Whether it can only be set before start.
    pub read_only: bool,
    /// Whether it is a secret.
    pub sensitive: bool,
}

/// One resource's configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described<'a> {
    /// [`ErrorCode::None`] or why there are none.
    pub error: ErrorCode,
    /// Why, for a human; may be empty.
    pub message: &'a str,
    /// The resource.
    pub resource: Resource<'a>,
    /// Its configurations.
    pub entries: &'a [Entry<'a>],
}

/// What is configured, in the order of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescribeAnswer<'a> {
    /// One per resource asked for.
    pub resources: &'a [Described<'a>],
}

/// What to do with one configuration (KIP-339).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Give it this value.
    Set(&'a str),
    /// Back to what it inherits.
    Delete,
    /// Add this to a list.
    Append(&'a str),
    /// Take this out of a list.
    Subtract(&'a str),
}

/// Changes to one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes<'a> {
    /// The resource.
    pub resource: Resource<'a>,
    /// Names and what to do with them.
    pub changes: &'a [(&'a str, Change<'a>)],
}

/// Changes to several resources. Answered by [`super::outcomes`], one per resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlterConfigs<'a> {
    /// At most [`super::ENTRIES_MAX`].
    pub resources: &'a [Changes<'a>],
    /// Check only, change nothing.
    pub dry_run: bool,
}

/// A describe-configs request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct DescribeConfigsView<'a> {
    table: generated::DescribeConfigsRequest<'a>,
}

/// One resource of a describe-configs request.
#[derive(Debug, Clone, Copy)]
pub struct QueryView<'a> {
    table: generated::ConfigResource<'a>,
}

/// A describe-configs answer, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct DescribeAnswerView<'a> {
    table: generated::DescribeConfigsAnswer<'a>,
}

/// One resource of a describe-configs answer.
#[derive(Debug, Clone, Copy)]
pub struct DescribedView<'a> {
    table: generated::ConfigsOf<'a>,
}

/// An alter-configs request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct AlterConfigsView<'a> {
    table: generated::AlterConfigsRequest<'a>,
}

/// One resource of an alter-configs request.
#[derive(Debug, Clone, Copy)]
pub struct ChangesView<'a> {
    table: generated::ConfigChanges<'a>,
}

impl<'a> Resource<'a> {
    fn parts(self) -> (generated::ResourceType, &'a str) {
        match self {
            Self::Topic(name) => (generated::ResourceType::Topic, name),
            Self::Broker(name) => (generated::ResourceType::Broker, name),
            Self::Unknown(number, name) => (generated::ResourceType(number), name),
        }
    }

    fn of(kind: generated::ResourceType, name: Option<&'a str>) -> Self {
        let name = name.unwrap_or_default();
        match kind {
            generated::ResourceType::Topic => Self::Topic(name),
            generated::ResourceType::Broker => Self::Broker(name),
            other => Self::Unknown(other.0, name),
        }
    }
}

impl DescribeConfigs<'_> {
    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::DescribeConfigs, correlation, 0, |builder| {
            let resources: Vec<_> = self.resources.iter().map(|it| query(it, builder)).collect();
            let resources = Some(builder.create_vector(&resources));
            let fields = generated::DescribeConfigsRequestArgs { resources };
            generated::DescribeConfigsRequest::create(builder, &fields)
        })
    }
}

impl<'a> DescribeConfigsView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table =
            frame.table::<generated::DescribeConfigsRequest<'a>>(Kind::DescribeConfigs, false)?;
        no_payload(frame)?;
        frame.bounded(table.resources().unwrap_or_default().len())?;
        Ok(Self { table })
    }

    /// See [`DescribeConfigs::resources`].
    pub fn resources(&self) -> impl ExactSizeIterator<Item = QueryView<'a>> + use<'a> {
        self.table.resources().unwrap_or_default().iter().map(|table| QueryView { table })
    }
}

impl<'a> QueryView<'a> {
    /// See [`Query::resource`].
    pub fn resource(&self) -> Resource<'a> {
        Resource::of(self.table.type_(), self.table.name())
    }

    /// See [`Query::keys`].
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        self.table.keys().unwrap_or_default().iter()
    }
}

impl DescribeAnswer<'_> {
    /// The answer's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.answer(Kind::DescribeConfigs, correlation, 0, |builder| {
            let resources: Vec<_> =
                self.resources.iter().map(|it| described(it, builder)).collect();
            let resources = Some(builder.create_vector(&resources));
            let fields = generated::DescribeConfigsAnswerArgs { resources };
            generated::DescribeConfigsAnswer::create(builder, &fields)
        })
    }
}

impl<'a> DescribeAnswerView<'a> {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table =
            frame.table::<generated::DescribeConfigsAnswer<'a>>(Kind::DescribeConfigs, true)?;
        no_payload(frame)?;
        Ok(Self { table })
    }

    /// See [`DescribeAnswer::resources`].
    pub fn resources(&self) -> impl ExactSizeIterator<Item = DescribedView<'a>> + use<'a> {
        self.table.resources().unwrap_or_default().iter().map(|table| DescribedView { table })
    }
}

impl<'a> DescribedView<'a> {
    /// See [`Described::error`].
    pub fn error(&self) -> ErrorCode {
        ErrorCode::new(self.table.error()).unwrap_or(ErrorCode::UnknownServerError)
    }

    /// See [`Described::message`].
    pub fn message(&self) -> &'a str {
        self.table.message().unwrap_or_default()
    }

    /// See [`Described::resource`].
    pub fn resource(&self) -> Resource<'a> {
        Resource::of(self.table.type_(), self.table.name())
    }

    /// See [`Described::entries`].
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'a>> + use<'a> {
        self.table.entries().unwrap_or_default().iter().map(|it| Entry {
            name: it.name().unwrap_or_default(),
            value: it.value(),
            source: it.source(),
            read_only: it.read_only(),
            sensitive: it.sensitive(),
        })
    }
}

impl AlterConfigs<'_> {
    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::AlterConfigs, correlation, 0, |builder| {
            let resources: Vec<_> = self.resources.iter().map(|it| changes(it, builder)).collect();
            let resources = Some(builder.create_vector(&resources));
            let dry_run = self.dry_run;
            let fields = generated::AlterConfigsRequestArgs { resources, dry_run };
            generated::AlterConfigsRequest::create(builder, &fields)
        })
    }
}

impl<'a> AlterConfigsView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`], also for an operation that this release does not know.
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::AlterConfigsRequest<'a>>(Kind::AlterConfigs, false)?;
        no_payload(frame)?;
        let resources = table.resources().unwrap_or_default();
        frame.bounded(resources.len())?;
        for resource in resources {
            for change in resource.changes().unwrap_or_default() {
                read_change(change).ok_or_else(|| frame.wrong("an unknown operation"))?;
            }
        }
        Ok(Self { table })
    }

    /// See [`AlterConfigs::resources`].
    pub fn resources(&self) -> impl ExactSizeIterator<Item = ChangesView<'a>> + use<'a> {
        self.table.resources().unwrap_or_default().iter().map(|table| ChangesView { table })
    }

    /// See [`AlterConfigs::dry_run`].
    pub fn dry_run(&self) -> bool {
        self.table.dry_run()
    }
}

impl<'a> ChangesView<'a> {
    /// See [`Changes::resource`].
    pub fn resource(&self) -> Resource<'a> {
        Resource::of(self.table.type_(), self.table.name())
    }

    /// See [`Changes::changes`].
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (&'a str, Change<'a>)> + use<'a> {
        self.table.changes().unwrap_or_default().iter().map(|it| {
            let change = read_change(it).expect("reading the frame refused unknown operations");
            (it.name().unwrap_or_default(), change)
        })
    }
}

fn read_change(it: generated::ConfigChange<'_>) -> Option<Change<'_>> {
    let value = it.value().unwrap_or_default();
    match it.operation() {
        generated::ConfigOperation::Set => Some(Change::Set(value)),
        generated::ConfigOperation::Delete => Some(Change::Delete),
        generated::ConfigOperation::Append => Some(Change::Append(value)),
        generated::ConfigOperation::Subtract => Some(Change::Subtract(value)),
        _ => None,
    }
}
