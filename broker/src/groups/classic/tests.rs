//! Scenarios in text: a line that begins with `>` is a command, what follows is all that came of it.
//!
//! A scenario that went otherwise is shown whole, so that it can be kept if it is right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::kafka::group_log::{GroupMetadataValue, GroupValue};
use runtime::Nanos;

use super::*;

mod random;

/// A group under test, its clock, and names for those who wait.
struct Stage {
    group: Classic,
    at: Duration,
    askers: BTreeMap<Asker, String>,
    next_asker: Asker,
    values: BTreeMap<u64, Vec<u8>>,
    newest_value: Option<u64>,
    out: String,
}

impl Stage {
    fn new(rules: &Rc<Rules>) -> Self {
        let now = Now { at: Nanos::ZERO, wall_ms: 0 };
        Self {
            group: Classic::new(Rc::clone(rules), now),
            at: Duration::ZERO,
            askers: BTreeMap::new(),
            next_asker: 0,
            values: BTreeMap::new(),
            newest_value: None,
            out: String::new(),
        }
    }

    fn now(&self) -> Now {
        let millis = i64::try_from(self.at.as_millis()).expect("a short story");
        Now { at: Nanos::ZERO + self.at, wall_ms: millis }
    }

    fn asker(&mut self, name: &str) -> Asker {
        self.next_asker += 1;
        self.askers.insert(self.next_asker, name.to_owned());
        self.next_asker
    }

