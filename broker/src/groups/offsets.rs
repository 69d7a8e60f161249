//! How far one group has read.
//!
//! An offset is here once its record is on disk, so nobody is ever told of one that a crash could take back.

use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::kafka::group_log::OffsetCommitValue;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Box<str>,
    pub(crate) commit_ms: i64,
    /// When to forget it, if an old client said so.
    pub(crate) expire_ms: Option<i64>,
}

impl Committed {
    /// What a record says.
    pub(crate) fn of(value: &OffsetCommitValue<'_>) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: Box::from(value.metadata),
            commit_ms: value.commit_timestamp,
            expire_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
        }
    }

    /// What is written of it.
    pub(crate) fn record(&self) -> OffsetCommitValue<'_> {
        OffsetCommitValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: &self.metadata,
            commit_timestamp: self.commit_ms,
            expire_timestamp: self.expire_ms.unwrap_or(-1),
            ..OffsetCommitValue::default()
        }
    }
}

/// A partition by its topic's name.
pub(crate) type Place = (Rc<str>, i32);

/// The offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    topics: BTreeMap<Rc<str>, BTreeMap<i32, Committed>>,
}

impl Offsets {
    /// Whether nothing was ever committed, or all of it is forgotten.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Notes an offset, or forgets it.
    pub(crate) fn set(&mut self, topic: &str, partition: i32, committed: Option<Committed>) {
        match committed {
            Some(committed) => match self.topics.get_mut(topic) {
                Some(partitions) => {
                    partitions.insert(partition, committed);
                }
                None => {
                    self.topics.insert(Rc::from(topic), BTreeMap::from([(partition, committed)]));
                }
            },
            None => {
                let Some(partitions) = self.topics.get_mut(topic) else { return };
                partitions.remove(&partition);
                if partitions.is_empty() {
                    self.topics.remove(topic);
                }
            }
        }
    }

    /// How far a partition was read.
    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.get(&partition)
    }

    /// Every topic and its offsets.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Rc<str>, &BTreeMap<i32, Committed>)> {
        self.topics.iter()
    }

    /// Every partition that has an offset.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Place, &Committed)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(index, committed)| ((Rc::clone(topic), *index), committed))
        })
    }
}
