//! Which brokers hold a new partition: spread evenly, or as the client says.

use crate::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId};

use super::{Draft, Refusal};
use crate::metadata::record::{PartitionRecord, Record};

impl Draft<'_> {
    /// Brokers for `count` new partitions with `factor` replicas each, so that leaders and replicas are spread evenly.
    ///
    /// The first leader is drawn; each partition moves on by one, and each lap shifts the followers by one more.
    pub(super) fn spread(
        &mut self,
        count: usize,
        factor: usize,
    ) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        let brokers: Vec<BrokerId> = self.image.brokers().map(|broker| broker.broker).collect();
        if factor > brokers.len() {
            return Err(Refusal::new(
                ErrorCode::InvalidReplicationFactor,
                format!(
                    "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} \
                     cannot be reached because only {} broker(s) are registered or some brokers have \
                     all their log directories cordoned.",
                    brokers.len()
                ),
            ));
        }
        let start = (self.seed.next() % brokers.len().max(1) as u64) as usize;
        let replicas = |place: usize| {
            let leader = start + place;
            let shift = place / brokers.len();
            let follower = |nth: usize| leader + 1 + (shift + nth) % (brokers.len() - 1);
            std::iter::once(leader)
                .chain((0..factor - 1).map(follower))
                .map(|at| brokers[at % brokers.len()])
                .collect()
        };
        Ok((0..count).map(replicas).collect())
    }

    /// The brokers that a client names for one partition, if they can hold it.
    pub(super) fn check_assignment(
        &self,
        brokers: &[i32],
        factor: Option<usize>,
    ) -> Result<Vec<BrokerId>, Refusal> {
        let refuse =
            |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        if brokers.is_empty() {
            return refuse(
                "The manual partition assignment includes an empty replica list.".into(),
            );
        }
        let mut replicas = Vec::with_capacity(brokers.len());
        for &number in brokers {
            let Some(broker) = BrokerId::new(number).filter(|&id| self.image.broker(id).is_some())
            else {
                return refuse(format!(
                    "The manual partition assignment includes broker {number}, but no such broker is registered."
                ));
            };
            if replicas.contains(&broker) {
                return refuse(format!(
                    "The manual partition assignment includes the broker {number} more than once."
                ));
            }
            replicas.push(broker);
        }
        match factor {
            Some(factor) if factor != replicas.len() => refuse(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not \
                 consistent with previous partitions, which have {factor} replica(s).",
                replicas.len()
            )),
            _ => Ok(replicas),
        }
    }

    /// Places new partitions of a topic from index `first` on: every replica in sync, the first one leading.
    pub(super) fn place(&mut self, topic: TopicId, first: usize, assignments: Vec<Vec<BrokerId>>) {
        for (place, replicas) in assignments.into_iter().enumerate() {
            let index = i32::try_from(first + place).ok().and_then(PartitionIndex::new);
            self.decide(Record::Partition(PartitionRecord {
                topic,
                index: index.expect("a cluster has far fewer partitions than 2^31"),
                in_sync: replicas.clone(),
                leader: replicas.first().copied(),
                replicas,
                leader_epoch: LeaderEpoch::ZERO,
                partition_epoch: 0,
            }));
        }
    }

    /// Whether so many partitions may be added by this request and to this cluster.
    pub(super) fn check_room(&self, count: usize, in_request: usize) -> Result<(), Refusal> {
        if count.saturating_add(in_request) > super::PARTITIONS_PER_REQUEST {
            return Err(Refusal::new(
                ErrorCode::PolicyViolation,
                "Excessively large number of partitions per request.",
            ));
        }
        let (held, most) = (self.image.partition_count(), self.rules.partitions_max);
        if held.saturating_add(count) > most {
            return Err(Refusal::new(
                ErrorCode::PolicyViolation,
                format!(
                    "The cluster has {held} partitions and may have {most}: {count} more are too many. \
                     The limit is {} for each shard of a broker.",
                    super::PARTITIONS_PER_SHARD
                ),
            ));
        }
        Ok(())
    }
}
