//! The heartbeat, by which members join, stay, tell what has changed, and go.

use std::rc::Rc;
use std::time::Duration;

use protocol::ErrorCode;

use super::member::{AWAY, LEAVE, Member, MemberState};
use super::{Action, Asker, Consumer, Now, Partitions, Refusal, Reply, Told, Topics};

/// A heartbeat. What is `None` has not changed.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    pub(crate) member_id: Rc<str>,
    /// 0 to join, [`LEAVE`] or [`AWAY`] to go, else the member's epoch.
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<Rc<str>>,
    pub(crate) rack_id: Option<Rc<str>>,
    pub(crate) client_id: Rc<str>,
    pub(crate) client_host: Rc<str>,
    pub(crate) rebalance_timeout: Option<Duration>,
    pub(crate) names: Option<Vec<Rc<str>>>,
    /// Empty if there is none any more.
    pub(crate) expression: Option<Rc<str>>,
    pub(crate) assignor: Option<Rc<str>>,
    /// What the member holds.
    pub(crate) owned: Option<Partitions>,
    /// What counts for this group.
    pub(crate) session: Duration,
    pub(crate) interval: Duration,
}

impl Beat {
    fn joins(&self) -> bool {
        self.epoch == 0
    }

    /// It tells everything, so it wants to be told everything.
    fn is_full(&self) -> bool {
        self.rebalance_timeout.is_some()
            && (self.names.is_some() || self.expression.is_some())
            && self.owned.is_some()
    }
}

impl Consumer {
    /// A member joins, lives or goes.
    pub(crate) fn heartbeat(
        &mut self,
        now: Now,
        asker: Asker,
        beat: Beat,
        topics: &dyn Topics,
        out: &mut Vec<Action>,
    ) {
        let told = match beat.epoch {
            LEAVE | AWAY => self.leave(now, &beat),
            _ => self.join_or_stay(now, beat, topics),
        };
        match told {
            Ok(told) => self.waiting.push((asker, Reply::Told(told))),
            Err(refusal) => {
                out.push(Action::Tell(asker, Reply::Told(Told::refused(refusal))));
            }
        }
        self.flush(out);
    }

    fn join_or_stay(&mut self, now: Now, beat: Beat, topics: &dyn Topics) -> Result<Told, Refusal> {
        // Everything that can be refused is looked at before anything changes.
        let found = self.find_new(&beat, topics)?;
        let id = self.claim(&beat)?;
        if let (Some(expression), Some(found)) = (&beat.expression, found) {
            self.expressions.insert(Rc::clone(expression), found);
        }
        let is_full = beat.is_full() || beat.joins();
        let (said_epoch, owned) = (beat.epoch, beat.owned.clone());
        let (session, interval) = (beat.session, beat.interval);
        let subscribed = self.update(&id, beat);
        if self.look_at_topics(now, topics, subscribed) || subscribed || self.epoch == 0 {
            self.raise_epoch();
        }
        if self.epoch > self.target_epoch {
            self.assign(topics);
        }
        // After a lost answer it is told again what that one said.
        let missed = self.members.get(&id).is_some_and(|member| member.epoch != said_epoch);
        let got_other = self.reconcile(&id, owned.as_ref());
        let revokes = self.watch_revocation(now, &id);
        let Some(member) = self.members.get_mut(&id) else {
            return Err(ErrorCode::UnknownMemberId.into());
        };
        member.deadline = now.at + session;
        let told = Told {
            code: ErrorCode::None,
            message: None,
            member_id: id.as_ref().to_owned(),
            epoch: member.epoch,
            interval,
            assignment: (is_full || got_other || missed).then(|| member.assigned.clone()),
        };
        let due = revokes.map_or(member.deadline, |until| member.deadline.min(until));
        self.wake_by(due);
        Ok(told)
    }

