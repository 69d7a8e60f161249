//! An image written as the fewest records that build it again.

use super::{ApplyError, Image, Offset, PartitionRecord, Record, Resource};

impl Image {
    /// The records that build this image from nothing, in an order that is always the same.
    ///
    /// They do not carry the [`version`](Self::version): whoever keeps a snapshot keeps that beside it.
    pub fn snapshot(&self) -> Vec<Record> {
        let mut records = Vec::with_capacity(self.topics.len() + self.partitions);
        for (name, level) in self.features() {
            records.push(Record::FeatureLevel { name: name.to_owned(), level });
        }
        records.extend(self.brokers().cloned().map(Record::BrokerRegistered));
        if let Some(broker) = self.producer_ids_for {
            records.push(Record::ProducerIdsAllocated { broker, next: self.next_producer_id });
        }
        for (resource, configs) in self.configs.iter() {
            push_configs(&mut records, resource, configs);
        }
        for (id, topic) in self.topics.iter() {
            records.push(Record::TopicCreated { topic: *id, name: topic.name.as_ref().to_owned() });
            for (index, partition) in topic.indexed() {
                records.push(Record::Partition(PartitionRecord {
                    topic: *id,
                    index,
                    replicas: partition.replicas.to_vec(),
                    in_sync: partition.in_sync.to_vec(),
                    leader: partition.leader,
                    leader_epoch: partition.leader_epoch,
                    partition_epoch: partition.partition_epoch,
                }));
            }
            push_configs(&mut records, &Resource::Topic(*id), &topic.configs);
        }
        records
    }

    /// Builds the image that [`snapshot`](Self::snapshot) wrote, standing at `version` of the log.
    pub fn restore<'a>(
        version: Offset,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Self, ApplyError> {
        let mut image = Self::new();
        image.apply_all(records)?;
        image.version = version;
        Ok(image)
    }
}

fn push_configs(records: &mut Vec<Record>, resource: &Resource, configs: &super::ConfigMap) {
    records.extend(configs.iter().map(|(key, value)| Record::ConfigSet {
        resource: resource.clone(),
        key: key.clone(),
        value: value.clone(),
    }));
}
