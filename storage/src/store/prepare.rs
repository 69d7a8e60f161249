//! Files of segments and indexes: made, opened, and given room before bytes come.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use runtime::{File, OpenOptions, TaskClass};

use crate::limits::BLOCK_BYTES;
use crate::log::Log;
use crate::mutation;
use crate::store::Inner;
use crate::store::files::FileKey;

/// A segment's file with room reserved in it, which counts once its name is durable.
pub(crate) struct Opened {
    pub(crate) file: Rc<File>,
    pub(crate) allocated: u64,
    /// Directories to sync before the file is sure to be found again.
    pub(crate) names: Vec<PathBuf>,
}

impl Inner {
    /// The open file of a segment that exists.
    pub(crate) async fn segment_file(&self, log: &Log, base: i64) -> io::Result<Rc<File>> {
        let key = FileKey { log: log.id(), base, index: false };
        if let Some(file) = self.files.get(key) {
            return Ok(file);
        }
        let path = self.paths.segment(log.partition(), base);
        let options = OpenOptions { create: false, write: true, synchronous: false };
        let file = self.disk.open(path, options).await?;
        Ok(self.files.put(key, file))
    }

    /// Makes a segment's file, its name durable, with room for at least `upto` bytes.
    pub(crate) async fn prepare_segment(
        self: &Rc<Self>,
        log: &Log,
        base: i64,
        upto: u32,
    ) -> io::Result<()> {
        let Some(opened) = self.reserve_segment(log, base, upto).await? else { return Ok(()) };
        let synced = self.sync_all(&[], opened.names.clone()).await;
        self.reserved(log, base, synced.is_ok().then_some(&opened));
        synced
    }

    /// The same, but the name is not durable yet: whoever gets `Some` syncs the directories and
    /// then calls [`Inner::reserved`]; until then nobody else reserves. `None`: there is room.
    pub(crate) async fn reserve_segment(
        self: &Rc<Self>,
        log: &Log,
        base: i64,
        upto: u32,
    ) -> io::Result<Option<Opened>> {
        loop {
            let landed = self.landed.notified();
            let state = log.with_part(base, |part| {
                if part.allocated >= u64::from(upto) {
                    return None;
                }
                Some(std::mem::replace(&mut part.preparing, true))
            });
            match state.flatten() {
                None => return Ok(None),
                Some(false) => break,
                Some(true) => landed.await,
            }
            if self.ends() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        let opened = self.open_reserved(log, base, upto).await;
        if opened.is_err() {
            self.reserved(log, base, None);
        }
        opened.map(Some)
    }

    /// A reservation is durable, or failed.
    pub(crate) fn reserved(&self, log: &Log, base: i64, opened: Option<&Opened>) {
        log.with_part(base, |part| {
            part.preparing = false;
            if let Some(opened) = opened {
                part.named = true;
                part.allocated = opened.allocated;
            }
        });
        if opened.is_some_and(|opened| !opened.names.is_empty()) {
            self.topic_dirs.borrow_mut().insert(log.partition().topic.get());
        }
        self.landed.notify_all();
    }

    async fn open_reserved(&self, log: &Log, base: i64, upto: u32) -> io::Result<Opened> {
        let (named, sealed) =
            log.with_part(base, |part| (part.named, part.sealed)).unwrap_or((true, false));
        let key = FileKey { log: log.id(), base, index: false };
        let mut names = Vec::new();
        if !named {
            names = self.make_partition_dir(log).await?;
        }
        let file = match self.files.get(key) {
            Some(file) => file,
            None => {
                let path = self.paths.segment(log.partition(), base);
                let (file, made) = self.open_or_make(log, path, !named).await?;
                if made && named {
                    names = vec![self.paths.partition(log.partition())];
                }
                self.files.put(key, file)
            }
        };
        let length = file.len().await?;
        let upto = u64::from(upto);
        let allocated = if length >= upto {
            length
        } else {
            // Ahead by half of what there is, within bounds: a slow log stays small, and thousands of
            // logs hold a quarter more than their records on average.
            let ahead = if sealed { 0 } else { (upto / 2).min(self.config.tuning.allocate_bytes) };
            let wanted = (upto + ahead).next_multiple_of(u64::from(BLOCK_BYTES));
            file.allocate(wanted).await?;
            wanted
        };
        Ok(Opened { file, allocated, names })
    }

    /// Makes a partition's directory if need be; returns which directories are to be synced so that
    /// it, and what is made in it, is found again.
    async fn make_partition_dir(&self, log: &Log) -> io::Result<Vec<PathBuf>> {
        let topic = log.partition().topic;
        let dir = self.paths.partition(log.partition());
        if !log.has_dir() {
            self.disk.create_dir_all(&dir).await?;
            log.dir_is_made();
        }
        if mutation::on(15) {
            return Ok(Vec::new());
        }
        let mut names = vec![dir, self.paths.topic(topic)];
        if !self.topic_dirs.borrow().contains(&topic.get()) {
            names.push(self.paths.topics.clone());
        }
        Ok(names)
    }

    /// Prepares a segment for the direct way, in the background.
    pub(crate) fn prepare_soon(self: &Rc<Self>, log: &Log, base: i64, upto: u32) {
        let busy = log.with_part(base, |part| part.preparing || part.sealed) != Some(false);
        if busy || self.disk_full.get() {
            return;
        }
        let (inner, log) = (self.clone(), log.clone());
        self.world.spawn(TaskClass::Serve, async move {
            let upto = upto.saturating_add(inner.config.tuning.direct_bytes);
            match inner.prepare_segment(&log, base, upto).await {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    inner.disk_full.set(true);
                    inner.wake_flusher.notify_one();
                }
                Err(error) if !inner.ends() && !log.is_going() => {
                    inner.fence("prepare a segment", error);
                }
                Ok(()) | Err(_) => {}
            }
        });
    }

    /// The open index file of a segment, and whether it was made: its name is not durable then.
    pub(crate) async fn index_file(
        &self,
        log: &Log,
        base: i64,
        create: bool,
    ) -> io::Result<(Rc<File>, bool)> {
        let key = FileKey { log: log.id(), base, index: true };
        if let Some(file) = self.files.get(key) {
            return Ok((file, create));
        }
        let path = self.paths.index(log.partition(), base);
        let (file, made) = self.open_or_make(log, path, create).await?;
        Ok((self.files.put(key, file), made))
    }

    /// Opens a file of a log to write to, and tells whether it may just have been made. One that
    /// should be there and is not is made, too: its bytes are lost, and reads say so, but the other
    /// logs of the shard go on.
    async fn open_or_make(
        &self,
        log: &Log,
        path: PathBuf,
        create: bool,
    ) -> io::Result<(File, bool)> {
        let options = OpenOptions { create, write: true, synchronous: false };
        match self.disk.open(&path, options).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !create && !log.is_going() => {
                tracing::error!(path = %path.display(), "a file is gone and is made anew");
                self.disk.create_dir_all(self.paths.partition(log.partition())).await?;
                let options = OpenOptions { create: true, ..options };
                Ok((self.disk.open(&path, options).await?, true))
            }
            opened => Ok((opened?, create)),
        }
    }
}
