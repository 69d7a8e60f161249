//! Members of the classic protocol in a KIP-848 group: they join, fetch what they may read, and send heartbeats.
//!
//! The group works out what they shall hold, as for everybody else. There is no leader: each of them is answered as a
//! follower, at once, and goes through as many joins of its own as it takes to give up and to get what it shall.
//! Nobody else has to join for that.

use std::rc::Rc;

use bytes::Bytes;
use protocol::kafka::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolPartitions, ConsumerProtocolSubscription,
};
use protocol::{ErrorCode, PartitionIndex, TopicPartition};

use super::super::classic::{Claim, Join, Protocol, Sync};
use super::member::{Classic, Member, MemberState};
use super::{Action, Asker, Consumer, Joined, Now, Partitions, Reply, Synced, Topics, by_topic};

/// The kind of group whose members' data is understood here.
pub(super) const CONSUMER: &str = "consumer";

impl Consumer {
    /// A client wants to be a member, or is told to join again.
    pub(crate) fn join(
        &mut self,
        now: Now,
        asker: Asker,
        join: Join,
        topics: &dyn Topics,
        out: &mut Vec<Action>,
    ) {
        match self.take_in(now, join, topics) {
            Ok(joined) => self.waiting.push((asker, Reply::Joined(joined))),
            Err((code, id)) => {
                out.push(Action::Tell(asker, Reply::Joined(Joined::refused(code, &id))));
            }
        }
        self.flush(out);
    }

    /// Or why not, and the id that the client shall have.
    fn take_in(
        &mut self,
        now: Now,
        join: Join,
        topics: &dyn Topics,
    ) -> Result<Joined, (ErrorCode, Rc<str>)> {
        let refused = |code| (code, Rc::clone(&join.member_id));
        // Everything that can be refused is looked at before anything changes.
        if !self.understands(&join) {
            return Err(refused(ErrorCode::InconsistentGroupProtocol));
        }
        let Some((_, metadata)) = join.protocols.first().cloned() else {
            return Err(refused(ErrorCode::InconsistentGroupProtocol));
        };
        let (version, told) = ConsumerProtocolSubscription::read(&metadata)
            .map_err(|_garbage| refused(ErrorCode::InconsistentGroupProtocol))?;
        let is_new = join.member_id.is_empty();
        if is_new && join.instance_id.is_none() && join.must_know_id {
            return Err((ErrorCode::MemberIdRequired, join.new_id));
        }
        let is_known = self.members.contains_key(&join.member_id);
        if !is_new && !is_known && !told.owned_partitions.is_empty() {
            // It was given up meanwhile, and what it thinks it holds may be another's.
            return Err(refused(ErrorCode::UnknownMemberId));
        }
        let id = self.find_or_admit(&join).map_err(refused)?;
        let owned = by_name(&told.owned_partitions, topics);
        let time = join.rebalance_timeout;
        let subscribed = self.describe_classic(&id, join, version, &told);
        if self.look_at_topics(now, topics, subscribed) || subscribed || self.epoch == 0 {
            self.raise_epoch();
        }
        if self.epoch > self.target_epoch {
            self.assign(topics);
        }
        self.reconcile(&id, Some(&owned));
        self.act_within(now, &id, Some(time));
        self.renew(now, &id);
        let gone = || (ErrorCode::UnknownMemberId, Rc::clone(&id));
        let member = self.members.get(&id).ok_or_else(gone)?;
        Ok(Joined {
            code: ErrorCode::None,
            generation: member.epoch,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: favourite(member).map(str::to_owned),
            leader: String::new(),
            skip_assignment: false,
            member_id: id.as_ref().to_owned(),
            members: Vec::new(),
        })
    }

    /// Whether it is a consumer, and knows a protocol that all members of its kind know.
    fn understands(&self, join: &Join) -> bool {
        let mut others = self
            .members
            .iter()
            .filter(|(id, _)| ***id != *join.member_id)
            .filter_map(|(_, member)| member.classic.as_ref());
        *join.protocol_type == *CONSUMER
            && join.protocols.iter().any(|(name, _)| {
                others.all(|other| other.protocols.iter().any(|(known, _)| known == name))
            })
    }

