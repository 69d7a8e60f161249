//! One KIP-848 group as a value: its members tell what they read, and the group itself shares the partitions out.
//!
//! Like [`super::classic`] it does nothing by itself: it is told what arrived and what time it is, and gives back what
//! must happen. Three epochs tell how far everybody has come:
//!
//! ```text
//! group epoch     rises with every change of members, subscriptions or topics
//!   ▼ assign
//! target epoch    for which group epoch it was worked out who shall hold what
//!   ▼ reconcile, each member at its own heartbeats
//! member epoch    which target the member has reached: what it must give up is given up, what is free is given to it
//! ```
//!
//! A partition has one owner at most: it is free for the next only when its owner has said that it holds it no more. So
//! a member that joins takes partitions from others one by one, and nobody else stops reading.
//!
//! Members of the classic protocol may be in it as well ([`classic_members`]): they join and fetch what they may read
//! instead of being told by heartbeats, and the epoch that they have reached is their generation.
//!
//! What changes is written as records, one write at a time; an answer waits until everything that it rests on is on
//! disk. If a write fails, those who wait are refused, and the next write carries its changes again.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use protocol::{ErrorCode, TopicPartition};
use runtime::Nanos;

use super::classic::{Asker, Joined, Now, Synced};
use super::ledger::Lines;
use subscription::Found;

mod assign;
mod classic_members;
mod describe;
mod join;
mod member;
mod migrate;
mod persist;
mod reconcile;
mod subscription;

pub(crate) use assign::Assignor;
pub(crate) use describe::{Described, DescribedMember};
pub(crate) use join::Beat;
pub(crate) use member::{AWAY, LEAVE};
pub(crate) use persist::{by_topic, partitions};
pub(crate) use subscription::{Topics, check_expression};

use member::Member;

/// Partitions, in order.
pub(crate) type Partitions = BTreeSet<TopicPartition>;

/// After a write that failed the next is tried so much later, if nobody asks before.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

/// The rules that are the same for all groups.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// A member that is silent for longer is dead.
    pub(crate) session: Duration,
    /// How often members shall be heard from.
    pub(crate) interval: Duration,
    /// How many members a group may have.
    pub(crate) size_max: usize,
    /// The assignors that members may choose; the first counts if nobody does.
    pub(crate) assignors: Vec<Assignor>,
}

/// Why a member is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: &'static str,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<&'static str>,
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) interval: Duration,
    /// What it may read, if it has to be told.
    pub(crate) assignment: Option<Partitions>,
}

impl Told {
    /// It is not served.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self {
            code: refusal.code,
            message: Some(refusal.message).filter(|text| !text.is_empty()),
            member_id: String::new(),
            epoch: 0,
            interval: Duration::ZERO,
            assignment: None,
        }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: "" }
    }
}

/// The answer to a member, as its protocol has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// To a heartbeat of the new protocol.
    Told(Told),
    /// To a join of the classic one.
    Joined(Joined),
    /// To a member of the classic one that fetches what it may read.
    Synced(Synced),
}

impl Reply {
    /// The same question is refused.
    fn refused(&self, code: ErrorCode) -> Self {
        match self {
            Self::Told(_) => Self::Told(Told::refused(code.into())),
            Self::Joined(joined) => Self::Joined(Joined::refused(code, &joined.member_id)),
            Self::Synced(_) => Self::Synced(Synced::refused(code)),
        }
    }
}

/// What must happen, in this order.
#[derive(Debug)]
pub(crate) enum Action {
    /// Answer a member.
    Tell(Asker, Reply),
    /// Write these records together, and say what became of them with [`Consumer::written`].
    Write(u64, Lines),
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no members.
    Empty,
    /// What its members shall hold is to be worked out.
    Assigning,
    /// Some members do not hold yet what they shall.
    Reconciling,
    /// All do.
    Stable,
}

