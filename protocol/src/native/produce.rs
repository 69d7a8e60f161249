//! Produce (kind 32): append record batches to partitions.
//!
//! The payload is the batches, one per entry and in their order, each exactly as
//! [`crate::batch::RawBatch::check_produced`] wants it. Batches of one partition keep their order.

use flatbuffers::Vector;

use super::encoder::Encoder;
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::{check_index, check_payload, no_payload, partition, payload_bytes, share, uuid};
use crate::error_code::ErrorCode;
use crate::ids::TopicPartition;

/// Where one batch of the payload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The partition.
    pub partition: TopicPartition,
    /// The batch's size.
    pub batch_bytes: u32,
}

/// Batches to append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// 0: do not answer; 1: when the leader has it on disk; -1: when all in-sync replicas have.
    pub acks: i16,
    /// How long to wait for that, in milliseconds.
    pub timeout_ms: i32,
    /// Set when the producer writes inside a transaction.
    pub transactional_id: Option<&'a str>,
    /// One per batch; at most [`super::ENTRIES_MAX`].
    pub entries: &'a [Entry],
}

/// What became of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The entry's partition.
    pub partition: TopicPartition,
    /// [`ErrorCode::None`] or why it was not appended.
    pub error: ErrorCode,
    /// The first record's offset; -1 with an error.
    pub base_offset: i64,
    /// The timestamp the records were given, in milliseconds since 1970; -1 if they kept theirs.
    pub log_append_time_ms: i64,
    /// The partition's first offset; -1 if it is not known.
    pub log_start_offset: i64,
}

/// More about a batch that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem<'a> {
    /// The batch's place among the entries.
    pub entry: u32,
    /// The record's place in the batch; `None` if the whole batch is meant.
    pub record: Option<u32>,
    /// One line for a human.
    pub message: &'a str,
}

/// What became of the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// One per entry of the request, in its order.
    pub outcomes: &'a [Outcome],
    /// Details of refusals, few if any.
    pub problems: &'a [Problem<'a>],
}

/// A produce request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    table: generated::ProduceRequest<'a>,
    payload: &'a [u8],
}

/// A produce answer, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct AnswerView<'a> {
    table: generated::ProduceAnswer<'a>,
}

impl Request<'_> {
    /// The request's head. Behind it go the batches, in the order of the entries.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if head and batches exceed a frame.
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        let payload_bytes = payload_bytes(self.entries.iter().map(|entry| entry.batch_bytes));
        encoder.request(Kind::Produce, correlation, payload_bytes, |builder| {
            let entries = self.entries.iter().map(|it| {
                let TopicPartition { topic, index } = it.partition;
                generated::ProduceEntry::new(&uuid(topic), index.get(), it.batch_bytes)
            });
            let fields = generated::ProduceRequestArgs {
                acks: self.acks,
                timeout_ms: self.timeout_ms,
                transactional_id: self.transactional_id.map(|id| builder.create_string(id)),
                entries: Some(builder.create_vector_from_iter(entries)),
            };
            generated::ProduceRequest::create(builder, &fields)
        })
    }
}

impl<'a> RequestView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`], also if the entries' sizes do not add up to the payload.
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::ProduceRequest<'a>>(Kind::Produce, false)?;
        let view = Self { table, payload: frame.payload() };
        frame.bounded(view.entries().len())?;
        for entry in view.entries() {
            check_index(frame, entry.partition())?;
        }
        check_payload(frame, view.entries().iter().map(generated::ProduceEntry::batch_bytes))?;
        Ok(view)
    }

    /// See [`Request::acks`]; any number a peer may have written.
    pub fn acks(&self) -> i16 {
        self.table.acks()
    }

    /// See [`Request::timeout_ms`].
    pub fn timeout_ms(&self) -> i32 {
        self.table.timeout_ms()
    }

    /// See [`Request::transactional_id`].
    pub fn transactional_id(&self) -> Option<&'a str> {
        self.table.transactional_id()
    }

    /// How many batches there are.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches, unchecked, and where they go.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = (TopicPartition, &'a [u8])> + use<'a> {
        let mut rest = self.payload;
        self.entries().iter().map(move |entry| {
            (partition(entry.topic(), entry.partition()), share(&mut rest, entry.batch_bytes()))
        })
    }

    fn entries(&self) -> Vector<'a, generated::ProduceEntry> {
        self.table.entries().unwrap_or_default()
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
        encoder.answer(Kind::Produce, correlation, 0, |builder| {
            let outcomes = self.outcomes.iter().map(|it| {
                let TopicPartition { topic, index } = it.partition;
                generated::ProduceOutcome::new(
                    &uuid(topic),
                    index.get(),
                    it.error.code(),
                    0,
                    it.base_offset,
                    it.log_append_time_ms,
                    it.log_start_offset,
                )
            });
            let outcomes = Some(builder.create_vector_from_iter(outcomes));
            let mut problems = Vec::with_capacity(self.problems.len());
            for problem in self.problems {
                let fields = generated::RecordProblemArgs {
                    entry: problem.entry,
                    record: problem.record.map_or(-1, u32::cast_signed),
                    message: Some(builder.create_string(problem.message)),
                };
                problems.push(generated::RecordProblem::create(builder, &fields));
            }
            let problems = (!problems.is_empty()).then(|| builder.create_vector(&problems));
            let fields = generated::ProduceAnswerArgs { outcomes, problems };
            generated::ProduceAnswer::create(builder, &fields)
        })
    }
}

impl<'a> AnswerView<'a> {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::ProduceAnswer<'a>>(Kind::Produce, true)?;
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
            base_offset: it.base_offset(),
            log_append_time_ms: it.log_append_time_ms(),
            log_start_offset: it.log_start_offset(),
        })
    }

    /// See [`Answer::problems`].
    pub fn problems(&self) -> impl ExactSizeIterator<Item = Problem<'a>> + use<'a> {
        self.table.problems().unwrap_or_default().iter().map(|it| Problem {
            entry: it.entry(),
            record: u32::try_from(it.record()).ok(),
            message: it.message().unwrap_or_default(),
        })
    }
}
