//! A group with its members on its way to KIP-848, and back.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;

use super::member::Protocol;
use super::{Action, Classic, Joined, Member, Now, Rules, State, Synced, Writing};

/// A group that changes its protocol.
#[derive(Debug)]
pub(crate) struct Moving {
    pub(crate) generation: i32,
    /// Writes are numbered on: some of the old group may be under way.
    pub(crate) next_write: u64,
    pub(crate) members: Vec<MovingMember>,
}

/// One of its members, which speaks the classic protocol.
#[derive(Debug)]
pub(crate) struct MovingMember {
    pub(crate) id: Rc<str>,
    pub(crate) instance_id: Option<Rc<str>>,
    pub(crate) client_id: Rc<str>,
    pub(crate) client_host: Rc<str>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// The one that counts first.
    pub(crate) protocols: Vec<Protocol>,
    /// What it was last given; empty if it never was.
    pub(crate) share: Bytes,
}

impl Classic {
    /// What a KIP-848 group takes over; `None` if this is no group of consumers.
    pub(crate) fn moving(&self) -> Option<Moving> {
        if self.protocol_type.as_deref() != Some("consumer") {
            return None;
        }
        let members = self.members.iter().map(|(id, member)| {
            let mut protocols = member.protocols.clone();
            let chosen =
                protocols.iter().position(|(name, _)| Some(name) == self.protocol.as_ref());
            if let Some(chosen) = chosen {
                protocols[..=chosen].rotate_right(1);
            }
            MovingMember {
                id: Rc::clone(id),
                instance_id: member.instance_id.clone(),
                client_id: Rc::clone(&member.client_id),
                client_host: Rc::clone(&member.client_host),
                session_timeout: member.session_timeout,
                rebalance_timeout: member.rebalance_timeout,
                protocols,
                share: member.share.clone(),
            }
        });
        Some(Moving {
            generation: self.generation,
            next_write: self.next_write,
            members: members.collect(),
        })
    }

    /// Another group takes this one's place: whoever waits is to join that.
    pub(crate) fn dissolve(&mut self, out: &mut Vec<Action>) {
        let code = ErrorCode::RebalanceInProgress;
        for (id, member) in &mut self.members {
            if let Some(asker) = member.joining.take() {
                out.push(Action::Joined(asker, Joined::refused(code, id)));
            }
            if let Some(asker) = member.syncing.take() {
                out.push(Action::Synced(asker, Synced::refused(code)));
            }
        }
        for writing in std::mem::take(&mut self.writes).into_values() {
            if let Writing::Replaced { asker, answer } = writing {
                out.push(Action::Joined(asker, Joined::refused(code, &answer.member_id)));
            }
        }
    }

    /// The group that one of KIP-848 becomes; its record is to be written under the number that is given.
    pub(crate) fn of_moving(rules: Rc<Rules>, moving: Moving, now: Now) -> (Self, u64, Vec<u8>) {
        let mut group = Self::new(rules, now);
        group.protocol_type = Some(Rc::from("consumer"));
        group.generation = moving.generation;
        group.next_write = moving.next_write;
        for one in moving.members {
            let deadline = now.at + one.session_timeout;
            group.wake_by(deadline);
            if let Some(name) = &one.instance_id {
                group.statics.insert(Rc::clone(name), Rc::clone(&one.id));
            }
            let member = Member {
                instance_id: one.instance_id,
                client_id: one.client_id,
                client_host: one.client_host,
                session_timeout: one.session_timeout,
                rebalance_timeout: one.rebalance_timeout,
                protocols: one.protocols,
                share: one.share,
                joining: None,
                syncing: None,
                has_synced: true,
                is_new: false,
                deadline,
            };
            group.members.insert(one.id, member);
        }
        group.leader = group.members.keys().next().cloned();
        group.protocol = group.choose_protocol();
        group.enter(now, State::Stable);
        let mut out = Vec::new();
        group.write(None, Writing::Nothing, &mut out);
        match out.pop() {
            Some(Action::Write(write, value)) => (group, write, value),
            _ => unreachable!("a write was asked for just now"),
        }
    }

    /// The members shall share out among themselves from now on.
    pub(crate) fn call_together(&mut self, now: Now, out: &mut Vec<Action>) {
        self.rebalance(now, out);
    }
}
