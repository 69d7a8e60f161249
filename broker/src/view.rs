//! A shard's copy of what the cluster has decided, and where this broker keeps its partitions.

use std::cell::RefCell;
use std::rc::Rc;

use protocol::metadata::image::ApplyError;
use protocol::metadata::{Image, Record};
use protocol::{BrokerId, Offset, TopicId, TopicPartition};
use runtime::{Map, ShardId};

/// Who this broker is, as clients are told.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The cluster's id, as text.
    pub(crate) cluster_id: String,
    /// This broker's id.
    pub(crate) broker_id: BrokerId,
    /// Host and port of the Kafka listener.
    pub(crate) kafka: (String, u16),
    /// Host and port of the native listener.
    pub(crate) native: (String, u16),
    /// The rack, if one was given.
    pub(crate) rack: Option<String>,
}

/// The metadata image and the homes of partitions. Every shard has one of its own.
#[derive(Default)]
pub(crate) struct View {
    image: RefCell<Rc<Image>>,
    homes: RefCell<Map<TopicPartition, ShardId>>,
}

impl View {
    /// The view of an empty cluster.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// What is decided now. It does not change under the caller, however long it is kept.
    pub(crate) fn image(&self) -> Rc<Image> {
        Rc::clone(&self.image.borrow())
    }

    /// Takes in all that was decided up to `version`, written as records.
    pub(crate) fn restore(&self, version: Offset, records: &[Record]) -> Result<(), ApplyError> {
        *self.image.borrow_mut() = Rc::new(Image::restore(version, records)?);
        Ok(())
    }

    /// Takes in what was decided since.
    pub(crate) fn apply(&self, records: &[Record]) -> Result<(), ApplyError> {
        let mut image = self.image.borrow_mut();
        Rc::make_mut(&mut image).apply_all(records)
    }

    /// The shard that owns a partition of this broker.
    pub(crate) fn home(&self, partition: TopicPartition) -> Option<ShardId> {
        self.homes.borrow().get(&partition).copied()
    }

    /// Learns where partitions live.
    pub(crate) fn settle(&self, homes: &[(TopicPartition, ShardId)]) {
        self.homes.borrow_mut().extend(homes.iter().copied());
    }

    /// Forgets the partitions of a topic that is gone.
    pub(crate) fn forget_topic(&self, topic: TopicId) {
        self.homes.borrow_mut().retain(|partition, _| partition.topic != topic);
    }

    /// How many partitions each of `shards` shards owns.
    pub(crate) fn load(&self, shards: usize) -> Vec<usize> {
        let mut load = vec![0; shards];
        for home in self.homes.borrow().values() {
            if let Some(count) = load.get_mut(home.index()) {
                *count += 1;
            }
        }
        load
    }
}
