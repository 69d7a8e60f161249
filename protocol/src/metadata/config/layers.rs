//! Who has set a config, from the topic or the group down to the built-in default, and which setting counts.

use std::borrow::Cow;

use super::{
    BROKER_CONFIGS, Change, ConfigKey, GROUP_CONFIGS, Listing, Source, Synonym, TOPIC_CONFIGS,
    broker_key,
};
use crate::BrokerId;
use crate::metadata::image::{ConfigMap, Image};
use crate::metadata::record::Resource;

/// What stands below a topic's own configs on one broker.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// Set on this broker while it ran.
    broker: Option<&'a ConfigMap>,
    /// Set on all brokers while they ran.
    cluster: Option<&'a ConfigMap>,
    /// Set in the broker's configuration at start.
    at_start: &'a ConfigMap,
}

/// One config as DescribeConfigs reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// What is known of the config itself.
    pub key: &'static ConfigKey,
    /// The value that counts; `None` is null.
    pub value: Option<String>,
    /// Where that value was set.
    pub source: Source,
    /// Whether it can be changed while the broker runs.
    pub read_only: bool,
    /// Every setting that could count, the one that does first.
    pub synonyms: Vec<DescribedSynonym>,
}

/// One place where a config's value could come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedSynonym {
    /// The name under which it is set there.
    pub name: &'static str,
    /// The value there.
    pub value: Option<String>,
    /// The place.
    pub source: Source,
}

impl<'a> Layers<'a> {
    /// The layers on one broker: `at_start` holds what its configuration file and command line say.
    pub fn new(image: &'a Image, broker: BrokerId, at_start: &'a ConfigMap) -> Self {
        Self {
            broker: image.configs(&Resource::Broker(broker)),
            cluster: image.configs(&Resource::BrokerDefault),
            at_start,
        }
    }

    /// A broker's own config: the value that counts and where it was set.
    pub fn broker_value(&self, key: &'static ConfigKey) -> (Option<&'a str>, Source) {
        let set = self.settings(key.name).into_iter().flatten().next();
        set.map_or((key.default, Source::Default), |(value, source)| (Some(value), source))
    }

    /// A topic's config: the value that counts, in the topic's unit, and where it was set.
    pub fn topic_value(
        &self,
        own: Option<&'a ConfigMap>,
        key: &'static ConfigKey,
    ) -> (Cow<'a, str>, Source) {
        if let Some(value) = own.and_then(|own| own.get(key.name)) {
            return (Cow::Borrowed(value), Source::DynamicTopic);
        }
        let told = self.tells_below(key);
        for synonym in key.synonyms {
            if let Some((value, source)) = self.settings(synonym.name).into_iter().flatten().next()
            {
                return (synonym.scaled(value), if told { source } else { Source::Default });
            }
        }
        (Cow::Borrowed(key.default.unwrap_or_default()), Source::Default)
    }

    /// Every config of a topic, with all the places its value could come from.
    pub fn describe_topic(&self, own: Option<&ConfigMap>) -> Vec<Described> {
        TOPIC_CONFIGS.iter().filter_map(|key| self.describe_topic_key(own, key)).collect()
    }

    fn describe_topic_key(
        &self,
        own: Option<&ConfigMap>,
        key: &'static ConfigKey,
    ) -> Option<Described> {
        let mut synonyms = Vec::new();
        if let Some(value) = own.and_then(|own| own.get(key.name)) {
            push(&mut synonyms, key.name, value, Source::DynamicTopic);
        }
        if self.tells_below(key) {
            self.push_below(&mut synonyms, key);
        }
        if synonyms.is_empty() && key.listing == Listing::WhenSet {
            return None;
        }
        let (value, source) = self.topic_value(own, key);
        Some(Described { key, value: Some(value.into_owned()), source, read_only: false, synonyms })
    }

    /// A group's config: the value that counts, and where it was set.
    pub fn group_value(
        &self,
        own: Option<&'a ConfigMap>,
        key: &'static ConfigKey,
    ) -> (Cow<'a, str>, Source) {
        match own.and_then(|own| own.get(key.name)) {
            Some(value) => (Cow::Borrowed(value), Source::DynamicGroup),
            None => self.topic_value(None, key),
        }
    }

