//! Scenarios in text: a line that begins with `>` is a command, what follows is all that came of it.
//!
//! A member is shown as `name@epoch{what it may read}`, then `-{what it must give up}`, and `?` while it waits. One of
//! the classic protocol has a `~` behind its name.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use protocol::kafka::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolPartitions, ConsumerProtocolSubscription,
};
use protocol::kafka::group_log::GroupKey;
use protocol::{ErrorCode, PartitionIndex, TopicId, TopicPartition};
use runtime::Nanos;

use super::super::classic::{Claim, Join, Sync};
use super::member::MemberState;
use super::*;

mod random;

/// The topics of a test, by name.
#[derive(Debug, Default)]
struct World {
    version: i64,
    topics: BTreeMap<Rc<str>, (TopicId, u32)>,
}

impl World {
    fn set(&mut self, name: &str, id: u8, count: u32) {
        self.version += 1;
        self.topics.insert(Rc::from(name), (TopicId::new([id; 16]), count));
    }

    fn drop(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(name);
    }

    /// `a:0` for the first partition of the topic whose id is all `a`.
    fn show(partitions: &Partitions) -> String {
        let one =
            |one: &TopicPartition| format!("{}:{}", char::from(one.topic.get()[0]), one.index);
        partitions.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// What a member of the classic protocol tells of itself; without `owned` it is one that gives everything up first.
    fn subscription(&self, names: &[Rc<str>], owned: Option<&Partitions>) -> Bytes {
        let held = owned.into_iter().flat_map(by_topic).filter_map(|(id, partitions)| {
            let (name, _) = self.topics.iter().find(|(_, (known, _))| *known == id)?;
            Some(ConsumerProtocolPartitions { topic: name, partitions })
        });
        let told = ConsumerProtocolSubscription {
            topics: names.iter().map(AsRef::as_ref).collect(),
            owned_partitions: held.collect(),
            ..ConsumerProtocolSubscription::default()
        };
        let mut bytes = Vec::new();
        told.write(if owned.is_some() { 1 } else { 0 }, &mut bytes).expect("short names");
        Bytes::from(bytes)
    }

    /// What such a member was given.
    fn share(&self, bytes: &[u8]) -> Partitions {
        let share = ConsumerProtocolAssignment::read(bytes).expect("our own share");
        classic_members::by_name(&share.assigned_partitions, self)
    }

    fn read(text: &str) -> Partitions {
        let one = |one: &str| {
            let (topic, index) = one.split_once(':')?;
            let topic = TopicId::new([*topic.as_bytes().first()?; 16]);
            Some(TopicPartition { topic, index: PartitionIndex::new(index.parse().ok()?)? })
        };
        text.split(',').filter_map(one).collect()
    }
}

impl Topics for World {
    fn version(&self) -> i64 {
        self.version
    }

    fn find(&self, name: &str) -> Option<(TopicId, u32)> {
        self.topics.get(name).copied()
    }

    fn name(&self, id: TopicId) -> Option<Rc<str>> {
        self.topics.iter().find(|(_, (known, _))| *known == id).map(|(name, _)| Rc::clone(name))
    }

    fn each(&self, visit: &mut dyn FnMut(&Rc<str>)) {
        self.topics.keys().for_each(visit);
    }
}

/// The records of a group, as a compacted log has them.
#[derive(Debug, Default, Clone)]
struct Disk {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Disk {
    fn take(&mut self, lines: &Lines) {
        for (key, value) in lines.each() {
            match value {
                Some(value) => self.records.insert(key.to_vec(), value.to_vec()),
                None => self.records.remove(key),
            };
        }
    }

