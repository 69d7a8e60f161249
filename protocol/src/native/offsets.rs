//! List offsets (kind 34) and delete records (kind 36): where partitions begin, end, and stood.

use super::encoder::Encoder;
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::{check_index, no_payload, partition, uuid};
use crate::error_code::ErrorCode;
use crate::ids::TopicPartition;

/// Instead of a timestamp: the offset after the last record.
pub const LATEST: i64 = -1;
/// Instead of a timestamp: the first offset.
pub const EARLIEST: i64 = -2;
/// Instead of a timestamp: the offset of the largest timestamp (KIP-734).
pub const MAX_TIMESTAMP: i64 = -3;

/// What to look up in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The partition.
    pub partition: TopicPartition,
    /// The leader epoch that the reader knows of; -1 for none.
    pub leader_epoch: i32,
    /// Milliseconds since 1970, or [`LATEST`], [`EARLIEST`] or [`MAX_TIMESTAMP`].
    pub timestamp: i64,
}

/// Which offsets are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Whether [`LATEST`] ends before transactions that have not ended.
    pub read_committed: bool,
    /// One per partition; at most [`super::ENTRIES_MAX`].
    pub entries: &'a [Entry],
}

/// What one partition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The entry's partition.
    pub partition: TopicPartition,
    /// [`ErrorCode::None`] or why it is not known.
    pub error: ErrorCode,
    /// The first offset whose timestamp is at least the one asked for; -1 if there is none.
    pub offset: i64,
    /// That record's timestamp; -1 if there is none.
    pub timestamp: i64,
    /// The epoch in which it was appended; -1 if unknown.
    pub leader_epoch: i32,
}

/// What the partitions say, in the order of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// One per entry.
    pub outcomes: &'a [Outcome],
}

/// A list-offsets request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    table: generated::ListOffsetsRequest<'a>,
}

/// A list-offsets answer, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct AnswerView<'a> {
    table: generated::ListOffsetsAnswer<'a>,
}

impl Request<'_> {
    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::ListOffsets, correlation, 0, |builder| {
            let entries = self.entries.iter().map(|it| {
                let TopicPartition { topic, index } = it.partition;
                let topic = uuid(topic);
                generated::ListOffsetsEntry::new(&topic, index.get(), it.leader_epoch, it.timestamp)
            });
            let entries = Some(builder.create_vector_from_iter(entries));
            let read_committed = self.read_committed;
            let fields = generated::ListOffsetsRequestArgs { read_committed, entries };
            generated::ListOffsetsRequest::create(builder, &fields)
        })
    }
}

impl<'a> RequestView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::ListOffsetsRequest<'a>>(Kind::ListOffsets, false)?;
        no_payload(frame)?;
        let entries = table.entries().unwrap_or_default();
        frame.bounded(entries.len())?;
        for entry in entries {
            check_index(frame, entry.partition())?;
        }
        Ok(Self { table })
    }

    /// See [`Request::read_committed`].
    pub fn read_committed(&self) -> bool {
        self.table.read_committed()
    }

    /// See [`Request::entries`].
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry> + use<'a> {
        self.table.entries().unwrap_or_default().iter().map(|it| Entry {
            partition: partition(it.topic(), it.partition()),
            leader_epoch: it.leader_epoch(),
            timestamp: it.timestamp(),
        })
    }
}

impl Answer<'_> {
    /// The answer's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.answer(Kind::ListOffsets, correlation, 0, |builder| {
            let outcomes = self.outcomes.iter().map(|it| {
                let TopicPartition { topic, index } = it.partition;
                generated::ListOffsetsOutcome::new(
                    &uuid(topic),
                    index.get(),
                    it.error.code(),
                    0,
                    it.offset,
                    it.timestamp,
                    it.leader_epoch,
                    0,
                )
            });
            let outcomes = Some(builder.create_vector_from_iter(outcomes));
            let fields = generated::ListOffsetsAnswerArgs { outcomes };
            generated::ListOffsetsAnswer::create(builder, &fields)
        })
    }
}

impl<'a> AnswerView<'a> {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::ListOffsetsAnswer<'a>>(Kind::ListOffsets, true)?;
        no_payload(frame)?;
        for outcome in table.outcomes().unwrap_or_default() {
            check_index(frame, outcome.partition())?;
        }
        Ok(Self { table })
    }

    /// See [`Answer::outcomes`].
    pub fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome> + use<'a> {
        self.table.outcomes().unwrap_or_default().iter().map(|it| Outcome {
            partition: partition(it.topic(), it.partition()),
            error: ErrorCode::new(it.error()).unwrap_or(ErrorCode::UnknownServerError),
            offset: it.offset(),
            timestamp: it.timestamp(),
            leader_epoch: it.leader_epoch(),
        })
    }
}

/// Which records of one partition should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// The partition.
    pub partition: TopicPartition,
    /// Everything before this offset goes; -1: everything there is.
    pub before: i64,
}

/// Which records should go. Answered by [`super::outcomes`], one per entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteRecords<'a> {
    /// One per partition; at most [`super::ENTRIES_MAX`].
    pub entries: &'a [Deletion],
    /// How long to wait until all replicas have done it, in milliseconds.
    pub timeout_ms: i32,
}

/// A delete-records request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct DeleteRecordsView<'a> {
    table: generated::DeleteRecordsRequest<'a>,
}

impl DeleteRecords<'_> {
    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::DeleteRecords, correlation, 0, |builder| {
            let entries = self.entries.iter().map(|it| {
                let TopicPartition { topic, index } = it.partition;
                generated::DeleteRecordsEntry::new(&uuid(topic), index.get(), 0, it.before)
            });
            let entries = Some(builder.create_vector_from_iter(entries));
            let timeout_ms = self.timeout_ms;
            let fields = generated::DeleteRecordsRequestArgs { entries, timeout_ms };
            generated::DeleteRecordsRequest::create(builder, &fields)
        })
    }
}

impl<'a> DeleteRecordsView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table =
            frame.table::<generated::DeleteRecordsRequest<'a>>(Kind::DeleteRecords, false)?;
        no_payload(frame)?;
        let entries = table.entries().unwrap_or_default();
        frame.bounded(entries.len())?;
        for entry in entries {
            check_index(frame, entry.partition())?;
        }
        Ok(Self { table })
    }

    /// See [`DeleteRecords::entries`].
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Deletion> + use<'a> {
        self.table.entries().unwrap_or_default().iter().map(|it| Deletion {
            partition: partition(it.topic(), it.partition()),
            before: it.before(),
        })
    }

    /// See [`DeleteRecords::timeout_ms`].
    pub fn timeout_ms(&self) -> i32 {
        self.table.timeout_ms()
    }
}
