//! One partition of `__consumer_offsets` that this shard owns, and the groups that live in it.
//!
//! The machines of the groups decide; here their actions are carried out: answers go to those who wait, records to the
//! [`Ledger`], and what becomes of the records back to the machines.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::kafka::group_log::GroupKey;
use runtime::sync::{Notify, OneReceiver, OneSender, oneshot};
use runtime::{Map, Nanos, TaskClass};

use super::classic::{self, Asker, Classic, Joined, Now, Synced};
use super::consumer::{self, Consumer, Reply, Told};
use super::ledger::{Ledger, Lines, Then};
use super::offsets::Offsets;
use super::settings::Settings;
use super::{expire, load, migration};
use crate::partition::Partition;
use crate::quota::{self, Quota};
use crate::shard::Shard;

/// How long a partition that cannot be read is left alone before it is tried again.
const LOAD_AGAIN: Duration = Duration::from_secs(5);

/// What is known of a group: how far it has read, and who is in it.
pub(crate) struct Group {
    pub(crate) offsets: Offsets,
    pub(crate) kind: Kind,
    /// A record tells of its members, so one must take that back when it goes.
    pub(crate) recorded: bool,
    /// When its machine is woken, as noted in [`Home::alarms`].
    alarm: Nanos,
    /// How often it may commit, once it has.
    pub(crate) commits: Option<Quota>,
}

/// The protocol by which a group's members share their work.
pub(crate) enum Kind {
    /// The members decide among themselves.
    Classic(Box<Classic>),
    /// The group decides for its members (KIP-848).
    Consumer(Box<Consumer>),
}

impl Kind {
    /// Whether nobody is in it, waits to be, or waits for the disk.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Self::Classic(classic) => classic.is_idle(),
            Self::Consumer(consumer) => consumer.is_idle(),
        }
    }

    fn wake_at(&self) -> Nanos {
        match self {
            Self::Classic(classic) => classic.wake_at(),
            Self::Consumer(consumer) => consumer.wake_at(),
        }
    }
}

impl Group {
    /// A group that nobody has heard of.
    pub(crate) fn new(rules: &Rc<classic::Rules>, now: Now) -> Self {
        Self {
            offsets: Offsets::default(),
            kind: Kind::Classic(Box::new(Classic::new(Rc::clone(rules), now))),
            recorded: false,
            alarm: Nanos::MAX,
            commits: None,
        }
    }

    /// It commits; how long the answer has to wait, so that the group keeps to its quota.
    pub(crate) fn owe_commit(&mut self, per_second: u32, now: Nanos) -> Duration {
        if per_second == 0 {
            return Duration::ZERO;
        }
        self.commits
            .get_or_insert_with(|| Quota::new(f64::from(per_second), quota::BURST))
            .owe(now, 1)
    }
}

/// Whether the groups of a partition are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Their records are being read.
    Loading,
    /// They are.
    Serving,
    /// The partition is not ours any more.
    Closed,
}

/// Who waits for an answer of a machine.
enum Waiting {
    Join(OneSender<Joined>),
    Sync(OneSender<Synced>),
    Beat(OneSender<Told>),
}

/// One partition and its groups.
pub(crate) struct Home {
    pub(crate) partition: Rc<Partition>,
    pub(crate) settings: Rc<Settings>,
    phase: Cell<Phase>,
    pub(crate) groups: RefCell<BTreeMap<Rc<str>, Group>>,
    ledger: Ledger,
    waiting: RefCell<Map<Asker, Waiting>>,
    next_asker: Cell<Asker>,
    /// When machines want to be woken; each group stands here once at most.
    alarms: RefCell<BTreeSet<(Nanos, Rc<str>)>>,
    alarms_changed: Notify,
}

impl Home {
    /// Takes a partition over: its groups are loaded, and then served until [`Self::close`].
    pub(crate) fn open(shard: &Rc<Shard>, partition: Rc<Partition>) -> Rc<Self> {
        // A new partition has nothing to load, and nobody has to wait for that.
        let is_new = partition.log.durable_offset() == partition.log.log_start_offset();
        let home = Rc::new(Self {
            partition,
            settings: Rc::clone(&shard.groups.settings),
            phase: Cell::new(if is_new { Phase::Serving } else { Phase::Loading }),
            groups: RefCell::default(),
            ledger: Ledger::default(),
            waiting: RefCell::default(),
            next_asker: Cell::new(0),
            alarms: RefCell::default(),
            alarms_changed: Notify::new(),
        });
        let (here, there) = (Rc::clone(&home), Rc::clone(shard));
        shard.world.spawn(TaskClass::Serve, async move { here.live(there).await });
        home
    }

