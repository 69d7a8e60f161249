//! One classic group as a value: who its members are, and how they come to a generation together.
//!
//! The machine does nothing by itself. It is told what arrived and what time it is, and gives back what must happen:
//! answers to those who wait, and records to be written. It reads no clock, draws no number and never waits.
//!
//! ```text
//!            join                 all joined, or time is up          the leader's shares are on disk
//!   Empty ────────▶ PreparingRebalance ────────▶ CompletingRebalance ────────▶ Stable
//!     ▲                  │  ▲                          │                         │
//!     └── nobody left ───┘  └──────── join, leave, silence, changed wishes ◀─────┘
//! ```

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use runtime::Nanos;

mod join;
mod leave;
mod member;
mod migrate;
mod persist;
mod rebalance;
mod sync;

pub(crate) use join::{Join, Joined};
pub(crate) use leave::Leaving;
pub(crate) use member::{Described, Member, Protocol};
pub(crate) use migrate::{Moving, MovingMember};
pub(crate) use sync::{Sync, Synced};

/// Somebody who waits for an answer, by a number that the caller chose.
pub(crate) type Asker = u64;

/// A new member that gets no answer for so long is given up: its client has asked again or is gone.
const NEW_MEMBER_PATIENCE: Duration = Duration::from_secs(300);

/// What time it is: on the clock that never goes back, and on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) at: Nanos,
    pub(crate) wall_ms: i64,
}

/// The rules that are the same for all groups.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How long a new group waits for more members.
    pub(crate) initial_delay: Duration,
    /// How many members a group may have.
    pub(crate) size_max: usize,
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no members.
    Empty,
    /// Its members are to join anew.
    PreparingRebalance,
    /// Its members have joined and wait for their shares.
    CompletingRebalance,
    /// Every member has its share.
    Stable,
}

impl State {
    /// Kafka's word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// What must happen, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Answer a join.
    Joined(Asker, Joined),
    /// Answer a sync.
    Synced(Asker, Synced),
    /// Write this value under the group's key, and say what became of it with [`Classic::written`].
    Write(u64, Vec<u8>),
}

/// Who a request says it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
}

/// What waits for a record to be on disk.
#[derive(Debug)]
enum Writing {
    /// The shares of a generation.
    Shares { generation: i32, shares: BTreeMap<Rc<str>, Bytes> },
    /// A static member came back under a new id; this is what it is told.
    Replaced { asker: Asker, answer: Joined },
    /// Nobody waits.
    Nothing,
}

/// A classic group.
#[derive(Debug)]
pub(crate) struct Classic {
    rules: Rc<Rules>,
    state: State,
    state_since_ms: i64,
    protocol_type: Option<Rc<str>>,
    protocol: Option<Rc<str>>,
    generation: i32,
    leader: Option<Rc<str>>,
    members: BTreeMap<Rc<str>, Member>,
    /// Static members by their name.
    statics: BTreeMap<Rc<str>, Rc<str>>,
    /// Ids that were given out and have not joined yet, and until when they may.
    pending: BTreeMap<Rc<str>, Nanos>,
    /// The rebalance under way began with an empty group, so it waits for more members.
    is_initial: bool,
    /// A member came while the first rebalance waited.
    newcomer: bool,
    /// When the joining ends, and how much longer the first rebalance may wait beyond.
    join_until: Option<Nanos>,
    join_more: Duration,
    /// When members that have not fetched their shares are given up.
    sync_until: Option<Nanos>,
    writes: BTreeMap<u64, Writing>,
    next_write: u64,
    /// Nothing can become due before; see [`Self::wake_at`].
    wake_at: Nanos,
}

impl Classic {
    /// A group without members.
    pub(crate) fn new(rules: Rc<Rules>, now: Now) -> Self {
        Self {
            rules,
            state: State::Empty,
            state_since_ms: now.wall_ms,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            is_initial: false,
            newcomer: false,
            join_until: None,
            join_more: Duration::ZERO,
            sync_until: None,
            writes: BTreeMap::new(),
            next_write: 0,
            wake_at: Nanos::MAX,
        }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Since when, in wall time.
    pub(crate) fn state_since_ms(&self) -> i64 {
        self.state_since_ms
    }

    /// What kind of group it is, once anybody has said so.
    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// Whether nobody is in it, waits to be, or waits for the disk.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Empty
            && self.members.is_empty()
            && self.pending.is_empty()
            && self.writes.is_empty()
    }