    fn restore(&self, rules: &Rc<Rules>, now: Now) -> Consumer {
        let mut group = Consumer::new(Rc::from("g"), Rc::clone(rules), false, now);
        for (key, value) in &self.records {
            let about = GroupKey::decode(key).expect("our own key");
            group.replay(about, Some(value)).expect("our own value");
        }
        group.restored(now);
        group
    }
}

/// The kinds and members of records.
fn show_lines(lines: &Lines) -> String {
    let one = |(key, value): (&[u8], Option<&[u8]>)| {
        let about = GroupKey::decode(key).expect("our own key");
        let name = match about {
            GroupKey::ConsumerGroup { .. } => "group".to_owned(),
            GroupKey::Target { .. } => "target".to_owned(),
            GroupKey::Member { member, .. } => format!("member {member}"),
            GroupKey::TargetMember { member, .. } => format!("target {member}"),
            GroupKey::CurrentMember { member, .. } => format!("current {member}"),
            other => format!("{other:?}"),
        };
        if value.is_some() { name } else { format!("no {name}") }
    };
    lines.each().map(one).collect::<Vec<_>>().join(", ")
}

fn rules() -> Rules {
    Rules {
        session: Duration::from_secs(45),
        interval: Duration::from_secs(5),
        size_max: 1000,
        assignors: vec![Assignor::Uniform, Assignor::Range],
    }
}

/// A group under test, its clock, its topics and its disk.
struct Stage {
    rules: Rc<Rules>,
    group: Consumer,
    world: World,
    at: Duration,
    askers: BTreeMap<Asker, String>,
    next_asker: Asker,
    writes: VecDeque<(u64, Lines)>,
    slow: bool,
    disk: Disk,
    out: String,
}

impl Stage {
    fn new() -> Self {
        let rules = Rc::new(rules());
        let now = Now { at: Nanos::ZERO, wall_ms: 0 };
        Self {
            group: Consumer::new(Rc::from("g"), Rc::clone(&rules), false, now),
            rules,
            world: World::default(),
            at: Duration::ZERO,
            askers: BTreeMap::new(),
            next_asker: 0,
            writes: VecDeque::new(),
            slow: false,
            disk: Disk::default(),
            out: String::new(),
        }
    }

    fn now(&self) -> Now {
        let wall_ms = i64::try_from(self.at.as_millis()).expect("a short story");
        Now { at: Nanos::ZERO + self.at, wall_ms }
    }

