//! Ten thousand random lives of a group: requests that come late, twice or from the dead, members that vanish, a disk
//! that is slow or refuses, restarts. What must hold is looked at after every step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

const LIVES: u64 = 10_000;
const STEPS: usize = 60;
const CLIENTS: usize = 4;

/// A small generator, so that a life is its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.roll(many) == 0
    }
}

/// What a client believes. It may be long out of date.
#[derive(Clone, Default)]
struct Client {
    id: String,
    generation: i32,
    members: Vec<String>,
    fixed: Option<String>,
}

#[derive(PartialEq, Clone, Copy)]
enum Question {
    Join(usize),
    Sync(usize),
}

struct Life {
    dice: Dice,
    rules: Rc<Rules>,
    group: Classic,
    at: Duration,
    clients: Vec<Client>,
    asked: BTreeMap<Asker, Question>,
    next_asker: Asker,
    next_id: usize,
    /// Records on their way to the disk, and what is on it.
    writing: VecDeque<(u64, Vec<u8>)>,
    durable: Vec<u8>,
    /// The shares on disk, by generation and member.
    shares: BTreeMap<(i32, String), Vec<u8>>,
    leaders: BTreeMap<i32, String>,
    newest: i32,
    seen: BTreeSet<&'static str>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let delay = Duration::from_secs([0, 3][dice.roll(2)]);
        let rules = Rc::new(Rules { initial_delay: delay, size_max: 3 + dice.roll(3) });
        let clients = (0..CLIENTS).map(|number| Client {
            fixed: (number == 0).then(|| "static".to_owned()),
            ..Client::default()
        });
        Self {
            clients: clients.collect(),
            group: Classic::new(Rc::clone(&rules), Now { at: Nanos::ZERO, wall_ms: 0 }),
            dice,
            rules,
            at: Duration::ZERO,
            asked: BTreeMap::new(),
            next_asker: 0,
            next_id: 0,
            writing: VecDeque::new(),
            durable: Vec::new(),
            shares: BTreeMap::new(),
            leaders: BTreeMap::new(),
            newest: 0,
            seen: BTreeSet::new(),
        }
    }

    fn now(&self) -> Now {
        Now { at: Nanos::ZERO + self.at, wall_ms: 0 }
    }

    fn ask(&mut self, question: Question) -> Asker {
        self.next_asker += 1;
        self.asked.insert(self.next_asker, question);
        self.next_asker
    }

    fn step(&mut self) {
        let who = self.dice.roll(CLIENTS);
        let now = self.now();
        let mut out = Vec::new();
        match self.dice.roll(13) {
            0..=3 => self.join(who, now, &mut out),
            4..=6 => self.sync(who, now, &mut out),
            7 => {
                let client = self.clients[who].clone();
                let claim = Claim { member_id: &client.id, instance_id: client.fixed.as_deref() };
                let code = self.group.heartbeat(now, claim, client.generation);
                if code == ErrorCode::None {
                    assert_eq!(client.generation, self.group.generation, "an old generation lives");
                }
            }
            8 => {
                let client = &self.clients[who];
                let member_id = Rc::from(client.id.as_str());
                let leaving = Leaving { member_id, instance_id: None };
                self.group.leave(now, &[leaving], &mut out);
            }
            9 | 10 => self.disk(now, &mut out),
            11 => {
                let time = Duration::from_millis([10, 1_000, 4_000, 11_000][self.dice.roll(4)]);
                self.wait(time);
            }
            _ if self.dice.one_in(6) => self.restart(),
            // It forgets everything, as a process that was killed.
            _ => {
                let fixed = self.clients[who].fixed.clone();
                self.clients[who] = Client { fixed, ..Client::default() };
            }
        }
        self.hear(out);
        self.check();
    }

    fn join(&mut self, who: usize, now: Now, out: &mut Vec<Action>) {
        let asker = self.ask(Question::Join(who));
        self.next_id += 1;
        let client = &self.clients[who];
        let mut protocols = vec![(Rc::from("range"), Bytes::from(vec![self.dice.roll(2) as u8]))];
        if self.dice.one_in(3) {
            protocols.insert(0, (Rc::from("sticky"), Bytes::new()));
        }
        let join = Join {
            member_id: Rc::from(client.id.as_str()),
            instance_id: client.fixed.as_deref().map(Rc::from),
            client_id: Rc::from("c"),
            client_host: Rc::from("/h"),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(20),
            protocol_type: Rc::from("consumer"),
            protocols,
            new_id: Rc::from(format!("m{}", self.next_id)),
            must_know_id: who.is_multiple_of(2),
            can_skip: who < 2,
        };
        self.group.join(now, asker, join, out);
    }

    fn sync(&mut self, who: usize, now: Now, out: &mut Vec<Action>) {
        let asker = self.ask(Question::Sync(who));
        let client = self.clients[who].clone();
        let sync = Sync {
            member_id: Rc::from(client.id.as_str()),
            instance_id: client.fixed.as_deref().map(Rc::from),
            generation: client.generation,
            protocol_type: None,
            protocol: None,
            shares: client
                .members
                .iter()
                .map(|id| (Rc::from(id.as_str()), Bytes::from(format!("{asker}:{id}"))))
                .collect(),
        };
        self.group.sync(now, asker, sync, out);
    }

    /// The oldest record gets to the disk, or is refused.
    fn disk(&mut self, now: Now, out: &mut Vec<Action>) {
        let Some((write, value)) = self.writing.pop_front() else { return };
        if self.dice.one_in(8) {
            self.seen.insert("a record is refused");
            self.group.written(now, write, Err(ErrorCode::NotCoordinator), out);
            return;
        }
        let read = GroupMetadataValue::read(&value).expect("our own record");
        for member in &read.members {
            let key = (read.generation, member.member_id.to_owned());
            self.shares.insert(key, member.assignment.to_vec());
        }
        self.durable = value;
        self.group.written(now, write, Ok(()), out);
    }

    /// The process dies and another reads what is on disk.
    fn restart(&mut self) {
        self.seen.insert("a restart");
        self.asked.clear();
        self.writing.clear();
        let now = self.now();
        self.group = if self.durable.is_empty() {
            Classic::new(Rc::clone(&self.rules), now)
        } else {
            let value = GroupMetadataValue::read(&self.durable).expect("our own record");
            Classic::restore(Rc::clone(&self.rules), &value, now)
        };
        // What was never on disk may be counted again.
        self.newest = self.group.generation;
        self.leaders.retain(|generation, _| *generation <= self.group.generation);
        let newest = self.newest;
        self.shares.retain(|(generation, _), _| *generation <= newest);
        for client in &mut self.clients {
            if client.generation > newest {
                *client = Client { fixed: client.fixed.clone(), ..Client::default() };
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.at + time;
        while Duration::from_nanos(self.group.wake_at().get()) <= until {
            self.at = self.at.max(Duration::from_nanos(self.group.wake_at().get()));
            let mut out = Vec::new();
            let now = self.now();
            self.group.tick(now, &mut out);
            assert!(self.group.wake_at() > now.at, "it would be woken for ever");
            self.hear(out);
            self.check();
        }
        self.at = until;
    }

    fn hear(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Write(write, value) => self.writing.push_back((write, value)),
                Action::Joined(asker, told) => {
                    let question = self.asked.remove(&asker).expect("nobody is answered twice");
                    let Question::Join(who) = question else {
                        assert!(matches!(question, Question::Join(_)), "a sync is told of a join");
                        continue;
                    };
                    let client = &mut self.clients[who];
                    if told.code == ErrorCode::MemberIdRequired {
                        client.id = told.member_id;
                    } else if told.code.is_error() {
                        client.id = String::new();
                    } else {
                        assert!(told.generation >= self.newest, "generations go back");
                        self.newest = told.generation;
                        if !told.members.is_empty() && !told.skip_assignment {
                            let leader = self
                                .leaders
                                .entry(told.generation)
                                .or_insert(told.member_id.clone());
                            assert_eq!(*leader, told.member_id, "two share out one generation");
                            self.seen.insert("a leader");
                        }
                        client.generation = told.generation;
                        client.members = told.members.into_iter().map(|(id, ..)| id).collect();
                        client.id = told.member_id;
                    }
                }
                Action::Synced(asker, told) => {
                    let question = self.asked.remove(&asker).expect("nobody is answered twice");
                    assert!(matches!(question, Question::Sync(_)), "a join is told of a sync");
                    if !told.code.is_error() {
                        self.seen.insert("a share");
                        let generation = self.group.generation;
                        let on_disk = self
                            .shares
                            .iter()
                            .any(|((of, _), share)| *of == generation && *share == told.share[..]);
                        assert!(on_disk, "a share that a crash could take back was handed out");
                    }
                }
            }
        }
    }

    fn check(&self) {
        let group = &self.group;
        match group.state {
            State::Empty => assert!(group.members.is_empty(), "an empty group has members"),
            State::PreparingRebalance => assert!(group.join_until.is_some(), "nobody ends it"),
            State::CompletingRebalance | State::Stable => {
                assert!(!group.members.is_empty(), "{:?} without members", group.state);
                let leader = group.leader.as_ref().expect("somebody leads");
                assert!(group.members.contains_key(leader), "the leader is gone");
                let protocol = group.protocol.as_ref().expect("a protocol was chosen");
                let known = group.members.values().all(|member| member.knows(protocol));
                assert!(known, "somebody does not know the protocol");
                let joining = group.members.values().any(|member| member.joining.is_some());
                assert!(!joining, "somebody waits for a join that is over");
            }
        }
        if group.state == State::Stable {
            let syncing = group.members.values().any(|member| member.syncing.is_some());
            assert!(!syncing, "somebody waits for a share that is there");
        }
        let waiting = group.members.values();
        let waiting = waiting.flat_map(|member| member.joining.into_iter().chain(member.syncing));
        let replaced = group.writes.values().filter_map(|writing| match writing {
            Writing::Replaced { asker, .. } => Some(*asker),
            Writing::Shares { .. } | Writing::Nothing => None,
        });
        let mut waiting: Vec<Asker> = waiting.chain(replaced).collect();
        waiting.sort_unstable();
        let asked: Vec<Asker> = self.asked.keys().copied().collect();
        assert_eq!(asked, waiting, "a question is forgotten");
        // While members are called to join anew, those who are gone do not count yet; static ones may be away.
        let away = |member: &&Member| member.instance_id.is_none() || member.has_synced;
        let counted = match group.state {
            State::CompletingRebalance => group.members.values().filter(away).count(),
            State::Empty | State::PreparingRebalance | State::Stable => group.members.len() / 2,
        };
        assert!(counted <= self.rules.size_max, "too many members");
        for (name, id) in &group.statics {
            let member = group.members.get(id).expect("a static name without its member");
            assert_eq!(member.instance_id.as_ref(), Some(name));
        }
        assert!(group.wake_at <= group.next_due(), "something is due while it sleeps");
    }

    /// In the end nobody waits for ever.
    fn end(&mut self) {
        while !self.writing.is_empty() {
            let now = self.now();
            let mut out = Vec::new();
            self.disk(now, &mut out);
            self.hear(out);
            self.check();
        }
        for _ in 0..4 {
            self.wait(Duration::from_secs(400));
            while !self.writing.is_empty() {
                let now = self.now();
                let mut out = Vec::new();
                self.disk(now, &mut out);
                self.hear(out);
            }
        }
        assert!(self.asked.is_empty(), "somebody waits for ever");
        assert_eq!(self.group.state, State::Empty, "silent members live for ever");
    }
}

#[test]
fn whatever_happens_the_group_stays_sound() {
    let mut seen = BTreeSet::new();
    for seed in 1..=LIVES {
        let outcome = std::panic::catch_unwind(|| {
            let mut life = Life::new(seed);
            for _ in 0..STEPS {
                life.step();
            }
            life.end();
            life.seen
        });
        assert!(outcome.is_ok(), "the life of seed {seed} went wrong, as told above");
        seen.extend(outcome.unwrap_or_default());
    }
    // A test that never meets them proves nothing.
    let expected = ["a leader", "a record is refused", "a restart", "a share"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}
