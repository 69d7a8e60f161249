//! Is this text a value of that config? Kafka's rules and Kafka's words.

use std::collections::BTreeMap;

use super::{Check, ConfigKey, Kind, Layers, VALUE_UNITS_MAX, broker_key, group_key, topic_key};

/// Why a text is no value of a config. Kafka answers it with INVALID_CONFIG.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// No config has this name.
    #[error("Unknown topic config name: {0}")]
    UnknownTopicConfig(String),
    /// No config has this name.
    #[error("Unknown broker config name: {0}")]
    UnknownBrokerConfig(String),
    /// No config has this name.
    #[error("Unknown group config name: {0}")]
    UnknownGroupConfig(String),
    /// A group's config is beyond what the broker allows.
    #[error("{name} must be {relation} {limit}")]
    GroupLimit {
        /// The config.
        name: &'static str,
        /// `greater than or equal to`, `less than or equal to`, or `greater than`.
        relation: &'static str,
        /// The config that it is held against.
        limit: &'static str,
    },
    /// The value's shape or size is wrong.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    Value {
        /// The config.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A list with nothing between two commas.
    #[error("Configuration '{0}' values must not be empty.")]
    EmptyItem(&'static str),
    /// More than [`VALUE_UNITS_MAX`].
    #[error(
        "The configuration value cannot be added because it exceeds the maximum value size of {VALUE_UNITS_MAX} bytes."
    )]
    TooLong,
    /// Two configs that contradict each other.
    #[error(
        "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
    )]
    CompactionLag {
        /// The lower limit.
        min: i64,
        /// The upper limit, which is lower.
        max: i64,
    },
    /// A value that promises what the broker cannot do yet.
    #[error("{0}")]
    Unsupported(&'static str),
}

/// Whether a topic's config may have this value.
pub fn check_topic_value(name: &str, value: &str) -> Result<(), InvalidValue> {
    let key = topic_key(name).ok_or_else(|| InvalidValue::UnknownTopicConfig(name.to_owned()))?;
    check_value(key, value)?;
    match name {
        "remote.storage.enable" if value.trim().eq_ignore_ascii_case("true") => {
            Err(InvalidValue::Unsupported(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
            ))
        }
        _ => Ok(()),
    }
}

/// Whether all configs of one topic may stand together.
pub fn check_topic_configs(configs: &BTreeMap<String, String>) -> Result<(), InvalidValue> {
    for (name, value) in configs {
        check_topic_value(name, value)?;
    }
    let number = |name: &str| {
        let own = configs.get(name).map(String::as_str);
        let text = own.or_else(|| topic_key(name).and_then(|key| key.default));
        text.and_then(|text| text.trim().parse::<i64>().ok())
    };
    match (number("min.compaction.lag.ms"), number("max.compaction.lag.ms")) {
        (Some(min), Some(max)) if min > max => Err(InvalidValue::CompactionLag { min, max }),
        _ => Ok(()),
    }
}

/// Whether all configs of one group may stand together, on a broker with these settings.
pub fn check_group_configs(
    configs: &BTreeMap<String, String>,
    layers: &Layers<'_>,
) -> Result<(), InvalidValue> {
    for (name, value) in configs {
        let key = group_key(name).ok_or_else(|| InvalidValue::UnknownGroupConfig(name.clone()))?;
        check_value(key, value)?;
    }
    let broker = |name: &'static str| -> Option<i64> {
        layers.broker_value(broker_key(name)?).0?.trim().parse().ok()
    };
    let number = |name: &'static str| -> Option<i64> {
        layers.group_value(Some(configs), group_key(name)?).0.trim().parse().ok()
    };
    const INTERVAL: &str = "consumer.heartbeat.interval.ms";
    const SESSION: &str = "consumer.session.timeout.ms";
    let limits = [
        (
            INTERVAL,
            "group.consumer.min.heartbeat.interval.ms",
            "group.consumer.max.heartbeat.interval.ms",
        ),
        (SESSION, "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
    ];
    for (name, least, most) in limits {
        if !configs.contains_key(name) {
            continue;
        }
        let refused = |relation, limit| Err(InvalidValue::GroupLimit { name, relation, limit });
        if number(name) < broker(least) {
            return refused("greater than or equal to", least);
        }
        if number(name) > broker(most) {
            return refused("less than or equal to", most);
        }
    }
    if !configs.is_empty() && number(SESSION) <= number(INTERVAL) {
        let (name, relation, limit) = (SESSION, "greater than", INTERVAL);
        return Err(InvalidValue::GroupLimit { name, relation, limit });
    }
    Ok(())
}

/// Whether a broker's config may have this value.
pub fn check_broker_value(name: &str, value: &str) -> Result<(), InvalidValue> {
    let key = broker_key(name).ok_or_else(|| InvalidValue::UnknownBrokerConfig(name.to_owned()))?;
    check_value(key, value)
}

