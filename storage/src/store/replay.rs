//! Replay: from the checkpoint along the chain, entry by entry (`docs/format.md` 4.3).

use std::io;
use std::rc::Rc;

use protocol::batch::{BatchHeader, HEADER_BYTES};
use protocol::crc::{crc32c, crc32c_append};
use protocol::ids::{PartitionIndex, TopicId, TopicPartition};
use runtime::{OpenOptions, TaskClass};

use crate::bytes::Decoder;
use crate::checkpoint::{Checkpoint, decode_record};
use crate::config::LogConfig;
use crate::error::OpenError;
use crate::journal::chain::{Chain, Ending};
use crate::journal::entry::{Entries, Entry, EntryError, Run};
use crate::journal::group::TableRow;
use crate::journal::scan::Found;
use crate::journal::superblock::Anchor;
use crate::limits::{GROUP_HEADER_BYTES, round_down};
use crate::log::Log;
use crate::log::state::{Lifecycle, LogState, Placement, crc_from_header};
use crate::log::tail::Part;
use crate::mutation;
use crate::segment::walk::{Walk, batch_bytes};
use crate::store::Inner;
use crate::store::open::{AsOf, LoadedSlot};
use crate::store::report::{DamagedRange, RecoveryReport, Rule};

/// Log bytes between index entries until the topic's setting is known.
const INDEX_INTERVAL: u32 = 4096;

pub(crate) struct Replay {
    inner: Rc<Inner>,
    chain: Chain,
    as_of: AsOf,
    loaded: Option<LoadedSlot>,
    outcome: Outcome,
}

/// What replay found besides the state.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Something durable is lost.
    pub(crate) damaged: bool,
    /// Ring files with groups that may not be synced yet.
    pub(crate) unsynced: Vec<u32>,
    /// Segments below their log's start, whose files go, or are gone.
    pub(crate) obsolete: Vec<(Log, Vec<i64>)>,
}

/// A group's entries are to be applied to a log from here on.
#[derive(Clone, Copy)]
struct At {
    sequence: u64,
    generation: u64,
    wall_ms: i64,
}

/// What an extent entry says besides its run.
struct Placed<'a> {
    write_start: u32,
    start: u32,
    end: u32,
    headers: &'a [u8],
}

/// What a bytes entry says besides its run.
struct Carried<'a> {
    position: u32,
    continues: bool,
    bytes: &'a [u8],
}