impl State {
    /// Kafka's word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// What the log does not know yet: which records are out of date.
#[derive(Debug, Default)]
struct Marks {
    /// A classic group's record stands under this name and must go.
    classic: bool,
    group: bool,
    target: bool,
    members: BTreeMap<Rc<str>, MemberMarks>,
}

/// The three records of one member.
#[derive(Debug, Default, Clone, Copy)]
struct MemberMarks {
    description: bool,
    target: bool,
    current: bool,
}

impl Marks {
    fn is_empty(&self) -> bool {
        !self.classic && !self.group && !self.target && self.members.is_empty()
    }

    fn member(&mut self, id: &Rc<str>) -> &mut MemberMarks {
        self.members.entry(Rc::clone(id)).or_default()
    }

    fn add(&mut self, other: Self) {
        self.classic |= other.classic;
        self.group |= other.group;
        self.target |= other.target;
        for (id, more) in other.members {
            let marks = self.member(&id);
            marks.description |= more.description;
            marks.target |= more.target;
            marks.current |= more.current;
        }
    }
}

/// A write under way, and who is told what when it is done.
#[derive(Debug)]
struct Writing {
    write: u64,
    marks: Marks,
    waiting: Vec<(Asker, Reply)>,
}

/// A KIP-848 group.
#[derive(Debug)]
pub(crate) struct Consumer {
    id: Rc<str>,
    rules: Rc<Rules>,
    created_ms: i64,
    /// Since when it has no members, in wall time.
    empty_since_ms: i64,
    epoch: i32,
    target_epoch: i32,
    /// Of the topics that are read and their partitions; 0 if there are none.
    fingerprint: i64,
    members: BTreeMap<Rc<str>, Member>,
    /// Static members by their name.
    statics: BTreeMap<Rc<str>, Rc<str>>,
    /// Who holds each partition, or has not said yet that it holds it no more.
    owners: BTreeMap<TopicPartition, Rc<str>>,
    /// The regular expressions of the members, and what they found.
    expressions: BTreeMap<Rc<str>, Found>,
    /// The topics as they were when the group last looked at them.
    seen: Option<i64>,
    /// Expressions are not tried on new topics before this moment.
    find_again: Nanos,
    unwritten: Marks,
    writing: Option<Writing>,
    /// Who is told what once all of the above is on disk.
    waiting: Vec<(Asker, Reply)>,
    next_write: u64,
    write_again: Option<Nanos>,
    /// Nothing can become due before; see [`Self::wake_at`].
    wake_at: Nanos,
}

impl Consumer {
    /// A group without members. It may take the place of a classic one whose record stands in the log.
    pub(crate) fn new(id: Rc<str>, rules: Rc<Rules>, was_classic: bool, now: Now) -> Self {
        Self {
            id,
            rules,
            created_ms: now.wall_ms,
            empty_since_ms: now.wall_ms,
            epoch: 0,
            target_epoch: 0,
            fingerprint: 0,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            owners: BTreeMap::new(),
            expressions: BTreeMap::new(),
            seen: None,
            find_again: Nanos::ZERO,
            unwritten: Marks { classic: was_classic, ..Marks::default() },
            writing: None,
            waiting: Vec::new(),
            next_write: 0,
            write_again: None,
            wake_at: Nanos::MAX,
        }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch > self.target_epoch {
            State::Assigning
        } else if self.members.values().all(|member| member.has_reached(self.target_epoch)) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// Since when it has had no members, in wall time, if it has none.
    pub(crate) fn empty_since_ms(&self) -> i64 {
        self.empty_since_ms
    }

    /// Whether nobody is in it or waits for the disk, so that it may be forgotten.
    pub(crate) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.writing.is_none() && self.waiting.is_empty()
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
        let late = |member: &Member| {
            let due = [Some(member.deadline), member.revoke_until, member.act_until()];
            due.into_iter().flatten().any(|until| until <= now.at)
        };
        let gone: Vec<Rc<str>> = self
            .members
            .iter()
            .filter(|(_, member)| late(member))
            .map(|(id, _)| Rc::clone(id))
            .collect();
        for id in gone {
            self.remove(now, &id);
        }
        if self.write_again.is_some_and(|at| at <= now.at) {
            self.write_again = None;
        }
        self.flush(out);
        self.wake_at = self.next_due();
    }

