//! What each journal entry does to the state.

use std::ops::Range;

use protocol::batch::{BatchHeader, HEADER_BYTES};
use protocol::crc::crc32c_append;
use protocol::ids::{PartitionIndex, TopicId, TopicPartition};

use super::{At, Replay};
use crate::bytes::Decoder;
use crate::checkpoint::{decode_record, decode_segment};
use crate::journal::entry::{Carriage, Entry, Run};
use crate::limits::round_down;
use crate::log::Log;
use crate::log::state::{Lifecycle, LogState, Placement, SegmentState, crc_from_header};
use crate::log::tail::Part;
use crate::segment::walk::{Walk, batch_bytes};
use crate::store::Inner;
use crate::store::report::RecoveryReport;

/// Log bytes between index entries until the topic's setting is known.
const INDEX_INTERVAL: u32 = 4096;

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
    kind: Carriage,
    bytes: &'a [u8],
}

impl Replay {
    pub(super) fn apply(&mut self, entry: &Entry<'_>, at: At, report: &mut RecoveryReport) {
        match *entry {
            Entry::Bytes { run, position, kind, bytes } => {
                let placed = Carried { position, kind, bytes };
                if self.apply_bytes(&run, &placed, at, report) {
                    self.holes.went_on(&run);
                }
            }
            Entry::Extent { run, write_start, start, end, headers, .. } => {
                let extent = Placed { write_start, start, end, headers };
                self.apply_extent(&run, &extent, at, report);
                self.holes.went_on(&run);
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
            Entry::Swap { log, from, to, segment } => self.swap(log, at, from..to, segment),
            Entry::Cleaned { log, to } => self.state(log, at, |state| {
                state.cleaned = state.cleaned.max(to);
            }),
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

    /// A segment in the place of others, whose files may still be there.
    fn swap(&mut self, id: u32, at: At, bases: Range<i64>, segment: &[u8]) {
        if self.is_reflected(id, at) {
            return;
        }
        let Some(log) = self.log(id) else { return };
        let Ok(segment) = decode_segment(&mut Decoder(segment)) else { return };
        let old = log.swap_segments(&self.inner, bases, segment);
        let names = old.iter().map(SegmentState::name).collect();
        self.outcome.obsolete.push((log, names));
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
        self.holes.adopted(&state);
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

    /// Returns whether the log went on with the run: a repetition may be refused.
    fn apply_bytes(
        &mut self,
        run: &Run,
        carried: &Carried<'_>,
        at: At,
        report: &mut RecoveryReport,
    ) -> bool {
        let Carried { position, kind, bytes } = *carried;
        let Some(log) = self.log(run.log) else { return true };
        let new = kind == Carriage::Whole && !self.is_reflected(run.log, at);
        if new && self.begin_run(&log, run, at, report) {
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
        let segment = |state: &LogState| state.segment(run.segment).and_then(in_journal);
        let Some((flushed, length)) = log.with_state(segment) else { return true };
        if kind == Carriage::Repeated && position as usize + bytes.len() > length as usize {
            // The groups that held them first are damaged: what was lost with them is said there.
            return false;
        }
        let skipped = flushed.saturating_sub(position) as usize;
        let Some(bytes) = bytes.get(skipped..).filter(|bytes| !bytes.is_empty()) else {
            return true;
        };
        let position = position + skipped as u32;
        match kind {
            Carriage::Whole => self.holes.skipped(&log, run, position),
            Carriage::Repeated if append_at(&log, run.segment, flushed) < position => {
                return false;
            }
            Carriage::Continues | Carriage::Repeated => {}
        }
        self.holes.fill(run, position..position + bytes.len() as u32);
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
        true
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
        let segment = log.with_state(|state| state.segment(run.segment).and_then(in_journal));
        let Some((flushed, _)) = segment.filter(|(flushed, _)| *flushed < end) else { return };
        self.holes.skipped(&log, run, write_start);
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
}

/// Where the bytes of a segment begin that only the journal may have, and where they end. `None`: it
/// was compacted, and what the journal has of it is what it was before.
fn in_journal(segment: &SegmentState) -> Option<(u32, u32)> {
    (segment.generation == 0).then_some((segment.flushed, segment.length))
}

/// Places a batch whose position is not behind what is there.
fn place(state: &mut LogState, placement: &Placement<'_>, crc: impl FnOnce(u32) -> u32) {
    let fits = state.active().is_some_and(|it| it.length <= placement.position);
    if fits {
        state.place(placement, crc);
    }
}

/// Where memory of a segment ends.
pub(super) fn append_at(log: &Log, base: i64, flushed: u32) -> u32 {
    log.with_parts(|parts| {
        let part = parts.iter().find(|part| part.base == base);
        part.map_or_else(|| round_down(flushed), |part| part.append_at)
    })
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