    fn run(&mut self, words: &[&str]) {
        let [verb, rest @ ..] = words else { return };
        let given =
            |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let name = rest.first().copied().unwrap_or_default();
        let text = |key: &str, default: &'static str| -> Rc<str> {
            Rc::from(given(key).unwrap_or(default))
        };
        let generation: i32 = given("gen").map_or(0, |text| text.parse().expect("a number"));
        let now = self.now();
        let mut actions = Vec::new();
        match *verb {
            "rules" => {
                let initial_delay = given("delay").map_or(Duration::from_secs(3), seconds);
                let size_max = given("max").map_or(1000, |max| max.parse().expect("a number"));
                self.group = Classic::new(Rc::new(Rules { initial_delay, size_max }), now);
            }
            "join" => {
                let asker = self.asker(name);
                let protocols = given("knows").unwrap_or("range").split(',').map(|one| {
                    let (protocol, data) = one.split_once(':').unwrap_or((one, "-"));
                    (Rc::from(protocol), Bytes::copy_from_slice(data.as_bytes()))
                });
                let version: i16 = given("v").map_or(9, |text| text.parse().expect("a number"));
                let join = Join {
                    member_id: text("id", ""),
                    instance_id: given("static").map(Rc::from),
                    client_id: Rc::from(name),
                    client_host: Rc::from("/h"),
                    session_timeout: given("session").map_or(Duration::from_secs(10), seconds),
                    rebalance_timeout: given("rebalance").map_or(Duration::from_secs(60), seconds),
                    protocol_type: text("type", "consumer"),
                    protocols: protocols.collect(),
                    new_id: given("new").map_or_else(|| Rc::from(format!("{name}-1")), Rc::from),
                    must_know_id: version >= 4,
                    can_skip: version >= 9,
                };
                self.group.join(now, asker, join, &mut actions);
            }
            "sync" => {
                let asker = self.asker(name);
                let shares = given("shares").into_iter().flat_map(|all| all.split(','));
                let shares = shares
                    .filter_map(|one| one.split_once(':'))
                    .map(|(id, share)| (Rc::from(id), Bytes::copy_from_slice(share.as_bytes())));
                let sync = Sync {
                    member_id: text("id", ""),
                    instance_id: given("static").map(Rc::from),
                    generation,
                    protocol_type: given("type").map(Rc::from),
                    protocol: given("protocol").map(Rc::from),
                    shares: shares.collect(),
                };
                self.group.sync(now, asker, sync, &mut actions);
            }
            "heartbeat" => {
                let claim = Claim { member_id: name, instance_id: given("static") };
                let code = self.group.heartbeat(now, claim, generation);
                self.say(&format!("{code:?}"));
            }
            "commit" => {
                let member_id = if name == "-" { "" } else { name };
                let claim = Claim { member_id, instance_id: given("static") };
                let told = self.group.check_commit(now, claim, generation);
                self.say(&format!("{:?}", told.err().unwrap_or(ErrorCode::None)));
            }
            "leave" => {
                let leaving: Vec<Leaving> = rest
                    .iter()
                    .map(|one| {
                        let (id, name) = one.split_once('/').unwrap_or((one, ""));
                        let instance_id = (!name.is_empty()).then(|| Rc::from(name));
                        Leaving { member_id: Rc::from(id), instance_id }
                    })
                    .collect();
                let codes = self.group.leave(now, &leaving, &mut actions);
                self.say(&format!("{codes:?}"));
            }
            "wait" => self.wait(seconds(name)),
            "written" => {
                let write = name.parse().expect("a number");
                self.group.written(now, write, Ok(()), &mut actions);
            }
            "unwritten" => {
                let write = name.parse().expect("a number");
                let outcome = Err(ErrorCode::NotCoordinator);
                self.group.written(now, write, outcome, &mut actions);
            }
            "restart" => {
                let newest = self.newest_value.and_then(|write| self.values.get(&write));
                let value = newest.expect("something was written");
                let value = GroupMetadataValue::read(value).expect("our own record");
                self.group = Classic::restore(Rc::clone(&self.group.rules), &value, now);
            }
            other => self.say(&format!("no such command: {other}")),
        }
        self.tell(actions);
        let (state, generation) = (self.group.state().name(), self.group.generation);
        let members: Vec<String> = self
            .group
            .members
            .iter()
            .map(|(id, member)| {
                let leads = if self.group.is_leader(id) { "*" } else { "" };
                let waits = match (member.joining, member.syncing) {
                    (Some(_), _) => " joins",
                    (None, Some(_)) => " syncs",
                    (None, None) => "",
                };
                let share = String::from_utf8_lossy(&member.share);
                let holds = self.group.state == State::Stable && !share.is_empty();
                let share = if holds { format!("={share}") } else { String::new() };
                format!("{id}{leads}{share}{waits}")
            })
            .collect();
        let pending = match self.group.pending.len() {
            0 => String::new(),
            count => format!(" + {count} expected"),
        };
        self.say(&format!("{state} {generation} [{}]{pending}", members.join(", ")));
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
        for action in actions {
            let line = match action {
                Action::Joined(asker, told) => {
                    let members: Vec<String> = told
                        .members
                        .iter()
                        .map(|(id, _, data)| format!("{id}:{}", String::from_utf8_lossy(data)))
                        .collect();
                    let who = self.askers.remove(&asker);
                    let who = who.unwrap_or_else(|| "ANSWERED TWICE".to_owned());
                    if told.code.is_error() {
                        format!("{who} joined: {:?} id={}", told.code, told.member_id)
                    } else {
                        format!(
                            "{who} joined: generation {} as {}, leader {}, {} [{}]{}",
                            told.generation,
                            told.member_id,
                            told.leader,
                            told.protocol.unwrap_or_default(),
                            members.join(", "),
                            if told.skip_assignment { " nothing to share out" } else { "" }
                        )
                    }
                }
                Action::Synced(asker, told) => {
                    let who = self.askers.remove(&asker);
                    let who = who.unwrap_or_else(|| "ANSWERED TWICE".to_owned());
                    if told.code.is_error() {
                        format!("{who} synced: {:?}", told.code)
                    } else {
                        format!("{who} synced: {}", String::from_utf8_lossy(&told.share))
                    }
                }
                Action::Write(write, value) => {
                    let read = GroupMetadataValue::read(&value).expect("our own record");
                    let members: Vec<String> = read
                        .members
                        .iter()
                        .map(|one| {
                            let share = String::from_utf8_lossy(one.assignment);
                            format!("{}={share}", one.member_id)
                        })
                        .collect();
                    let line =
                        format!("write {write}: {} [{}]", read.generation, members.join(", "));
                    self.values.insert(write, value);
                    self.newest_value = Some(write);
                    line
                }
            };
            self.say(&line);
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
    let rules = Rc::new(Rules { initial_delay: Duration::from_secs(3), size_max: 1000 });
    let mut stage = Stage::new(&rules);
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
    a_group_forms_and_shares_out
    a_member_joins_and_one_leaves
    a_member_falls_silent
    static_members_come_back
    protocols_must_agree
    a_group_is_full
    the_disk_refuses
    shares_are_not_fetched
    a_restart_keeps_the_members
    offsets_are_committed
    members_of_the_past
    answers_get_lost
}
