//! Replay: from the checkpoint along the chain, entry by entry (`docs/format.md` 4.3).

mod apply;
mod finish;
mod holes;

use std::io;
use std::rc::Rc;

use protocol::crc::crc32c;
use protocol::ids::{PartitionIndex, TopicId, TopicPartition};
use runtime::OpenOptions;

use self::holes::Holes;
use crate::bytes::Decoder;
use crate::checkpoint::Checkpoint;
use crate::config::LogConfig;
use crate::error::OpenError;
use crate::journal::chain::{Chain, Ending};
use crate::journal::entry::{Entries, Entry, EntryError};
use crate::journal::group::TableRow;
use crate::journal::scan::Found;
use crate::journal::superblock::Anchor;
use crate::limits::GROUP_HEADER_BYTES;
use crate::log::Log;
use crate::log::state::{Lifecycle, LogState};
use crate::mutation;
use crate::segment::SegmentName;
use crate::store::Inner;
use crate::store::open::{AsOf, LoadedSlot};
use crate::store::report::{DamagedRange, RecoveryReport};

pub(crate) struct Replay {
    inner: Rc<Inner>,
    chain: Chain,
    as_of: AsOf,
    loaded: Option<LoadedSlot>,
    outcome: Outcome,
    holes: Holes,
}

/// What replay found besides the state.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Something durable is lost.
    pub(crate) damaged: bool,
    /// Ring files with groups that may not be synced yet.
    pub(crate) unsynced: Vec<u32>,
    /// Segments below their log's start, or replaced, whose files go, or are gone.
    pub(crate) obsolete: Vec<(Log, Vec<SegmentName>)>,
}

/// A group's entries are to be applied to a log from here on.
#[derive(Clone, Copy)]
struct At {
    sequence: u64,
    generation: u64,
    wall_ms: i64,
}

impl Replay {
    pub(crate) fn new(inner: Rc<Inner>, chain: Chain) -> Self {
        let (as_of, outcome) = (AsOf::new(), Outcome::default());
        Self { inner, chain, as_of, loaded: None, outcome, holes: Holes::default() }
    }

    /// Starts from the logs of a checkpoint.
    pub(crate) fn take_checkpoint(&mut self, checkpoint: Option<Checkpoint>) {
        let Some(checkpoint) = checkpoint else { return };
        self.inner.next_log.set(checkpoint.next_log);
        for recorded in checkpoint.logs {
            self.as_of.insert(recorded.state.id, recorded.as_of);
            self.add_log(recorded.state);
        }
    }

    fn add_log(&self, state: LogState) {
        let (id, partition, live) = (state.id, state.partition, state.lifecycle == Lifecycle::Live);
        let log = Log::new(&self.inner, state, LogConfig::default());
        self.inner.by_id.borrow_mut().insert(id, log.clone());
        if live {
            self.inner.logs.borrow_mut().insert(partition, log);
        } else {
            self.inner.going.borrow_mut().insert(partition);
        }
        self.inner.next_log.set(self.inner.next_log.get().max(id + 1));
    }

    fn log(&self, id: u32) -> Option<Log> {
        self.inner.by_id.borrow().get(&id).cloned()
    }

    /// Applies the chain; returns it, cut where an extent does not hold.
    pub(crate) async fn run(
        mut self,
        report: &mut RecoveryReport,
    ) -> Result<(Chain, Outcome), OpenError> {
        let groups = self.chain.groups.clone();
        let mut clean = false;
        for (at, found) in groups.iter().enumerate() {
            let payload = self.payload(found).await?;
            if found.header.end() > self.chain.durable {
                if !self.outcome.unsynced.contains(&found.slot) {
                    self.outcome.unsynced.push(found.slot);
                }
                if !self.extents_hold(found, &payload).await? {
                    self.cut(at, found);
                    break;
                }
            }
            if self.chain.gaps.iter().any(|gap| gap.after == at) {
                self.name_lost(found, &payload, report);
            }
            clean = self.apply_group(found, &payload, report)?;
            report.groups += 1;
            if clean && mutation::on(11) && at + 1 < groups.len() {
                self.cut(at + 1, &groups[at + 1]);
                break;
            }
            self.inner.world.turn_if_needed().await;
        }
        report.clean = clean && self.chain.ending == Ending::Clean;
        self.finish(report);
        Ok((self.chain, self.outcome))
    }

    /// Ends the chain before group `at`: its extents are not on disk, so it was never durable.
    fn cut(&mut self, at: usize, found: &Found) {
        self.chain.void += (self.chain.groups.len() - at) as u32;
        self.chain.groups.truncate(at);
        self.chain.end = Anchor {
            position: self.chain.groups.last().map_or(found.header.position, |it| it.header.end()),
            sequence: found.header.sequence,
            prev_hash: found.header.prev_hash,
        };
        self.chain.ending = Ending::Torn;
        let remaining = self.chain.groups.len();
        self.chain.gaps.retain(|gap| gap.after < remaining);
    }

