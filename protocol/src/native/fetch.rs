//! Fetch (kind 33): read record batches from partitions.
//!
//! The answer's payload is each outcome's batches, in the order of the outcomes: whole batches as
//! they lie in the log. The first may begin before the offset asked for, and is there even if it
//! alone exceeds a limit, so that a reader always moves on.

use flatbuffers::Vector;

use super::encoder::Encoder;
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::{check_index, check_payload, no_payload, partition, payload_bytes, share, uuid};
use crate::error_code::ErrorCode;
use crate::ids::TopicPartition;

/// From where to read one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The partition.
    pub partition: TopicPartition,
    /// The leader epoch that the reader knows of; -1 for none (KIP-320).
    pub leader_epoch: i32,
    /// The first offset wanted.
    pub offset: i64,
    /// How many bytes at most, the first batch excepted.
    pub bytes_max: u32,
}

/// What to read, and how long to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// How long to wait for `bytes_min`, in milliseconds.
    pub wait_ms_max: i32,
    /// How many bytes are worth an answer.
    pub bytes_min: u32,
    /// How many bytes at most in all, the first batch excepted.
    pub bytes_max: u32,
    /// Whether to hold back what transactions have not committed.
    pub read_committed: bool,
    /// Where the reader stands (KIP-392); may be empty.
    pub rack: &'a str,
    /// One per partition; at most [`super::ENTRIES_MAX`].
    pub entries: &'a [Entry],
}

/// What one partition had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The entry's partition.
    pub partition: TopicPartition,
    /// [`ErrorCode::None`] or why nothing was read.
    pub error: ErrorCode,
    /// The offset after the last record that every in-sync replica has; -1 if unknown.
    pub high_watermark: i64,
    /// Every transaction before it has ended; -1 if unknown.
    pub last_stable_offset: i64,
    /// The partition's first offset; -1 if unknown.
    pub log_start_offset: i64,
    /// Who leads, if the reader asked with a wrong epoch or the wrong broker; else -1.
    pub leader: i32,
    /// That leader's epoch; else -1.
    pub leader_epoch: i32,
    /// This partition's share of the payload.
    pub batch_bytes: u32,
}

/// A transaction whose records a `read_committed` reader must drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted {
    /// The partition's place among the outcomes.
    pub entry: u32,
    /// Whose transaction it was.
    pub producer_id: i64,
    /// Its first record's offset.
    pub first_offset: i64,
}

/// What the partitions had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// One per entry that has something to say, in the request's order.
    pub outcomes: &'a [Outcome],
    /// Sorted by entry, then by first offset.
    pub aborted: &'a [Aborted],
}

/// A fetch request, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    table: generated::FetchRequest<'a>,
}

/// A fetch answer, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct AnswerView<'a> {
    table: generated::FetchAnswer<'a>,
    payload: &'a [u8],
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
        encoder.request(Kind::Fetch, correlation, 0, |builder| {
            let entries = self.entries.iter().map(|it| {
                let TopicPartition { topic, index } = it.partition;
                generated::FetchEntry::new(
                    &uuid(topic),
                    index.get(),
                    it.leader_epoch,
                    it.offset,
                    it.bytes_max,
                    0,
                )
            });
            let fields = generated::FetchRequestArgs {
                wait_ms_max: self.wait_ms_max,
                bytes_min: self.bytes_min,
                bytes_max: self.bytes_max,
                read_committed: self.read_committed,
                entries: Some(builder.create_vector_from_iter(entries)),
                rack: (!self.rack.is_empty()).then(|| builder.create_string(self.rack)),
            };
            generated::FetchRequest::create(builder, &fields)
        })
    }
}