    /// Finds the member that a heartbeat comes from; one that joins is taken in.
    fn claim(&mut self, beat: &Beat) -> Result<Rc<str>, Refusal> {
        if let Some(name) = &beat.instance_id {
            match self.statics.get(name).cloned() {
                Some(known) if *known == *beat.member_id => {}
                Some(known) if beat.joins() => {
                    let old = self.members.get(&known);
                    if old.is_none_or(|old| old.epoch != AWAY && old.classic.is_none()) {
                        return Err(Refusal {
                            code: ErrorCode::UnreleasedInstanceId,
                            message: "The instance id is still used by another member.",
                        });
                    }
                    return self.take_over(&known, &beat.member_id);
                }
                Some(_other) => return Err(ErrorCode::FencedInstanceId.into()),
                None if beat.joins() => {}
                None => return Err(ErrorCode::UnknownMemberId.into()),
            }
        }
        if let Some((id, member)) = self.members.get_key_value(&beat.member_id) {
            if member.classic.is_some() && !beat.joins() {
                return Err(ErrorCode::UnknownMemberId.into());
            }
            check_epoch(member, beat)?;
            return Ok(Rc::clone(id));
        }
        if !beat.joins() {
            return Err(ErrorCode::UnknownMemberId.into());
        }
        self.admit(&beat.member_id)
    }

    /// Takes in a member that was not there.
    pub(super) fn admit(&mut self, id: &Rc<str>) -> Result<Rc<str>, Refusal> {
        if self.members.len() >= self.rules.size_max {
            return Err(Refusal {
                code: ErrorCode::GroupMaxSizeReached,
                message: "The consumer group has reached its maximum capacity.",
            });
        }
        self.members.insert(Rc::clone(id), Member::new());
        let marks = self.unwritten.member(id);
        (marks.description, marks.target, marks.current) = (true, true, true);
        Ok(Rc::clone(id))
    }

    /// A static member is back under a new id, and gets its old place.
    pub(super) fn take_over(&mut self, old: &Rc<str>, id: &Rc<str>) -> Result<Rc<str>, Refusal> {
        if self.members.contains_key(id) {
            // A member's id cannot be taken over as well.
            return Err(ErrorCode::FencedInstanceId.into());
        }
        let Some(mut member) = self.members.remove(old) else {
            return Err(ErrorCode::UnknownMemberId.into());
        };
        let id = Rc::clone(id);
        (member.epoch, member.previous_epoch) = (0, 0);
        // Who comes back holds nothing.
        self.free_revoking(&mut member);
        for partition in member.assigned.iter().chain(&member.revoking) {
            self.owners.insert(*partition, Rc::clone(&id));
        }
        if let Some(name) = &member.instance_id {
            self.statics.insert(Rc::clone(name), Rc::clone(&id));
        }
        self.members.insert(Rc::clone(&id), member);
        for id in [old, &id] {
            let marks = self.unwritten.member(id);
            (marks.description, marks.target, marks.current) = (true, true, true);
        }
        Ok(id)
    }

    /// What a member was to give up is given up: it reads nothing now.
    fn free_revoking(&mut self, member: &mut Member) {
        for partition in std::mem::take(&mut member.revoking) {
            self.owners.remove(&partition);
        }
        if member.state == MemberState::Revoking {
            member.state = MemberState::Waiting;
        }
        member.revoke_until = None;
    }

    /// Notes what a member tells of itself; whether it reads other topics now.
    fn update(&mut self, id: &Rc<str>, beat: Beat) -> bool {
        let Some(member) = self.members.get_mut(id) else { return false };
        // One that joins has changed over, if it spoke the classic protocol.
        let mut changed = member.classic.take().is_some();
        let mut set = |place: &mut Option<Rc<str>>, value: Option<Rc<str>>| {
            if value.is_some() && *place != value {
                *place = value;
                changed = true;
            }
        };
        let before = member.instance_id.clone();
        set(&mut member.instance_id, beat.instance_id);
        set(&mut member.rack_id, beat.rack_id);
        set(&mut member.assignor, beat.assignor);
        for (place, value) in
            [(&mut member.client_id, beat.client_id), (&mut member.client_host, beat.client_host)]
        {
            if *place != value {
                *place = value;
                changed = true;
            }
        }
        if let Some(time) = beat.rebalance_timeout
            && time != member.rebalance_timeout
        {
            member.rebalance_timeout = time;
            changed = true;
        }
        let mut subscribed = false;
        if let Some(mut names) = beat.names {
            names.sort_unstable();
            names.dedup();
            if names != member.names {
                member.names = names;
                subscribed = true;
            }
        }
        if let Some(expression) = beat.expression {
            let expression = Some(expression).filter(|text| !text.is_empty());
            if expression != member.expression {
                member.expression = expression;
                subscribed = true;
            }
        }
        let now = member.instance_id.clone();
        self.rename(id, before, now);
        if changed || subscribed {
            self.unwritten.member(id).description = true;
        }
        subscribed
    }

