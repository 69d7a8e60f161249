//! The table of Kafka APIs: key, name, the versions served and advertised, and the first flexible one.

use std::fmt;
use std::ops::RangeInclusive;

use crate::wire::Version;

macro_rules! apis {
    ($($(#[$meta:meta])* $key:literal $name:ident serves $served:expr, advertises $advertised:expr, flexible from $flexible:expr;)*) => {
        /// One kind of request, named by its number on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum Api {
            $(
                $(#[$meta])*
                #[doc = concat!("\n\nKey ", $key, ", versions `", stringify!($served), "`.")]
                $name = $key,
            )*
        }

        impl Api {
            /// Every API that this crate speaks, by key.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The API of this key, if this crate speaks it.
            pub const fn new(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The versions that are decoded and answered.
            pub const fn served(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $served,)*
                }
            }

            /// The versions to put into an ApiVersions response.
            pub const fn advertised(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $advertised,)*
                }
            }

            /// The first version with compact lengths and tag sections (KIP-482).
            pub const fn first_flexible(self) -> i16 {
                match self {
                    $(Self::$name => $flexible,)*
                }
            }
        }
    };
}

apis! {
    /// Append record batches to partitions. Versions 0 to 2 are advertised and never served: librdkafka takes their
    /// absence for a broker that cannot do compression.
    0 Produce serves 3..=13, advertises 0..=13, flexible from 9;
    /// Read record batches from partitions.
    1 Fetch serves 4..=18, advertises 4..=18, flexible from 12;
    /// Find the offset that stands for a time, the beginning or the end.
    2 ListOffsets serves 1..=11, advertises 1..=11, flexible from 6;
    /// Describe brokers, topics and partitions.
    3 Metadata serves 0..=13, advertises 0..=13, flexible from 9;
    /// Remember how far a group has read.
    8 OffsetCommit serves 2..=10, advertises 2..=10, flexible from 8;
    /// Find how far a group has read.
    9 OffsetFetch serves 1..=10, advertises 1..=10, flexible from 6;
    /// Find the home of a group or a transactional id.
    10 FindCoordinator serves 0..=6, advertises 0..=6, flexible from 3;
    /// Become a member of a group.
    11 JoinGroup serves 0..=9, advertises 0..=9, flexible from 6;
    /// Stay a member of a group.
    12 Heartbeat serves 0..=4, advertises 0..=4, flexible from 4;
    /// Members of a group go.
    13 LeaveGroup serves 0..=5, advertises 0..=5, flexible from 4;
    /// Hand out and receive the work of a generation.
    14 SyncGroup serves 0..=5, advertises 0..=5, flexible from 4;
    /// Describe classic groups.
    15 DescribeGroups serves 0..=6, advertises 0..=6, flexible from 5;
    /// List groups.
    16 ListGroups serves 0..=5, advertises 0..=5, flexible from 3;
    /// List the APIs and versions that the broker speaks.
    18 ApiVersions serves 0..=4, advertises 0..=4, flexible from 3;
    /// Create topics.
    19 CreateTopics serves 2..=7, advertises 2..=7, flexible from 5;
    /// Delete topics.
    20 DeleteTopics serves 1..=6, advertises 1..=6, flexible from 4;
    /// Raise the log start offset of partitions.
    21 DeleteRecords serves 0..=2, advertises 0..=2, flexible from 2;
    /// Give a producer its id and epoch.
    22 InitProducerId serves 0..=5, advertises 0..=5, flexible from 2;
    /// Find where a leader's epoch ended.
    23 OffsetForLeaderEpoch serves 2..=4, advertises 2..=4, flexible from 4;
    /// Describe settings.
    32 DescribeConfigs serves 1..=4, advertises 1..=4, flexible from 4;
    /// Replace all settings of a resource.
    33 AlterConfigs serves 0..=2, advertises 0..=2, flexible from 2;
    /// Tell how large partitions are on disk.
    35 DescribeLogDirs serves 1..=5, advertises 1..=5, flexible from 2;
    /// Give topics more partitions.
    37 CreatePartitions serves 0..=3, advertises 0..=3, flexible from 2;
    /// Forget groups.
    42 DeleteGroups serves 0..=2, advertises 0..=2, flexible from 2;
    /// Change single settings.
    44 IncrementalAlterConfigs serves 0..=1, advertises 0..=1, flexible from 1;
    /// Forget offsets of a group.
    47 OffsetDelete serves 0..=0, advertises 0..=0, flexible from i16::MAX;
    /// Describe the brokers and the cluster.
    60 DescribeCluster serves 0..=2, advertises 0..=2, flexible from 0;
    /// Describe the producers that partitions remember.
    61 DescribeProducers serves 0..=0, advertises 0..=0, flexible from 0;
    /// Join, stay in or leave a KIP-848 group.
    68 ConsumerGroupHeartbeat serves 0..=1, advertises 0..=1, flexible from 0;
    /// Describe KIP-848 groups.
    69 ConsumerGroupDescribe serves 0..=1, advertises 0..=1, flexible from 0;
    /// List the resources that have settings.
    74 ListConfigResources serves 0..=1, advertises 0..=1, flexible from 0;
    /// Describe topics in pages.
    75 DescribeTopicPartitions serves 0..=0, advertises 0..=0, flexible from 0;
}

impl Api {
    /// The number on the wire.
    pub const fn key(self) -> i16 {
        self as i16
    }

    /// How messages of this version are written; `None` if the version is not served.
    pub fn version(self, number: i16) -> Option<Version> {
        self.served().contains(&number).then(|| self.encoding(number))
    }

    /// The newest version served.
    pub const fn newest(self) -> Version {
        self.encoding(*self.served().end())
    }

    const fn encoding(self, number: i16) -> Version {
        Version { number, flexible: number >= self.first_flexible() }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
