//! Ten thousand random lives of a group: requests and answers that get lost, members that vanish or take their time to
//! give partitions up, topics that come and go, a disk that is slow or refuses, restarts. What must hold is looked at
//! after every step; in the end, when all is well again, everything must be shared out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

const LIVES: u64 = 10_000;
const STEPS: usize = 80;
const CLIENTS: usize = 5;
const TOPICS: [&str; 3] = ["a", "b", "c"];

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

/// A client as real ones are: one request at a time, and it reads a partition from when it was given to when it says
/// that it reads it no more.
#[derive(Default)]
struct Client {
    id: String,
    epoch: i32,
    fixed: Option<String>,
    names: Vec<Rc<str>>,
    expression: Option<Rc<str>>,
    reads: Partitions,
    /// What it was last told to read.
    given: Partitions,
    /// Its request under way, and what it goes by.
    asked: Option<Asker>,
    /// The last answer was an error or never came, so it tells everything again.
    tells_all: bool,
    /// Its request under way tells everything.
    is_full: bool,
    /// How it speaks the classic protocol, if it does.
    classic: Option<Classic>,
}

/// A member of the classic protocol.
#[derive(Debug, Default, Clone, Copy)]
struct Classic {
    /// It keeps what it holds while it joins, and gives up only what it must.
    keeps: bool,
    joins: bool,
    syncs: bool,
}

impl Client {
    /// It has lost its place.
    fn begin_anew(&mut self) {
        self.epoch = 0;
        self.reads.clear();
        self.given.clear();
        self.tells_all = true;
        if let Some(classic) = &mut self.classic {
            (classic.joins, classic.syncs) = (true, false);
        }
    }
}

