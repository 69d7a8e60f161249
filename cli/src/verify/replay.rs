//! Applies the journal's entries to what the checkpoint said (`docs/format.md` 4.3).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::bytes::Fields;
use super::checkpoint::{Partition, Segment};
use super::entry::{self, Entry, Extent, Run};
use super::overlay::Overlay;
use super::ring::{Chain, Group};
use super::{CannotCheck, Directory, Report};

/// A partition as the journal leaves it.
#[derive(Debug, Default)]
pub(super) struct Replica {
    pub(super) shard: u32,
    pub(super) recorded: Partition,
    /// Bytes that are not in the segment files yet, by segment base.
    pub(super) overlays: BTreeMap<i64, Overlay>,
    /// Extents to compare with the segment, with the group that named them.
    pub(super) extents: Vec<(PathBuf, u64, Extent)>,
    /// A truncation may have cut the last segment inside its recorded length.
    pub(super) is_cut: bool,
}

impl Replica {
    /// As people name it: topic id and number.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", super::bytes::uuid_text(self.recorded.topic), self.recorded.index)
    }
}

/// Every log of one journal.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    pub(super) by_log: BTreeMap<u32, Replica>,
    pub(super) was_clean: bool,
}

/// Replays the chain onto the checkpoint's partitions.
pub(super) fn replay(
    directory: &Directory,
    (shard, recorded): (u32, Vec<Partition>),
    chain: &Chain<'_>,
    report: &mut Report,
) -> Result<Replicas, CannotCheck> {
    let mut replicas = Replicas::default();
    for partition in recorded {
        let log = partition.log;
        let replica = Replica { shard, recorded: partition, ..Replica::default() };
        if replicas.by_log.insert(log, replica).is_some() {
            report.note(format!("shard {shard}: log id {log} is recorded twice"));
        }
    }
    for group in &chain.groups {
        report.counts.groups += 1;
        replicas.was_clean = false;
        let bytes = group.entries(directory)?;
        let mut payload = Fields(&bytes);
        for nth in 0..group.entry_count {
            match entry::next(&mut payload) {
                Ok(entry) => replicas.apply((shard, group), entry, report),
                Err(what) => {
                    report.find(
                        &group.file,
                        group.at,
                        format!("entry {nth} of group {}: {what}", group.sequence),
                    );
                    break;
                }
            }
        }
        if !payload.is_empty() {
            let what = format!("group {} holds more than its entries", group.sequence);
            report.find(&group.file, group.at, what);
        }
    }
    Ok(replicas)
}

impl Replicas {
    fn apply(&mut self, (shard, group): (u32, &Group), entry: Entry<'_>, report: &mut Report) {
        match entry {
            Entry::Create { log, partition, topic, epoch, first } => {
                let recorded = Partition {
                    log,
                    index: partition,
                    topic,
                    state: 1,
                    log_start: first,
                    log_end: first,
                    high_watermark: first,
                    leader_epoch: epoch,
                    epochs: vec![(epoch, first)],
                    segments: vec![new_segment(first)],
                    ..Partition::default()
                };
                // Replayed again from before its checkpoint, it is known already.
                let replica = Replica { shard, recorded, ..Replica::default() };
                self.by_log.entry(log).or_insert(replica);
            }
            Entry::Adopt(partition) => {
                let log = partition.log;
                let replica = Replica { shard, recorded: *partition, ..Replica::default() };
                self.by_log.entry(log).or_insert(replica);
            }
            Entry::Opened { incarnation, durable_position } => {
                if incarnation != group.incarnation || durable_position > group.position {
                    report.find(&group.file, group.at, "an `Opened` entry contradicts its group");
                }
            }
            Entry::CleanShutdown { end_sequence } if end_sequence != group.sequence => {
                report.find(&group.file, group.at, "a `CleanShutdown` entry contradicts its group");
            }
            Entry::CleanShutdown { .. } => self.was_clean = true,
            Entry::Delete { log } | Entry::Disown { log } => {
                let is_new = |replica: &Replica| group.sequence >= replica.recorded.as_of;
                if self.by_log.get(&log).is_some_and(is_new) {
                    self.by_log.remove(&log);
                }
            }
            Entry::Bytes(run, bytes) => {
                // A log that is not known was deleted before.
                if let Some(replica) = self.by_log.get_mut(&run.log) {
                    replica.append(group, run, bytes, report);
                }
            }
            Entry::Extent(extent) => {
                if let Some(replica) = self.by_log.get_mut(&extent.log) {
                    replica.extend(group, extent, report);
                }
            }
            Entry::EpochStart { log, .. }
            | Entry::Truncate { log, .. }
            | Entry::LogStart { log, .. }
            | Entry::Roll { log, .. }
            | Entry::HighWatermark { log, .. }
            | Entry::Swap { log, .. }
            | Entry::Cleaned { log, .. }
            | Entry::Quarantine { log, .. } => {
                let replica = self.by_log.get_mut(&log);
                if let Some(replica) = replica.filter(|it| group.sequence >= it.recorded.as_of) {
                    replica.change(group, &entry, report);
                }
            }
        }
    }
}