    /// Every config of a group.
    pub fn describe_group(&self, own: Option<&ConfigMap>) -> Vec<Described> {
        let describe = |key: &'static ConfigKey| {
            let (value, source) = self.group_value(own, key);
            let mut synonyms = Vec::new();
            if source == Source::DynamicGroup {
                push(&mut synonyms, key.name, &value, source);
            }
            self.push_below(&mut synonyms, key);
            Described { key, value: Some(value.into_owned()), source, read_only: false, synonyms }
        };
        GROUP_CONFIGS.iter().map(describe).collect()
    }

    /// Whether what stands below a topic's config is told. As in Kafka, a broker's config in another unit is told only
    /// below the first: `log.retention.hours` alone counts, but neither it nor that it was set is shown.
    fn tells_below(&self, key: &'static ConfigKey) -> bool {
        key.synonyms.first().is_some_and(|first| {
            self.settings(first.name).iter().any(Option::is_some)
                || broker_key(first.name).is_some_and(|below| below.default.is_some())
        })
    }

    /// The broker's configs that stand below a topic's, set ones first.
    fn push_below(&self, list: &mut Vec<DescribedSynonym>, key: &'static ConfigKey) {
        for synonym in key.synonyms {
            for (value, source) in self.settings(synonym.name).into_iter().flatten() {
                push(list, synonym.name, value, source);
            }
        }
        for below in key.synonyms.iter().filter_map(|synonym| broker_key(synonym.name)) {
            if let Some(value) = below.default {
                push(list, below.name, value, Source::Default);
            }
        }
    }

    /// Every config of the broker, with all the places its value could come from.
    pub fn describe_broker(&self) -> Vec<Described> {
        let describe = |key: &'static ConfigKey| {
            let mut synonyms = Vec::new();
            for (value, source) in self.settings(key.name).into_iter().flatten() {
                push(&mut synonyms, key.name, value, source);
            }
            if synonyms.is_empty() && key.listing == Listing::WhenSet {
                return None;
            }
            if let Some(value) = key.default
                && key.listing == Listing::Always
            {
                push(&mut synonyms, key.name, value, Source::Default);
            }
            let (value, source) = self.broker_value(key);
            Some(Described {
                key,
                value: value.map(str::to_owned),
                source,
                read_only: key.change == Change::Static,
                synonyms,
            })
        };
        BROKER_CONFIGS.iter().filter_map(describe).collect()
    }

    /// What is set on all brokers while they run, and nothing else: the broker resource without a name.
    pub fn describe_cluster(&self) -> Vec<Described> {
        let set = self.cluster.into_iter().flatten();
        let describe = |(name, value): (&String, &String)| {
            let key = broker_key(name)?;
            let mut synonyms = Vec::new();
            push(&mut synonyms, key.name, value, Source::DynamicDefaultBroker);
            Some(Described {
                key,
                value: Some(value.clone()),
                source: Source::DynamicDefaultBroker,
                read_only: false,
                synonyms,
            })
        };
        set.filter_map(describe).collect()
    }

    /// What the three layers say of a broker's config, the one that counts first.
    fn settings(&self, name: &str) -> [Option<(&'a str, Source)>; 3] {
        let from = |layer: Option<&'a ConfigMap>, source| {
            layer.and_then(|layer| layer.get(name)).map(|value| (value.as_str(), source))
        };
        [
            from(self.broker, Source::DynamicBroker),
            from(self.cluster, Source::DynamicDefaultBroker),
            from(Some(self.at_start), Source::StaticBroker),
        ]
    }
}

impl Synonym {
    /// A broker's value in the topic's unit.
    fn scaled<'a>(&self, value: &'a str) -> Cow<'a, str> {
        match value.trim().parse::<i64>() {
            Ok(number) if number < 0 && self.scale > 1 => Cow::Borrowed("-1"),
            Ok(number) if self.scale > 1 => {
                Cow::Owned(number.saturating_mul(self.scale).to_string())
            }
            Ok(_) | Err(_) => Cow::Borrowed(value),
        }
    }
}

fn push(list: &mut Vec<DescribedSynonym>, name: &'static str, value: &str, source: Source) {
    list.push(DescribedSynonym { name, value: Some(value.to_owned()), source });
}
