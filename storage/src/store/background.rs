//! What a store does besides: retention, removal of files, growth of the ring, things that do not
//! belong.

use std::io;
use std::path::Path;
use std::rc::Rc;

use runtime::{Disk, OpenOptions, TaskClass};

use crate::error::Fenced;
use crate::limits::RING_SLOTS_MAX;
use crate::log::Log;
use crate::log::state::Lifecycle;
use crate::mutation;
use crate::segment::SegmentName;
use crate::store::{Inner, Rule};

impl Inner {
    /// One pass of retention over all logs.
    pub(crate) async fn tick(self: &Rc<Self>, now_ms: i64) -> Result<(), Fenced> {
        let logs: Vec<Log> = self.logs.borrow().values().cloned().collect();
        for log in logs {
            if self.refuses() {
                return Err(Fenced);
            }
            if !log.is_going() && !log.is_offline() {
                log.expire_producers(self, now_ms);
                let gone = log.retain(self, now_ms);
                if !gone.is_empty() {
                    self.durable(log.last_ticket().0).await?;
                    self.settled().await?;
                    self.remove_segments(&log, &gone).await;
                }
            }
            self.world.turn_if_needed().await;
        }
        self.evict(usize::MAX);
        Ok(())
    }

    async fn remove_segments(self: &Rc<Self>, log: &Log, names: &[SegmentName]) {
        // Not under the flusher's hands; it comes back soon.
        let Some(_busy) = log.begin_flush() else { return };
        // Compaction may have put another in its place while this waited.
        let names: Vec<_> = names.iter().copied().filter(|name| log.knows(*name)).collect();
        for name in &names {
            log.drop_segment(self, name.base);
        }
        self.remove_segment_files(log, &names).await;
        self.reads.forget(log.id());
        self.update_dirty(log);
        self.landed.notify_all();
    }

    /// Removes the files of segments that the log no longer has.
    pub(crate) async fn remove_segment_files(&self, log: &Log, names: &[SegmentName]) {
        for &name in names {
            let partition = log.partition();
            self.remove_file(&self.paths.log_of(partition, name)).await;
            self.remove_file(&self.paths.index_of(partition, name)).await;
        }
    }