fn new_segment(base: i64) -> Segment {
    Segment { base, end: base, ..Segment::default() }
}

impl Replica {
    fn segment(&mut self, base: i64) -> Option<&mut Segment> {
        self.recorded.segments.iter_mut().find(|segment| segment.base == base)
    }

    /// The segment that takes a run. A truncation or a gap starts one without a roll.
    fn segment_of(&mut self, base: i64, first: i64) -> Option<&mut Segment> {
        let is_new = self.recorded.segments.last().is_none_or(|last| last.base < base);
        if is_new && base <= first {
            if let Some(last) = self.recorded.segments.last_mut() {
                last.is_sealed = true;
            }
            self.recorded.segments.push(new_segment(base));
        }
        self.segment(base)
    }

    fn append(&mut self, group: &Group, run: Run, bytes: &[u8], report: &mut Report) {
        let complain = |report: &mut Report, what: &str| {
            let what = format!("group {}: {what}", group.sequence);
            report.find_offsets((&group.file, group.at), (run.first, run.next), what);
        };
        let end = run.position.checked_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let Some(end) = end else {
            complain(report, "bytes beyond what a segment can hold");
            return;
        };
        let is_old = group.sequence < self.recorded.as_of;
        if run.is_repeated {
            let segment = self.segment(run.segment);
            // It may be what the segment was before it was compacted.
            if segment.as_ref().map_or(is_old, |it| it.generation > 0) {
                return;
            }
            match segment.map(|it| (it.flushed, it.length)) {
                Some((flushed, length)) if end <= length => {
                    if end > flushed {
                        self.overlays.entry(run.segment).or_default().put(run.position, bytes);
                    }
                }
                _ => complain(report, "bytes repeated that were never there"),
            }
            return;
        }
        if !is_old && !run.continues && !self.continues_at(run.first, run.next) {
            return;
        }
        let Some(segment) = self.segment_of(run.segment, run.first) else {
            if !is_old {
                complain(report, "bytes for a segment that does not exist");
            }
            return;
        };
        if segment.generation > 0 {
            return; // What it was before it was compacted.
        }
        if end > segment.flushed {
            let base = segment.base;
            let is_dead = is_old && segment.is_sealed && segment.length <= run.position;
            if !is_dead {
                self.overlays.entry(base).or_default().put(run.position, bytes);
            }
        }
        if is_old {
            return;
        }
        let segment = self.segment(run.segment).expect("it was found above");
        if run.position < segment.length {
            complain(report, "bytes over bytes that are there already");
        }
        segment.length = end;
        segment.end = segment.end.max(run.next);
        self.recorded.log_end = self.recorded.log_end.max(run.next);
    }

    fn extend(&mut self, group: &Group, extent: Extent, report: &mut Report) {
        let is_old = group.sequence < self.recorded.as_of;
        let possible = extent.write_start <= extent.start
            && extent.start < extent.end
            && extent.write_start.is_multiple_of(4096)
            && extent.end.is_multiple_of(4096);
        if !possible {
            let what = format!("group {}: an extent that cannot be", group.sequence);
            report.find_offsets((&group.file, group.at), (extent.first, extent.next), what);
            return;
        }
        if !is_old && !self.continues_at(extent.first, extent.next) {
            return;
        }
        let Some(segment) = self.segment_of(extent.segment, extent.first) else { return };
        if segment.generation > 0 {
            return;
        }
        segment.flushed = segment.flushed.max(extent.end);
        if !is_old {
            segment.length = extent.end;
            segment.end = segment.end.max(extent.next);
            self.recorded.log_end = self.recorded.log_end.max(extent.next);
        }
        if let Some(overlay) = self.overlays.get_mut(&extent.segment) {
            overlay.drop_below(extent.end);
        }
        self.extents.push((group.file.clone(), group.at, extent));
    }