    /// Nothing becomes due before this moment. It may be earlier than anything that is due.
    pub(crate) fn wake_at(&self) -> Nanos {
        self.wake_at
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Now, out: &mut Vec<Action>) {
        if now.at < self.wake_at {
            return;
        }
        let silent: Vec<Rc<str>> =
            self.pending.iter().filter(|(_, until)| **until <= now.at).map(first).collect();
        if !silent.is_empty() {
            for id in silent {
                self.pending.remove(&id);
            }
            self.complete_join_if_all_are_here(now, out);
        }
        let late: Vec<Rc<str>> = self
            .members
            .iter()
            .filter(|(_, member)| member.deadline <= now.at)
            .map(first)
            .collect();
        for id in late {
            self.member_is_late(now, &id, out);
        }
        if self.join_until.is_some_and(|until| until <= now.at) {
            self.join_time_is_up(now, out);
        }
        if self.sync_until.is_some_and(|until| until <= now.at) {
            self.sync_time_is_up(now, out);
        }
        self.wake_at = self.next_due();
    }

    /// A member says that it lives.
    pub(crate) fn heartbeat(&mut self, now: Now, claim: Claim<'_>, generation: i32) -> ErrorCode {
        if let Err(code) = self.check(claim) {
            return code;
        }
        if generation != self.generation {
            return ErrorCode::IllegalGeneration;
        }
        match self.state {
            State::Empty => ErrorCode::UnknownMemberId,
            State::PreparingRebalance => {
                self.renew(now, claim.member_id);
                ErrorCode::RebalanceInProgress
            }
            State::CompletingRebalance | State::Stable => {
                self.renew(now, claim.member_id);
                ErrorCode::None
            }
        }
    }

    /// Whether offsets may be committed in this name, -1 being the generation of one who is no member.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn check_commit(
        &mut self,
        now: Now,
        claim: Claim<'_>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation < 0 && claim.member_id.is_empty() && claim.instance_id.is_none() {
            // While there are members, only they may.
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check(claim)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.renew(now, claim.member_id);
        Ok(())
    }

    /// A record that was to be written is on disk, or could not be written.
    pub(crate) fn written(
        &mut self,
        now: Now,
        write: u64,
        outcome: Result<(), ErrorCode>,
        out: &mut Vec<Action>,
    ) {
        match self.writes.remove(&write) {
            Some(Writing::Shares { generation, shares }) => {
                self.shares_are_written(now, generation, shares, outcome, out);
            }
            Some(Writing::Replaced { asker, answer }) => {
                let stands = self.state == State::Stable && answer.generation == self.generation;
                let outcome = match outcome {
                    // What it was to be told is no longer so.
                    Ok(()) if !stands => Err(ErrorCode::RebalanceInProgress),
                    outcome => outcome,
                };
                let answer = match outcome {
                    Ok(()) => answer,
                    Err(code) => Joined::refused(code, &answer.member_id),
                };
                out.push(Action::Joined(asker, answer));
            }
            Some(Writing::Nothing) | None => {}
        }
    }

    /// Whether the claim is a member's.
    fn check(&self, claim: Claim<'_>) -> Result<(), ErrorCode> {
        if let Some(instance) = claim.instance_id {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(id) if **id != *claim.member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(claim.member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    fn renew(&mut self, now: Now, member_id: &str) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.deadline = now.at + member.session_timeout;
        let deadline = member.deadline;
        self.wake_by(deadline);
    }

    fn wake_by(&mut self, moment: Nanos) {
        self.wake_at = self.wake_at.min(moment);
    }

    fn next_due(&self) -> Nanos {
        let members = self.members.values().map(|member| member.deadline);
        let pending = self.pending.values().copied();
        members
            .chain(pending)
            .chain(self.join_until)
            .chain(self.sync_until)
            .min()
            .unwrap_or(Nanos::MAX)
    }

    fn enter(&mut self, now: Now, state: State) {
        self.state = state;
        self.state_since_ms = now.wall_ms;
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }
}

fn first<V>((id, _): (&Rc<str>, V)) -> Rc<str> {
    Rc::clone(id)
}

#[cfg(test)]
mod tests;
