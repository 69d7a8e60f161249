//! Configs change: all of a resource's at once (AlterConfigs), or one by one (IncrementalAlterConfigs, KIP-339).

use crate::metadata::config::{
    Change, ConfigKey, Kind, broker_key, canonical, check_broker_value, check_group_configs,
    check_topic_configs, group_key, list_items, topic_key,
};
use crate::metadata::image::ConfigMap;
use crate::metadata::record::{Record, Resource};
use crate::metadata::topic_name;
use crate::{BrokerId, ErrorCode};

use super::{Draft, Mode, Refusal, counted};

/// What to change on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterConfigs {
    /// Which resource.
    pub target: ConfigTarget,
    /// What to do, in order.
    pub operations: Vec<ConfigOperation>,
    /// Whether everything that is not named loses its value, as in AlterConfigs.
    pub replace: bool,
}

/// A resource as the client names it. An empty broker name means all brokers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigTarget {
    /// Resource type 2.
    Topic(String),
    /// Resource type 4.
    Broker(String),
    /// Resource type 32.
    Group(String),
    /// Any other type, by its number and name.
    Other(i8, String),
}

/// One change of one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigOperation {
    /// The config.
    pub key: String,
    /// What to do.
    pub kind: OperationKind,
    /// With what; ignored by [`OperationKind::Delete`].
    pub value: Option<String>,
}

/// What to do with a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Give it this value.
    Set,
    /// Take its value away.
    Delete,
    /// Add items to its list.
    Append,
    /// Take items from its list.
    Subtract,
}

impl OperationKind {
    /// The operation of this number in IncrementalAlterConfigs.
    pub const fn new(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

fn invalid_request(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

fn invalid_config(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidConfig, message)
}

impl Draft<'_> {
    pub(super) fn alter_configs(
        &mut self,
        resources: &[AlterConfigs],
        mode: Mode,
    ) -> Vec<Result<(), Refusal>> {
        let named = counted(resources.iter().map(|alter| &alter.target));
        let mut results = Vec::with_capacity(resources.len());
        for alter in resources {
            results.push(if named.get(&alter.target).is_some_and(|&times| times > 1) {
                Err(invalid_request("Each resource must appear at most once."))
            } else {
                self.alter(alter)
            });
        }
        if mode == Mode::Validate {
            self.records.clear();
        }
        results
    }

    fn alter(&mut self, alter: &AlterConfigs) -> Result<(), Refusal> {
        let resource = self.find_resource(&alter.target)?;
        check_operations(&alter.operations)?;
        let before = self.image.configs(&resource).cloned().unwrap_or_default();
        let mut after = if alter.replace { ConfigMap::new() } else { before.clone() };
        for operation in &alter.operations {
            change(&mut after, operation, &resource)?;
        }
        self.check_outcome(&resource, &before, &after)?;
        for (key, value) in &mut after {
            *value = canonical(key_of(&resource, key), value);
        }
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            self.decide(Record::ConfigCleared { resource: resource.clone(), key: key.clone() });
        }
        for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(*value)) {
            self.decide(Record::ConfigSet {
                resource: resource.clone(),
                key: key.clone(),
                value: value.clone(),
            });
        }
        Ok(())
    }

    fn find_resource(&self, target: &ConfigTarget) -> Result<Resource, Refusal> {
        match target {
            ConfigTarget::Topic(name) if name.is_empty() => {
                Err(invalid_request("Default topic resources are not allowed."))
            }
            ConfigTarget::Topic(name) => {
                topic_name::check(name).map_err(|why| {
                    Refusal::new(ErrorCode::InvalidTopicException, why.to_string())
                })?;
                let topic = self.image.topic_id(name).ok_or_else(|| {
                    Refusal::new(
                        ErrorCode::UnknownTopicOrPartition,
                        format!("The topic '{name}' does not exist."),
                    )
                })?;
                Ok(Resource::Topic(topic))
            }
            ConfigTarget::Broker(name) if name.is_empty() => Ok(Resource::BrokerDefault),
            ConfigTarget::Broker(name) => {
                let id = name.parse().ok().and_then(BrokerId::new).ok_or_else(|| {
                    invalid_request(format!("Node id must be an integer, but it is: {name}"))
                })?;
                if self.image.broker(id).is_none() {
                    return Err(Refusal::new(
                        ErrorCode::BrokerIdNotRegistered,
                        format!("No broker with id {id} found."),
                    ));
                }
                Ok(Resource::Broker(id))
            }
            ConfigTarget::Group(name) if name.is_empty() => {
                Err(invalid_request("Default group resources are not allowed."))
            }
            ConfigTarget::Group(name) => Ok(Resource::Group(name.clone())),
            ConfigTarget::Other(kind, _) => Err(invalid_request(format!(
                "Unsupported resource type {kind}: only topics (2), brokers (4) and groups (32) have configs here."
            ))),
        }
    }

    fn check_outcome(
        &self,
        resource: &Resource,
        before: &ConfigMap,
        after: &ConfigMap,
    ) -> Result<(), Refusal> {
        if let Resource::Topic(_) = resource {
            return check_topic_configs(after).map_err(|why| invalid_config(why.to_string()));
        }
        if let Resource::Group(_) = resource {
            let layers = self.rules.layers(&self.image);
            return check_group_configs(after, &layers)
                .map_err(|why| invalid_config(why.to_string()));
        }
        let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(*value));
        let (mut fixed, mut single) = (Vec::new(), Vec::new());
        for (key, _) in changed.clone() {
            match broker_key(key).map(|key| key.change) {
                Some(Change::PerBroker) if *resource == Resource::BrokerDefault => {
                    single.push(key.as_str());
                }
                Some(Change::Dynamic | Change::PerBroker) => {}
                Some(Change::Static) | None => fixed.push(key.as_str()),
            }
        }
        if !fixed.is_empty() {
            let names = fixed.join(", ");
            return Err(invalid_request(format!(
                "Cannot update these configs dynamically: [{names}]"
            )));
        }
        if !single.is_empty() {
            let names = single.join(", ");
            return Err(invalid_request(format!(
                "Cannot update these configs at default cluster level, broker id must be specified: [{names}]"
            )));
        }
        for (key, value) in changed {
            check_broker_value(key, value).map_err(|why| invalid_request(why.to_string()))?;
        }
        Ok(())
    }
}

