//! DescribeLogDirs (key 35): how large partitions are on disk.
//!
//! Served in versions 1 to 5. 2 flexible; 3 an error for the whole answer; 4 volume size; 5 cordoned directories.

use crate::error_code::ErrorCode;

crate::message! {
    /// Which partitions' sizes are wanted.
    struct DescribeLogDirsRequest<'a> {
        /// The topics; null for all.
        topics: Option<Vec<DescribableLogDirTopic<'a>>>, in 0.., capped Topics;
    }

    /// One topic.
    struct DescribableLogDirTopic<'a> {
        /// The topic, by name.
        topic: &'a str, in 0..;
        /// Its partitions.
        partitions: Vec<i32>, in 0.., capped Partitions;
    }

    /// The log directories and what is in them.
    struct DescribeLogDirsResponse<'a> {
        /// How long the client was held back because of a quota, in milliseconds.
        throttle_time_ms: i32, in 0..;
        /// What went wrong, if anything.
        error_code: ErrorCode, in 3.., else ignored;
        /// One entry for each log directory.
        results: Vec<DescribeLogDirsResult<'a>>, in 0..;
    }

    /// One log directory.
    struct DescribeLogDirsResult<'a> {
        /// What went wrong, if anything.
        error_code: ErrorCode, in 0..;
        /// Its absolute path.
        log_dir: &'a str, in 0..;
        /// One entry for each topic.
        topics: Vec<DescribeLogDirsTopic<'a>>, in 0.., capped Topics;
        /// How large its volume is, or -1.
        total_bytes: i64 = -1, in 4.., else ignored;
        /// How much of it is free, or -1.
        usable_bytes: i64 = -1, in 4.., else ignored;
        /// Whether it takes no new partitions (KIP-1066).
        is_cordoned: bool, in 5.., else ignored;
    }

    /// One topic in a log directory.
    struct DescribeLogDirsTopic<'a> {
        /// The topic, by name.
        name: &'a str, in 0..;
        /// One entry for each partition.
        partitions: Vec<DescribeLogDirsPartition>, in 0.., capped Partitions;
    }

    /// One partition in a log directory.
    struct DescribeLogDirsPartition {
        /// The partition.
        partition_index: i32, in 0..;
        /// How many bytes its segments have.
        partition_size: i64, in 0..;
        /// How many records it is behind.
        offset_lag: i64, in 0..;
        /// Whether it is a copy that will replace the one in another directory.
        is_future_key: bool, in 0..;
    }
}
