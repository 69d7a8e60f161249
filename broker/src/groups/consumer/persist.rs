//! A group as records of `__consumer_offsets`, and back.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use protocol::kafka::consumer_protocol::ConsumerProtocolSubscription;
use protocol::kafka::group_log::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataValue,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataValue,
    CurrentPartitions, GroupKey, GroupValue, TargetPartitions,
};
use protocol::reader::DecodeError;
use protocol::wire::EncodeError;
use protocol::{PartitionIndex, TopicId, TopicPartition};

use super::member::{Classic, Member, MemberState};
use super::{Consumer, Lines, Marks, MemberMarks, Now, Partitions};

const NAMES_FIT: &str = "names and partitions came from a request and fit a record";

impl MemberState {
    const fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Revoking => 1,
            Self::Waiting => 2,
        }
    }

    const fn new(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::Revoking,
            // It looks again at what it may have.
            _ => Self::Waiting,
        }
    }
}

impl Consumer {
    /// The records that are out of date, as they must be.
    pub(super) fn lines(&self, marks: &Marks) -> Lines {
        let mut lines = Lines::default();
        let group = self.id.as_ref();
        if marks.classic {
            lines.take_back(GroupKey::Group { group }).expect(NAMES_FIT);
        }
        for (id, marks) in &marks.members {
            self.add_member(&mut lines, id, *marks).expect(NAMES_FIT);
        }
        if marks.group {
            let value = ConsumerGroupMetadataValue {
                epoch: self.epoch,
                metadata_hash: self.fingerprint,
                creation_time_ms: self.created_ms,
            };
            add(&mut lines, GroupKey::ConsumerGroup { group }, &value).expect(NAMES_FIT);
        }
        if marks.target {
            let value = ConsumerGroupTargetAssignmentMetadataValue {
                assignment_epoch: self.target_epoch,
                ..ConsumerGroupTargetAssignmentMetadataValue::default()
            };
            add(&mut lines, GroupKey::Target { group }, &value).expect(NAMES_FIT);
        }
        lines
    }

    fn add_member(
        &self,
        lines: &mut Lines,
        member_id: &str,
        marks: MemberMarks,
    ) -> Result<(), EncodeError> {
        let (group, member) = (self.id.as_ref(), member_id);
        let Some(known) = self.members.get(member_id) else {
            lines.take_back(GroupKey::CurrentMember { group, member })?;
            lines.take_back(GroupKey::TargetMember { group, member })?;
            return lines.take_back(GroupKey::Member { group, member });
        };
        if marks.description {
            let value = ConsumerGroupMemberMetadataValue {
                instance_id: known.instance_id.as_deref(),
                rack_id: known.rack_id.as_deref(),
                client_id: &known.client_id,
                client_host: &known.client_host,
                subscribed_topic_names: known.names.iter().map(AsRef::as_ref).collect(),
                subscribed_topic_regex: known.expression.as_deref(),
                rebalance_timeout_ms: i32::try_from(known.rebalance_timeout.as_millis())
                    .unwrap_or(i32::MAX),
                server_assignor: known.assignor.as_deref(),
                classic_member_metadata: known.classic.as_ref().map(Classic::record),
            };
            add(lines, GroupKey::Member { group, member }, &value)?;
        }
        if marks.target {
            let topic_partitions = by_topic(&known.target)
                .map(|(topic_id, partitions)| TargetPartitions { topic_id, partitions });
            let value = ConsumerGroupTargetAssignmentMemberValue {
                topic_partitions: topic_partitions.collect(),
            };
            add(lines, GroupKey::TargetMember { group, member }, &value)?;
        }
        if marks.current {
            let value = ConsumerGroupCurrentMemberAssignmentValue {
                member_epoch: known.epoch,
                previous_member_epoch: known.previous_epoch,
                state: known.state.code(),
                assigned_partitions: current(&known.assigned),
                partitions_pending_revocation: current(&known.revoking),
            };
            add(lines, GroupKey::CurrentMember { group, member }, &value)?;
        }
        Ok(())
    }

