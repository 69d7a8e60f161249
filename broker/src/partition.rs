//! One partition led here: its log, and what it promises to those who write and read it.
//!
//! With one replica the leader's own disk is the whole in-sync set, so the high watermark is the
//! durable offset.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use protocol::batch::compress::{DecompressError, check_framing, decompress, output_limit};
use protocol::batch::records::Records;
use protocol::batch::{BatchError, CheckedBatch, Compression, RawBatch, RecordError, RecordFault};
use protocol::metadata::config::TopicConfig;
use protocol::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use storage::{AppendContext, AppendError, Log, Origin, ReadError, ReadLimit, Ticket};

use crate::answer::Piece;
use crate::append::{Acks, Author, Landed, Refusal};
use crate::metrics::Count;
use crate::read::Found;
use crate::recompress::recompress;
use crate::settings;
use crate::shard::Shard;

mod lookup;

/// A partition and its leader's state.
pub(crate) struct Partition {
    pub(crate) id: TopicPartition,
    pub(crate) log: Log,
    /// Only the broker itself appends to it, and trims it.
    pub(crate) is_internal: bool,
    epoch: Cell<LeaderEpoch>,
    config: RefCell<Rc<TopicConfig>>,
}

impl Partition {
    /// A partition led here in `epoch`.
    pub(crate) fn new(
        id: TopicPartition,
        log: Log,
        epoch: LeaderEpoch,
        config: Rc<TopicConfig>,
        is_internal: bool,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            log,
            is_internal,
            epoch: Cell::new(epoch),
            config: RefCell::new(config),
        })
    }

    /// The epoch in which this broker leads it.
    pub(crate) fn epoch(&self) -> LeaderEpoch {
        self.epoch.get()
    }

    /// The topic's settings as they apply now.
    pub(crate) fn config(&self) -> Rc<TopicConfig> {
        Rc::clone(&self.config.borrow())
    }

    /// Applies changed settings.
    pub(crate) fn configure(&self, config: Rc<TopicConfig>) {
        self.log.configure(settings::log_config(&config));
        *self.config.borrow_mut() = config;
    }

    /// Everything below it is on every in-sync replica's disk; readers see no further.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.log.durable_offset().get()
    }

    /// Compares the epoch a client believes in with ours (KIP-320); -1 is no belief.
    pub(crate) fn check_epoch(&self, theirs: i32) -> Result<(), ErrorCode> {
        match theirs {
            -1 => Ok(()),
            epoch if epoch < self.epoch().get() => Err(ErrorCode::FencedLeaderEpoch),
            epoch if epoch > self.epoch().get() => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Gives the one batch in `records` its place. It is durable when the ticket is.
    pub(crate) fn append(
        &self,
        shard: &Shard,
        records: &[u8],
        acks: Acks,
        author: Author,
    ) -> Result<(Landed, Ticket), Refusal> {
        if self.is_internal && author == Author::Client {
            let text = "only the broker itself appends to an internal topic";
            return Err(Refusal::new(ErrorCode::InvalidTopicException, text));
        }
        let config = self.config.borrow();
        if acks == Acks::InSync && config.min_insync_replicas > 1 {
            return Err(ErrorCode::NotEnoughReplicas.into());
        }
        let (batch, max_timestamp) = checked(records, config.cleanup.compact)?;
        if batch.is_transactional() {
            return Err(Refusal::new(
                ErrorCode::InvalidTxnState,
                "transactions are not supported by this version",
            ));
        }
        let recompressed;
        let batch = match settings::codec(&config) {
            Some((codec, level)) if codec != batch.compression() => {
                recompressed = recompress(&batch, codec, level)?;
                checked(&recompressed, false)?.0
            }
            _ => batch,
        };
        let context = AppendContext {
            epoch: self.epoch(),
            now_ms: shard.world.wall_ms(),
            origin: Origin::Client,
            max_timestamp,
        };
        let appended = self.log.append(&batch, context).map_err(|error| refusal(&error))?;
        if !appended.duplicate {
            shard.metrics.add(Count::ProduceBatches, 1);
            shard.metrics.add(Count::ProduceRecords, u64::from(batch.record_count()));
            shard.metrics.add(Count::ProduceBytes, batch.bytes().len() as u64);
        }
        let landed = Landed {
            base_offset: appended.base_offset.get(),
            log_append_time_ms: appended.log_append_time_ms.unwrap_or(-1),
            log_start_offset: self.log.log_start_offset().get(),
        };
        Ok((landed, appended.ticket))
    }

    /// Reads whole batches from `offset` up to the high watermark.
    pub(crate) async fn read(
        &self,
        shard: &Shard,
        offset: i64,
        max_bytes: usize,
        first: bool,
    ) -> Found {
        let high_watermark = self.high_watermark();
        let mut found = Found {
            error: ErrorCode::None,
            high_watermark,
            last_stable_offset: high_watermark,
            log_start_offset: self.log.log_start_offset().get(),
            pieces: Vec::new(),
            bytes: 0,
        };
        if offset < found.log_start_offset || offset > high_watermark {
            found.error = ErrorCode::OffsetOutOfRange;
            return found;
        }
        if offset == high_watermark || (max_bytes == 0 && !first) {
            return found;
        }
        let (Some(from), Some(end)) = (Offset::new(offset), Offset::new(high_watermark)) else {
            found.error = ErrorCode::OffsetOutOfRange;
            return found;
        };
        let limit = ReadLimit { max_bytes, end, at_least_one: first };
        match self.log.read(from, limit).await {
            Ok(outcome) => {
                found.bytes = outcome.slices.iter().map(|block| block.len()).sum();
                found.pieces = outcome.slices.into_iter().map(Piece::Block).collect();
            }
            Err(error) => {
                if !matches!(error, ReadError::OutOfRange { .. }) {
                    tracing::error!(shard = %shard.id, partition = %self.id, offset, %error, "read failed");
                }
                found.error = read_code(&error);
            }
        }
        found
    }
}

/// Checks what a client sent: exactly one whole batch that Kafka would take as well, whose records
/// all have a key if the topic is `compacted`. Also says its largest timestamp where its records
/// were looked at and the header is wrong.
fn checked(records: &[u8], compacted: bool) -> Result<(CheckedBatch<'_>, Option<i64>), Refusal> {
    if records.is_empty() {
        return Err(Refusal::new(ErrorCode::InvalidRecord, "there is no record batch"));
    }
    let (batch, rest) = RawBatch::split_first(records).map_err(|error| batch_refusal(&error))?;
    if !rest.is_empty() {
        let text = "a produce request carries exactly one record batch per partition";
        return Err(Refusal::new(ErrorCode::InvalidRecord, text));
    }
    let batch = batch.check_produced().map_err(|error| batch_refusal(&error))?;
    let unpacked;
    let (walk, section) = if batch.compression() == Compression::None {
        (batch.walk(), batch.record_bytes())
    } else {
        let packed = batch.record_bytes();
        let corrupt = |error: DecompressError| Refusal::new(error.code(), error.to_string());
        // Its frame must be one that every consumer can read.
        check_framing(batch.compression(), packed).map_err(corrupt)?;
        if !compacted {
            return Ok((batch, None));
        }
        unpacked =
            decompress(batch.compression(), packed, output_limit(packed.len())).map_err(corrupt)?;
        (batch.walk_decompressed(&unpacked), &unpacked[..])
    };
    let walk = walk.map_err(|error| Refusal::of_records(&[error]))?;
    if compacted && walk.first_null_key.is_some() {
        return Err(keyless(Records::new(batch.header(), section)));
    }
    let corrected = (walk.max_timestamp != batch.max_timestamp()).then_some(walk.max_timestamp);
    Ok((batch, corrected))
}

/// Records named in one refusal; a client takes the others of the batch for refused as well.
const RECORDS_NAMED_MAX: usize = 1_000;

/// What is said of records without a key, by which a compacted topic would keep them.
fn keyless(records: Records<'_>) -> Refusal {
    let nulls = (0..).zip(records).filter(|(_, it)| it.is_ok_and(|record| record.key.is_none()));
    let errors = nulls.map(|(index, _)| RecordError { index, fault: RecordFault::NoKey });
    Refusal::of_records(&errors.take(RECORDS_NAMED_MAX).collect::<Vec<_>>())
}

fn batch_refusal(error: &BatchError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}

/// What Kafka itself would answer.
fn refusal(error: &AppendError) -> Refusal {
    let code = match error {
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::ProducerFenced { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::UnknownProducer => ErrorCode::UnknownProducerId,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::InvalidRecord => ErrorCode::InvalidRecord,
        AppendError::Fenced | AppendError::Full | AppendError::Offline => {
            ErrorCode::KafkaStorageError
        }
        AppendError::Deleted => ErrorCode::UnknownTopicOrPartition,
    };
    Refusal::new(code, error.to_string())
}

fn read_code(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        // Retriable: an operator, and later a replica, can bring the range back.
        ReadError::Lost(_) | ReadError::Io(_) => ErrorCode::KafkaStorageError,
        ReadError::Deleted => ErrorCode::UnknownTopicOrPartition,
    }
}