    async fn live(self: Rc<Self>, shard: Rc<Shard>) {
        if self.phase.get() == Phase::Loading && !self.load(&shard).await {
            return;
        }
        let (here, there) = (Rc::clone(&self), Rc::clone(&shard));
        shard.world.spawn(TaskClass::Serve, async move { here.ring_alarms(&there).await });
        let (here, there) = (Rc::clone(&self), Rc::clone(&shard));
        shard.world.spawn(TaskClass::Background, async move { expire::run(&here, &there).await });
        let settle = |then, outcome| self.settle(&shard, then, outcome);
        self.ledger.write_all(&shard, self.partition.id, settle).await;
    }

    /// Reads the groups; false if the partition was given up before that came to an end.
    async fn load(&self, shard: &Rc<Shard>) -> bool {
        let began = shard.world.now();
        loop {
            let loaded = load::load(shard, &self.partition.log, &self.settings).await;
            if self.phase.get() == Phase::Closed {
                return false;
            }
            match loaded {
                Ok(mut groups) => {
                    let time = shard.world.now().since(began);
                    let (partition, count) = (self.partition.id.index, groups.len());
                    tracing::debug!(%partition, groups = count, ?time, "groups loaded");
                    for (id, group) in &mut groups {
                        self.set_alarm(id, group);
                    }
                    *self.groups.borrow_mut() = groups;
                    self.phase.set(Phase::Serving);
                    return true;
                }
                Err(reason) => {
                    let partition = self.partition.id;
                    tracing::error!(%partition, reason, "groups cannot be loaded");
                    let stop = shard.world.stopping();
                    if shard.world.timeout(LOAD_AGAIN, stop).await.is_ok() {
                        return false;
                    }
                }
            }
        }
    }

    /// Everybody who waits is sent away; nothing is written any more.
    pub(crate) fn close(&self) {
        self.phase.set(Phase::Closed);
        self.ledger.close();
        // Those whose sender is dropped are told to look for the group elsewhere.
        self.waiting.borrow_mut().clear();
        self.alarms_changed.notify_all();
    }