impl<'a> RequestView<'a> {
    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::FetchRequest<'a>>(Kind::Fetch, false)?;
        no_payload(frame)?;
        let entries = table.entries().unwrap_or_default();
        frame.bounded(entries.len())?;
        for entry in entries {
            check_index(frame, entry.partition())?;
        }
        Ok(Self { table })
    }

    /// See [`Request::wait_ms_max`]; never negative.
    pub fn wait_ms_max(&self) -> u32 {
        u32::try_from(self.table.wait_ms_max()).unwrap_or(0)
    }

    /// See [`Request::bytes_min`].
    pub fn bytes_min(&self) -> u32 {
        self.table.bytes_min()
    }

    /// See [`Request::bytes_max`].
    pub fn bytes_max(&self) -> u32 {
        self.table.bytes_max()
    }

    /// See [`Request::read_committed`].
    pub fn read_committed(&self) -> bool {
        self.table.read_committed()
    }

    /// See [`Request::rack`].
    pub fn rack(&self) -> &'a str {
        self.table.rack().unwrap_or_default()
    }

    /// See [`Request::entries`].
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry> + use<'a> {
        self.table.entries().unwrap_or_default().iter().map(|it| Entry {
            partition: partition(it.topic(), it.partition()),
            leader_epoch: it.leader_epoch(),
            offset: it.offset(),
            bytes_max: it.bytes_max(),
        })
    }
}

impl Answer<'_> {
    /// The answer's head. Behind it go the outcomes' batches, in their order.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if head and batches exceed a frame.
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        let payload_bytes = payload_bytes(self.outcomes.iter().map(|it| it.batch_bytes));
        encoder.answer(Kind::Fetch, correlation, payload_bytes, |builder| {
            let outcomes = self.outcomes.iter().map(|it| {
                let TopicPartition { topic, index } = it.partition;
                generated::FetchOutcome::new(
                    &uuid(topic),
                    index.get(),
                    it.error.code(),
                    0,
                    it.high_watermark,
                    it.last_stable_offset,
                    it.log_start_offset,
                    it.leader,
                    it.leader_epoch,
                    it.batch_bytes,
                    0,
                )
            });
            let outcomes = Some(builder.create_vector_from_iter(outcomes));
            let aborted = self.aborted.iter().map(|it| {
                generated::AbortedTransaction::new(it.entry, 0, it.producer_id, it.first_offset)
            });
            let aborted =
                (!self.aborted.is_empty()).then(|| builder.create_vector_from_iter(aborted));
            let fields = generated::FetchAnswerArgs { outcomes, aborted };
            generated::FetchAnswer::create(builder, &fields)
        })
    }
}

impl<'a> AnswerView<'a> {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`FrameError`], also if the outcomes' shares do not add up to the payload.
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::FetchAnswer<'a>>(Kind::Fetch, true)?;
        let view = Self { table, payload: frame.payload() };
        for outcome in view.raw_outcomes() {
            check_index(frame, outcome.partition())?;
        }
        check_payload(frame, view.raw_outcomes().iter().map(generated::FetchOutcome::batch_bytes))?;
        Ok(view)
    }

    /// The outcomes and their batches, unchecked.
    pub fn outcomes(&self) -> impl ExactSizeIterator<Item = (Outcome, &'a [u8])> + use<'a> {
        let mut rest = self.payload;
        self.raw_outcomes().iter().map(move |it| {
            let outcome = Outcome {
                partition: partition(it.topic(), it.partition()),
                error: ErrorCode::new(it.error()).unwrap_or(ErrorCode::UnknownServerError),
                high_watermark: it.high_watermark(),
                last_stable_offset: it.last_stable_offset(),
                log_start_offset: it.log_start_offset(),
                leader: it.leader(),
                leader_epoch: it.leader_epoch(),
                batch_bytes: it.batch_bytes(),
            };
            (outcome, share(&mut rest, it.batch_bytes()))
        })
    }

    /// See [`Answer::aborted`].
    pub fn aborted(&self) -> impl ExactSizeIterator<Item = Aborted> + use<'a> {
        self.table.aborted().unwrap_or_default().iter().map(|it| Aborted {
            entry: it.entry(),
            producer_id: it.producer_id(),
            first_offset: it.first_offset(),
        })
    }

    fn raw_outcomes(&self) -> Vector<'a, generated::FetchOutcome> {
        self.table.outcomes().unwrap_or_default()
    }
}