    /// Everything that the log may hold of a group without members, taken back.
    ///
    /// # Errors
    /// A name is longer than a record can carry; but then none was written.
    pub(crate) fn take_back(&self, lines: &mut Lines) -> Result<(), EncodeError> {
        let group = self.id.as_ref();
        for member in self.unwritten.members.keys() {
            self.add_member(lines, member, MemberMarks::default())?;
        }
        if self.unwritten.classic {
            lines.take_back(GroupKey::Group { group })?;
        }
        lines.take_back(GroupKey::Target { group })?;
        lines.take_back(GroupKey::ConsumerGroup { group })
    }

    /// Takes in one record of the log. When all have been, [`Self::restored`] makes a group of them.
    ///
    /// # Errors
    /// The value is not what its key says.
    pub(crate) fn replay(
        &mut self,
        about: GroupKey<'_>,
        value: Option<&[u8]>,
    ) -> Result<(), DecodeError> {
        match about {
            GroupKey::ConsumerGroup { .. } => {
                let value = value.map(ConsumerGroupMetadataValue::read).transpose()?;
                let value = value.unwrap_or_default();
                self.epoch = value.epoch;
                self.fingerprint = value.metadata_hash;
                if value.creation_time_ms >= 0 {
                    self.created_ms = value.creation_time_ms;
                }
            }
            GroupKey::Target { .. } => {
                let value = value.map(ConsumerGroupTargetAssignmentMetadataValue::read);
                self.target_epoch = value.transpose()?.unwrap_or_default().assignment_epoch;
            }
            GroupKey::Member { member, .. } => match value {
                Some(value) => {
                    let value = ConsumerGroupMemberMetadataValue::read(value)?;
                    self.entry(member).describe(&value);
                }
                None => {
                    self.members.remove(member);
                }
            },
            GroupKey::TargetMember { member, .. } => match value {
                Some(value) => {
                    let value = ConsumerGroupTargetAssignmentMemberValue::read(value)?;
                    let all = value.topic_partitions.iter();
                    self.entry(member).target =
                        partitions(all.map(|one| (one.topic_id, one.partitions.as_slice())));
                }
                None => {
                    if let Some(member) = self.members.get_mut(member) {
                        member.target = Partitions::new();
                    }
                }
            },
            GroupKey::CurrentMember { member, .. } => {
                let Some(value) = value else { return Ok(()) };
                let value = ConsumerGroupCurrentMemberAssignmentValue::read(value)?;
                let member = self.entry(member);
                member.epoch = value.member_epoch;
                member.previous_epoch = value.previous_member_epoch;
                member.state = MemberState::new(value.state);
                member.assigned = held(&value.assigned_partitions);
                member.revoking = held(&value.partitions_pending_revocation);
            }
            GroupKey::Offset { .. }
            | GroupKey::Group { .. }
            | GroupKey::PartitionMetadata { .. }
            | GroupKey::RegularExpression { .. }
            | GroupKey::Unknown(_) => {}
        }
        Ok(())
    }

    fn entry(&mut self, id: &str) -> &mut Member {
        if !self.members.contains_key(id) {
            self.members.insert(Rc::from(id), Member::new());
        }
        self.members.get_mut(id).expect("it was put there just now")
    }

    /// All records have been taken in. The members have a whole session to be heard from again.
    pub(crate) fn restored(&mut self, now: Now) {
        self.unwritten = Marks::default();
        // Who was never described is nobody.
        let nobody = |member: &Member| member.rebalance_timeout.is_zero();
        let nobodies: Vec<Rc<str>> = self
            .members
            .iter()
            .filter(|(_, member)| nobody(member))
            .map(|(id, _)| Rc::clone(id))
            .collect();
        for id in nobodies {
            self.members.remove(&id);
            self.unwritten.member(&id).description = true;
        }
        for (id, member) in &mut self.members {
            if let Some(name) = &member.instance_id {
                self.statics.insert(Rc::clone(name), Rc::clone(id));
            }
            // A log that others wrote may give a partition to two. The first keeps it, and the other waits for it.
            let mut own = |partition: &TopicPartition| {
                let owner = self.owners.entry(*partition).or_insert_with(|| Rc::clone(id));
                *owner == *id
            };
            let all = member.assigned.len();
            member.assigned.retain(&mut own);
            member.revoking.retain(&mut own);
            if member.assigned.len() < all && member.state == MemberState::Stable {
                member.state = MemberState::Waiting;
            }
            let session = member.session_timeout();
            member.deadline = now.at + session.unwrap_or(self.rules.session);
            if member.state == MemberState::Revoking && member.classic.is_none() {
                member.revoke_until = Some(now.at + member.rebalance_timeout);
            }
        }
        self.expect_expressions();
        self.empty_since_ms = now.wall_ms;
        self.seen = None;
        self.wake_at = self.next_due();
        if self.is_ready_to_be_classic() {
            // It was to become a classic group before the end.
            self.wake_at = now.at;
        }
    }

