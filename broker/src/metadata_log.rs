//! The metadata log: what was decided, in order, as the records of one partition of shard 0, and
//! beside it the log of snapshots, which lets the older records go.
//!
//! A record's offset is the version of the image it leads to, less one. A snapshot holds the image
//! of one version; the newest two are kept, and the records from the older one on. So when the
//! newest is damaged the one before leads to the same image.
//!
//! Later the coordinators' quorum holds these logs; their records and the image they build stay
//! the same.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Range;

use protocol::batch::{CheckedBatch, RawBatch};
use protocol::metadata::snapshot::{self, Snapshot, SnapshotReader};
use protocol::metadata::{Image, Record, log as records};
use protocol::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use runtime::World;
use storage::{
    AppendContext, AppendError, Appended, Log, LogConfig, Origin, ReadError, ReadLimit, Store,
    StoreError, Ticket,
};

/// The id of the internal topic `__cluster_metadata`, as Kafka has it.
pub(crate) const METADATA_TOPIC: TopicId =
    TopicId::new([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Its partition of records.
pub(crate) const METADATA_PARTITION: TopicPartition =
    TopicPartition { topic: METADATA_TOPIC, index: PartitionIndex::ZERO };

/// Its partition of snapshots.
pub(crate) const SNAPSHOT_PARTITION: TopicPartition =
    TopicPartition { topic: METADATA_TOPIC, index: SNAPSHOT_INDEX };

const SNAPSHOT_INDEX: PartitionIndex = PartitionIndex::new(1).expect("one is an index");

/// Records between two snapshots at the least. Replaying as many takes some milliseconds.
const SNAPSHOT_EVERY: u64 = 10_000;
const READ_BYTES: usize = 1 << 20;
/// Ten thousand partitions at once are about a megabyte.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Whole segments go, so they are small.
const SEGMENT_BYTES: u32 = 1 << 20;

/// Why the metadata cannot be read or extended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataLogError {
    #[error("the metadata log cannot be opened: {0}")]
    Open(#[from] StoreError),
    #[error("the metadata log is missing beside other logs: the directory is damaged")]
    Missing,
    #[error(
        "the metadata log begins at offset {start}, and no intact snapshot reaches that far: the \
         directory is damaged"
    )]
    NoSnapshot { start: Offset },
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
    snapshots: Log,
    snapshot_every: u64,
    /// The newest whole snapshot.
    newest: Cell<Option<Place>>,
    /// One is being written.
    writing: Cell<bool>,
}

/// Where a snapshot is.
#[derive(Debug, Clone, Copy)]
struct Place {
    version: Offset,
    start: Offset,
}

/// What the logs say.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) image: Image,
    /// Topics that were deleted lately: logs of theirs may be left.
    pub(crate) deleted: BTreeSet<TopicId>,
}

impl MetadataLog {
    /// Opens the logs, creating them on a new directory.
    pub(crate) async fn open(world: &World, store: &Store) -> Result<Self, MetadataLogError> {
        let log = match store.log(METADATA_PARTITION) {
            Some(log) => log,
            // Without it every log would look like a stranger's.
            None if !store.logs().is_empty() => return Err(MetadataLogError::Missing),
            None => store.create(METADATA_PARTITION, keep_all(), LeaderEpoch::ZERO).await?,
        };
        let snapshots = match store.log(SNAPSHOT_PARTITION) {
            Some(log) => log,
            None => store.create(SNAPSHOT_PARTITION, keep_all(), LeaderEpoch::ZERO).await?,
        };
        log.configure(keep_all());
        snapshots.configure(keep_all());
        Ok(Self {
            world: world.clone(),
            store: store.clone(),
            log,
            snapshots,
            snapshot_every: SNAPSHOT_EVERY,
            newest: Cell::new(None),
            writing: Cell::new(false),
        })
    }

    /// The image as of the log's end: from the newest snapshot and the records after it.
    pub(crate) async fn load(&self) -> Result<Loaded, MetadataLogError> {
        let (mut image, log_start) = (Image::new(), self.log.log_start_offset());
        if let Some(snapshot) = self.newest_snapshot().await? {
            let Snapshot { version, start, records } = snapshot;
            image = Image::restore(version, &records).map_err(|error| MetadataLogError::Read {
                offset: version,
                reason: error.to_string(),
            })?;
            self.newest.set(Some(Place { version, start }));
        }
        if image.version() < log_start {
            return Err(MetadataLogError::NoSnapshot { start: log_start });
        }
        let mut deleted = BTreeSet::new();
        read_all(&self.log, log_start, |read| {
            let (batch, next) = match read {
                Read::Batch(batch) => (batch, batch.base_offset().plus(batch.offset_count())),
                // The snapshot knows what they led to.
                Read::Lost(lost) if lost.end <= image.version().get() => return Ok(()),
                Read::Lost(lost) => {
                    return Err(format!("offsets {}..{} are lost", lost.start, lost.end));
                }
            };
            let records = records::read_batch(&batch).map_err(|error| error.to_string())?;
            deleted.extend(records.iter().filter_map(|record| match record {
                Record::TopicDeleted { topic } => Some(*topic),
                _ => None,
            }));
            if next > image.version() {
                if batch.base_offset() > image.version() {
                    return Err(format!("the records from {} on are missing", image.version()));
                }
                let known = image.version().since(batch.base_offset()) as usize;
                let news = records.get(known..).unwrap_or_default();
                image.apply_all(news).map_err(|error| error.to_string())?;
            }
            Ok(())
        })
        .await?;
        let end = self.log.durable_offset();
        if image.version() != end {
            let reason = format!("the records lead to version {}", image.version());
            return Err(MetadataLogError::Read { offset: end, reason });
        }
        Ok(Loaded { image, deleted })
    }