    /// Finds the member that a join comes from; one that is not known is taken in.
    fn find_or_admit(&mut self, join: &Join) -> Result<Rc<str>, ErrorCode> {
        let is_new = join.member_id.is_empty();
        let id = if is_new { &join.new_id } else { &join.member_id };
        if let Some(name) = &join.instance_id {
            match self.statics.get(name).cloned() {
                Some(known) if *known == **id => return Ok(known),
                Some(known) if is_new => {
                    return self.take_over(&known, id).map_err(|refusal| refusal.code);
                }
                Some(_other) => return Err(ErrorCode::FencedInstanceId),
                None if is_new => {}
                None => return Err(ErrorCode::UnknownMemberId),
            }
        }
        match self.members.get_key_value(id) {
            Some((id, _)) => Ok(Rc::clone(id)),
            None => self.admit(id).map_err(|refusal| refusal.code),
        }
    }

    /// Notes what a member tells of itself; whether it reads other topics now.
    fn describe_classic(
        &mut self,
        id: &Rc<str>,
        join: Join,
        version: i16,
        told: &ConsumerProtocolSubscription<'_>,
    ) -> bool {
        let Some(member) = self.members.get_mut(id) else { return false };
        let names = names_of(told);
        let subscribed = member.names != names || member.expression.is_some();
        let before = std::mem::replace(&mut member.instance_id, join.instance_id.clone());
        let classic = Classic {
            session_timeout: join.session_timeout,
            protocols: join.protocols,
            version,
            act_until: None,
        };
        let same = member.classic.replace(classic).is_some_and(|before| {
            let now = member.classic.as_ref();
            now.is_some_and(|now| {
                now.protocols == before.protocols && now.session_timeout == before.session_timeout
            })
        });
        let rack_id = told.rack_id.map(Rc::from);
        let same = same
            && before == join.instance_id
            && member.rack_id == rack_id
            && member.client_id == join.client_id
            && member.client_host == join.client_host
            && member.rebalance_timeout == join.rebalance_timeout;
        member.rack_id = rack_id;
        member.client_id = join.client_id;
        member.client_host = join.client_host;
        member.rebalance_timeout = join.rebalance_timeout;
        member.names = names;
        (member.expression, member.assignor) = (None, None);
        member.revoke_until = None;
        self.rename(id, before, join.instance_id);
        if subscribed || !same {
            self.unwritten.member(id).description = true;
        }
        subscribed
    }

    /// A member wants to know what it may read.
    pub(crate) fn sync(
        &mut self,
        now: Now,
        asker: Asker,
        sync: &Sync,
        topics: &dyn Topics,
        out: &mut Vec<Action>,
    ) {
        match self.give_share(now, sync, topics) {
            // It waits with those whose changes it rests on.
            Ok(synced) => self.waiting.push((asker, Reply::Synced(synced))),
            Err(code) => out.push(Action::Tell(asker, Reply::Synced(Synced::refused(code)))),
        }
        self.flush(out);
    }

