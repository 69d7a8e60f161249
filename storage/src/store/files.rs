//! Paths, and the segment files that are open.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use protocol::ids::{TopicId, TopicPartition};
use runtime::File;

use crate::segment::SegmentName;

/// `<topic id>` as directories are named: the UUID in lower-case hyphenated form.
pub(crate) fn topic_name(topic: TopicId) -> String {
    uuid::Uuid::from_bytes(topic.get()).as_hyphenated().to_string()
}

/// The topic a directory name stands for.
pub(crate) fn parse_topic(name: &str) -> Option<TopicId> {
    let uuid = uuid::Uuid::try_parse(name).ok()?;
    let topic = TopicId::new(uuid.into_bytes());
    (topic_name(topic) == name).then_some(topic)
}

/// Where things are below a log directory.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) root: PathBuf,
    pub(crate) shard: PathBuf,
    pub(crate) topics: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: &Path, shard: u32) -> Self {
        Self {
            root: root.to_owned(),
            shard: root.join("shards").join(shard.to_string()),
            topics: root.join("topics"),
        }
    }
    pub(crate) fn superblock(&self) -> PathBuf {
        self.shard.join("superblock")
    }
    pub(crate) fn ring(&self, slot: u32) -> PathBuf {
        self.shard.join(format!("ring-{slot}"))
    }
    pub(crate) fn checkpoint(&self, number: u64, copy: char) -> PathBuf {
        self.shard.join(format!("checkpoint-{number}.{copy}"))
    }
    pub(crate) fn topic(&self, topic: TopicId) -> PathBuf {
        self.topics.join(topic_name(topic))
    }
    pub(crate) fn partition(&self, partition: TopicPartition) -> PathBuf {
        self.topic(partition.topic).join(partition.index.to_string())
    }
    pub(crate) fn segment(&self, partition: TopicPartition, base: i64) -> PathBuf {
        self.log_of(partition, SegmentName::first(base))
    }
    pub(crate) fn index(&self, partition: TopicPartition, base: i64) -> PathBuf {
        self.index_of(partition, SegmentName::first(base))
    }
    /// The log file of a segment of any generation.
    pub(crate) fn log_of(&self, partition: TopicPartition, name: SegmentName) -> PathBuf {
        self.partition(partition).join(format!("{}.log", name.stem()))
    }
    /// Its index file.
    pub(crate) fn index_of(&self, partition: TopicPartition, name: SegmentName) -> PathBuf {
        self.partition(partition).join(format!("{}.index", name.stem()))
    }
    pub(crate) fn lost(&self) -> PathBuf {
        self.root.join(".lost")
    }
    pub(crate) fn stray(&self) -> PathBuf {
        self.root.join(".stray")
    }
}

/// Which open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileKey {
    pub(crate) log: u32,
    pub(crate) base: i64,
    pub(crate) index: bool,
}

/// Open segment and index files, the least recently used closed first.
pub(crate) struct OpenFiles {
    open: RefCell<Open>,
    files_max: usize,
}

#[derive(Default)]
struct Open {
    files: BTreeMap<FileKey, (Rc<File>, u64)>,
    /// By when they were used last.
    order: BTreeMap<u64, FileKey>,
    clock: u64,
}

impl Open {
    fn remove(&mut self, key: FileKey) {
        if let Some((_, used)) = self.files.remove(&key) {
            self.order.remove(&used);
        }
    }
}

impl OpenFiles {
    pub(crate) fn new(files_max: usize) -> Self {
        Self { open: RefCell::default(), files_max: files_max.max(1) }
    }

    pub(crate) fn get(&self, key: FileKey) -> Option<Rc<File>> {
        let open = &mut *self.open.borrow_mut();
        let (file, used) = open.files.get_mut(&key)?;
        open.clock += 1;
        open.order.remove(used);
        open.order.insert(open.clock, key);
        *used = open.clock;
        Some(file.clone())
    }

    /// Keeps a file. Those it pushes out close when their last user lets go.
    pub(crate) fn put(&self, key: FileKey, file: File) -> Rc<File> {
        let open = &mut *self.open.borrow_mut();
        open.remove(key);
        if open.files.len() >= self.files_max
            && let Some((_, oldest)) = open.order.pop_first()
        {
            open.files.remove(&oldest);
        }
        open.clock += 1;
        open.order.insert(open.clock, key);
        let file = Rc::new(file);
        open.files.insert(key, (file.clone(), open.clock));
        file
    }

    /// Forgets the files of one segment.
    pub(crate) fn forget(&self, log: u32, base: i64) {
        let open = &mut *self.open.borrow_mut();
        for index in [false, true] {
            open.remove(FileKey { log, base, index });
        }
    }

    /// Forgets the files of a log.
    pub(crate) fn forget_log(&self, log: u32) {
        let open = &mut *self.open.borrow_mut();
        open.files.retain(|key, _| key.log != log);
        open.order.retain(|_, key| key.log != log);
    }
}