struct Life {
    dice: Dice,
    rules: Rc<Rules>,
    group: Consumer,
    world: World,
    at: Duration,
    clients: Vec<Client>,
    asked: BTreeMap<Asker, usize>,
    next_asker: Asker,
    next_id: usize,
    /// Records on their way to the disk, and what is on it.
    writing: VecDeque<(u64, Lines)>,
    disk: Disk,
    seen: BTreeSet<&'static str>,
    trace: String,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let rules = Rc::new(Rules { size_max: CLIENTS + dice.roll(3) * CLIENTS, ..rules() });
        let mut world = World::default();
        for topic in TOPICS {
            world.set(topic, topic.as_bytes()[0], 1 + dice.roll(5) as u32);
        }
        let now = Now { at: Nanos::ZERO, wall_ms: 0 };
        let mut life = Self {
            clients: Vec::new(),
            group: Consumer::new(Rc::from("g"), Rc::clone(&rules), false, now),
            world,
            dice,
            rules,
            at: Duration::ZERO,
            asked: BTreeMap::new(),
            next_asker: 0,
            next_id: 0,
            writing: VecDeque::new(),
            disk: Disk::default(),
            seen: BTreeSet::new(),
            trace: String::new(),
        };
        for number in 0..CLIENTS {
            let fixed = (number < 2).then(|| format!("static-{number}"));
            let mut client = Client { fixed, ..Client::default() };
            client.id = life.new_id();
            life.clients.push(client);
            life.choose_protocol(number);
            life.subscribe(number);
        }
        life
    }

    fn new_id(&mut self) -> String {
        self.next_id += 1;
        format!("m{}", self.next_id)
    }

    /// Only members of the new protocol look out for new topics, so one of them is always there.
    fn choose_protocol(&mut self, who: usize) {
        let is_classic = who > 0 && self.dice.one_in(2);
        let keeps = self.dice.one_in(2);
        self.clients[who].classic =
            is_classic.then_some(Classic { keeps, joins: true, syncs: false });
    }

    fn subscribe(&mut self, who: usize) {
        let dice = &mut self.dice;
        let names = TOPICS.iter().filter(|_| dice.roll(3) > 0).map(|name| Rc::from(*name));
        let names = names.collect();
        let client = &mut self.clients[who];
        client.names = names;
        client.expression =
            if self.dice.one_in(4) { Some(Rc::from("[ab]")) } else { Some(Rc::from("")) };
        client.tells_all = true;
        if let Some(classic) = &mut client.classic {
            client.expression = Some(Rc::from(""));
            (classic.joins, classic.syncs) = (true, false);
        }
        // A request under way does not tell this.
        client.is_full = false;
    }

    fn now(&self) -> Now {
        Now { at: Nanos::ZERO + self.at, wall_ms: 0 }
    }

    fn step(&mut self) {
        let who = self.dice.roll(CLIENTS);
        match self.dice.roll(20) {
            0..=8 => self.beat(who, true),
            9..=11 => self.obey(who),
            12..=14 => self.disk(true),
            15 => {
                let time = Duration::from_secs([1, 4, 11, 46][self.dice.roll(4)]);
                self.wait(time);
            }
            16 => match self.dice.roll(3) {
                0 => self.go(who),
                1 => {
                    // It dies; another process takes its place.
                    self.seen.insert("a client dies");
                    self.clients[who].id = self.new_id();
                    self.choose_protocol(who);
                    self.clients[who].begin_anew();
                    self.subscribe(who);
                    self.clients[who].asked = None;
                }
                _ => self.subscribe(who),
            },
            17 => {
                let topic = TOPICS[self.dice.roll(3)];
                match self.world.topics.get(topic).copied() {
                    Some(_) if self.dice.one_in(3) => self.world.drop(topic),
                    Some((id, count)) => self.world.set(topic, id.get()[0], count + 1),
                    None => self.world.set(topic, topic.as_bytes()[0] - 32, 2),
                }
            }
            18 if self.dice.one_in(4) => self.restart(),
            _ => {
                // It gives its request up; the answer may still come and is not heard.
                let client = &mut self.clients[who];
                if client.asked.take().is_some() {
                    client.tells_all = true;
                }
            }
        }
        self.check();
    }

    fn beat(&mut self, who: usize, may_lose: bool) {
        if self.clients[who].asked.is_some() {
            return;
        }
        if let Some(classic) = self.clients[who].classic {
            self.beat_classic(who, classic, may_lose);
            return;
        }
        let now = self.now();
        self.next_asker += 1;
        let asker = self.next_asker;
        let client = &mut self.clients[who];
        client.asked = Some(asker);
        let joins = client.epoch == 0;
        let all = joins || client.tells_all || self.dice.one_in(4);
        // As long as it has not taken all that it was given it says nothing of what it holds, as Java's client does.
        let is_settled = client.reads == client.given;
        let tells_owned = joins || is_settled && (all || self.dice.one_in(2));
        client.is_full = all && tells_owned;
        let beat = Beat {
            member_id: Rc::from(client.id.as_str()),
            epoch: client.epoch,
            instance_id: client.fixed.as_deref().map(Rc::from),
            rack_id: None,
            client_id: Rc::from("c"),
            client_host: Rc::from("/h"),
            rebalance_timeout: all.then_some(Duration::from_secs(30)),
            names: all.then(|| client.names.clone()),
            expression: client.expression.clone().filter(|_| all),
            assignor: None,
            owned: tells_owned.then(|| client.reads.clone()),
            session: self.rules.session,
            interval: self.rules.interval,
        };
        if may_lose && self.dice.one_in(12) {
            self.seen.insert("a request is lost");
            return;
        }
        self.asked.insert(asker, who);
        let mut out = Vec::new();
        self.group.heartbeat(now, asker, beat, &self.world, &mut out);
        self.hear(out, may_lose);
    }

    /// One of the classic protocol asks what it has to ask next.
    fn beat_classic(&mut self, who: usize, classic: Classic, may_lose: bool) {
        let now = self.now();
        self.next_asker += 1;
        let asker = self.next_asker;
        let new_id = if self.clients[who].fixed.is_some() { self.new_id() } else { String::new() };
        let client = &mut self.clients[who];
        let instance_id: Option<Rc<str>> = client.fixed.as_deref().map(Rc::from);
        let mut out = Vec::new();
        if classic.joins && !classic.keeps {
            client.reads.clear();
        }
        if may_lose && self.dice.one_in(12) {
            self.seen.insert("a request is lost");
            if classic.joins || classic.syncs {
                client.asked = Some(asker);
            }
            return;
        }
        if classic.joins {
            let owned = classic.keeps.then_some(&client.reads);
            let data = self.world.subscription(&client.names, owned);
            let is_new = client.epoch == 0 && client.fixed.is_some();
            let id = if is_new { "" } else { client.id.as_str() };
            let join = Join {
                member_id: Rc::from(id),
                instance_id,
                client_id: Rc::from("c"),
                client_host: Rc::from("/h"),
                session_timeout: Duration::from_secs(45),
                rebalance_timeout: Duration::from_secs(30),
                protocol_type: Rc::from("consumer"),
                protocols: vec![(Rc::from("range"), data)],
                new_id: Rc::from(new_id),
                must_know_id: true,
                can_skip: false,
            };
            client.asked = Some(asker);
            self.asked.insert(asker, who);
            self.group.join(now, asker, join, &self.world, &mut out);
        } else if classic.syncs {
            let sync = Sync {
                member_id: Rc::from(client.id.as_str()),
                instance_id,
                generation: client.epoch,
                protocol_type: None,
                protocol: None,
                shares: Vec::new(),
            };
            client.asked = Some(asker);
            self.asked.insert(asker, who);
            self.group.sync(now, asker, &sync, &self.world, &mut out);
        } else {
            let claim = Claim { member_id: &client.id, instance_id: client.fixed.as_deref() };
            let told = self.group.classic_heartbeat(now, claim, client.epoch);
            self.seen.insert(told.name());
            match told {
                ErrorCode::None => {}
                ErrorCode::RebalanceInProgress => {
                    let classic = Classic { joins: true, syncs: false, ..classic };
                    self.clients[who].classic = Some(classic);
                }
                _ => self.clients[who].begin_anew(),
            }
        }
        self.hear(out, may_lose);
    }

    /// It hears what became of its join or of its sync.
    fn hear_classic(&mut self, who: usize, reply: Reply) {
        let client = &mut self.clients[who];
        let Some(classic) = &mut client.classic else { return };
        match reply {
            Reply::Joined(joined) => match joined.code {
                ErrorCode::None => {
                    client.id = joined.member_id;
                    client.epoch = joined.generation;
                    (classic.joins, classic.syncs) = (false, true);
                }
                ErrorCode::MemberIdRequired => client.id = joined.member_id,
                ErrorCode::NotCoordinator => {}
                _ => client.begin_anew(),
            },
            Reply::Synced(synced) => match synced.code {
                ErrorCode::None => {
                    client.given = self.world.share(&synced.share);
                    let must_give_up = !client.reads.is_subset(&client.given);
                    if must_give_up {
                        self.seen.insert("a classic client gives up");
                    }
                    client.reads = client.given.clone();
                    (classic.joins, classic.syncs) = (must_give_up, false);
                    client.tells_all = false;
                }
                ErrorCode::RebalanceInProgress | ErrorCode::NotCoordinator => {
                    (classic.joins, classic.syncs) = (true, false);
                }
                _ => client.begin_anew(),
            },
            Reply::Told(_) => unreachable!("it sent no such heartbeat"),
        }
    }

    /// It says goodbye, for ever or for a while if it is static.
    fn go(&mut self, who: usize) {
        let now = self.now();
        let id = self.new_id();
        let client = &mut self.clients[who];
        if client.epoch <= 0 {
            return;
        }
        if client.classic.is_some() {
            let left = std::mem::replace(&mut client.id, id);
            client.asked = None;
            self.choose_protocol(who);
            self.clients[who].begin_anew();
            self.subscribe(who);
            self.seen.insert("a classic client leaves");
            let mut out = Vec::new();
            self.group.send_away(now, std::iter::once((left.as_str(), None)), &mut out);
            self.hear(out, true);
            return;
        }
        let for_a_while = client.fixed.is_some() && self.dice.one_in(2);
        let beat = Beat {
            member_id: Rc::from(client.id.as_str()),
            epoch: if for_a_while { AWAY } else { LEAVE },
            instance_id: client.fixed.as_deref().map(Rc::from),
            rack_id: None,
            client_id: Rc::from("c"),
            client_host: Rc::from("/h"),
            rebalance_timeout: None,
            names: None,
            expression: None,
            assignor: None,
            owned: None,
            session: self.rules.session,
            interval: self.rules.interval,
        };
        client.id = id;
        client.asked = None;
        self.choose_protocol(who);
        self.clients[who].begin_anew();
        self.subscribe(who);
        self.seen.insert(if for_a_while { "a client is away" } else { "a client leaves" });
        self.next_asker += 1;
        let asker = self.next_asker;
        self.asked.insert(asker, who);
        let mut out = Vec::new();
        self.group.heartbeat(now, asker, beat, &self.world, &mut out);
        self.hear(out, true);
    }

    /// It gives up what it must; when it has, it takes what it was given.
    fn obey(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if client.classic.is_some() {
            return;
        }
        let kept: Partitions = &client.reads & &client.given;
        if kept.len() < client.reads.len() {
            client.reads = kept;
            self.seen.insert("a client gives up");
        } else {
            client.reads = client.given.clone();
        }
    }

    /// The oldest records get to the disk, or are refused.
    fn disk(&mut self, may_refuse: bool) {
        let Some((write, lines)) = self.writing.pop_front() else { return };
        let now = self.now();
        let mut out = Vec::new();
        if may_refuse && self.dice.one_in(8) {
            self.seen.insert("records are refused");
            self.group.written(now, write, Err(ErrorCode::NotCoordinator), &mut out);
        } else {
            self.disk.take(&lines);
            self.group.written(now, write, Ok(()), &mut out);
        }
        self.hear(out, may_refuse);
    }

    /// The process dies and another reads what is on disk; what was under way may have got there.
    fn restart(&mut self) {
        self.seen.insert("a restart");
        for (_, lines) in std::mem::take(&mut self.writing) {
            if self.dice.one_in(2) {
                self.disk.take(&lines);
            }
        }
        self.asked.clear();
        for client in &mut self.clients {
            client.tells_all |= client.asked.take().is_some();
        }
        let now = self.now();
        self.group = self.disk.restore(&self.rules, now);
    }

    fn wait(&mut self, time: Duration) {
        let until = self.at + time;
        while Duration::from_nanos(self.group.wake_at().get()) <= until {
            self.at = self.at.max(Duration::from_nanos(self.group.wake_at().get()));
            let mut out = Vec::new();
            let now = self.now();
            self.group.tick(now, &mut out);
            assert!(self.group.wake_at() > now.at, "it would be woken for ever");
            self.hear(out, true);
            self.check();
        }
        self.at = until;
    }

    fn hear(&mut self, actions: Vec<Action>, may_lose: bool) {
        for action in actions {
            match action {
                Action::Write(write, lines) => {
                    assert!(self.writing.is_empty(), "two writes at once");
                    self.writing.push_back((write, lines));
                }
                Action::Tell(asker, reply) => {
                    writeln!(self.trace, "{asker} {reply:?}").expect("text can be appended to");
                    let who = self.asked.remove(&asker).expect("nobody is answered twice");
                    let client = &mut self.clients[who];
                    if client.asked != Some(asker) {
                        continue;
                    }
                    if may_lose && self.dice.one_in(8) {
                        self.seen.insert("an answer is lost");
                        continue;
                    }
                    client.asked = None;
                    let told = match reply {
                        Reply::Told(told) => told,
                        other => {
                            self.hear_classic(who, other);
                            continue;
                        }
                    };
                    self.seen.insert(told.code.name());
                    match told.code {
                        ErrorCode::None => {
                            assert!(told.epoch >= client.epoch, "a member's epoch goes back");
                            assert_eq!(told.member_id, client.id);
                            client.epoch = told.epoch;
                            client.tells_all &= !client.is_full;
                            if let Some(assignment) = told.assignment {
                                client.given = assignment;
                            }
                        }
                        ErrorCode::FencedMemberEpoch
                        | ErrorCode::UnknownMemberId
                        | ErrorCode::UnreleasedInstanceId
                        | ErrorCode::FencedInstanceId
                        | ErrorCode::GroupMaxSizeReached => client.begin_anew(),
                        _ => client.tells_all = true,
                    }
                }
            }
        }
    }

    fn check(&self) {
        let group = &self.group;
        let mut owners = BTreeMap::new();
        let mut targets = BTreeSet::new();
        for (id, member) in &group.members {
            for partition in member.assigned.iter().chain(&member.revoking) {
                let other = owners.insert(*partition, Rc::clone(id));
                assert_eq!(other, None, "two hold {partition}");
            }
            for partition in &member.target {
                assert!(targets.insert(*partition), "two shall hold {partition}");
            }
            assert!(member.epoch <= group.target_epoch, "a member is ahead of its target");
            assert_eq!(member.state == MemberState::Revoking, !member.revoking.is_empty());
            let watched = member.state == MemberState::Revoking && member.classic.is_none();
            assert_eq!(watched, member.revoke_until.is_some());
            if let Some(name) = &member.instance_id {
                assert_eq!(group.statics.get(name), Some(id), "a static name points elsewhere");
            }
        }
        assert_eq!(owners, group.owners, "who holds what is not what is noted");
        let names = group.members.values().filter(|member| member.instance_id.is_some()).count();
        assert_eq!(names, group.statics.len(), "a static name without its member");
        assert!(group.target_epoch <= group.epoch, "a target of the future");
        assert!(group.wake_at <= group.next_due(), "something is due while it sleeps");
        assert!(group.members.len() <= self.rules.size_max, "too many members");
        let waiting = group.waiting.iter().chain(group.writing.iter().flat_map(|one| &one.waiting));
        let mut waiting: Vec<Asker> = waiting.map(|(asker, _)| *asker).collect();
        waiting.sort_unstable();
        assert_eq!(self.asked.keys().copied().collect::<Vec<_>>(), waiting, "a question is lost");
        // The one that matters: no two members of the group read the same partition.
        let mut readers: BTreeMap<TopicPartition, &str> = BTreeMap::new();
        let members = self
            .clients
            .iter()
            .filter(|client| client.epoch > 0 && group.members.contains_key(client.id.as_str()));
        for client in members {
            for partition in &client.reads {
                let other = readers.insert(*partition, &client.id);
                assert_eq!(other, None, "{partition} is read by two, the other is {}", client.id);
            }
        }
    }

    /// Nothing gets lost any more, and everybody stays: it must come to rest with everything shared out.
    fn end(&mut self) {
        for client in &mut self.clients {
            client.tells_all |= client.asked.take().is_some();
        }
        let mut rests = 0;
        for _ in 0..40 {
            for who in 0..CLIENTS {
                self.beat(who, false);
                while !self.writing.is_empty() {
                    self.disk(false);
                }
                self.obey(who);
                self.obey(who);
                self.check();
            }
            self.wait(Duration::from_secs(5));
            while !self.writing.is_empty() {
                self.disk(false);
            }
            let at_rest = self.group.state() == State::Stable
                && self.group.members.len() == CLIENTS
                && self.clients.iter().all(|client| {
                    client.reads == client.given
                        && !client.tells_all
                        && client.classic.is_none_or(|one| !one.joins && !one.syncs)
                        && self.group.members.contains_key(client.id.as_str())
                })
                && self.now().at >= self.group.find_again;
            // Long enough for expressions to have been tried on the last of the topics.
            rests = if at_rest { rests + 1 } else { 0 };
            if rests == 4 {
                break;
            }
        }
        assert!(self.asked.is_empty(), "somebody waits for ever");
        assert_eq!(self.group.state(), State::Stable, "it does not come to rest");
        assert_eq!(self.group.members.len(), CLIENTS, "somebody is not in, or is still");
        let mut wanted = Partitions::new();
        let mut read = Partitions::new();
        for client in &self.clients {
            let finds = client.expression.as_deref() == Some("[ab]");
            for (name, (id, count)) in &self.world.topics {
                if client.names.contains(name) || finds && ["a", "b"].contains(&name.as_ref()) {
                    wanted.extend(World::read(
                        &(0..*count)
                            .map(|index| format!("{}:{index}", char::from(id.get()[0])))
                            .collect::<Vec<_>>()
                            .join(","),
                    ));
                }
            }
            let member = &self.group.members[client.id.as_str()];
            assert_eq!(client.reads, member.target, "a client does not read what it shall");
            read.extend(&client.reads);
        }
        assert_eq!(read, wanted, "something is read by nobody");
        assert_eq!(self.disk.restore(&self.rules, self.now()).owners, self.group.owners);
    }
}

