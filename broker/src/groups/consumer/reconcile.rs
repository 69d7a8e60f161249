//! Reconciling: what each member shall hold, and how it gets there without two ever holding the same.

use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::TopicId;
use runtime::Nanos;

use super::assign::{self, Assignor, Wish};
use super::member::{Member, MemberState};
use super::{Consumer, Now, Partitions, Topics};

impl Consumer {
    /// The assignor that most members want; the first of the broker's if nobody wants any.
    pub(super) fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|member| member.assignor.as_deref()) {
            *votes.entry(name).or_default() += 1;
        }
        let best = votes.into_iter().max_by_key(|(_, count)| *count);
        best.and_then(|(name, _)| Assignor::new(name))
            .or_else(|| self.rules.assignors.first().copied())
            .unwrap_or(Assignor::Uniform)
    }

    /// Works out what every member shall hold in this epoch of the group.
    pub(super) fn assign(&mut self, topics: &dyn Topics) {
        let mut counts: BTreeMap<TopicId, u32> = BTreeMap::new();
        let wishes: Vec<Wish<'_>> = self
            .members
            .iter()
            .map(|(id, member)| {
                let mut read: Vec<TopicId> = self
                    .topics_of(member)
                    .filter_map(|name| {
                        let (id, partitions) = topics.find(name)?;
                        counts.insert(id, partitions);
                        Some(id)
                    })
                    .collect();
                read.sort_unstable();
                read.dedup();
                let order = member.instance_id.as_deref().unwrap_or(id);
                Wish { order, topics: read, holds: &member.target }
            })
            .collect();
        let shares = assign::assign(self.assignor(), &wishes, &counts);
        drop(wishes);
        for ((id, member), share) in self.members.iter_mut().zip(shares) {
            if member.target != share {
                member.target = share;
                self.unwritten.member(id).target = true;
            }
        }
        self.target_epoch = self.epoch;
        self.unwritten.target = true;
    }

    /// Takes a member as far towards its target as it can go now; whether it may read something else than before.
    pub(super) fn reconcile(&mut self, id: &Rc<str>, owned: Option<&Partitions>) -> bool {
        let target_epoch = self.target_epoch;
        let Some(member) = self.members.get_mut(id) else { return false };
        match member.state {
            MemberState::Stable if member.epoch == target_epoch => return false,
            MemberState::Revoking if still_owns(owned, &member.revoking) => return false,
            MemberState::Stable | MemberState::Revoking | MemberState::Waiting => {}
        }
        // If it has to give more up, it has its full time for that.
        member.revoke_until = None;
        let held = |member: &Member| -> Partitions { &member.assigned | &member.revoking };
        let before = (member.epoch, member.state, member.assigned.clone(), held(member));
        let (kept, dropped): (Partitions, Partitions) =
            member.assigned.iter().partition(|partition| member.target.contains(*partition));
        if !dropped.is_empty() && still_owns(owned, &dropped) {
            // It stays where it is until it has given these up.
            member.state = MemberState::Revoking;
            member.assigned = kept;
            member.revoking = dropped;
        } else {
            let is_free = |partition: &_| {
                self.owners.get(partition).is_none_or(|owner: &Rc<str>| *owner == *id)
            };
            let all = member.target.len();
            member.assigned = member.target.iter().filter(|one| is_free(one)).copied().collect();
            member.revoking = Partitions::new();
            member.state = if member.assigned.len() == all {
                MemberState::Stable
            } else {
                MemberState::Waiting
            };
            if member.epoch != target_epoch {
                member.set_epoch(target_epoch);
            }
        }
        let (epoch, state, assigned, held_before) = before;
        let held_now = held(member);
        for partition in held_before.difference(&held_now) {
            self.owners.remove(partition);
        }
        for partition in held_now.difference(&held_before) {
            self.owners.insert(*partition, Rc::clone(id));
        }
        let got_other = assigned != member.assigned;
        if got_other || epoch != member.epoch || state != member.state || held_before != held_now {
            self.unwritten.member(id).current = true;
        }
        got_other
    }

    /// Gives a member that has just been told to give something up its time for that; until when, if so.
    pub(super) fn watch_revocation(&mut self, now: Now, id: &str) -> Option<Nanos> {
        // A member of the classic protocol is told to join again, and has its time for that.
        let member = self.members.get_mut(id).filter(|member| member.classic.is_none())?;
        if member.state == MemberState::Revoking {
            let until = now.at + member.rebalance_timeout;
            member.revoke_until.get_or_insert(until);
        } else {
            member.revoke_until = None;
        }
        member.revoke_until
    }
}

/// Whether a member holds any of these still, as far as it has said.
fn still_owns(owned: Option<&Partitions>, any_of: &Partitions) -> bool {
    owned.is_none_or(|owned| !owned.is_disjoint(any_of))
}