/// What is known of a resource's config.
fn key_of(resource: &Resource, name: &str) -> Option<&'static ConfigKey> {
    match resource {
        Resource::Topic(_) => topic_key(name),
        Resource::Group(_) => group_key(name),
        Resource::Broker(_) | Resource::BrokerDefault | Resource::ClientMetrics(_) => {
            broker_key(name)
        }
    }
}

/// What can be said without looking at the values: no config twice, no null.
fn check_operations(operations: &[ConfigOperation]) -> Result<(), Refusal> {
    let named = counted(operations.iter().map(|operation| operation.key.as_str()));
    if named.values().any(|&times| times > 1) {
        return Err(invalid_request("Error due to duplicate config keys"));
    }
    let nulls = operations
        .iter()
        .filter(|operation| operation.kind != OperationKind::Delete && operation.value.is_none());
    let nulls: Vec<_> = nulls.map(|operation| operation.key.as_str()).collect();
    if nulls.is_empty() {
        Ok(())
    } else {
        Err(invalid_request(format!("Null value not supported for : {}", nulls.join(","))))
    }
}

fn change(
    configs: &mut ConfigMap,
    operation: &ConfigOperation,
    resource: &Resource,
) -> Result<(), Refusal> {
    let key = &operation.key;
    let value = operation.value.as_deref().unwrap_or_default();
    match operation.kind {
        OperationKind::Set => {
            configs.insert(key.clone(), value.to_owned());
        }
        OperationKind::Delete => {
            configs.remove(key);
        }
        OperationKind::Append | OperationKind::Subtract => {
            let known = key_of(resource, key);
            if known.is_none_or(|known| known.kind != Kind::List) {
                return Err(invalid_config(format!(
                    "Can't {} to key {key} because its type is not LIST.",
                    operation.kind.name()
                )));
            }
            let held = configs.get(key).map(String::as_str);
            let held = held.or_else(|| known.and_then(|known| known.default)).unwrap_or_default();
            let mut items: Vec<&str> = list_items(held).collect();
            if operation.kind == OperationKind::Append {
                for item in list_items(value) {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
            } else {
                items.retain(|item| list_items(value).all(|taken| taken != *item));
            }
            let joined = items.join(",");
            configs.insert(key.clone(), joined);
        }
    }
    Ok(())
}