    /// Whether a run of offsets is new. A jump forward quarantines what is missing; a step back is ignored.
    fn continues_at(&mut self, first: i64, next: i64) -> bool {
        let end = self.recorded.log_end;
        if first > end {
            self.recorded.quarantined.push((end, first));
        }
        first >= end && next > first
    }

    fn change(&mut self, group: &Group, entry: &Entry<'_>, report: &mut Report) {
        match *entry {
            Entry::EpochStart { epoch, start, .. } => {
                let (last, last_start) = self.recorded.epochs.last().copied().unwrap_or((-1, 0));
                if epoch < last || start < last_start {
                    let what = format!("{}: epoch {epoch} after {last}", self.name());
                    report.find(&group.file, group.at, what);
                }
                self.recorded.leader_epoch = epoch;
                // An epoch that wrote nothing gives way to the one that starts where it did.
                self.recorded.epochs.retain(|known| known.1 < start);
                self.recorded.epochs.push((epoch, start));
            }
            Entry::Truncate { offset, .. } => self.truncate(offset),
            Entry::LogStart { offset, .. } => {
                if offset < self.recorded.log_start {
                    let what = format!("{}: the log start falls to {offset}", self.name());
                    report.find(&group.file, group.at, what);
                }
                self.recorded.log_start = self.recorded.log_start.max(offset);
            }
            Entry::Roll { sealed_length, sealed_base, new_base, .. } => {
                match self.segment(sealed_base) {
                    Some(sealed) => {
                        sealed.length = sealed_length;
                        sealed.is_sealed = true;
                    }
                    None => report.find(
                        &group.file,
                        group.at,
                        "a roll of a segment that does not exist",
                    ),
                }
                if self.segment(new_base).is_none() {
                    self.recorded.segments.push(new_segment(new_base));
                }
            }
            Entry::HighWatermark { offset, .. } => self.recorded.high_watermark = offset,
            Entry::Quarantine { first, next, .. } => self.recorded.quarantined.push((first, next)),
            Entry::Cleaned { offset, .. } => {
                self.recorded.cleaned = self.recorded.cleaned.max(offset);
            }
            Entry::Swap { from, to, ref segment, .. } => {
                if let Some(what) = self.swap(from..to, segment.clone()) {
                    let what = format!("{}: {what}", self.name());
                    report.find(&group.file, group.at, what);
                }
            }
            _ => {}
        }
    }

    /// A compacted segment in the place of others; what is wrong with that.
    fn swap(&mut self, bases: Range<i64>, new: Segment) -> Option<&'static str> {
        let segments = &mut self.recorded.segments;
        let at = segments.partition_point(|it| it.base < bases.start);
        let next = segments.partition_point(|it| it.base < bases.end).max(at);
        let old: Vec<Segment> = segments.drain(at..next).collect();
        self.overlays.retain(|base, _| !bases.contains(base));
        self.extents.retain(|(_, _, extent)| !bases.contains(&extent.segment));
        let fits = old.iter().all(|it| it.generation < new.generation)
            && old.first().is_some_and(|first| first.base == new.base)
            && old.last().is_some_and(|last| last.end == new.end)
            && new.flushed >= new.length
            && new.entries.is_empty();
        let was_active = next == segments.len() + old.len();
        segments.insert(at, Segment { is_sealed: true, ..new });
        if old.is_empty() {
            Some("segments were swapped that do not exist")
        } else if was_active {
            Some("the segment that takes appends was compacted")
        } else if fits {
            None
        } else {
            Some("a compacted segment does not fit where it was put")
        }
    }

    fn truncate(&mut self, offset: i64) {
        self.recorded.segments.retain(|segment| segment.base < offset || segment.base == 0);
        self.overlays.retain(|base, _| *base < offset || *base == 0);
        if let Some(last) = self.recorded.segments.last_mut() {
            self.is_cut |= last.end > offset;
            last.end = last.end.min(offset);
            last.is_sealed = true;
        }
        self.recorded.epochs.retain(|(_, start)| *start < offset);
        self.recorded.log_end = self.recorded.log_end.min(offset);
    }
}