/// The items of a list's text: what stands between commas, without the blanks around it.
pub(crate) fn list_items(value: &str) -> impl Iterator<Item = &str> {
    let value = value.trim();
    let parts = if value.is_empty() { None } else { Some(value.split(',').map(str::trim)) };
    parts.into_iter().flatten()
}

/// A value in the form in which it is kept and shown: no blanks around it, no list item twice.
pub(crate) fn canonical(key: Option<&ConfigKey>, value: &str) -> String {
    let trimmed = value.trim();
    match key.map(|key| key.kind) {
        Some(Kind::Boolean) => trimmed.to_ascii_lowercase(),
        Some(Kind::List) => {
            let mut items: Vec<&str> = Vec::new();
            for item in list_items(trimmed) {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            items.join(",")
        }
        Some(Kind::Int | Kind::Short | Kind::Long) => {
            trimmed.parse::<i64>().map_or_else(|_| value.to_owned(), |number| number.to_string())
        }
        Some(Kind::Double | Kind::String) | None => trimmed.to_owned(),
    }
}

fn check_value(key: &'static ConfigKey, value: &str) -> Result<(), InvalidValue> {
    if value.encode_utf16().count() > VALUE_UNITS_MAX {
        return Err(InvalidValue::TooLong);
    }
    let wrong = |reason: String| {
        Err(InvalidValue::Value { name: key.name, value: value.to_owned(), reason })
    };
    let number = value.trim();
    let not_a_number = || wrong(format!("Not a number of type {}", key.kind.name()));
    match key.kind {
        Kind::Boolean => {
            if number.eq_ignore_ascii_case("true") || number.eq_ignore_ascii_case("false") {
                Ok(())
            } else {
                wrong("Expected value to be either true or false".to_owned())
            }
        }
        Kind::String => match key.check {
            Check::OneOf(words) if !words.contains(&number) => wrong(one_of(words)),
            _ => Ok(()),
        },
        Kind::Short => match number.parse::<i16>() {
            Ok(short) => check_range(key.check, i64::from(short)).or_else(wrong),
            Err(_) => not_a_number(),
        },
        Kind::Int => match number.parse::<i32>() {
            Ok(int) => check_range(key.check, i64::from(int)).or_else(wrong),
            Err(_) => not_a_number(),
        },
        Kind::Long => match number.parse::<i64>() {
            Ok(long) => check_range(key.check, long).or_else(wrong),
            Err(_) => not_a_number(),
        },
        Kind::Double => match number.parse::<f64>() {
            Ok(double) if double.is_finite() => check_ratio(key.check, double).or_else(wrong),
            Ok(_) | Err(_) => not_a_number(),
        },
        Kind::List => check_list(key, value),
    }
}

fn check_list(key: &'static ConfigKey, value: &str) -> Result<(), InvalidValue> {
    let wrong =
        |value: String, reason: String| Err(InvalidValue::Value { name: key.name, value, reason });
    if list_items(value).any(str::is_empty) {
        return Err(InvalidValue::EmptyItem(key.name));
    }
    match key.check {
        Check::EachOf(words) => match list_items(value).find(|item| !words.contains(item)) {
            Some(item) => wrong(item.to_owned(), one_of(words)),
            None => Ok(()),
        },
        Check::ThrottledReplicas if !throttled_replicas(value) => {
            let items: Vec<_> = list_items(value).collect();
            wrong(
                format!("[{}]", items.join(", ")),
                format!(
                    "{} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    key.name
                ),
            )
        }
        _ => Ok(()),
    }
}

fn throttled_replicas(value: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    value.trim() == "*"
        || list_items(value).all(|item| {
            item.split_once(':').is_some_and(|(index, broker)| digits(index) && digits(broker))
        })
}

fn check_range(check: Check, number: i64) -> Result<(), String> {
    match check {
        Check::AtLeast(least) | Check::Between(least, _) if number < least => {
            Err(format!("Value must be at least {least}"))
        }
        Check::Between(_, most) if number > most => {
            Err(format!("Value must be no more than {most}"))
        }
        Check::BetweenOr(least, most, other)
            if !(least..=most).contains(&number) && number != other =>
        {
            Err(format!("Value must be between {least} and {most} or equal to {other}"))
        }
        _ => Ok(()),
    }
}

fn check_ratio(check: Check, number: f64) -> Result<(), String> {
    match check {
        Check::Between(least, _) if number < least as f64 => {
            Err(format!("Value must be at least {least}"))
        }
        Check::Between(_, most) if number > most as f64 => {
            Err(format!("Value must be no more than {most}"))
        }
        _ => Ok(()),
    }
}

fn one_of(words: &[&str]) -> String {
    format!("String must be one of: {}", words.join(", "))
}
