//! Every config a topic has, sorted by name.

keys! {
    /// Every config a topic has, sorted by name.
    TOPIC_CONFIGS;
    "cleanup.policy": List = "delete", EachOf(&["compact", "delete"]), Dynamic, Always below ["log.cleanup.policy" * 1]
        => "What becomes of old records: `delete` drops whole segments by age and size, `compact` keeps the newest record of each key, an empty list keeps everything.";
    "compression.gzip.level": Int = "-1", BetweenOr(1, 9, -1), Dynamic, Always below ["compression.gzip.level" * 1]
        => "How hard gzip tries when the broker compresses for `compression.type=gzip`; -1 is the library's own choice.";
    "compression.lz4.level": Int = "9", Between(1, 17), Dynamic, Always below ["compression.lz4.level" * 1]
        => "Accepted for compatibility and without effect: lz4 has one level here.";
    "compression.type": String = "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Dynamic, Always below ["compression.type" * 1]
        => "The codec in which batches are kept; `producer` keeps each as it came.";
    "compression.zstd.level": Int = "3", Between(-131_072, 22), Dynamic, Always below ["compression.zstd.level" * 1]
        => "How hard zstd tries when the broker compresses for `compression.type=zstd`.";
    "delete.retention.ms": Long = "86400000", AtLeast(0), Dynamic, Always below ["log.cleaner.delete.retention.ms" * 1]
        => "How long a tombstone of a compacted topic stays readable, in milliseconds.";
    "file.delete.delay.ms": Long = "60000", AtLeast(0), Dynamic, Always below ["log.segment.delete.delay.ms" * 1]
        => "Accepted for compatibility and without effect: readers hold what they read, so a file can go at once.";
    "flush.messages": Long = "9223372036854775807", AtLeast(1), Dynamic, Always below ["log.flush.interval.messages" * 1]
        => "After how many records a sync is due at the latest. Every acknowledged record is on disk already, so any value is met.";
    "flush.ms": Long = "9223372036854775807", AtLeast(0), Dynamic, Always below ["log.flush.interval.ms" * 1, "log.flush.scheduler.interval.ms" * 1]
        => "After how many milliseconds a sync is due at the latest. Every acknowledged record is on disk already, so any value is met.";
    "follower.replication.throttled.replicas": List = "", ThrottledReplicas, Dynamic, Always
        => "Replicas whose followers are held to the throttled rate: `partition:broker` items or `*` for all.";
    "index.interval.bytes": Int = "4096", AtLeast(0), Dynamic, Always below ["log.index.interval.bytes" * 1]
        => "Accepted for compatibility and without effect: the log chooses how dense its index is.";
    "leader.replication.throttled.replicas": List = "", ThrottledReplicas, Dynamic, Always
        => "Replicas whose leaders are held to the throttled rate: `partition:broker` items or `*` for all.";
    "local.retention.bytes": Long = "-2", AtLeast(-2), Dynamic, Always below ["log.local.retention.bytes" * 1]
        => "Accepted for compatibility and without effect: there is no tiered storage, so local size is `retention.bytes`.";
    "local.retention.ms": Long = "-2", AtLeast(-2), Dynamic, Always below ["log.local.retention.ms" * 1]
        => "Accepted for compatibility and without effect: there is no tiered storage, so local age is `retention.ms`.";
    "max.compaction.lag.ms": Long = "9223372036854775807", AtLeast(1), Dynamic, Always below ["log.cleaner.max.compaction.lag.ms" * 1]
        => "How long a record of a compacted topic may stay uncompacted, in milliseconds.";
    "max.message.bytes": Int = "1048588", AtLeast(0), Dynamic, Always below ["message.max.bytes" * 1]
        => "The largest record batch that is taken, in bytes, after compression and with its 61 bytes of header.";
    "message.downconversion.enable": Boolean = "true", Any, Dynamic, WhenSet
        => "Accepted for compatibility and without effect: Kafka 4.0 removed the old formats it was about.";
    "message.format.version": String = "3.0-IV1", Any, Dynamic, WhenSet
        => "Accepted for compatibility and without effect: there is one record format, magic 2.";
    "message.timestamp.after.max.ms": Long = "3600000", AtLeast(0), Dynamic, Always below ["log.message.timestamp.after.max.ms" * 1]
        => "How far a record's own timestamp may lie ahead of the broker's clock, in milliseconds; only for `CreateTime`.";
    "message.timestamp.before.max.ms": Long = "9223372036854775807", AtLeast(0), Dynamic, Always below ["log.message.timestamp.before.max.ms" * 1]
        => "How far a record's own timestamp may lie behind the broker's clock, in milliseconds; only for `CreateTime`.";
    "message.timestamp.type": String = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Dynamic, Always below ["log.message.timestamp.type" * 1]
        => "Whether a record's timestamp is the producer's or the moment of the append.";
    "min.cleanable.dirty.ratio": Double = "0.5", Between(0, 1), Dynamic, Always below ["log.cleaner.min.cleanable.ratio" * 1]
        => "How much of a compacted log must be uncompacted before it is worth a pass.";
    "min.compaction.lag.ms": Long = "0", AtLeast(0), Dynamic, Always below ["log.cleaner.min.compaction.lag.ms" * 1]
        => "How long a record of a compacted topic stays uncompacted at least, in milliseconds.";
    "min.insync.replicas": Int = "1", AtLeast(1), Dynamic, Always below ["min.insync.replicas" * 1]
        => "How many replicas must be in sync for a write with acks=all to be taken.";
    "preallocate": Boolean = "false", Any, Dynamic, Always below ["log.preallocate" * 1]
        => "Accepted for compatibility and without effect: segments always get their space when they begin.";
    "remote.log.copy.disable": Boolean = "false", Any, Dynamic, Always
        => "Accepted for compatibility and without effect: there is no tiered storage.";
    "remote.log.delete.on.disable": Boolean = "false", Any, Dynamic, Always
        => "Accepted for compatibility and without effect: there is no tiered storage.";
    "remote.storage.enable": Boolean = "false", Any, Dynamic, Always
        => "Whether old segments move to remote storage. There is none yet: only `false` is taken.";
    "retention.bytes": Long = "-1", Any, Dynamic, Always below ["log.retention.bytes" * 1]
        => "How large a partition may grow before its oldest segments go, in bytes; -1 sets no limit. The newest segment stays.";
    "retention.ms": Long = "604800000", AtLeast(-1), Dynamic, Always below ["log.retention.ms" * 1, "log.retention.minutes" * 60_000, "log.retention.hours" * 3_600_000]
        => "How old a segment's newest record may be before the segment goes, in milliseconds; -1 sets no limit.";
    "segment.bytes": Int = "1073741824", AtLeast(1_048_576), Dynamic, Always below ["log.segment.bytes" * 1]
        => "The size at which a new segment begins, in bytes.";
    "segment.index.bytes": Int = "10485760", AtLeast(4), Dynamic, Always below ["log.index.size.max.bytes" * 1]
        => "Accepted for compatibility and without effect: the index of a segment has the size it needs.";
    "segment.jitter.ms": Long = "0", AtLeast(0), Dynamic, Always below ["log.roll.jitter.ms" * 1, "log.roll.jitter.hours" * 3_600_000]
        => "The most by which a segment's age limit is shortened at random, so that not all begin anew at once, in milliseconds.";
    "segment.ms": Long = "604800000", AtLeast(1), Dynamic, Always below ["log.roll.ms" * 1, "log.roll.hours" * 3_600_000]
        => "The age at which a new segment begins even if the old one is not full, in milliseconds.";
    "unclean.leader.election.enable": Boolean = "false", Any, Dynamic, Always below ["unclean.leader.election.enable" * 1]
        => "Whether a replica that is not in sync may lead when nobody else can, losing records.";
}