    /// A member's static name is another now.
    pub(super) fn rename(&mut self, id: &Rc<str>, before: Option<Rc<str>>, now: Option<Rc<str>>) {
        if before == now {
            return;
        }
        if let Some(before) = before {
            self.statics.remove(&before);
        }
        if let Some(now) = now {
            self.statics.insert(now, Rc::clone(id));
        }
    }

    fn leave(&mut self, now: Now, beat: &Beat) -> Result<Told, Refusal> {
        let id = match &beat.instance_id {
            Some(name) => match self.statics.get(name) {
                None => return Err(ErrorCode::UnknownMemberId.into()),
                Some(id) if **id != *beat.member_id => {
                    return Err(ErrorCode::FencedInstanceId.into());
                }
                Some(id) => Rc::clone(id),
            },
            None => Rc::clone(&beat.member_id),
        };
        let mut member = self.members.remove(&id).ok_or(ErrorCode::UnknownMemberId)?;
        if beat.epoch == AWAY && member.epoch != AWAY {
            // It reads nothing while it is away.
            self.free_revoking(&mut member);
            member.set_epoch(AWAY);
            self.unwritten.member(&id).current = true;
        }
        self.members.insert(Rc::clone(&id), member);
        if beat.epoch != AWAY {
            self.remove(now, &id);
        }
        Ok(Told {
            code: ErrorCode::None,
            message: None,
            member_id: id.as_ref().to_owned(),
            epoch: beat.epoch,
            interval: Duration::ZERO,
            assignment: None,
        })
    }

    /// Members go at an administrator's word, each by its id, its static name or both; gives what is said of each.
    pub(crate) fn send_away<'a>(
        &mut self,
        now: Now,
        leaving: impl Iterator<Item = (&'a str, Option<&'a str>)>,
        out: &mut Vec<Action>,
    ) -> Vec<ErrorCode> {
        let told = leaving.map(|(member_id, name)| {
            let id = match name.map(|name| self.statics.get(name)) {
                Some(None) => return ErrorCode::UnknownMemberId,
                Some(Some(id)) if !member_id.is_empty() && **id != *member_id => {
                    return ErrorCode::FencedInstanceId;
                }
                Some(Some(id)) => Rc::clone(id),
                None => Rc::from(member_id),
            };
            if !self.members.contains_key(&id) {
                return ErrorCode::UnknownMemberId;
            }
            self.remove(now, &id);
            ErrorCode::None
        });
        let told = told.collect();
        self.flush(out);
        told
    }
}

/// Whether a member knows how far it has come. One that joins anew begins without partitions, so it may be anywhere.
fn check_epoch(member: &Member, beat: &Beat) -> Result<(), Refusal> {
    if beat.joins() || beat.epoch == member.epoch {
        return Ok(());
    }
    let fenced = |message| Refusal { code: ErrorCode::FencedMemberEpoch, message };
    if beat.epoch > member.epoch {
        return Err(fenced(
            "The member epoch is greater than the one known. The member must abandon all its partitions and rejoin.",
        ));
    }
    // The answer that told of the newer epoch may have been lost.
    let knows_the_one_before = beat.epoch == member.previous_epoch
        && beat.owned.as_ref().is_some_and(|owned| owned.is_subset(&member.assigned));
    if knows_the_one_before {
        return Ok(());
    }
    Err(fenced(
        "The member epoch is smaller than the one known. The member must abandon all its partitions and rejoin.",
    ))
}
