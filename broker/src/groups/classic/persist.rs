//! A group as a record of `__consumer_offsets`, and back.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use protocol::kafka::group_log::{GroupMetadataValue, GroupValue, MemberMetadata};

use super::{Action, Classic, Member, Now, Rules, State, Writing};

impl Classic {
    /// Asks for the group to be written as it is, the members' shares being `shares` if given.
    pub(super) fn write(
        &mut self,
        shares: Option<&BTreeMap<Rc<str>, Bytes>>,
        writing: Writing,
        out: &mut Vec<Action>,
    ) {
        let write = self.next_write;
        self.next_write += 1;
        out.push(Action::Write(write, self.record(shares)));
        self.writes.insert(write, writing);
    }

    pub(super) fn write_shares(&mut self, writing: Writing, out: &mut Vec<Action>) {
        let write = self.next_write;
        self.next_write += 1;
        let shares = match &writing {
            Writing::Shares { shares, .. } => Some(shares),
            Writing::Replaced { .. } | Writing::Nothing => None,
        };
        out.push(Action::Write(write, self.record(shares)));
        self.writes.insert(write, writing);
    }

    fn record(&self, shares: Option<&BTreeMap<Rc<str>, Bytes>>) -> Vec<u8> {
        let protocol = self.protocol.as_deref();
        let subscriptions: Vec<Bytes> = self
            .members
            .values()
            .map(|member| protocol.map(|name| member.metadata(name)).unwrap_or_default())
            .collect();
        let members =
            self.members.iter().zip(&subscriptions).map(|((id, member), subscription)| {
                let share = shares.and_then(|shares| shares.get(id)).unwrap_or(&member.share);
                MemberMetadata {
                    member_id: id,
                    group_instance_id: member.instance_id.as_deref(),
                    client_id: &member.client_id,
                    client_host: &member.client_host,
                    rebalance_timeout: millis(member.rebalance_timeout),
                    session_timeout: millis(member.session_timeout),
                    subscription,
                    assignment: share,
                }
            });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default(),
            generation: self.generation,
            protocol,
            leader: self.leader.as_deref(),
            current_state_timestamp: self.state_since_ms,
            members: members.collect(),
        };
        let mut bytes = Vec::new();
        value.write(&mut bytes).expect("names and bytes came from a request and fit a record");
        bytes
    }

    /// The group that a record tells of. Its members have a whole session to be heard from again.
    pub(crate) fn restore(rules: Rc<Rules>, value: &GroupMetadataValue<'_>, now: Now) -> Self {
        let mut group = Self::new(rules, now);
        group.protocol_type =
            Some(value.protocol_type).filter(|kind| !kind.is_empty()).map(Rc::from);
        group.protocol = value.protocol.map(Rc::from);
        group.generation = value.generation;
        group.leader = value.leader.map(Rc::from);
        if value.current_state_timestamp >= 0 {
            group.state_since_ms = value.current_state_timestamp;
        }
        let name: Rc<str> = Rc::from(value.protocol.unwrap_or_default());
        for member in &value.members {
            let id: Rc<str> = Rc::from(member.member_id);
            let session_timeout = duration(member.session_timeout);
            let deadline = now.at + session_timeout;
            let instance_id: Option<Rc<str>> = member.group_instance_id.map(Rc::from);
            if let Some(name) = &instance_id {
                group.statics.insert(Rc::clone(name), Rc::clone(&id));
            }
            let restored = Member {
                instance_id,
                client_id: Rc::from(member.client_id),
                client_host: Rc::from(member.client_host),
                session_timeout,
                // Before version 1 of the record the session's length counted.
                rebalance_timeout: match member.rebalance_timeout {
                    0 => session_timeout,
                    millis => duration(millis),
                },
                protocols: vec![(Rc::clone(&name), Bytes::copy_from_slice(member.subscription))],
                share: Bytes::copy_from_slice(member.assignment),
                joining: None,
                syncing: None,
                has_synced: true,
                is_new: false,
                deadline,
            };
            group.members.insert(id, restored);
            group.wake_by(deadline);
        }
        if !group.members.is_empty() {
            group.state = State::Stable;
        }
        group
    }
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