    fn run(&mut self, words: &[&str]) {
        let [verb, rest @ ..] = words else { return };
        let given =
            |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let name = rest.first().copied().unwrap_or_default();
        let now = self.now();
        let mut actions = Vec::new();
        match *verb {
            "rules" => {
                let size_max = given("max").map_or(1000, |max| max.parse().expect("a number"));
                self.rules = Rc::new(Rules { size_max, ..rules() });
                self.group = Consumer::new(Rc::from("g"), Rc::clone(&self.rules), false, now);
            }
            "topic" => {
                let count = given("partitions").map_or(0, |text| text.parse().expect("a number"));
                let id = given("id").unwrap_or(name).as_bytes()[0];
                self.world.set(name, id, count);
            }
            "drop" => self.world.drop(name),
            "beat" => {
                let epoch = given("epoch").map_or(0, |text| text.parse().expect("a number"));
                let joins = epoch == 0;
                let text = |key: &str| given(key).map(Rc::from);
                let names = given("reads").map(|all| {
                    all.split(',').filter(|one| !one.is_empty()).map(Rc::from).collect()
                });
                let timeout = given("timeout").map(seconds);
                let beat = Beat {
                    member_id: Rc::from(name),
                    epoch,
                    instance_id: text("static"),
                    rack_id: None,
                    client_id: Rc::from(name),
                    client_host: Rc::from("/h"),
                    rebalance_timeout: timeout.or(joins.then_some(Duration::from_secs(60))),
                    names,
                    expression: text("regex"),
                    assignor: text("assignor"),
                    owned: given("owns").or(joins.then_some("")).map(World::read),
                    session: self.rules.session,
                    interval: self.rules.interval,
                };
                self.next_asker += 1;
                let asker = self.next_asker;
                self.askers.insert(asker, name.to_owned());
                self.group.heartbeat(now, asker, beat, &self.world, &mut actions);
            }
            "join" => {
                let names: Vec<Rc<str>> =
                    given("reads").unwrap_or_default().split(',').map(Rc::from).collect();
                let owned = given("owns").map(World::read);
                let data = match given("data") {
                    Some(data) => Bytes::copy_from_slice(data.as_bytes()),
                    None => self.world.subscription(&names, owned.as_ref()),
                };
                let knows = given("knows").unwrap_or("range").split(',');
                self.next_asker += 1;
                let asker = self.next_asker;
                self.askers.insert(asker, name.to_owned());
                let join = Join {
                    member_id: Rc::from(given("id").unwrap_or_default()),
                    instance_id: given("static").map(Rc::from),
                    client_id: Rc::from(name),
                    client_host: Rc::from("/h"),
                    session_timeout: Duration::from_secs(10),
                    rebalance_timeout: Duration::from_secs(60),
                    protocol_type: Rc::from(given("type").unwrap_or("consumer")),
                    protocols: knows.map(|one| (Rc::from(one), data.clone())).collect(),
                    new_id: Rc::from(given("new").unwrap_or(name)),
                    must_know_id: given("v") != Some("3"),
                    can_skip: false,
                };
                self.group.join(now, asker, join, &self.world, &mut actions);
            }
            "sync" => {
                self.next_asker += 1;
                let asker = self.next_asker;
                self.askers.insert(asker, name.to_owned());
                let sync = Sync {
                    member_id: Rc::from(name),
                    instance_id: given("static").map(Rc::from),
                    generation: given("gen").map_or(0, |text| text.parse().expect("a number")),
                    protocol_type: None,
                    protocol: given("protocol").map(Rc::from),
                    shares: Vec::new(),
                };
                self.group.sync(now, asker, &sync, &self.world, &mut actions);
            }
            "heartbeat" => {
                let claim = Claim { member_id: name, instance_id: given("static") };
                let generation = given("gen").map_or(0, |text| text.parse().expect("a number"));
                let told = self.group.classic_heartbeat(now, claim, generation);
                self.say(&format!("{told:?}"));
            }
            "commit" => {
                let epoch = given("epoch").map_or(-1, |text| text.parse().expect("a number"));
                let id = if name == "-" { "" } else { name };
                let told = self.group.check_commit(id, epoch);
                self.say(&format!("{:?}", told.err().unwrap_or(ErrorCode::None)));
            }
            "fetch" => {
                let epoch = given("epoch").map_or(-1, |text| text.parse().expect("a number"));
                let id = (name != "-").then_some(name);
                let told = self.group.check_fetch(id, epoch);
                self.say(&format!("{:?}", told.err().unwrap_or(ErrorCode::None)));
            }
            "send-away" => {
                let leaving: Vec<(&str, Option<&str>)> = rest
                    .iter()
                    .map(|one| match one.split_once('/') {
                        Some((id, name)) => (id, Some(name)),
                        None => (*one, None),
                    })
                    .collect();
                let told = self.group.send_away(now, leaving.into_iter(), &mut actions);
                self.say(&format!("{told:?}"));
            }
            "wait" => self.wait(seconds(name)),
            "disk" => self.slow = name == "slow",
            "written" | "unwritten" => {
                let (write, lines) = self.writes.pop_front().expect("something is being written");
                let outcome = if *verb == "written" {
                    self.disk.take(&lines);
                    Ok(())
                } else {
                    Err(ErrorCode::CoordinatorNotAvailable)
                };
                self.group.written(now, write, outcome, &mut actions);
            }
            "restart" => {
                self.writes.clear();
                self.askers.clear();
                self.group = self.disk.restore(&self.rules, now);
            }
            other => self.say(&format!("no such command: {other}")),
        }
        self.tell(actions);
        let members: Vec<String> = self
            .group
            .members
            .iter()
            .map(|(id, member)| {
                let revoking = match member.revoking.len() {
                    0 => String::new(),
                    _ => format!("-{{{}}}", World::show(&member.revoking)),
                };
                let waits = if member.state == MemberState::Waiting { "?" } else { "" };
                let assigned = World::show(&member.assigned);
                let classic = if member.classic.is_some() { "~" } else { "" };
                format!("{id}{classic}@{}{{{assigned}}}{revoking}{waits}", member.epoch)
            })
            .collect();
        let (state, epoch, target) =
            (self.group.state().name(), self.group.epoch, self.group.target_epoch);
        self.say(&format!("{state} {epoch}/{target} [{}]", members.join(", ")));
    }

