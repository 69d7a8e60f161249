//! A classic group of consumers with its members becomes one of KIP-848, and back (KIP-848, "Upgrade and downgrade").

use std::rc::Rc;

use protocol::kafka::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use protocol::kafka::group_log::GroupKey;
use protocol::wire::EncodeError;

use super::super::classic::{Moving, MovingMember};
use super::classic_members::{by_name, names_of, share_of};
use super::member::{Classic, Member};
use super::{Consumer, Lines, MemberMarks, Now, Rules, Topics};

impl Consumer {
    /// The group that a classic one becomes: everybody keeps what it holds. `None` if the members are not consumers
    /// whose data is understood.
    pub(crate) fn of_classic(
        id: Rc<str>,
        rules: Rc<Rules>,
        moving: Moving,
        topics: &dyn Topics,
        now: Now,
    ) -> Option<Self> {
        let mut group = Self::new(id, rules, true, now);
        group.next_write = moving.next_write;
        (group.epoch, group.target_epoch) = (moving.generation, moving.generation);
        (group.unwritten.group, group.unwritten.target) = (true, true);
        for one in moving.members {
            let metadata = one.protocols.first().map(|(_, metadata)| metadata)?;
            let (version, told) = ConsumerProtocolSubscription::read(metadata).ok()?;
            let mut held = match one.share.as_ref() {
                // It was never given anything.
                [] => Default::default(),
                share => {
                    let share = ConsumerProtocolAssignment::read(share).ok()?;
                    by_name(&share.assigned_partitions, topics)
                }
            };
            // A leader may give a partition to two. The first keeps it.
            held.retain(|partition| {
                let owner = group.owners.entry(*partition).or_insert_with(|| Rc::clone(&one.id));
                *owner == one.id
            });
            let mut member = Member::new();
            member.rack_id = told.rack_id.map(Rc::from);
            member.names = names_of(&told);
            member.client_id = one.client_id;
            member.client_host = one.client_host;
            member.rebalance_timeout = one.rebalance_timeout;
            member.epoch = moving.generation;
            member.previous_epoch = moving.generation;
            member.target = held.clone();
            member.assigned = held;
            member.deadline = now.at + one.session_timeout;
            group.wake_at = group.wake_at.min(member.deadline);
            if let Some(name) = &one.instance_id {
                group.statics.insert(Rc::clone(name), Rc::clone(&one.id));
            }
            member.instance_id = one.instance_id;
            member.classic = Some(Classic {
                session_timeout: one.session_timeout,
                protocols: one.protocols,
                version,
                act_until: None,
            });
            let marks = MemberMarks { description: true, target: true, current: true };
            group.unwritten.members.insert(Rc::clone(&one.id), marks);
            group.members.insert(one.id, member);
        }
        Some(group)
    }

    /// Whether only members of the classic protocol are left, and nobody waits for the disk.
    pub(crate) fn is_ready_to_be_classic(&self) -> bool {
        !self.members.is_empty()
            && self.writing.is_none()
            && self.waiting.is_empty()
            && self.unwritten.is_empty()
            && self.members.values().all(|member| member.classic.is_some())
    }

    /// How many members it has.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// What a classic group takes over. Members that speak the new protocol stay behind.
    pub(crate) fn moving(&self, topics: &dyn Topics) -> Moving {
        let members = self.members.iter().filter_map(|(id, member)| {
            let classic = member.classic.as_ref()?;
            Some(MovingMember {
                id: Rc::clone(id),
                instance_id: member.instance_id.clone(),
                client_id: Rc::clone(&member.client_id),
                client_host: Rc::clone(&member.client_host),
                session_timeout: classic.session_timeout,
                rebalance_timeout: member.rebalance_timeout,
                protocols: classic.protocols.clone(),
                share: share_of(member, topics),
            })
        });
        Moving { generation: self.epoch, next_write: self.next_write, members: members.collect() }
    }

    /// Everything that the log holds of the group, taken back.
    ///
    /// # Errors
    /// A name is longer than a record can carry; but then none was written.
    pub(crate) fn take_all_back(&self, lines: &mut Lines) -> Result<(), EncodeError> {
        let group = self.id.as_ref();
        for member in self.members.keys().map(AsRef::as_ref) {
            lines.take_back(GroupKey::CurrentMember { group, member })?;
            lines.take_back(GroupKey::TargetMember { group, member })?;
            lines.take_back(GroupKey::Member { group, member })?;
        }
        self.take_back(lines)
    }
}
