//! Joining: new members, members that come back, static members that take over their old place.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;

use super::member::Protocol;
use super::{Action, Asker, Claim, Classic, Member, NEW_MEMBER_PATIENCE, Now, State, Writing};

/// A client that wants to be a member.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    /// Empty if it has none.
    pub(crate) member_id: Rc<str>,
    pub(crate) instance_id: Option<Rc<str>>,
    pub(crate) client_id: Rc<str>,
    pub(crate) client_host: Rc<str>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: Rc<str>,
    pub(crate) protocols: Vec<Protocol>,
    /// The id it gets if it has none; nobody has it.
    pub(crate) new_id: Rc<str>,
    /// It must come again with its id before it counts (KIP-394).
    pub(crate) must_know_id: bool,
    /// It understands that it need not share out anything (KIP-814).
    pub(crate) can_skip: bool,
}

/// What a client is told about its join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) code: ErrorCode,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    pub(crate) member_id: String,
    /// Id, static name and metadata of every member; for the leader only.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

impl Joined {
    /// It is no member.
    pub(crate) fn refused(code: ErrorCode, member_id: &str) -> Self {
        Self {
            code,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

impl Classic {
    /// Somebody wants to be a member.
    pub(crate) fn join(&mut self, now: Now, asker: Asker, join: Join, out: &mut Vec<Action>) {
        if !self.has_room_for(&join.member_id) {
            self.remove(&join.member_id, ErrorCode::GroupMaxSizeReached, out);
            out.push(Action::Joined(asker, Joined::refused(ErrorCode::GroupMaxSizeReached, "")));
            self.complete_join_if_all_are_here(now, out);
        } else if !self.suits(&join) {
            let refused = Joined::refused(ErrorCode::InconsistentGroupProtocol, &join.member_id);
            out.push(Action::Joined(asker, refused));
        } else if join.member_id.is_empty() {
            self.join_new(now, asker, join, out);
        } else {
            self.join_again(now, asker, join, out);
        }
    }

    fn has_room_for(&self, member_id: &str) -> bool {
        let max = self.rules.size_max;
        match self.state {
            State::Empty => self.pending.len() < max,
            State::PreparingRebalance => {
                let awaited = self.members.values().filter(|member| member.joining.is_some());
                self.members.get(member_id).is_some_and(|member| member.joining.is_some())
                    || awaited.count() < max && self.pending.len() < max
            }
            State::CompletingRebalance | State::Stable => {
                self.members.contains_key(member_id)
                    || self.members.len() < max && self.pending.len() < max
            }
        }
    }

    /// Whether the kind is the group's, and there is a protocol that all members would know.
    fn suits(&self, join: &Join) -> bool {
        if self.members.is_empty() {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(&*join.protocol_type)
            && join
                .protocols
                .iter()
                .any(|(name, _)| self.members.values().all(|member| member.knows(name)))
    }

    fn join_new(&mut self, now: Now, asker: Asker, join: Join, out: &mut Vec<Action>) {
        let new_id = Rc::clone(&join.new_id);
        let known = join.instance_id.as_ref().and_then(|name| self.statics.get(name)).cloned();
        if let Some(old_id) = known {
            self.take_over(now, asker, &old_id, join, out);
        } else if join.instance_id.is_none() && join.must_know_id {
            let until = now.at + join.session_timeout;
            self.pending.insert(Rc::clone(&new_id), until);
            self.wake_by(until);
            let refused = Joined::refused(ErrorCode::MemberIdRequired, &new_id);
            out.push(Action::Joined(asker, refused));
        } else {
            self.admit(now, asker, new_id, join, out);
        }
    }

    fn join_again(&mut self, now: Now, asker: Asker, join: Join, out: &mut Vec<Action>) {
        let id = Rc::clone(&join.member_id);
        if join.instance_id.is_none() && self.pending.contains_key(&id) {
            self.admit(now, asker, id, join, out);
            return;
        }
        let claim = Claim { member_id: &id, instance_id: join.instance_id.as_deref() };
        if let Err(code) = self.check(claim) {
            out.push(Action::Joined(asker, Joined::refused(code, &id)));
            return;
        }
        let same = self.members.get(&id).is_some_and(|member| member.protocols == join.protocols);
        let stands = match self.state {
            State::PreparingRebalance => false,
            // Its answer may have been lost.
            State::CompletingRebalance => same,
            // A leader that joins wants the work to be shared out anew.
            State::Stable => same && !self.is_leader(&id),
            State::Empty => {
                let refused = Joined::refused(ErrorCode::UnknownMemberId, &id);
                out.push(Action::Joined(asker, refused));
                return;
            }
        };
        if stands {
            self.renew(now, &id);
            out.push(Action::Joined(asker, self.generation_for(&id)));
        } else {
            self.update(now, &id, asker, join, out);
            self.rebalance(now, out);
        }
    }

    /// Takes in a member that was not there.
    fn admit(&mut self, now: Now, asker: Asker, id: Rc<str>, join: Join, out: &mut Vec<Action>) {
        self.pending.remove(&id);
        if self.state == State::PreparingRebalance && self.is_initial {
            self.newcomer = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        if let Some(name) = &join.instance_id {
            self.statics.insert(Rc::clone(name), Rc::clone(&id));
        }
        self.leader.get_or_insert_with(|| Rc::clone(&id));
        let deadline = now.at + NEW_MEMBER_PATIENCE;
        let member = Member {
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            share: Bytes::new(),
            joining: Some(asker),
            syncing: None,
            has_synced: false,
            is_new: true,
            deadline,
        };
        self.members.insert(id, member);
        self.wake_by(deadline);
        self.rebalance(now, out);
    }

    /// Notes what a member that joins again wants now, and that it waits.
    fn update(&mut self, now: Now, id: &str, asker: Asker, join: Join, out: &mut Vec<Action>) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.protocols = join.protocols;
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
        member.client_id = join.client_id;
        member.client_host = join.client_host;
        if let Some(before) = member.joining.replace(asker) {
            // Its client has given that one up.
            let refused = Joined::refused(ErrorCode::RebalanceInProgress, id);
            out.push(Action::Joined(before, refused));
        }
        self.renew(now, id);
    }

    /// A static member has come back without its id: it gets a new one and its old place, and whoever still uses the
    /// old id is fenced.
    fn take_over(
        &mut self,
        now: Now,
        asker: Asker,
        old_id: &Rc<str>,
        join: Join,
        out: &mut Vec<Action>,
    ) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        let id = Rc::clone(&join.new_id);
        let told_leader = self.leader.clone();
        if let Some(waiting) = member.joining.take() {
            let fenced = Joined::refused(ErrorCode::FencedInstanceId, old_id);
            out.push(Action::Joined(waiting, fenced));
        }
        if let Some(waiting) = member.syncing.take() {
            out.push(Action::Synced(waiting, super::Synced::refused(ErrorCode::FencedInstanceId)));
        }
        if let Some(name) = &member.instance_id {
            self.statics.insert(Rc::clone(name), Rc::clone(&id));
        }
        if self.is_leader(old_id) {
            self.leader = Some(Rc::clone(&id));
        }
        let before = std::mem::replace(&mut member.protocols, join.protocols.clone());
        self.members.insert(Rc::clone(&id), member);
        let can_skip = join.can_skip;
        let stays = self.state == State::Stable && self.choose_protocol() == self.protocol;
        if stays && self.same_topics(&before, &id) {
            // Nothing changes but the name: it has its share back as soon as that is on disk.
            let mut answer = self.generation_for(&id);
            let leads = self.is_leader(&id);
            if can_skip {
                answer.skip_assignment = leads;
            } else {
                // It must not share out anything, so it is told that the old id leads.
                answer.leader = told_leader.as_deref().unwrap_or_default().to_owned();
                answer.members.clear();
            }
            if let Some(member) = self.members.get_mut(&id) {
                member.session_timeout = join.session_timeout;
                member.rebalance_timeout = join.rebalance_timeout;
                member.client_id = join.client_id;
                member.client_host = join.client_host;
            }
            self.renew(now, &id);
            self.write(None, Writing::Replaced { asker, answer }, out);
            return;
        }
        self.update(now, &id, asker, join, out);
        self.rebalance(now, out);
    }

    /// Whether a member that came back reads what it read before, as far as the chosen protocol says.
    fn same_topics(&self, before: &[Protocol], id: &str) -> bool {
        let (Some(protocol), Some(member)) = (self.protocol.as_deref(), self.members.get(id))
        else {
            return false;
        };
        let old = before.iter().find(|(name, _)| **name == *protocol).map(|(_, bytes)| bytes);
        old.is_some_and(|old| {
            let new = member.metadata(protocol);
            *old == new || super::super::subscription::same_topics(old, &new)
        })
    }

    /// The current generation, as told to one of its members.
    pub(super) fn generation_for(&self, id: &str) -> Joined {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = if self.is_leader(id) {
            let one = |(id, member): (&Rc<str>, &Member)| {
                let instance = member.instance_id.as_deref().map(str::to_owned);
                (id.as_ref().to_owned(), instance, member.metadata(protocol))
            };
            self.members.iter().map(one).collect()
        } else {
            Vec::new()
        };
        Joined {
            code: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.as_deref().map(str::to_owned),
            protocol: self.protocol.as_deref().map(str::to_owned),
            leader: self.leader.as_deref().unwrap_or_default().to_owned(),
            skip_assignment: false,
            member_id: id.to_owned(),
            members,
        }
    }
}