    /// Whether the log knows of such a group.
    pub(crate) fn is_known(&self) -> bool {
        self.epoch != 0 || !self.members.is_empty()
    }
}

impl Member {
    fn describe(&mut self, value: &ConsumerGroupMemberMetadataValue<'_>) {
        self.instance_id = value.instance_id.map(Rc::from);
        self.rack_id = value.rack_id.map(Rc::from);
        self.client_id = Rc::from(value.client_id);
        self.client_host = Rc::from(value.client_host);
        self.names = value.subscribed_topic_names.iter().map(|name| Rc::from(*name)).collect();
        self.names.sort_unstable();
        self.expression =
            value.subscribed_topic_regex.filter(|text| !text.is_empty()).map(Rc::from);
        let millis = u64::try_from(value.rebalance_timeout_ms).unwrap_or(0);
        // Zero stands for a member that was never described.
        self.rebalance_timeout = Duration::from_millis(millis.max(1));
        self.assignor = value.server_assignor.map(Rc::from);
        self.classic = value.classic_member_metadata.as_ref().map(Classic::restore);
    }
}

impl Classic {
    fn record(&self) -> ClassicMemberMetadata<'_> {
        ClassicMemberMetadata {
            session_timeout_ms: i32::try_from(self.session_timeout.as_millis()).unwrap_or(i32::MAX),
            supported_protocols: self
                .protocols
                .iter()
                .map(|(name, metadata)| ClassicProtocol { name, metadata })
                .collect(),
        }
    }

    fn restore(value: &ClassicMemberMetadata<'_>) -> Self {
        let millis = u64::try_from(value.session_timeout_ms).unwrap_or(0);
        let protocols = value.supported_protocols.iter();
        let protocols: Vec<_> = protocols
            .map(|one| (Rc::from(one.name), Bytes::copy_from_slice(one.metadata)))
            .collect();
        let first = protocols.first().map(|(_, metadata): &(Rc<str>, Bytes)| metadata.as_ref());
        let told = ConsumerProtocolSubscription::read(first.unwrap_or_default());
        Self {
            session_timeout: Duration::from_millis(millis),
            version: told.map_or(0, |(version, _)| version),
            protocols,
            act_until: None,
        }
    }
}

fn add<'a>(
    lines: &mut Lines,
    about: GroupKey<'_>,
    value: &impl GroupValue<'a>,
) -> Result<(), EncodeError> {
    lines.add(about, Some(|into: &mut Vec<u8>| value.write(into)))
}

/// The partitions of each topic.
pub(crate) fn by_topic(partitions: &Partitions) -> impl Iterator<Item = (TopicId, Vec<i32>)> {
    let mut rest = partitions.iter().peekable();
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let mut indexes = vec![first.index.get()];
        while let Some(next) = rest.next_if(|next| next.topic == first.topic) {
            indexes.push(next.index.get());
        }
        Some((first.topic, indexes))
    })
}

/// The other way round. What cannot be a partition is none.
pub(crate) fn partitions<'a>(topics: impl Iterator<Item = (TopicId, &'a [i32])>) -> Partitions {
    let one = |(topic, indexes): (TopicId, &'a [i32])| {
        let indexes = indexes.iter().filter_map(|index| PartitionIndex::new(*index));
        indexes.map(move |index| TopicPartition { topic, index })
    };
    topics.flat_map(one).collect()
}

fn current(partitions: &Partitions) -> Vec<CurrentPartitions> {
    by_topic(partitions)
        .map(|(topic_id, partitions)| CurrentPartitions {
            topic_id,
            partitions,
            assignment_epochs: None,
        })
        .collect()
}

fn held(topics: &[CurrentPartitions]) -> Partitions {
    partitions(topics.iter().map(|one| (one.topic_id, one.partitions.as_slice())))
}