    /// Whether offsets may be committed in this name; a negative epoch is one who is no member.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn check_commit(&self, member_id: &str, epoch: i32) -> Result<(), ErrorCode> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check_epoch(member_id, epoch)
    }

    /// Whether offsets may be asked for in this name; who gives none may always.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        match member_id {
            None if epoch < 0 => Ok(()),
            id => self.check_epoch(id.unwrap_or_default(), epoch),
        }
    }

    fn check_epoch(&self, member_id: &str, epoch: i32) -> Result<(), ErrorCode> {
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        match &member.classic {
            _ if member.epoch == epoch => Ok(()),
            Some(_) => Err(ErrorCode::IllegalGeneration),
            None => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    /// Whether this member speaks the classic protocol, and knows no codes of the new one.
    pub(crate) fn is_classic(&self, member_id: &str) -> bool {
        self.members.get(member_id).is_some_and(|member| member.classic.is_some())
    }

    /// Records that were to be written are on disk, or could not be written.
    pub(crate) fn written(
        &mut self,
        now: Now,
        write: u64,
        outcome: Result<(), ErrorCode>,
        out: &mut Vec<Action>,
    ) {
        let Some(writing) = self.writing.take_if(|writing| writing.write == write) else { return };
        match outcome {
            Ok(()) => {
                tell(writing.waiting, out);
                self.flush(out);
            }
            Err(code) => {
                // What those behind were to be told rests on these changes, too.
                let refused = writing.waiting.into_iter().chain(self.waiting.drain(..));
                out.extend(refused.map(|(asker, reply)| Action::Tell(asker, reply.refused(code))));
                self.unwritten.add(writing.marks);
                let again = now.at + WRITE_AGAIN;
                self.write_again = Some(again);
                self.wake_by(again);
            }
        }
    }

    /// Writes what has changed, or tells those who wait if there is nothing to write.
    fn flush(&mut self, out: &mut Vec<Action>) {
        if self.writing.is_some() {
            return;
        }
        if self.unwritten.is_empty() {
            tell(std::mem::take(&mut self.waiting), out);
            return;
        }
        let marks = std::mem::take(&mut self.unwritten);
        let lines = self.lines(&marks);
        let write = self.next_write;
        self.next_write += 1;
        let waiting = std::mem::take(&mut self.waiting);
        self.writing = Some(Writing { write, marks, waiting });
        out.push(Action::Write(write, lines));
    }

    /// A change that others must hear of.
    fn raise_epoch(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
        self.unwritten.group = true;
    }

    /// A member is gone, and what it held is free.
    fn remove(&mut self, now: Now, id: &str) {
        let Some((id, member)) = self.members.remove_entry(id) else { return };
        for partition in member.assigned.iter().chain(&member.revoking) {
            self.owners.remove(partition);
        }
        if let Some(name) = &member.instance_id
            && self.statics.get(name) == Some(&id)
        {
            self.statics.remove(name);
        }
        self.unwritten
            .members
            .insert(id, MemberMarks { description: true, target: true, current: true });
        if self.members.is_empty() {
            self.empty_since_ms = now.wall_ms;
        }
        self.raise_epoch();
    }

    fn wake_by(&mut self, moment: Nanos) {
        self.wake_at = self.wake_at.min(moment);
    }

    fn next_due(&self) -> Nanos {
        self.members
            .values()
            .flat_map(|member| {
                let due = [Some(member.deadline), member.revoke_until, member.act_until()];
                due.into_iter().flatten()
            })
            .chain(self.write_again)
            .min()
            .unwrap_or(Nanos::MAX)
    }
}

fn tell(waiting: Vec<(Asker, Reply)>, out: &mut Vec<Action>) {
    out.extend(waiting.into_iter().map(|(asker, reply)| Action::Tell(asker, reply)));
}

#[cfg(test)]
mod tests;
