//! The records of KIP-848 groups.

use super::GroupValue;
use crate::ids::TopicId;

crate::message! {
    /// A KIP-848 group.
    struct ConsumerGroupMetadataValue {
        /// Its epoch.
        epoch: i32, in 0..;
    } tagged {
        /// A hash over the topics it reads; 0 if unknown.
        0 => metadata_hash: i64, in 0..;
        /// When it was created, in milliseconds, or -1.
        1 => creation_time_ms: i64 = -1, in 0..;
    }

    /// The topics a group reads. Kafka 4.1 and later only delete these.
    struct ConsumerGroupPartitionMetadataValue<'a> {
        /// One entry for each topic.
        topics: Vec<TopicMetadata<'a>>, in 0.., capped Topics;
    }

    /// One topic as it was when the group last looked.
    struct TopicMetadata<'a> {
        /// The topic, by id.
        topic_id: TopicId, in 0..;
        /// The topic, by name.
        topic_name: &'a str, in 0..;
        /// How many partitions it had.
        num_partitions: i32, in 0..;
        /// Where its replicas stood.
        partition_metadata: Vec<PartitionRacks<'a>>, in 0.., capped Partitions;
    }

    /// The racks of one partition.
    struct PartitionRacks<'a> {
        /// The partition.
        partition: i32, in 0..;
        /// The racks.
        racks: Vec<&'a str>, in 0..;
    }

    /// A member and what it told of itself.
    struct ConsumerGroupMemberMetadataValue<'a> {
        /// The name by which a static member comes back.
        instance_id: Option<&'a str>, in 0..;
        /// The rack it stands in.
        rack_id: Option<&'a str>, in 0..;
        /// What the client calls itself.
        client_id: &'a str, in 0..;
        /// Where it connects from.
        client_host: &'a str, in 0..;
        /// The topics it reads.
        subscribed_topic_names: Vec<&'a str>, in 0.., capped Topics;
        /// The topics it reads, as a regular expression.
        subscribed_topic_regex: Option<&'a str>, in 0..;
        /// How long it may take to give partitions back, in milliseconds.
        rebalance_timeout_ms: i32 = -1, in 0..;
        /// The assignor it wants.
        server_assignor: Option<&'a str>, in 0..;
    } tagged {
        /// What a member of the classic protocol brought along.
        0 => classic_member_metadata: Option<ClassicMemberMetadata<'a>>, in 0..;
    }

    /// A member that speaks the classic protocol in a KIP-848 group.
    struct ClassicMemberMetadata<'a> {
        /// A member that is silent for longer is dead, in milliseconds.
        session_timeout_ms: i32, in 0..;
        /// The protocols it knows.
        supported_protocols: Vec<ClassicProtocol<'a>>, in 0..;
    }

    /// One protocol of a classic member.
    struct ClassicProtocol<'a> {
        /// Its name.
        name: &'a str, in 0..;
        /// What the member sent for it.
        metadata: &'a [u8], in 0..;
    }

    /// The epoch of a group's target assignment.
    struct ConsumerGroupTargetAssignmentMetadataValue {
        /// The epoch.
        assignment_epoch: i32, in 0..;
    } tagged {
        /// When it was worked out, in milliseconds.
        0 => assignment_timestamp: i64, in 0.., else ignored;
    }

    /// What a member shall hold.
    struct ConsumerGroupTargetAssignmentMemberValue {
        /// One entry for each topic.
        topic_partitions: Vec<TargetPartitions>, in 0.., capped Topics;
    }

    /// Partitions of one topic that a member shall hold.
    struct TargetPartitions {
        /// The topic.
        topic_id: TopicId, in 0..;
        /// The partitions.
        partitions: Vec<i32>, in 0.., capped Partitions;
    }

    /// What a member holds.
    struct ConsumerGroupCurrentMemberAssignmentValue {
        /// Its epoch.
        member_epoch: i32, in 0..;
        /// The epoch before, in case the last answer was lost.
        previous_member_epoch: i32, in 0..;
        /// 0 stable, 1 must give partitions back, 2 waits for partitions that others hold, 127 unknown.
        state: i8, in 0..;
        /// What it may read.
        assigned_partitions: Vec<CurrentPartitions>, in 0.., capped Topics;
        /// What it must give back.
        partitions_pending_revocation: Vec<CurrentPartitions>, in 0.., capped Topics;
    }

    /// Partitions of one topic that a member holds.
    struct CurrentPartitions {
        /// The topic.
        topic_id: TopicId, in 0..;
        /// The partitions.
        partitions: Vec<i32>, in 0.., capped Partitions;
    } tagged {
        /// The epoch in which each of them was assigned, if known (KIP-1251).
        0 => assignment_epochs: Option<Vec<i32>>, in 0.., capped Partitions;
    }

    /// The topics that a regular expression found.
    struct ConsumerGroupRegularExpressionValue<'a> {
        /// The topics.
        topics: Vec<&'a str>, in 0.., capped Topics;
        /// The version of the metadata in which they were found.
        version: i64, in 0..;
        /// When, in milliseconds.
        timestamp: i64, in 0..;
    }
}

macro_rules! values {
    ($($name:ident $(<$life:lifetime>)?;)*) => {$(
        impl<'a> GroupValue<'a> for $name $(<$life>)? {
            const NEWEST: i16 = 0;
            const WRITTEN: i16 = 0;
            const FLEXIBLE_FROM: i16 = 0;
        }
    )*};
}

values! {
    ConsumerGroupMetadataValue;
    ConsumerGroupPartitionMetadataValue<'a>;
    ConsumerGroupMemberMetadataValue<'a>;
    ConsumerGroupTargetAssignmentMetadataValue;
    ConsumerGroupTargetAssignmentMemberValue;
    ConsumerGroupCurrentMemberAssignmentValue;
    ConsumerGroupRegularExpressionValue<'a>;
}