    /// A group's payload. Ring files are read whole, one at a time.
    async fn payload(&mut self, found: &Found) -> Result<Vec<u8>, OpenError> {
        if self.loaded.as_ref().is_none_or(|loaded| loaded.slot != found.slot) {
            let (file, file_bytes) = {
                let ring = self.inner.ring.borrow();
                (ring.files.get(found.slot as usize).cloned().flatten(), ring.file_bytes)
            };
            let file = file.ok_or(OpenError::Journal("a ring file is gone"))?;
            let Ok(bytes) = file.read_at(0, file_bytes as usize).await else {
                // Some of it cannot be read: take this group alone.
                let path = self.inner.paths.ring(found.slot);
                let size = GROUP_HEADER_BYTES + found.header.payload_bytes as usize;
                let group = file.read_at(u64::from(found.at), size).await;
                let group = group.map_err(|error| OpenError::Io { what: "read", path, error })?;
                return Ok(group[GROUP_HEADER_BYTES..].to_vec());
            };
            self.loaded = Some(LoadedSlot { slot: found.slot, bytes });
        }
        let start = found.at as usize + GROUP_HEADER_BYTES;
        let range = start..start + found.header.payload_bytes as usize;
        let bytes = self.loaded.as_ref().and_then(|loaded| loaded.bytes.get(range));
        bytes.map(<[u8]>::to_vec).ok_or(OpenError::Journal("a group lies beyond its file"))
    }

    /// Whether the segments hold what a group says they do.
    async fn extents_hold(&self, found: &Found, payload: &[u8]) -> Result<bool, OpenError> {
        let front = found.header.previous_count as usize * crate::limits::TABLE_ROW_BYTES;
        for entry in Entries::new(payload.get(front..).unwrap_or(&[])) {
            let Ok(Entry::Extent { run, write_start, end, crc, .. }) = entry else { continue };
            // A log may be made and written to in one group.
            let made = || created_in(payload.get(front..).unwrap_or(&[]), run.log);
            let partition = self.log(run.log).map(|log| log.partition()).or_else(made);
            let Some(partition) = partition else { continue };
            let path = self.inner.paths.segment(partition, run.segment);
            let options = OpenOptions { create: false, write: true, synchronous: false };
            let file = match self.inner.disk.open(&path, options).await {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(OpenError::Io { what: "open", path, error }),
            };
            let count = (end.saturating_sub(write_start)) as usize;
            let holds = match file.read_at(u64::from(write_start), count).await {
                Ok(bytes) => bytes.len() == count && crc32c(&bytes) == crc,
                Err(_) => false,
            };
            if holds {
                // It may have been read from a cache that a power cut empties.
                let synced = file.sync().await;
                synced.map_err(|error| OpenError::Io {
                    what: "sync",
                    path: path.clone(),
                    error,
                })?;
            }
            file.close().await.map_err(|error| OpenError::Io { what: "close", path, error })?;
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// After a gap, the table of the previous group tells whom the last lost group hit.
    fn name_lost(&mut self, found: &Found, payload: &[u8], report: &mut RecoveryReport) {
        self.outcome.damaged = true;
        let mut table = Decoder(payload);
        for _ in 0..found.header.previous_count {
            let Ok(row) = TableRow::decode(&mut table) else { return };
            let Some(log) = self.log(row.log) else { continue };
            if self.as_of.get(&row.log).is_some_and(|as_of| *as_of >= found.header.sequence) {
                continue;
            }
            let end = log.with_state(|state| state.end);
            if row.next > end {
                self.lose(&log, end, row.next, report);
                log.with_state_mut(|state| state.end = row.next);
            }
        }
    }

    fn lose(&mut self, log: &Log, first: i64, next: i64, report: &mut RecoveryReport) {
        self.outcome.damaged = true;
        log.with_state_mut(|state| state.quarantine(first..next));
        report.lost.push(DamagedRange { partition: log.partition(), first, next });
    }

    /// Applies a group; returns whether it holds the mark of a clean stop.
    fn apply_group(
        &mut self,
        found: &Found,
        payload: &[u8],
        report: &mut RecoveryReport,
    ) -> Result<bool, OpenError> {
        let front = found.header.previous_count as usize * crate::limits::TABLE_ROW_BYTES;
        let at = At {
            sequence: found.header.sequence,
            generation: found.header.position / self.inner.ring.borrow().file_bytes,
            wall_ms: found.header.wall_ms,
        };
        let mut clean = false;
        let mut rows = Vec::new();
        for entry in Entries::new(payload.get(front..).unwrap_or(&[])) {
            let entry = entry.map_err(|error| match error {
                EntryError::UnknownKind(_) => OpenError::Journal("an entry of a newer format"),
                EntryError::Short => OpenError::Journal("a group's entries are cut off"),
            })?;
            if let Entry::Bytes { run, .. } | Entry::Extent { run, .. } = &entry {
                let row = TableRow { log: run.log, first: run.first, next: run.next };
                if rows.last() != Some(&row) {
                    rows.push(row);
                }
            }
            clean |= matches!(entry, Entry::CleanShutdown { .. });
            self.apply(&entry, at, report);
        }
        self.inner.ring.borrow_mut().rows = rows;
        Ok(clean)
    }
}

/// The partition that a log was made for in this very group.
fn created_in(entries: &[u8], id: u32) -> Option<TopicPartition> {
    Entries::new(entries).find_map(|entry| match entry {
        Ok(Entry::Create { log, topic, partition, .. }) if log == id => {
            let index = PartitionIndex::new(partition)?;
            Some(TopicPartition { topic: TopicId::new(topic), index })
        }
        _ => None,
    })
}
