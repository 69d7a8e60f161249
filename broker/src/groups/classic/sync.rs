//! Syncing: the leader brings everybody's share, and each member fetches its own.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use protocol::ErrorCode;

use super::{Action, Asker, Claim, Classic, Now, State, Writing, first};

/// A member that wants its share; the leader brings everybody's.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    pub(crate) member_id: Rc<str>,
    pub(crate) instance_id: Option<Rc<str>>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Rc<str>>,
    pub(crate) protocol: Option<Rc<str>>,
    pub(crate) shares: Vec<(Rc<str>, Bytes)>,
}

/// What a member is told about its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) code: ErrorCode,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) share: Bytes,
}

impl Synced {
    /// There is none.
    pub(crate) fn refused(code: ErrorCode) -> Self {
        Self { code, protocol_type: None, protocol: None, share: Bytes::new() }
    }
}

impl Classic {
    /// A member wants its share.
    pub(crate) fn sync(&mut self, now: Now, asker: Asker, sync: Sync, out: &mut Vec<Action>) {
        if let Err(code) = self.check_sync(&sync) {
            out.push(Action::Synced(asker, Synced::refused(code)));
            return;
        }
        let id = sync.member_id;
        match self.state {
            State::Empty => {
                out.push(Action::Synced(asker, Synced::refused(ErrorCode::UnknownMemberId)));
            }
            State::PreparingRebalance => {
                out.push(Action::Synced(asker, Synced::refused(ErrorCode::RebalanceInProgress)));
            }
            State::CompletingRebalance => {
                self.has_synced(now, &id);
                let member = self.members.get_mut(&id);
                if let Some(before) = member.and_then(|member| member.syncing.replace(asker)) {
                    // Its client has given that one up.
                    let refused = Synced::refused(ErrorCode::RebalanceInProgress);
                    out.push(Action::Synced(before, refused));
                }
                if self.is_leader(&id) {
                    self.share_out(sync.shares, out);
                }
            }
            State::Stable => {
                self.has_synced(now, &id);
                out.push(Action::Synced(asker, self.share_of(&id)));
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        let claim = Claim { member_id: &sync.member_id, instance_id: sync.instance_id.as_deref() };
        self.check(claim)?;
        if sync.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |said: &Option<Rc<str>>, ours: &Option<Rc<str>>| {
            said.is_some() && ours.is_some() && said != ours
        };
        if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn has_synced(&mut self, now: Now, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            member.has_synced = true;
        }
        self.renew(now, id);
        if self.members.values().all(|member| member.has_synced) {
            self.sync_until = None;
        }
    }

    /// The leader's word counts once it is on disk.
    fn share_out(&mut self, brought: Vec<(Rc<str>, Bytes)>, out: &mut Vec<Action>) {
        let ours = self.generation;
        let under_way = self.writes.values().any(
            |writing| matches!(writing, Writing::Shares { generation, .. } if *generation == ours),
        );
        if under_way {
            // It asks again. A second word would be on disk beside the first, and a restart would believe it.
            return;
        }
        let mut shares: BTreeMap<Rc<str>, Bytes> =
            self.members.keys().map(|id| (Rc::clone(id), Bytes::new())).collect();
        for (id, share) in brought {
            if let Some(slot) = shares.get_mut(&id) {
                *slot = share;
            }
        }
        let writing = Writing::Shares { generation: self.generation, shares };
        self.write_shares(writing, out);
    }

    pub(super) fn shares_are_written(
        &mut self,
        now: Now,
        generation: i32,
        mut shares: BTreeMap<Rc<str>, Bytes>,
        outcome: Result<(), ErrorCode>,
        out: &mut Vec<Action>,
    ) {
        if self.state != State::CompletingRebalance || generation != self.generation {
            // A rebalance has begun since; it has answered everybody.
            return;
        }
        if let Err(code) = outcome {
            self.refuse_syncs(code, out);
            self.rebalance(now, out);
            return;
        }
        self.enter(now, State::Stable);
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.share = shares.remove(&id).unwrap_or_default();
            if let Some(asker) = member.syncing.take() {
                self.renew(now, &id);
                out.push(Action::Synced(asker, self.share_of(&id)));
            }
        }
    }

    fn share_of(&self, id: &str) -> Synced {
        Synced {
            code: ErrorCode::None,
            protocol_type: self.protocol_type.as_deref().map(str::to_owned),
            protocol: self.protocol.as_deref().map(str::to_owned),
            share: self.members.get(id).map(|member| member.share.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn refuse_syncs(&mut self, code: ErrorCode, out: &mut Vec<Action>) {
        for member in self.members.values_mut() {
            // What it was given before it may hold until it has another share.
            if let Some(asker) = member.syncing.take() {
                out.push(Action::Synced(asker, Synced::refused(code)));
            }
        }
    }

    /// Members that never fetched their shares hold the others up no longer.
    pub(super) fn sync_time_is_up(&mut self, now: Now, out: &mut Vec<Action>) {
        self.sync_until = None;
        if !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        let missing: Vec<Rc<str>> =
            self.members.iter().filter(|(_, member)| !member.has_synced).map(first).collect();
        if missing.is_empty() {
            return;
        }
        for id in missing {
            self.remove(&id, ErrorCode::UnknownMemberId, out);
        }
        self.rebalance(now, out);
    }
}
