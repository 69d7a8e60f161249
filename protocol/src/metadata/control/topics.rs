//! Topics come and go.

use std::collections::BTreeMap;

use crate::metadata::config::{Described, canonical, check_topic_configs, topic_key};
use crate::metadata::image::ConfigMap;
use crate::metadata::record::{Record, Resource};
use crate::metadata::topic_name;
use crate::{BrokerId, ErrorCode, TopicId};

use super::{Draft, Mode, Refusal, counted};

/// A topic to create (CreateTopics).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions, or -1 for the broker's default.
    pub partitions: i32,
    /// How many replicas of each, or -1 for the broker's default.
    pub replication_factor: i16,
    /// Partition and brokers, if the client chooses them itself; both numbers above are -1 then.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Its own configs; a null value is refused.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that was created, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatedTopic {
    /// Its id. If it was only validated, an id that no topic will have.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each of them has.
    pub replication_factor: i16,
    /// What counts for it now.
    pub configs: Vec<Described>,
}

/// A topic to delete (DeleteTopics): exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteTopic {
    /// By name.
    pub name: Option<String>,
    /// By id; all zeros means that none is given.
    pub id: TopicId,
}

/// A topic that passed every check.
struct Planned {
    assignments: Vec<Vec<BrokerId>>,
    configs: ConfigMap,
    replication_factor: i16,
}

