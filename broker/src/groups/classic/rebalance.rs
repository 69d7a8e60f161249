//! Rebalancing: members are called to join anew, and the next generation begins.

use std::rc::Rc;
use std::time::Duration;

use protocol::ErrorCode;

use super::{Action, Classic, Joined, Member, Now, State, Writing, first};

impl Classic {
    /// Something has changed: begins a rebalance, or sees whether the one under way is complete.
    pub(super) fn rebalance(&mut self, now: Now, out: &mut Vec<Action>) {
        match self.state {
            State::PreparingRebalance => self.complete_join_if_all_are_here(now, out),
            State::Empty => {
                // Others are likely to come soon: waiting for them saves rebalances.
                self.is_initial = true;
                self.newcomer = false;
                let delay = self.rules.initial_delay;
                self.join_more = self.rebalance_timeout().saturating_sub(delay);
                self.enter(now, State::PreparingRebalance);
                self.join_within(now, delay);
                if delay.is_zero() {
                    self.complete_join(now, out);
                }
            }
            State::CompletingRebalance | State::Stable => {
                self.refuse_syncs(ErrorCode::RebalanceInProgress, out);
                self.sync_until = None;
                self.is_initial = false;
                self.enter(now, State::PreparingRebalance);
                self.join_within(now, self.rebalance_timeout());
                self.complete_join_if_all_are_here(now, out);
            }
        }
    }

    /// The time for joining is up.
    pub(super) fn join_time_is_up(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.is_initial && self.newcomer && !self.join_more.is_zero() {
            self.newcomer = false;
            let delay = self.rules.initial_delay.min(self.join_more);
            self.join_more = self.join_more.saturating_sub(delay);
            self.join_within(now, delay);
        } else {
            self.complete_join(now, out);
        }
    }

    pub(super) fn complete_join_if_all_are_here(&mut self, now: Now, out: &mut Vec<Action>) {
        let all =
            self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some());
        if self.state == State::PreparingRebalance && !self.is_initial && all {
            self.complete_join(now, out);
        }
    }

    /// Begins the next generation with those who have joined.
    fn complete_join(&mut self, now: Now, out: &mut Vec<Action>) {
        self.join_until = None;
        let absent = self.members.iter().filter(|(_, member)| {
            // A static member may be away as long as its session lasts.
            member.joining.is_none() && member.instance_id.is_none()
        });
        for id in absent.map(first).collect::<Vec<_>>() {
            self.remove(&id, ErrorCode::UnknownMemberId, out);
        }
        if !self.members.is_empty() && !self.elect() {
            // Only static members that are away: one more round, until their sessions end.
            self.join_within(now, self.rebalance_timeout());
            return;
        }
        self.is_initial = false;
        self.generation = self.generation.checked_add(1).unwrap_or(0);
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.enter(now, State::Empty);
            self.write(None, Writing::Nothing, out);
            return;
        }
        self.protocol = self.choose_protocol();
        self.enter(now, State::CompletingRebalance);
        let ids: Vec<Rc<str>> = self.members.keys().cloned().collect();
        for id in &ids {
            let Some(member) = self.members.get_mut(id) else { continue };
            member.is_new = false;
            member.has_synced = false;
            let asker = member.joining.take();
            self.renew(now, id);
            if let Some(asker) = asker {
                out.push(Action::Joined(asker, self.generation_for(id)));
            }
        }
        let until = now.at + self.rebalance_timeout();
        self.sync_until = Some(until);
        self.wake_by(until);
    }

    /// Keeps the leader if it has joined, else takes the first who has.
    fn elect(&mut self) -> bool {
        let joined = |member: &Member| member.joining.is_some();
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.is_some_and(joined) {
            return true;
        }
        let next = self.members.iter().find(|(_, member)| joined(member)).map(first);
        if next.is_some() {
            self.leader = next;
            return true;
        }
        false
    }

    /// The protocol that all members know and most like best; among equals the one the leader likes best.
    pub(super) fn choose_protocol(&self) -> Option<Rc<str>> {
        let candidate = |name: &str| self.members.values().all(|member| member.knows(name));
        let favourite = |member: &Member| {
            let liked = member.protocols.iter().find(|(name, _)| candidate(name));
            liked.map(|(name, _)| Rc::clone(name))
        };
        let votes: Vec<Rc<str>> = self.members.values().filter_map(favourite).collect();
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        let order = leader.or_else(|| self.members.values().next())?;
        let mut best: Option<(usize, Rc<str>)> = None;
        for (name, _) in &order.protocols {
            let count = votes.iter().filter(|vote| *vote == name).count();
            if count > best.as_ref().map_or(0, |(most, _)| *most) {
                best = Some((count, Rc::clone(name)));
            }
        }
        best.map(|(_, name)| name)
    }

    /// A member was silent for too long.
    pub(super) fn member_is_late(&mut self, now: Now, id: &str, out: &mut Vec<Action>) {
        let Some(member) = self.members.get(id) else { return };
        // Who waits for us is not silent; but a newcomer that waits so long has gone.
        if !member.is_new && (member.joining.is_some() || member.syncing.is_some()) {
            self.renew(now, id);
            return;
        }
        self.remove(id, ErrorCode::UnknownMemberId, out);
        self.somebody_is_gone(now, out);
    }

    /// After members were removed.
    pub(super) fn somebody_is_gone(&mut self, now: Now, out: &mut Vec<Action>) {
        match self.state {
            State::Empty => {}
            State::PreparingRebalance => self.complete_join_if_all_are_here(now, out),
            State::CompletingRebalance | State::Stable => self.rebalance(now, out),
        }
    }

    /// Takes a member, or an id that was given out, away. Who waits in its name is told `code`.
    pub(super) fn remove(&mut self, id: &str, code: ErrorCode, out: &mut Vec<Action>) {
        self.pending.remove(id);
        let Some(member) = self.members.remove(id) else { return };
        if let Some(asker) = member.joining {
            out.push(Action::Joined(asker, Joined::refused(code, "")));
        }
        if let Some(asker) = member.syncing {
            out.push(Action::Synced(asker, super::Synced::refused(code)));
        }
        if let Some(name) = &member.instance_id
            && self.statics.get(name).is_some_and(|held| **held == *id)
        {
            self.statics.remove(name);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    fn join_within(&mut self, now: Now, time: Duration) {
        let until = now.at + time;
        self.join_until = Some(until);
        self.wake_by(until);
    }

    /// The longest that any member wants to be waited for.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }
}