impl Replay {
    pub(crate) fn new(inner: Rc<Inner>, chain: Chain) -> Self {
        Self { inner, chain, as_of: AsOf::new(), loaded: None, outcome: Outcome::default() }
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

    fn apply(&mut self, entry: &Entry<'_>, at: At, report: &mut RecoveryReport) {
        match *entry {
            Entry::Bytes { run, position, continues, bytes } => {
                let placed = Carried { position, continues, bytes };
                self.apply_bytes(&run, &placed, at, report);
            }
            Entry::Extent { run, write_start, start, end, headers, .. } => {
                let extent = Placed { write_start, start, end, headers };
                self.apply_extent(&run, &extent, at, report);
            }
            Entry::Create { log, topic, partition, epoch, first } => {
                let Some(index) = PartitionIndex::new(partition) else { return };
                if self.log(log).is_none() && log >= self.inner.next_log.get() {
                    let partition = TopicPartition { topic: TopicId::new(topic), index };
                    let mut state = LogState::new(log, partition, epoch, first);
                    state.epochs.note(epoch, first);
                    self.add_log(state);
                }
            }
            Entry::Adopt { record } => {
                if let Ok(recorded) = decode_record(&mut Decoder(record)) {
                    self.adopt(recorded.state, at);
                }
            }
            Entry::Delete { log, stray } => self.full(log, at, |log, inner| {
                log.set_lifecycle(if stray { Lifecycle::Straying } else { Lifecycle::Deleting });
                let logs = &mut *inner.logs.borrow_mut();
                if logs.get(&log.partition()).is_some_and(|it| it.id() == log.id()) {
                    logs.remove(&log.partition());
                }
                inner.going.borrow_mut().insert(log.partition());
            }),
            Entry::EpochStart { log, epoch, start } => self.state(log, at, |state| {
                state.epoch = state.epoch.max(epoch);
                state.epochs.note(epoch, start);
            }),
            // After a truncation the state that follows in the same group says the rest.
            Entry::Opened { .. } | Entry::CleanShutdown { .. } | Entry::Truncate { .. } => {}
            Entry::LogStart { log, to } => self.state(log, at, |state| {
                state.trim(to);
            }),
            Entry::Roll { log, base, .. } => self.full(log, at, |log, _| {
                let rolled = log.with_state_mut(|state| {
                    let news = state.active().is_none_or(|it| it.base < base || it.length > 0);
                    if news {
                        state.roll(base, at.wall_ms);
                    }
                    news
                });
                if rolled {
                    log.with_parts(|parts| {
                        if let Some(part) = parts.back_mut() {
                            part.pad();
                            part.sealed = true;
                        }
                    });
                }
            }),
            Entry::HighWatermark { log, to } => {
                self.state(log, at, |state| state.high_watermark = to);
            }
            Entry::Quarantine { log, first, next } => {
                self.state(log, at, |state| state.quarantine(first..next));
            }
            Entry::Disown { log, .. } => self.full(log, at, |log, inner| {
                inner.logs.borrow_mut().remove(&log.partition());
                inner.by_id.borrow_mut().remove(&log.id());
            }),
        }
    }

    /// Runs `change` unless the checkpoint reflects the entry already.
    fn full(&self, id: u32, at: At, change: impl FnOnce(&Log, &Inner)) {
        if self.is_reflected(id, at) {
            return;
        }
        if let Some(log) = self.log(id) {
            change(&log, &self.inner);
        }
    }

    fn state(&self, id: u32, at: At, change: impl FnOnce(&mut LogState)) {
        self.full(id, at, |log, _| log.with_state_mut(change));
    }

    fn is_reflected(&self, id: u32, at: At) -> bool {
        self.as_of.get(&id).is_some_and(|as_of| at.sequence < *as_of)
    }

    /// A log's whole state, given anew.
    fn adopt(&mut self, state: LogState, at: At) {
        if self.is_reflected(state.id, at) {
            return;
        }
        let Some(log) = self.log(state.id) else {
            self.add_log(state);
            return;
        };
        let world = self.inner.world.clone();
        log.with_parts(|parts| {
            parts.retain(|part| state.segment(part.base).is_some());
            for part in parts.iter_mut() {
                let length = state.segment(part.base).map_or(0, |it| it.length);
                if part.append_at > length {
                    part.cut(&world, length, |_, _| {});
                    part.pad();
                }
            }
        });
        log.with_state_mut(|it| *it = state);
    }

    /// Brings a run's segment into being and notes what is missing before it. Returns whether the
    /// run is news.
    fn begin_run(&mut self, log: &Log, run: &Run, at: At, report: &mut RecoveryReport) -> bool {
        let end = log.with_state(|state| state.end);
        if run.next <= end {
            return false;
        }
        let active = log.with_state(|state| state.active().map(|it| it.base));
        if active.is_none_or(|it| it < run.segment) {
            log.with_state_mut(|state| state.roll(run.segment, at.wall_ms));
        }
        if run.first > end {
            self.lose(log, end, run.first, report);
        }
        true
    }

    fn apply_bytes(
        &mut self,
        run: &Run,
        carried: &Carried<'_>,
        at: At,
        report: &mut RecoveryReport,
    ) {
        let Carried { position, continues, bytes } = *carried;
        let Some(log) = self.log(run.log) else { return };
        if !self.is_reflected(run.log, at) && !continues && self.begin_run(&log, run, at, report) {
            log.with_state_mut(|state| {
                for placed in Walk::new(bytes, position, run.first) {
                    let placement = Placement {
                        header: placed.header,
                        position: placed.position,
                        bytes: placed.bytes.len() as u32,
                        now_ms: at.wall_ms,
                        index_interval: INDEX_INTERVAL,
                    };
                    place(state, &placement, |crc| crc32c_append(crc, placed.bytes));
                }
            });
        }
        let flushed = log.with_state(|state| state.segment(run.segment).map(|it| it.flushed));
        let Some(flushed) = flushed else { return };
        let skipped = flushed.saturating_sub(position) as usize;
        let Some(bytes) = bytes.get(skipped..).filter(|bytes| !bytes.is_empty()) else { return };
        let position = position + skipped as u32;
        let inner = self.inner.clone();
        with_part(&log, run.segment, flushed, |part| {
            let mut made = |start, capacity| {
                inner.chunk_made((run.log, run.segment, start), capacity);
            };
            if position < part.append_at {
                part.cut(&inner.world, position, &mut made);
            } else if position > part.append_at {
                part.skip_to(&inner.world, position, &mut made);
            }
            let chunk_bytes = bytes.len().clamp(4096, inner.config.tuning.chunk_bytes);
            part.push(&inner.world, bytes, chunk_bytes, &mut made);
            part.mark(at.generation, position, position + bytes.len() as u32);
        });
    }

    fn apply_extent(
        &mut self,
        run: &Run,
        extent: &Placed<'_>,
        at: At,
        report: &mut RecoveryReport,
    ) {
        let Placed { write_start, start, end, headers } = *extent;
        let Some(log) = self.log(run.log) else { return };
        if !self.is_reflected(run.log, at) && self.begin_run(&log, run, at, report) {
            log.with_state_mut(|state| {
                let mut position = start;
                for header_bytes in headers.chunks_exact(HEADER_BYTES) {
                    let Some(header) = BatchHeader::peek(header_bytes) else { return };
                    let Some(bytes) = batch_bytes(header).map(|it| it as u32) else { return };
                    let placement = Placement {
                        header,
                        position,
                        bytes,
                        now_ms: at.wall_ms,
                        index_interval: INDEX_INTERVAL,
                    };
                    let batch_crc = header.crc();
                    place(state, &placement, |crc| {
                        crc_from_header(crc, header_bytes, bytes, batch_crc)
                    });
                    position = position.saturating_add(bytes);
                }
            });
        }
        let flushed = log.with_state(|state| state.segment(run.segment).map(|it| it.flushed));
        let Some(flushed) = flushed.filter(|flushed| *flushed < end) else { return };
        let inner = self.inner.clone();
        let flushed = with_part(&log, run.segment, flushed, |part| {
            part.named = true;
            part.found(&inner.world, write_start, end, |start, capacity| {
                inner.chunk_made((run.log, run.segment, start), capacity);
            });
            part.mark(at.generation, start, end);
            part.flushed
        });
        log.with_state_mut(|state| {
            if let Some(segment) = state.segment_mut(run.segment) {
                segment.flushed = flushed;
            }
        });
    }

    /// Closes what replay left open and checks every log.
    fn finish(&mut self, report: &mut RecoveryReport) {
        let logs: Vec<Log> = self.inner.by_id.borrow().values().cloned().collect();
        for log in logs {
            self.finish_log(&log, report);
        }
    }

    fn finish_log(&mut self, log: &Log, report: &mut RecoveryReport) {
        if log.is_going() {
            // Its bytes are of no use to anybody.
            log.with_parts(std::collections::VecDeque::clear);
            return;
        }
        let active = log.with_state(|state| state.active().map(|it| it.base));
        let obsolete: Vec<i64> = log.with_state_mut(|state| {
            let start = state.log_start;
            let gone =
                |it: &&crate::log::state::SegmentState| it.end <= start && Some(it.base) != active;
            let bases = state.segments.iter().filter(gone).map(|it| it.base).collect();
            state.segments.retain(|it| it.end > start || Some(it.base) == active);
            bases
        });
        if !obsolete.is_empty() {
            log.with_parts(|parts| parts.retain(|part| !obsolete.contains(&part.base)));
            self.outcome.obsolete.push((log.clone(), obsolete));
        }
        let mut unflushed = 0;
        let held: Vec<(i64, u32)> = log.with_parts(|parts| {
            for part in parts.iter_mut() {
                if Some(part.base) != active {
                    part.pad();
                    part.sealed = true;
                }
                part.durable = part.append_at;
                unflushed += u64::from(part.unflushed());
            }
            parts.iter().map(|part| (part.base, part.append_at)).collect()
        });
        self.inner.unflushed.set(self.inner.unflushed.get() + unflushed);
        // Bytes that neither a segment nor the journal has.
        let missing: Vec<(i64, i64)> = log.with_state(|state| {
            let owed = state.segments.iter().filter(|it| it.flushed < it.length);
            let cut = owed.filter_map(|segment| {
                let held = held.iter().find(|(base, _)| *base == segment.base);
                let end = held.map_or(segment.flushed, |(_, end)| *end);
                (end < segment.length).then(|| (first_beyond(segment, end), segment.end))
            });
            cut.collect()
        });
        for (first, next) in missing {
            report.hit(Rule::R4);
            self.lose(log, first, next, report);
        }
        self.check_log(log, report);
        log.recovered(&self.inner);
        self.inner.update_dirty(log);
    }

    fn check_log(&self, log: &Log, report: &mut RecoveryReport) {
        log.with_state_mut(|state| {
            if !state.epochs.fits(state.end) {
                report.hit(Rule::R9);
                let rebuilt = crate::log::epochs::Epochs::default();
                state.epochs = rebuilt;
                state.epochs.note(state.epoch, state.log_start);
            }
            if state.high_watermark > state.end {
                report.hit(Rule::R11);
                state.high_watermark = state.end;
            }
            if mutation::on(9) {
                state.producers = crate::log::producers::Producers::default();
            }
        });
        if log.with_state(|state| state.end < state.log_start) {
            report.hit(Rule::R12);
            tracing::error!(partition = %log.partition(), "the log ends below its start: offline");
            log.set_offline();
        }
        let producers = log.with_state(|state| state.producers.len());
        self.inner.producers.set(self.inner.producers.get() + producers);
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

/// Places a batch whose position is not behind what is there.
fn place(state: &mut LogState, placement: &Placement<'_>, crc: impl FnOnce(u32) -> u32) {
    let fits = state.active().is_some_and(|it| it.length <= placement.position);
    if fits {
        state.place(placement, crc);
    }
}

/// The first offset of a segment at or beyond a position, as far as its open regions tell.
fn first_beyond(segment: &crate::log::state::SegmentState, position: u32) -> i64 {
    let at = segment.pending.partition_point(|it| it.position < position);
    let before = at.checked_sub(1).and_then(|at| segment.pending.get(at));
    before.map_or(segment.base, |it| segment.base + i64::from(it.relative))
}

/// The part of a segment, made if it is not there.
fn with_part<R>(log: &Log, base: i64, flushed: u32, with: impl FnOnce(&mut Part) -> R) -> R {
    log.with_parts(|parts| {
        let at = parts.partition_point(|part| part.base < base);
        if parts.get(at).is_none_or(|part| part.base != base) {
            parts.insert(at, Part::new(base, round_down(flushed)));
        }
        with(&mut parts[at])
    })
}

impl Inner {
    /// Goes on with removals that the last run did not finish.
    pub(crate) async fn finish_removals(self: &Rc<Self>, obsolete: Vec<(Log, Vec<i64>)>) {
        for (log, bases) in obsolete {
            self.remove_segment_files(&log, &bases).await;
        }
        let going: Vec<Log> =
            self.by_id.borrow().values().filter(|log| log.is_going()).cloned().collect();
        for log in going {
            if self.logs.borrow().contains_key(&log.partition()) {
                // Created anew since: the old files were gone before that was possible.
                self.by_id.borrow_mut().remove(&log.id());
                self.going.borrow_mut().remove(&log.partition());
                continue;
            }
            let (inner, world) = (self.clone(), self.world.clone());
            world.spawn(TaskClass::Background, async move {
                inner.remove_files(log).await;
            });
        }
    }
}