impl Draft<'_> {
    pub(super) fn create_topics(
        &mut self,
        topics: Vec<NewTopic>,
        mode: Mode,
    ) -> Vec<Result<CreatedTopic, Refusal>> {
        let named = counted(topics.iter().map(|topic| topic.name.clone()));
        let mut created = 0;
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            results.push(if named.get(&topic.name).is_some_and(|&times| times > 1) {
                Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                let planned = self.plan_topic(&topic, created);
                planned.map(|planned| {
                    created += planned.assignments.len();
                    self.create(&topic.name, planned)
                })
            });
        }
        if mode == Mode::Validate {
            self.records.clear();
        }
        results
    }

    fn create(&mut self, name: &str, planned: Planned) -> CreatedTopic {
        let mut id = self.seed.topic_id();
        while id.is_zero() || self.image.topic(id).is_some() {
            id = self.seed.topic_id();
        }
        let count = planned.assignments.len();
        self.decide(Record::TopicCreated { topic: id, name: name.to_owned() });
        self.place(id, 0, planned.assignments);
        let described = self.rules.describe(&self.image, &planned.configs);
        for (key, value) in planned.configs {
            self.decide(Record::ConfigSet { resource: Resource::Topic(id), key, value });
        }
        CreatedTopic {
            id,
            partitions: i32::try_from(count).expect("a request creates 10,000 at most"),
            replication_factor: planned.replication_factor,
            configs: described,
        }
    }

    fn plan_topic(&mut self, topic: &NewTopic, in_request: usize) -> Result<Planned, Refusal> {
        self.check_name(&topic.name)?;
        let configs = self.check_configs(&topic.configs)?;
        let assignments = if topic.assignments.is_empty() {
            self.plan_by_number(topic, in_request)?
        } else {
            self.check_room(topic.assignments.len(), in_request)?;
            self.plan_by_hand(topic)?
        };
        let replicas = assignments.first().map_or(0, Vec::len);
        let replication_factor = i16::try_from(replicas).map_err(|_too_many| {
            Refusal::new(ErrorCode::InvalidReplicaAssignment, "Too many replicas for a partition.")
        })?;
        Ok(Planned { assignments, configs, replication_factor })
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        let invalid = |message: String| Refusal::new(ErrorCode::InvalidTopicException, message);
        topic_name::check(name).map_err(|why| invalid(why.to_string()))?;
        if name == topic_name::RESERVED {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("Creation of internal topic {name} is prohibited."),
            ));
        }
        if self.image.topic_id(name).is_some() {
            return Err(Refusal::new(
                ErrorCode::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            ));
        }
        if topic_name::can_collide(name) {
            let other = self.image.topics().find(|other| topic_name::collide(&other.name, name));
            if let Some(other) = other {
                return Err(invalid(format!(
                    "Topic '{name}' collides with existing topic: {}",
                    other.name
                )));
            }
        }
        Ok(())
    }

    fn check_configs(&self, given: &[(String, Option<String>)]) -> Result<ConfigMap, Refusal> {
        let invalid = |message: String| Refusal::new(ErrorCode::InvalidConfig, message);
        let mut configs = ConfigMap::new();
        let mut nulls = Vec::new();
        for (name, value) in given {
            match value {
                Some(value) => {
                    configs.insert(name.clone(), value.clone());
                }
                None => nulls.push(name.as_str()),
            }
        }
        if !nulls.is_empty() {
            return Err(invalid(format!(
                "Null value not supported for topic configs: {}",
                nulls.join(",")
            )));
        }
        check_topic_configs(&configs).map_err(|why| invalid(why.to_string()))?;
        for (name, value) in &mut configs {
            *value = canonical(topic_key(name), value);
        }
        Ok(configs)
    }

    fn plan_by_number(
        &mut self,
        topic: &NewTopic,
        in_request: usize,
    ) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        let factor = match topic.replication_factor {
            -1 => self.rules.number(&self.image, "default.replication.factor").unwrap_or(1),
            factor @ 1.. => factor.unsigned_abs().into(),
            _ => {
                return Err(Refusal::new(
                    ErrorCode::InvalidReplicationFactor,
                    "Replication factor must be larger than 0, or -1 to use the default value.",
                ));
            }
        };
        let count = match topic.partitions {
            -1 => self.rules.number(&self.image, "num.partitions").unwrap_or(1),
            count @ 1.. => count.unsigned_abs() as usize,
            _ => {
                return Err(Refusal::new(
                    ErrorCode::InvalidPartitions,
                    "Number of partitions was set to an invalid non-positive value.",
                ));
            }
        };
        self.check_room(count, in_request)?;
        self.spread(count, factor)
    }

    fn plan_by_hand(&self, topic: &NewTopic) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        for (given, what) in [
            (i32::from(topic.replication_factor), "replication factor"),
            (topic.partitions, "numPartitions"),
        ] {
            if given != -1 {
                return Err(Refusal::new(
                    ErrorCode::InvalidRequest,
                    format!(
                        "A manual partition assignment was specified, but {what} was not set to -1."
                    ),
                ));
            }
        }
        let refuse = |message: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, message);
        let mut by_index = BTreeMap::new();
        let mut factor = None;
        for (index, brokers) in &topic.assignments {
            let replicas = self.check_assignment(brokers, factor)?;
            factor = Some(replicas.len());
            if by_index.insert(*index, replicas).is_some() {
                return Err(refuse(format!(
                    "Found multiple manual partition assignments for partition {index}"
                )));
            }
        }
        if !by_index.keys().copied().eq((0i32..).take(by_index.len())) {
            return Err(refuse(
                "partitions should be a consecutive 0-based integer sequence".to_owned(),
            ));
        }
        Ok(by_index.into_values().collect())
    }

    pub(super) fn delete_topics(
        &mut self,
        topics: Vec<DeleteTopic>,
    ) -> Vec<Result<(TopicId, String), Refusal>> {
        let names = counted(topics.iter().filter_map(|topic| topic.name.clone()));
        let given = topics.iter().map(|topic| topic.id).filter(|id| !id.is_zero());
        let ids = counted(given);
        let twice = |topic: &DeleteTopic| match &topic.name {
            Some(name) => names.get(name).is_some_and(|&times| times > 1),
            None => ids.get(&topic.id).is_some_and(|&times| times > 1),
        };
        let enabled = self.rules.flag(&self.image, "delete.topic.enable");
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            let doomed = self.find_doomed(&topic);
            results.push(
                if let Ok((_, name)) = &doomed
                    && topic_name::is_internal(name)
                {
                    Err(Refusal::new(
                        ErrorCode::InvalidTopicException,
                        format!("Topic '{name}' is internal and cannot be deleted."),
                    ))
                } else if !enabled {
                    Err(Refusal::new(
                        ErrorCode::TopicDeletionDisabled,
                        "Topic deletion is disabled.",
                    ))
                } else if twice(&topic) {
                    let what = if topic.name.is_some() { "name" } else { "id" };
                    Err(Refusal::new(ErrorCode::InvalidRequest, format!("Duplicate topic {what}.")))
                } else {
                    doomed.inspect(|(id, _)| {
                        self.decide(Record::TopicDeleted { topic: *id });
                    })
                },
            );
        }
        results
    }

    fn find_doomed(&self, topic: &DeleteTopic) -> Result<(TopicId, String), Refusal> {
        let invalid = |message: &str| Refusal::new(ErrorCode::InvalidRequest, message);
        match (&topic.name, topic.id) {
            (Some(name), TopicId::ZERO) => match self.image.topic_id(name) {
                Some(id) => Ok((id, name.clone())),
                None => Err(Refusal::new(
                    ErrorCode::UnknownTopicOrPartition,
                    "This server does not host this topic-partition.",
                )),
            },
            (Some(_), _) => Err(invalid("You may not specify both topic name and topic id.")),
            (None, TopicId::ZERO) => Err(invalid("Neither topic name nor id were specified.")),
            (None, id) => match self.image.topic(id) {
                Some(held) => Ok((id, held.name.as_ref().to_owned())),
                None => Err(Refusal::new(
                    ErrorCode::UnknownTopicId,
                    "This server does not host this topic ID.",
                )),
            },
        }
    }
}
