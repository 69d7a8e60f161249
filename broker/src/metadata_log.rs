//! The metadata log: what was decided, in order, as the records of one partition of shard 0.
//!
//! Later the coordinators' quorum holds this log; its records and the image they build stay the
//! same.

use std::rc::Rc;

use protocol::batch::builder::BatchBuilder;
use protocol::batch::records::Record as BatchRecord;
use protocol::batch::{Compression, RawBatch};
use protocol::metadata::{Image, Record};
use protocol::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use runtime::World;
use storage::{AppendContext, Log, LogConfig, Origin, ReadLimit, Store};

/// The id of the internal topic `__cluster_metadata`, as Kafka has it.
pub(crate) const METADATA_TOPIC: TopicId =
    TopicId::new([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Its only partition.
pub(crate) const METADATA_PARTITION: TopicPartition =
    TopicPartition { topic: METADATA_TOPIC, index: PartitionIndex::ZERO };

const READ_BYTES: usize = 1 << 20;
/// Ten thousand partitions at once are about a megabyte.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Why the metadata cannot be read or extended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataLogError {
    #[error("the metadata log cannot be opened: {0}")]
    Open(#[from] storage::StoreError),
    #[error("the metadata log is missing beside other logs: the directory is damaged")]
    Missing,
    #[error("the metadata log cannot be read at offset {offset}: {reason}")]
    Read { offset: Offset, reason: String },
    #[error("the metadata log cannot be extended: {0}")]
    Append(String),
}

/// The log, open.
pub(crate) struct MetadataLog {
    world: World,
    store: Store,
    log: Log,
}

impl MetadataLog {
    /// Opens the log, creating it on a new directory.
    pub(crate) async fn open(world: &World, store: &Store) -> Result<Self, MetadataLogError> {
        let log = match store.log(METADATA_PARTITION) {
            Some(log) => log,
            // Without it every log would look like a stranger's.
            None if !store.logs().is_empty() => return Err(MetadataLogError::Missing),
            None => store.create(METADATA_PARTITION, keep_all(), LeaderEpoch::ZERO).await?,
        };
        log.configure(keep_all());
        Ok(Self { world: world.clone(), store: store.clone(), log })
    }

    /// Every record there is, in order.
    pub(crate) async fn replay(&self) -> Result<Vec<Record>, MetadataLogError> {
        let mut records = Vec::new();
        let mut from = self.log.log_start_offset();
        let end = self.log.durable_offset();
        while from < end {
            let wrong = |reason: String| MetadataLogError::Read { offset: from, reason };
            let limit = ReadLimit { max_bytes: READ_BYTES, end, at_least_one: true };
            let read =
                self.log.read(from, limit).await.map_err(|error| wrong(error.to_string()))?;
            let mut bytes = Vec::new();
            for slice in &read.slices {
                bytes.extend_from_slice(slice);
            }
            let next = decode_batches(&bytes, from, &mut records).map_err(wrong)?;
            if next <= from {
                return Err(wrong("no batch is there".to_owned()));
            }
            from = next;
        }
        Ok(records)
    }

    /// Appends what was decided; it counts once this has returned.
    pub(crate) async fn append(&self, records: &[Record]) -> Result<(), MetadataLogError> {
        let wrong = |reason: String| MetadataLogError::Append(reason);
        let now_ms = self.world.wall_ms();
        let mut builder = BatchBuilder::new(Compression::None);
        for record in records {
            builder
                .append(None, Some(&record.to_bytes()), &[], now_ms)
                .map_err(|error| wrong(error.to_string()))?;
        }
        let mut bytes = Vec::new();
        builder.build(&mut bytes).map_err(|error| wrong(error.to_string()))?;
        let batch = RawBatch(&bytes).check().map_err(|error| wrong(error.to_string()))?;
        let context = AppendContext {
            epoch: LeaderEpoch::ZERO,
            now_ms,
            origin: Origin::Client,
            max_timestamp: None,
        };
        let appended =
            self.log.append(&batch, context).map_err(|error| wrong(error.to_string()))?;
        self.store.durable(appended.ticket).await.map_err(|error| wrong(error.to_string()))
    }
}

/// Nothing of the metadata is ever let go, and one change is one batch, however large.
fn keep_all() -> LogConfig {
    LogConfig {
        retention_ms: -1,
        retention_bytes: -1,
        max_message_bytes: BATCH_BYTES_MAX,
        ..LogConfig::default()
    }
}

/// Decodes the records at or after `from` and gives the offset after the last batch.
fn decode_batches(
    mut bytes: &[u8],
    from: Offset,
    records: &mut Vec<Record>,
) -> Result<Offset, String> {
    let mut next = from;
    while !bytes.is_empty() {
        let (batch, rest) = RawBatch::split_first(bytes).map_err(|error| error.to_string())?;
        let batch = batch.check().map_err(|error| error.to_string())?;
        for record in batch.records() {
            let record: BatchRecord<'_> = record.map_err(|error| error.to_string())?;
            if record.offset < from.get() {
                continue;
            }
            let value = record.value.unwrap_or_default();
            records.push(Record::decode(value).map_err(|error| error.to_string())?);
        }
        next = batch.base_offset().plus(batch.offset_count());
        bytes = rest;
    }
    Ok(next)
}

/// The image that `records` build.
pub(crate) fn image_of(records: &[Record]) -> Result<Rc<Image>, MetadataLogError> {
    let mut image = Image::new();
    image.apply_all(records).map_err(|error| MetadataLogError::Read {
        offset: error.version,
        reason: error.to_string(),
    })?;
    Ok(Rc::new(image))
}