fn live(seed: u64) -> Life {
    let mut life = Life::new(seed);
    for _ in 0..STEPS {
        life.step();
    }
    life.end();
    life
}

#[test]
fn whatever_happens_no_partition_is_read_by_two() {
    let mut seen = BTreeSet::new();
    for seed in 1..=LIVES {
        let outcome = std::panic::catch_unwind(|| live(seed).seen);
        assert!(outcome.is_ok(), "the life of seed {seed} went wrong, as told above");
        seen.extend(outcome.unwrap_or_default());
    }
    // A test that never meets them proves nothing.
    let expected = [
        "FENCED_MEMBER_EPOCH",
        "GROUP_MAX_SIZE_REACHED",
        "NONE",
        "NOT_COORDINATOR",
        "REBALANCE_IN_PROGRESS",
        "UNKNOWN_MEMBER_ID",
        "UNRELEASED_INSTANCE_ID",
        "a classic client gives up",
        "a classic client leaves",
        "a client dies",
        "a client gives up",
        "a client is away",
        "a client leaves",
        "a request is lost",
        "a restart",
        "an answer is lost",
        "records are refused",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in 1..=20 {
        let (one, other) = (live(seed).trace, live(seed).trace);
        assert!(!one.is_empty());
        assert_eq!(one, other, "seed {seed}");
    }
}
