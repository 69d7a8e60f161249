//! One record more: how it changes the image, and when it cannot.

use std::rc::Rc;

use crate::{BrokerId, Offset, PartitionIndex, TopicId};

use super::{ConfigMap, Image, Partition, PartitionRecord, Record, Resource, Topic};

/// A record that cannot follow what the image already says.
///
/// Such a log is damaged or was written by a faulty program; there is no way to go on from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metadata record {version} cannot be applied: {reason}")]
pub struct ApplyError {
    /// Where the record stands in the metadata log.
    pub version: Offset,
    /// What is wrong with it.
    pub reason: ApplyReason,
}

/// What is wrong with a record in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyReason {
    /// A topic id is created twice, or is the placeholder.
    #[error("topic id {0} is taken or void")]
    TopicIdTaken(TopicId),
    /// Two topics would have one name.
    #[error("topic name {0:?} is taken")]
    TopicNameTaken(String),
    /// The topic meant does not exist.
    #[error("topic {0} does not exist")]
    UnknownTopic(TopicId),
    /// A partition that would leave a gap before it.
    #[error("partition {index} of topic {topic} cannot follow {count} partitions")]
    PartitionGap {
        /// The topic.
        topic: TopicId,
        /// The partition in the record.
        index: PartitionIndex,
        /// How many partitions the topic has.
        count: usize,
    },
    /// An epoch that does not rise, so that a fenced leader could come back.
    #[error("partition {index} of topic {topic} would have an epoch that does not rise")]
    StaleEpoch {
        /// The topic.
        topic: TopicId,
        /// The partition.
        index: PartitionIndex,
    },
    /// Replicas are none, named twice, or do not include the leader and the in-sync set.
    #[error("partition {index} of topic {topic} has replicas that contradict each other")]
    InvalidReplicas {
        /// The topic.
        topic: TopicId,
        /// The partition.
        index: PartitionIndex,
    },
    /// Producer ids would be handed out twice.
    #[error("producer ids would go back from {from} to {to}")]
    ProducerIdsGoBack {
        /// The first id that is free.
        from: i64,
        /// What the record says is the first free id.
        to: i64,
    },
}

impl Image {
    /// Takes in the next record of the log. On an error the image is unchanged.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        self.change(record).map_err(|reason| ApplyError { version: self.version, reason })?;
        self.version = self.version.plus(1);
        Ok(())
    }

    /// Takes in the next records of the log, stopping at the first that cannot be applied.
    pub fn apply_all<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(), ApplyError> {
        records.into_iter().try_for_each(|record| self.apply(record))
    }

    fn change(&mut self, record: &Record) -> Result<(), ApplyReason> {
        match record {
            Record::TopicCreated { topic, name } => self.create_topic(*topic, name),
            Record::Partition(partition) => self.place_partition(partition),
            Record::TopicDeleted { topic } => self.delete_topic(*topic),
            Record::ConfigSet { resource, key, value } => {
                self.change_configs(resource, |configs| {
                    configs.insert(key.clone(), value.clone());
                })
            }
            Record::ConfigCleared { resource, key } => self.change_configs(resource, |configs| {
                configs.remove(key);
            }),
            Record::BrokerRegistered(broker) => {
                Rc::make_mut(&mut self.brokers).insert(broker.broker, broker.clone());
                Ok(())
            }
            Record::ProducerIdsAllocated { broker, next } => self.allocate_ids(*broker, *next),
            Record::FeatureLevel { name, level } => {
                let features = Rc::make_mut(&mut self.features);
                if *level == 0 {
                    features.remove(name);
                } else {
                    features.insert(name.clone(), *level);
                }
                Ok(())
            }
        }
    }

    fn create_topic(&mut self, id: TopicId, name: &str) -> Result<(), ApplyReason> {
        if id.is_zero() || self.topics.get(&id).is_some() {
            return Err(ApplyReason::TopicIdTaken(id));
        }
        if self.names.get(name).is_some() {
            return Err(ApplyReason::TopicNameTaken(name.to_owned()));
        }
        let name: Rc<str> = name.into();
        self.names.insert(Rc::clone(&name), id);
        let topic = Topic { id, name, partitions: Vec::new(), configs: ConfigMap::new() };
        self.topics.insert(id, Rc::new(topic));
        Ok(())
    }

    fn place_partition(&mut self, record: &PartitionRecord) -> Result<(), ApplyReason> {
        let (topic, index) = (record.topic, record.index);
        let held = self.topics.get(&topic).ok_or(ApplyReason::UnknownTopic(topic))?;
        if !replicas_agree(record) {
            return Err(ApplyReason::InvalidReplicas { topic, index });
        }
        let count = held.partitions.len();
        let gap = ApplyReason::PartitionGap { topic, index, count };
        let Ok(place) = usize::try_from(index.get()) else { return Err(gap) };
        if place > count {
            return Err(gap);
        }
        if let Some(before) = held.partitions.get(place)
            && (record.partition_epoch <= before.partition_epoch
                || record.leader_epoch < before.leader_epoch
                || (record.leader_epoch == before.leader_epoch && record.leader != before.leader))
        {
            return Err(ApplyReason::StaleEpoch { topic, index });
        }
        let partition = Partition {
            replicas: record.replicas.as_slice().into(),
            in_sync: record.in_sync.as_slice().into(),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        };
        if let Some(held) = self.topics.get_mut(&topic) {
            let partitions = &mut Rc::make_mut(held).partitions;
            if place == count {
                partitions.push(partition);
                self.partitions += 1;
            } else {
                partitions[place] = partition;
            }
        }
        Ok(())
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<(), ApplyReason> {
        let topic = self.topics.remove(&id).ok_or(ApplyReason::UnknownTopic(id))?;
        self.names.remove(&topic.name);
        self.partitions -= topic.partitions.len();
        Ok(())
    }

    fn change_configs(
        &mut self,
        resource: &Resource,
        change: impl FnOnce(&mut ConfigMap),
    ) -> Result<(), ApplyReason> {
        if let Resource::Topic(id) = resource {
            let topic = self.topics.get_mut(id).ok_or(ApplyReason::UnknownTopic(*id))?;
            change(&mut Rc::make_mut(topic).configs);
            return Ok(());
        }
        let configs = Rc::make_mut(&mut self.configs);
        let of_resource = configs.entry(resource.clone()).or_default();
        change(of_resource);
        if of_resource.is_empty() {
            configs.remove(resource);
        }
        Ok(())
    }

    fn allocate_ids(&mut self, broker: BrokerId, next: i64) -> Result<(), ApplyReason> {
        let from = self.next_producer_id;
        if next < from {
            return Err(ApplyReason::ProducerIdsGoBack { from, to: next });
        }
        self.next_producer_id = next;
        self.producer_ids_for = Some(broker);
        Ok(())
    }
}

/// At least one replica, none twice; the in-sync set and the leader are among them.
fn replicas_agree(record: &PartitionRecord) -> bool {
    let distinct = |list: &[BrokerId]| {
        list.iter().enumerate().all(|(place, broker)| !list[..place].contains(broker))
    };
    let held = |broker: &BrokerId| record.replicas.contains(broker);
    !record.replicas.is_empty()
        && distinct(&record.replicas)
        && distinct(&record.in_sync)
        && record.in_sync.iter().all(held)
        && record.leader.iter().all(held)
}
