//! Topic, broker and group configs: their names, defaults, limits and meaning, and which of several settings counts.
//!
//! The names, types, defaults, ranges and messages are Kafka's (4.3), so that tools which read a config back and
//! compare it find what they wrote. What a topic does not set comes from the broker, under the broker's name for it: a
//! topic's `retention.ms` is a broker's `log.retention.ms`, or its `log.retention.hours`.

/// Writes a table: `name: kind = default, check, change, listing below [broker's config * scale, ...] => doc;`
macro_rules! keys {
    (@default null) => { None };
    (@default $text:literal) => { Some($text) };
    (
        $(#[$about:meta])* $table:ident;
        $(
            $name:literal: $kind:ident = $default:tt, $check:ident $(($($limit:expr),*))?, $change:ident, $listing:ident
                $(below [$($below:literal * $scale:literal),*])? => $doc:literal;
        )*
    ) => {
        $(#[$about])*
        pub static $table: &[$crate::metadata::config::ConfigKey] = &[$(
            $crate::metadata::config::ConfigKey {
                name: $name,
                kind: $crate::metadata::config::Kind::$kind,
                default: keys!(@default $default),
                check: $crate::metadata::config::Check::$check $(($($limit),*))?,
                synonyms: &[$($(
                    $crate::metadata::config::Synonym { name: $below, scale: $scale },
                )*)?],
                change: $crate::metadata::config::Change::$change,
                listing: $crate::metadata::config::Listing::$listing,
                doc: $doc,
            },
        )*];
    };
}
mod broker_table;
mod group_table;
mod layers;
mod topic_config;
mod topic_table;
mod value;

pub use broker_table::BROKER_CONFIGS;
pub use group_table::GROUP_CONFIGS;
pub use layers::{Described, DescribedSynonym, Layers};
pub use topic_config::{Cleanup, CompressionType, TimestampType, TopicConfig};
pub use topic_table::TOPIC_CONFIGS;
pub use value::{
    InvalidValue, check_broker_value, check_group_configs, check_topic_configs, check_topic_value,
};
pub(crate) use value::{canonical, list_items};

/// The longest value of one config, in UTF-16 units as Kafka counts.
pub const VALUE_UNITS_MAX: usize = 32_767;

/// One config that a topic, a broker or a group knows.
#[derive(Debug)]
pub struct ConfigKey {
    /// Its name on the wire.
    pub name: &'static str,
    /// The shape of its values.
    pub kind: Kind,
    /// What counts if nobody sets it; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// Which values of that shape are allowed.
    pub check: Check,
    /// For a topic's or a group's config, the broker's configs that stand below it; the first that is set counts.
    pub synonyms: &'static [Synonym],
    /// Whether and where it can be changed while the broker runs.
    pub change: Change,
    /// Whether it is listed when nobody has set it.
    pub listing: Listing,
    /// What it does here, in a sentence. Says so if it is accepted and has no effect.
    pub doc: &'static str,
}

impl PartialEq for ConfigKey {
    /// Two entries of the tables are one config if they have one name.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The shape of a config's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// A signed 32-bit number.
    Int,
    /// A signed 16-bit number.
    Short,
    /// A signed 64-bit number.
    Long,
    /// A floating-point number.
    Double,
    /// Texts between commas.
    List,
}

impl Kind {
    /// The number of the type in a DescribeConfigs response (KIP-569).
    pub const fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }

    /// Kafka's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
        }
    }
}

/// Which values of the right shape are allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    /// All of them.
    Any,
    /// A number not below this.
    AtLeast(i64),
    /// A number in this range, both ends included.
    Between(i64, i64),
    /// A number in this range, both ends included, or this one beside it.
    BetweenOr(i64, i64, i64),
    /// One of these words, written exactly so.
    OneOf(&'static [&'static str]),
    /// Every item of the list is one of these.
    EachOf(&'static [&'static str]),
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
}

/// A broker's config that stands below a topic's, and how its unit compares.
#[derive(Debug, Clone, Copy)]
pub struct Synonym {
    /// The broker's config.
    pub name: &'static str,
    /// What its number is multiplied with to get the topic's; negative numbers are taken as -1.
    pub scale: i64,
}

/// Where a config can be changed while the broker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nowhere: it is read once, at start.
    Static,
    /// On one broker or on all.
    Dynamic,
    /// On one broker only.
    PerBroker,
}

/// When a config is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Always, with its default if nobody set it.
    Always,
    /// Only where somebody set it: a name of the past that old tools still send, or one that Kafka keeps beside its own.
    WhenSet,
}

/// Where the value that counts was set (the numbers of DescribeConfigs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Source {
    /// On the topic.
    DynamicTopic = 1,
    /// On this broker, while it ran.
    DynamicBroker = 2,
    /// On all brokers, while they ran.
    DynamicDefaultBroker = 3,
    /// In this broker's configuration at start.
    StaticBroker = 4,
    /// Nowhere.
    Default = 5,
    /// On the group.
    DynamicGroup = 8,
}

impl Source {
    /// The number on the wire.
    pub const fn code(self) -> i8 {
        self as i8
    }
}

/// The config of a topic with this name, if there is one.
pub fn topic_key(name: &str) -> Option<&'static ConfigKey> {
    find(TOPIC_CONFIGS, name)
}

/// The config of a broker with this name, if there is one.
pub fn broker_key(name: &str) -> Option<&'static ConfigKey> {
    find(BROKER_CONFIGS, name)
}

/// The config of a group with this name, if there is one.
pub fn group_key(name: &str) -> Option<&'static ConfigKey> {
    find(GROUP_CONFIGS, name)
}

/// The tables are sorted by name (a test holds them to it).
fn find(table: &'static [ConfigKey], name: &str) -> Option<&'static ConfigKey> {
    table.binary_search_by(|key| key.name.cmp(name)).ok().and_then(|at| table.get(at))
}

#[cfg(test)]
mod tests;