    fn give_share(
        &mut self,
        now: Now,
        sync: &Sync,
        topics: &dyn Topics,
    ) -> Result<Synced, ErrorCode> {
        let claim = Claim { member_id: &sync.member_id, instance_id: sync.instance_id.as_deref() };
        let (id, member) = self.classic_member(claim, sync.generation)?;
        let protocol = favourite(member);
        let differs = |said: Option<&str>, ours: Option<&str>| said.is_some() && said != ours;
        if differs(sync.protocol_type.as_deref(), Some(CONSUMER))
            || differs(sync.protocol.as_deref(), protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        // One that has to give something up must hear of that first.
        if self.epoch > member.epoch && member.state != MemberState::Revoking {
            let time = member.rebalance_timeout;
            self.act_within(now, &id, Some(time));
            return Err(ErrorCode::RebalanceInProgress);
        }
        let share = share_of(member, topics);
        let protocol = protocol.map(str::to_owned);
        self.act_within(now, &id, None);
        self.renew(now, &id);
        Ok(Synced {
            code: ErrorCode::None,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol,
            share,
        })
    }

    /// A member of the classic protocol says that it lives.
    pub(crate) fn classic_heartbeat(
        &mut self,
        now: Now,
        claim: Claim<'_>,
        generation: i32,
    ) -> ErrorCode {
        let (id, member) = match self.classic_member(claim, generation) {
            Ok(found) => found,
            Err(code) => return code,
        };
        let joins_again = member.epoch < self.epoch
            || match member.state {
                MemberState::Stable => false,
                MemberState::Revoking => true,
                MemberState::Waiting => !self.waits_for_others(&id, member),
            };
        let time = member.rebalance_timeout;
        self.renew(now, &id);
        if joins_again {
            if self.members.get(&id).is_some_and(|member| member.act_until().is_none()) {
                self.act_within(now, &id, Some(time));
            }
            ErrorCode::RebalanceInProgress
        } else {
            ErrorCode::None
        }
    }

    /// Whether somebody still holds what this member shall.
    fn waits_for_others(&self, id: &Rc<str>, member: &Member) -> bool {
        let mut missing = member.target.difference(&member.assigned);
        missing.any(|one| self.owners.get(one).is_some_and(|owner| owner != id))
    }

    fn classic_member(
        &self,
        claim: Claim<'_>,
        generation: i32,
    ) -> Result<(Rc<str>, &Member), ErrorCode> {
        if let Some(name) = claim.instance_id {
            match self.statics.get(name) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(id) if **id != *claim.member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        let known = self.members.get_key_value(claim.member_id);
        let (id, member) = known.ok_or(ErrorCode::UnknownMemberId)?;
        if member.classic.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        if member.epoch != generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok((Rc::clone(id), member))
    }

    /// What a member was told to do must be done by then; `None` if it has been.
    fn act_within(&mut self, now: Now, id: &str, time: Option<std::time::Duration>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let Some(classic) = &mut member.classic else { return };
        classic.act_until = time.map(|time| now.at + time);
        if let Some(until) = classic.act_until {
            self.wake_by(until);
        }
    }

    fn renew(&mut self, now: Now, id: &str) {
        let Some(member) = self.members.get_mut(id) else { return };
        let Some(session) = member.session_timeout() else { return };
        member.deadline = now.at + session;
        let deadline = member.deadline;
        self.wake_by(deadline);
    }
}

/// The protocol in which a member is answered.
fn favourite(member: &Member) -> Option<&str> {
    let first: Option<&Protocol> = member.classic.as_ref()?.protocols.first();
    first.map(|(name, _)| name.as_ref())
}

/// The topics of a subscription, in order.
pub(super) fn names_of(told: &ConsumerProtocolSubscription<'_>) -> Vec<Rc<str>> {
    let mut names: Vec<Rc<str>> = told.topics.iter().map(|name| Rc::from(*name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The partitions, as far as there are such topics and partitions.
pub(super) fn by_name(named: &[ConsumerProtocolPartitions<'_>], topics: &dyn Topics) -> Partitions {
    let existing = named.iter().filter_map(|one| {
        let (topic, count) = topics.find(one.topic)?;
        let exists = move |index: &i32| u32::try_from(*index).is_ok_and(|index| index < count);
        let indexes = one.partitions.iter().copied().filter(exists).filter_map(PartitionIndex::new);
        Some(indexes.map(move |index| TopicPartition { topic, index }))
    });
    existing.flatten().collect()
}

/// What a member may read, in the form that its leader would have sent.
pub(super) fn share_of(member: &Member, topics: &dyn Topics) -> Bytes {
    let assigned: Vec<(Rc<str>, Vec<i32>)> = by_topic(&member.assigned)
        .filter_map(|(id, partitions)| Some((topics.name(id)?, partitions)))
        .collect();
    let assigned_partitions = assigned.iter().map(|(topic, partitions)| {
        let (topic, partitions) = (topic.as_ref(), partitions.clone());
        ConsumerProtocolPartitions { topic, partitions }
    });
    let share = ConsumerProtocolAssignment {
        assigned_partitions: assigned_partitions.collect(),
        user_data: None,
    };
    let version = member.classic.as_ref().map_or(0, |classic| classic.version);
    let mut bytes = Vec::new();
    share.write(version, &mut bytes).expect("topics' names and counts fit");
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use protocol::TopicId;

    use super::super::partitions;
    use super::*;

    /// One topic of two partitions.
    struct Two;

    const ID: TopicId = TopicId::new([1; 16]);

    impl Topics for Two {
        fn version(&self) -> i64 {
            0
        }

        fn find(&self, name: &str) -> Option<(TopicId, u32)> {
            (name == "t").then_some((ID, 2))
        }

        fn name(&self, _: TopicId) -> Option<Rc<str>> {
            None
        }

        fn each(&self, _: &mut dyn FnMut(&Rc<str>)) {}
    }

    #[test]
    fn a_member_owns_no_partition_that_does_not_exist() {
        let named = |topic, indexes: &[i32]| ConsumerProtocolPartitions {
            topic,
            partitions: indexes.to_vec(),
        };
        let told = [named("t", &[-1, 0, 1, 2, i32::MAX]), named("gone", &[0])];
        assert_eq!(by_name(&told, &Two), partitions([(ID, [0, 1].as_slice())].into_iter()));
    }
}
