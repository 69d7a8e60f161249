//! Topics grow.

use crate::metadata::topic_name;
use crate::{BrokerId, ErrorCode, TopicId};

use super::{Draft, Mode, Refusal, counted};

/// Partitions to add to a topic (CreatePartitions).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddPartitions {
    /// The topic's name.
    pub topic: String,
    /// How many partitions it shall have then.
    pub count: i32,
    /// The brokers of each new partition, if the client chooses them itself.
    pub assignments: Option<Vec<Vec<i32>>>,
}

impl Draft<'_> {
    pub(super) fn add_partitions(
        &mut self,
        topics: Vec<AddPartitions>,
        mode: Mode,
    ) -> Vec<Result<(), Refusal>> {
        let named = counted(topics.iter().map(|topic| topic.topic.clone()));
        let mut added = 0;
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            results.push(if named.get(&topic.topic).is_some_and(|&times| times > 1) {
                Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                self.plan_growth(&topic, added).map(|(id, held, assignments)| {
                    added += assignments.len();
                    self.place(id, held, assignments);
                })
            });
        }
        if mode == Mode::Validate {
            self.records.clear();
        }
        results
    }

    /// The topic, how many partitions it has, and who holds the new ones.
    fn plan_growth(
        &mut self,
        wish: &AddPartitions,
        in_request: usize,
    ) -> Result<(TopicId, usize, Vec<Vec<BrokerId>>), Refusal> {
        let refuse = |code, message: String| Err(Refusal::new(code, message));
        let Some(topic) = self.image.topic_by_name(&wish.topic) else {
            return refuse(
                ErrorCode::UnknownTopicOrPartition,
                "This server does not host this topic-partition.".to_owned(),
            );
        };
        if topic_name::is_internal(&wish.topic) {
            // Groups and transactions would look for their home in another partition.
            return refuse(
                ErrorCode::InvalidPartitions,
                format!("Topic '{}' is internal: its number of partitions is fixed.", wish.topic),
            );
        }
        let (id, held) = (topic.id, topic.partitions.len());
        let factor = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
        let wanted = usize::try_from(wish.count).unwrap_or(0);
        if wanted == held {
            return refuse(
                ErrorCode::InvalidPartitions,
                format!("Topic already has {held} partition(s)."),
            );
        }
        if wanted < held {
            return refuse(
                ErrorCode::InvalidPartitions,
                format!(
                    "The topic {} currently has {held} partition(s); {} would not be an increase.",
                    wish.topic, wish.count
                ),
            );
        }
        let additional = wanted - held;
        self.check_room(additional, in_request)?;
        let Some(assignments) = &wish.assignments else {
            return Ok((id, held, self.spread(additional, factor)?));
        };
        if assignments.len() != additional {
            return refuse(
                ErrorCode::InvalidReplicaAssignment,
                format!(
                    "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                    assignments.len()
                ),
            );
        }
        let checked =
            assignments.iter().map(|brokers| self.check_assignment(brokers, Some(factor)));
        Ok((id, held, checked.collect::<Result<_, _>>()?))
    }
}