    /// Whether the groups can be asked now.
    ///
    /// # Errors
    /// What clients are told; they try again.
    pub(crate) fn check_serving(&self) -> Result<(), ErrorCode> {
        match self.phase.get() {
            Phase::Loading => Err(ErrorCode::CoordinatorLoadInProgress),
            Phase::Serving => Ok(()),
            Phase::Closed => Err(ErrorCode::NotCoordinator),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase.get() == Phase::Closed
    }

    /// Somebody who will wait for a join.
    pub(crate) fn await_join(&self) -> (Asker, OneReceiver<Joined>) {
        let (sender, receiver) = oneshot();
        (self.add_asker(Waiting::Join(sender)), receiver)
    }

    /// Somebody who will wait for a share.
    pub(crate) fn await_sync(&self) -> (Asker, OneReceiver<Synced>) {
        let (sender, receiver) = oneshot();
        (self.add_asker(Waiting::Sync(sender)), receiver)
    }

    /// Somebody who will wait for what follows from a heartbeat of a KIP-848 member.
    pub(crate) fn await_beat(&self) -> (Asker, OneReceiver<Told>) {
        let (sender, receiver) = oneshot();
        (self.add_asker(Waiting::Beat(sender)), receiver)
    }

    fn add_asker(&self, waiting: Waiting) -> Asker {
        let asker = self.next_asker.get();
        self.next_asker.set(asker + 1);
        self.waiting.borrow_mut().insert(asker, waiting);
        asker
    }

    /// Has the machine of a classic group do something, and carries out what follows.
    ///
    /// # Errors
    /// There is no such group, or it is of another kind.
    pub(crate) fn with_classic<T>(
        &self,
        shard: &Shard,
        id: &str,
        work: impl FnOnce(&mut Classic, Now, &mut Vec<classic::Action>) -> T,
    ) -> Result<T, ErrorCode> {
        let mut actions = Vec::new();
        let (id, given) = self.with_group(id, |group| match &mut group.kind {
            Kind::Classic(classic) => Some(work(classic, now(shard), &mut actions)),
            Kind::Consumer(_) => None,
        })?;
        self.act(shard, &id, actions);
        Ok(given)
    }

    /// The same for a group of KIP-848.
    ///
    /// # Errors
    /// There is no such group, or it is of another kind.
    pub(crate) fn with_consumer<T>(
        &self,
        shard: &Shard,
        id: &str,
        work: impl FnOnce(&mut Consumer, Now, &mut Vec<consumer::Action>) -> T,
    ) -> Result<T, ErrorCode> {
        let mut actions = Vec::new();
        let (id, given) = self.with_group(id, |group| match &mut group.kind {
            Kind::Consumer(consumer) => Some(work(consumer, now(shard), &mut actions)),
            Kind::Classic(_) => None,
        })?;
        for action in actions {
            match action {
                consumer::Action::Tell(asker, reply) => match (reply, self.take_asker(asker)) {
                    // Who has gone needs no answer.
                    (Reply::Told(told), Some(Waiting::Beat(sender))) => drop(sender.send(told)),
                    (Reply::Joined(told), Some(Waiting::Join(sender))) => drop(sender.send(told)),
                    (Reply::Synced(told), Some(Waiting::Sync(sender))) => drop(sender.send(told)),
                    _ => {}
                },
                consumer::Action::Write(write, lines) => {
                    self.put(shard, lines, Then::Written { group: Rc::clone(&id), write });
                }
            }
        }
        migration::downgrade_if_due(shard, self, &id);
        Ok(given)
    }

    /// Whether there is a KIP-848 group of this name.
    pub(crate) fn is_consumer(&self, id: &str) -> bool {
        let groups = self.groups.borrow();
        groups.get(id).is_some_and(|group| matches!(group.kind, Kind::Consumer(_)))
    }

    fn with_group<T>(
        &self,
        id: &str,
        work: impl FnOnce(&mut Group) -> Option<T>,
    ) -> Result<(Rc<str>, T), ErrorCode> {
        let mut groups = self.groups.borrow_mut();
        let id = groups.get_key_value(id).map(|(id, _)| Rc::clone(id));
        let id = id.ok_or(ErrorCode::GroupIdNotFound)?;
        let group = groups.get_mut(&id).ok_or(ErrorCode::GroupIdNotFound)?;
        let given = work(group).ok_or(ErrorCode::GroupIdNotFound)?;
        self.set_alarm(&id, group);
        Ok((id, given))
    }

    /// Carries out what a classic group wants.
    pub(super) fn act(&self, shard: &Shard, id: &Rc<str>, actions: Vec<classic::Action>) {
        for action in actions {
            match action {
                classic::Action::Joined(asker, answer) => {
                    if let Some(Waiting::Join(sender)) = self.take_asker(asker) {
                        // Who has gone needs no answer.
                        drop(sender.send(answer));
                    }
                }
                classic::Action::Synced(asker, answer) => {
                    if let Some(Waiting::Sync(sender)) = self.take_asker(asker) {
                        drop(sender.send(answer));
                    }
                }
                classic::Action::Write(write, value) => self.write_group(shard, id, write, &value),
            }
        }
    }

    fn take_asker(&self, asker: Asker) -> Option<Waiting> {
        self.waiting.borrow_mut().remove(&asker)
    }

    fn write_group(&self, shard: &Shard, id: &Rc<str>, write: u64, value: &[u8]) {
        let mut lines = Lines::default();
        let put = |into: &mut Vec<u8>| {
            into.extend_from_slice(value);
            Ok(())
        };
        let then = Then::Written { group: Rc::clone(id), write };
        let added = lines.add(GroupKey::Group { group: id }, Some(put));
        let refused = match added {
            Ok(()) => self.ledger.put(lines, then).err(),
            Err(_too_long) => Some((ErrorCode::UnknownServerError, then)),
        };
        if let Some((code, then)) = refused {
            self.settle(shard, then, Err(code));
        }
    }

    /// Queues records; what follows is told when they are on disk, or at once if they are refused.
    pub(crate) fn put(&self, shard: &Shard, lines: Lines, then: Then) {
        if let Err((code, then)) = self.ledger.put(lines, then) {
            self.settle(shard, then, Err(code));
        }
    }

    /// Carries out what follows where nothing had to be written.
    pub(crate) fn settle_at_once(&self, shard: &Shard, then: Then) {
        self.settle(shard, then, Ok(()));
    }

    /// Carries out what follows from records that are on disk, or could not be written.
    fn settle(&self, shard: &Shard, then: Then, outcome: Result<(), ErrorCode>) {
        match then {
            Then::Written { group, write } => {
                if outcome.is_ok()
                    && let Some(group) = self.groups.borrow_mut().get_mut(&group)
                {
                    group.recorded = true;
                }
                // A group that is gone meanwhile has nobody who waits.
                let told = self.with_classic(shard, &group, |classic, now, out| {
                    classic.written(now, write, outcome, out);
                });
                let _gone = told.or_else(|_other| {
                    self.with_consumer(shard, &group, |consumer, now, out| {
                        consumer.written(now, write, outcome, out);
                    })
                });
            }
            Then::Offsets { group, changes, done } => {
                if outcome.is_ok() {
                    self.set_offsets(shard, &group, changes);
                }
                // Who has gone needs no answer.
                let _heard = done.map(|done| done.send(outcome));
            }
            Then::Removed { group, places, done } => {
                if outcome.is_ok() {
                    self.forget(&group, &places);
                }
                // Who has gone needs no answer.
                let _heard = done.map(|done| done.send(outcome));
            }
        }
    }

    fn set_offsets(&self, shard: &Shard, id: &Rc<str>, changes: Vec<super::ledger::Change>) {
        let mut groups = self.groups.borrow_mut();
        let group = groups
            .entry(Rc::clone(id))
            .or_insert_with(|| Group::new(&self.settings.rules, now(shard)));
        for (topic, partition, committed) in changes {
            group.offsets.set(&topic, partition, committed);
        }
    }

    fn forget(&self, id: &Rc<str>, places: &[super::offsets::Place]) {
        let mut groups = self.groups.borrow_mut();
        let Some(group) = groups.get_mut(id) else { return };
        for (topic, partition) in places {
            group.offsets.set(topic, *partition, None);
        }
        if group.kind.is_idle() && group.offsets.is_empty() {
            groups.remove(id);
        }
    }

    /// Notes when the group's machine wants to be woken, if that is earlier than is noted: a heartbeat only makes it
    /// later, and costs nothing here.
    fn set_alarm(&self, id: &Rc<str>, group: &mut Group) {
        let at = group.kind.wake_at();
        if at >= group.alarm {
            return;
        }
        let mut alarms = self.alarms.borrow_mut();
        alarms.remove(&(group.alarm, Rc::clone(id)));
        alarms.insert((at, Rc::clone(id)));
        group.alarm = at;
        drop(alarms);
        self.alarms_changed.notify_all();
    }

    /// Wakes each machine when it wants to be.
    async fn ring_alarms(self: &Rc<Self>, shard: &Rc<Shard>) {
        while !self.is_closed() {
            let next = self.alarms.borrow().first().map(|(at, _)| *at);
            let now = shard.world.now();
            match next {
                Some(at) if at <= now => {
                    let due = self.alarms.borrow_mut().pop_first();
                    if let Some((_, id)) = due {
                        self.wake(shard, &id);
                    }
                }
                Some(at) => {
                    let changed = self.alarms_changed.notified();
                    // Either way we look again.
                    let _in_time = shard.world.timeout(at.since(now), changed).await;
                }
                None => self.alarms_changed.notified().await,
            }
        }
    }
}

impl Home {
    fn wake(&self, shard: &Shard, id: &str) {
        if let Some(group) = self.groups.borrow_mut().get_mut(id) {
            group.alarm = Nanos::MAX;
        }
        // A group that is gone meanwhile needs no waking.
        let woken = self.with_classic(shard, id, Classic::tick);
        let _gone = woken.or_else(|_other| self.with_consumer(shard, id, Consumer::tick));
    }
}

/// What time it is on this shard.
pub(crate) fn now(shard: &Shard) -> Now {
    Now { at: shard.world.now(), wall_ms: shard.world.wall_ms() }
}