    async fn newest_snapshot(&self) -> Result<Option<Snapshot>, MetadataLogError> {
        let mut reader = SnapshotReader::default();
        let take = |read: Read<'_>| match read {
            Read::Batch(batch) => reader.take(&batch).map_err(|error| error.to_string()),
            Read::Lost(_) => {
                reader.skip();
                Ok(())
            }
        };
        read_all(&self.snapshots, self.snapshots.log_start_offset(), take).await?;
        Ok(reader.newest())
    }

    /// Appends what was decided; it counts once this has returned.
    pub(crate) async fn append(&self, records: &[Record]) -> Result<(), MetadataLogError> {
        let mut bytes = Vec::new();
        records::write_batch(records, self.world.wall_ms(), &mut bytes).map_err(not_appended)?;
        let appended = self.append_batch(&self.log, &bytes)?.map_err(not_appended)?;
        self.durable(appended.ticket).await
    }

    fn append_batch(
        &self,
        log: &Log,
        bytes: &[u8],
    ) -> Result<Result<Appended, AppendError>, MetadataLogError> {
        let batch = RawBatch(bytes).check().map_err(not_appended)?;
        let context = AppendContext {
            epoch: LeaderEpoch::ZERO,
            now_ms: self.world.wall_ms(),
            origin: Origin::Client,
            max_timestamp: None,
        };
        Ok(log.append(&batch, context))
    }

    async fn durable(&self, ticket: Ticket) -> Result<(), MetadataLogError> {
        self.store.durable(ticket).await.map_err(not_appended)
    }

    /// Whether enough was decided since the last snapshot for another one: as much as it takes to
    /// write one, so that a log never holds more than a few times what its image needs.
    pub(crate) fn is_snapshot_due(&self, image: &Image) -> bool {
        let since = image.version().since(self.newest.get().map_or(Offset::ZERO, |it| it.version));
        let least = self.snapshot_every.max(image.partition_count() as u64);
        since >= least && !self.writing.get()
    }

    /// Writes a snapshot of `image`, whose records are durable, and lets go of what only the
    /// snapshot before the last one needed.
    pub(crate) async fn write_snapshot(&self, image: &Image) -> Result<(), MetadataLogError> {
        if self.writing.replace(true) {
            return Ok(());
        }
        let written = self.try_write_snapshot(image).await;
        self.writing.set(false);
        written
    }

    async fn try_write_snapshot(&self, image: &Image) -> Result<(), MetadataLogError> {
        let batches = snapshot::write(image, self.world.wall_ms()).map_err(not_appended)?;
        let mut start = None;
        for batch in &batches {
            let appended = loop {
                match self.append_batch(&self.snapshots, batch)? {
                    Err(AppendError::Full) => self.store.room().await.map_err(not_appended)?,
                    appended => break appended.map_err(not_appended)?,
                }
            };
            start.get_or_insert(appended.base_offset);
            self.world.turn_if_needed().await;
        }
        self.durable(self.snapshots.last_ticket()).await?;
        let Some(start) = start else { return Ok(()) };
        let before = self.newest.replace(Some(Place { version: image.version(), start }));
        if let Some(before) = before {
            self.snapshots.trim(before.start)?;
            self.log.trim(before.version)?;
        }
        Ok(())
    }
}

/// Nothing of the metadata is let go but by a snapshot, and one change is one batch, however large.
fn keep_all() -> LogConfig {
    LogConfig {
        retention_ms: -1,
        retention_bytes: -1,
        segment_bytes: SEGMENT_BYTES,
        max_message_bytes: BATCH_BYTES_MAX,
        ..LogConfig::default()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn not_appended(error: impl ToString) -> MetadataLogError {
    MetadataLogError::Append(error.to_string())
}

/// What the next offsets of a log hold.
enum Read<'a> {
    Batch(CheckedBatch<'a>),
    Lost(Range<i64>),
}

/// Hands every durable batch at or after `from` to `take`, in order.
async fn read_all(
    log: &Log,
    mut from: Offset,
    mut take: impl FnMut(Read<'_>) -> Result<(), String>,
) -> Result<(), MetadataLogError> {
    let end = log.durable_offset();
    while from < end {
        let wrong = |reason: String| MetadataLogError::Read { offset: from, reason };
        let limit = ReadLimit { max_bytes: READ_BYTES, end, at_least_one: true };
        let read = match log.read(from, limit).await {
            Ok(read) => read,
            Err(ReadError::Lost(lost)) => {
                let next = Offset::new(lost.end).filter(|next| *next > from);
                let next = next.ok_or_else(|| wrong("nothing is there".to_owned()))?;
                take(Read::Lost(lost)).map_err(wrong)?;
                from = next;
                continue;
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        let mut bytes = Vec::new();
        for slice in &read.slices {
            bytes.extend_from_slice(slice);
        }
        let (mut rest, mut next) = (&bytes[..], from);
        while !rest.is_empty() {
            let (batch, after) =
                RawBatch::split_first(rest).map_err(|error| wrong(error.to_string()))?;
            let batch = batch.check().map_err(|error| wrong(error.to_string()))?;
            next = batch.base_offset().plus(batch.offset_count());
            take(Read::Batch(batch)).map_err(wrong)?;
            rest = after;
        }
        if next <= from {
            return Err(wrong("no batch is there".to_owned()));
        }
        from = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