    pub(crate) async fn remove_file(&self, path: &Path) {
        if let Err(error) = self.disk.remove_file(path).await
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "a file cannot be removed");
        }
    }

    /// Removes, or sets aside, the files of a log whose deletion is durable.
    pub(crate) async fn remove_files(self: &Rc<Self>, log: Log) {
        if self.settled().await.is_err() {
            return;
        }
        while log.is_flushing() {
            let landed = self.landed.notified();
            self.update_dirty(&log);
            if self.ends() {
                return;
            }
            landed.await;
        }
        self.forget_memory(&log);
        let stray = log.with_state(|state| state.lifecycle == Lifecycle::Straying);
        let outcome = if stray { self.set_aside(&log).await } else { self.remove_dir(&log).await };
        if let Err(error) = outcome {
            // The journal keeps the log as one being deleted: the next start tries again.
            tracing::warn!(%error, partition = %log.partition(), "a log's files cannot be removed");
            return;
        }
        self.by_id.borrow_mut().remove(&log.id());
        self.going.borrow_mut().remove(&log.partition());
    }

    fn forget_memory(&self, log: &Log) {
        let bases: Vec<i64> = log.with_parts(|parts| parts.iter().map(|it| it.base).collect());
        for base in bases {
            log.drop_segment(self, base);
        }
        let producers = log.with_state(|state| state.producers.len());
        self.producers.set(self.producers.get().saturating_sub(producers));
        self.files.forget_log(log.id());
        self.reads.forget(log.id());
        self.update_dirty(log);
        self.landed.notify_all();
    }

    async fn remove_dir(&self, log: &Log) -> io::Result<()> {
        let dir = self.paths.partition(log.partition());
        if !self.disk.exists(&dir).await? {
            return Ok(());
        }
        self.disk.remove_dir_all(&dir).await?;
        self.disk.sync_dir(self.paths.topic(log.partition().topic)).await
    }

    async fn set_aside(&self, log: &Log) -> io::Result<()> {
        let dir = self.paths.partition(log.partition());
        if !self.disk.exists(&dir).await? {
            return Ok(());
        }
        self.hit(Rule::R15);
        let name = format!(
            "{}.{}",
            crate::store::files::topic_name(log.partition().topic),
            log.partition().index
        );
        move_into(&self.disk, &dir, &self.paths.stray(), &name).await?;
        self.disk.sync_dir(self.paths.topic(log.partition().topic)).await
    }

    /// Moves what does not belong out of a partition's directory (R14).
    pub(crate) async fn sweep_partition(self: &Rc<Self>, log: &Log) -> io::Result<()> {
        let dir = self.paths.partition(log.partition());
        let names = match self.disk.list(&dir).await {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for name in names {
            let segment = name
                .strip_suffix(".log")
                .or_else(|| name.strip_suffix(".index"))
                .and_then(SegmentName::parse);
            if segment.is_some_and(|segment| log.knows(segment)) {
                continue;
            }
            if segment.is_some_and(|segment| log.has_outlived(segment)) {
                self.remove_file(&dir.join(&name)).await;
                continue;
            }
            self.hit(Rule::R14);
            let kept = format!(
                "{}.{}.{name}",
                crate::store::files::topic_name(log.partition().topic),
                log.partition().index
            );
            tracing::warn!(partition = %log.partition(), name, "an unknown file is set aside");
            move_into(&self.disk, &dir.join(&name), &self.paths.lost(), &kept).await?;
        }
        Ok(())
    }

    /// Adds a file to the ring, in the background.
    pub(crate) fn grow_soon(self: &Rc<Self>) {
        if self.growing.replace(true) {
            return;
        }
        let (inner, world) = (self.clone(), self.world.clone());
        world.spawn(TaskClass::Serve, async move {
            while !inner.ends() && inner.ring.borrow().wants_growth(inner.busy_logs()) {
                let file_bytes = inner.ring.borrow().file_bytes;
                let used = file_bytes * inner.ring.borrow().slots() as u64;
                let free = inner.disk.free_bytes(&inner.paths.shard).await.unwrap_or(0);
                if used + file_bytes > (free + used) / 10 {
                    let ring = &mut *inner.ring.borrow_mut();
                    ring.slots_wanted = ring.slots();
                    break;
                }
                if let Err(error) = inner.grow().await {
                    tracing::warn!(%error, "the journal cannot grow");
                    break;
                }
            }
            inner.growing.set(false);
        });
    }

    /// Adds a file to the ring: written with zeros, synced, its name durable, and counted in the
    /// superblock, before it is used.
    pub(crate) async fn grow(&self) -> io::Result<()> {
        let turn = self.superblock_turn.acquire(1).await;
        let (slot, file_bytes) = {
            let ring = self.ring.borrow();
            (ring.files.len() as u32, ring.file_bytes)
        };
        if slot >= RING_SLOTS_MAX {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let path = self.paths.ring(slot);
        let options = OpenOptions { create: true, write: true, synchronous: true };
        let file = self.disk.open(&path, options).await?;
        file.allocate(file_bytes).await?;
        file.zero(0..file_bytes).await?;
        file.sync().await?;
        self.disk.sync_dir(&self.paths.shard).await?;
        if let Err(error) = self.rewrite_superblock(&turn, |next| next.ring_files = slot + 1).await
        {
            let told = io::Error::new(error.kind(), error.to_string());
            self.fence("write the superblock", error);
            return Err(told);
        }
        let mut ring = self.ring.borrow_mut();
        ring.files.push(Some(Rc::new(file)));
        ring.usable += 1;
        ring.free.push_back(slot);
        drop(ring);
        self.released.notify_all();
        Ok(())
    }

    /// Counts a rule that was applied after the start.
    pub(crate) fn hit(&self, rule: Rule) {
        let mut rules = self.rules.get();
        rules[rule as usize] += 1;
        self.rules.set(rules);
    }
}

/// Moves a file or directory into `into` under `name`, or `name` with a number if that is taken.
pub(crate) async fn move_into(disk: &Disk, from: &Path, into: &Path, name: &str) -> io::Result<()> {
    disk.create_dir_all(into).await?;
    let mut to = into.join(name);
    let mut number = 1;
    while disk.exists(&to).await? {
        to = into.join(format!("{name}.{number}"));
        number += 1;
    }
    if mutation::on(14) {
        return disk.remove_dir_all(from).await;
    }
    match disk.rename(from, &to).await {
        // It went away by itself.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => disk.sync_dir(into).await,
    }
}