    /// Lets time pass, waking the machine whenever it wants to be.
    fn wait(&mut self, time: Duration) {
        let until = self.at + time;
        loop {
            let wake = Duration::from_nanos(self.group.wake_at().get());
            if wake > until {
                break;
            }
            self.at = self.at.max(wake);
            let mut actions = Vec::new();
            let now = self.now();
            self.group.tick(now, &mut actions);
            if !actions.is_empty() {
                let at = self.at.as_secs_f64();
                self.say(&format!("at {at}s:"));
            }
            self.tell(actions);
        }
        self.at = until;
    }

    fn tell(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Tell(asker, reply) => {
                    let who = self.askers.remove(&asker);
                    let who = who.unwrap_or_else(|| "ANSWERED TWICE".to_owned());
                    let told = self.show(&reply);
                    self.say(&format!("{who}{told}"));
                }
                Action::Write(write, lines) => {
                    self.say(&format!("write {}", show_lines(&lines)));
                    if self.slow {
                        self.writes.push_back((write, lines));
                        continue;
                    }
                    self.disk.take(&lines);
                    let mut more = Vec::new();
                    let now = self.now();
                    self.group.written(now, write, Ok(()), &mut more);
                    actions.extend(more);
                }
            }
        }
    }

    fn show(&self, reply: &Reply) -> String {
        match reply {
            Reply::Told(Told { code, .. }) if code.is_error() => format!(": {code:?}"),
            Reply::Told(Told { epoch, assignment: Some(assignment), .. }) => {
                format!(": epoch {epoch} {{{}}}", World::show(assignment))
            }
            Reply::Told(Told { epoch, assignment: None, .. }) => format!(": epoch {epoch}"),
            Reply::Joined(Joined { code, member_id, .. }) if code.is_error() => {
                format!(" joined: {code:?} id={member_id}")
            }
            Reply::Joined(joined) => format!(
                " joined: generation {} as {}, {}",
                joined.generation,
                joined.member_id,
                joined.protocol.as_deref().unwrap_or_default()
            ),
            Reply::Synced(Synced { code, .. }) if code.is_error() => format!(" synced: {code:?}"),
            Reply::Synced(Synced { share, .. }) => {
                format!(" synced: {{{}}}", World::show(&self.world.share(share)))
            }
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.out, "{line}").expect("text can be appended to");
    }
}

fn seconds(text: &str) -> Duration {
    let number = text.strip_suffix('s').unwrap_or(text);
    Duration::from_secs_f64(number.parse().expect("a number of seconds"))
}

/// The scenario as it really goes: comments and commands as they stand, outputs as they came.
fn played(scenario: &str) -> String {
    let mut stage = Stage::new();
    for line in scenario.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            stage.say(line);
            stage.run(&command.split_whitespace().collect::<Vec<_>>());
        } else if line.starts_with('#') || line.is_empty() {
            stage.say(line);
        }
    }
    stage.out
}

fn check(name: &str, scenario: &str) {
    let went = played(scenario);
    let same = went.lines().zip(scenario.lines()).take_while(|(real, told)| real == told).count();
    let line = same + 1;
    assert!(went == scenario, "{name}.txt differs from line {line} on; it went:\n----\n{went}----");
}

macro_rules! scenarios {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("scenarios/", stringify!($name), ".txt")));
        }
    )*};
}

scenarios! {
    a_member_joins_and_nobody_else_stops
    members_go
    answers_get_lost
    static_members_come_back
    a_member_does_not_give_up
    topics_come_and_go
    expressions_find_topics
    assignors_are_chosen
    offsets_need_the_right_epoch
    the_disk_refuses
    a_restart_keeps_the_members
    a_group_is_full
    classic_members_share_with_new_ones
    classic_members_fall_silent
    classic_members_are_refused
    static_members_change_protocol
}
