//! The task behind a consumer: one question to each broker at a time, for all partitions that it leads.

use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::error_code::ErrorCode;
use runtime::{Nanos, TaskClass};

use super::fetched;
use super::position::{Arrival, Generation, Need, PartId, Seek, Setback};
use super::{Part, Shared, wire_bytes};
use crate::call::{EARLIEST, FetchLimits, FetchPart, FetchedPart, LATEST, OffsetFound, OffsetPart};
use crate::cluster::Missing;
use crate::error::{ClientError, ConsumeError};
use crate::view::TopicView;

/// A question to one broker.
#[derive(Default)]
struct Question {
    lookups: Vec<(PartId, Generation, OffsetPart)>,
    fetches: Vec<(PartId, Generation, FetchPart)>,
}

/// Partitions in one question, at most; brokers bound them too.
const PARTS_MAX: usize = 2_048;

impl Shared {
    /// Keeps every broker busy that has something we want.
    pub(super) async fn run(self: Rc<Self>) {
        while !self.is_closed.get() {
            let ask_at = self.ask();
            let woken = self.wake.notified();
            match ask_at {
                Some(at) => {
                    let pause = Nanos::new(at).since(self.world().now());
                    // An elapsed time is as good as a wake-up.
                    let _elapsed = self.world().timeout(pause, woken).await.is_err();
                }
                None => woken.await,
            }
        }
    }

    /// Puts a question to every leader that has none of ours; answers when to look again although nothing happens.
    fn ask(self: &Rc<Self>) -> Option<u64> {
        let now = self.world().now().get();
        let mut questions: BTreeMap<i32, Question> = BTreeMap::new();
        let mut ask_at: Option<u64> = None;
        let count = self.positions.borrow().len();
        let mut views: BTreeMap<Rc<str>, Option<Rc<TopicView>>> = BTreeMap::new();
        // Beginning with another one each time, so that a question that is full leaves nobody out for ever.
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        for id in (0..count).map(|step| PartId((turn + step) % count)) {
            let part = self.parts.borrow()[id.0].clone();
            let view = views
                .entry(Rc::clone(&part.topic))
                .or_insert_with(|| self.cluster.fresh_topic(&part.topic))
                .clone();
            let Some(view) = view else {
                self.refresh(&part.topic);
                continue;
            };
            let Some(leader) = view.partition(part.partition).and_then(|known| known.leader) else {
                let pause = (Nanos::ZERO + self.cluster.config().retry_pause).get();
                self.cluster.doubt_topic(&part.topic);
                ask_at = Some(ask_at.unwrap_or(u64::MAX).min(now + pause));
                continue;
            };
            let is_full = questions.get(&leader).is_some_and(Question::is_full);
            if is_full || self.busy.borrow().contains(&leader) {
                continue;
            }
            let mut positions = self.positions.borrow_mut();
            match positions.ask(id, now) {
                Some(need) => {
                    questions.entry(leader).or_default().add(id, need, &part, &view);
                }
                None => {
                    if let Some(at) = positions.ask_at(id, now) {
                        ask_at = Some(ask_at.unwrap_or(u64::MAX).min(at));
                    }
                }
            }
        }
        for (leader, question) in questions {
            self.busy.borrow_mut().insert(leader);
            let shared = Rc::clone(self);
            self.world().spawn(TaskClass::Serve, async move {
                shared.put(leader, question).await;
                shared.busy.borrow_mut().remove(&leader);
                shared.wake.notify_one();
            });
        }
        ask_at
    }

    /// Asks who leads a topic's partitions now, unless that is being asked already.
    fn refresh(self: &Rc<Self>, topic: &Rc<str>) {
        if !self.refreshing.borrow_mut().insert(Rc::clone(topic)) {
            return;
        }
        let shared = Rc::clone(self);
        let topic = Rc::clone(topic);
        self.world().spawn(TaskClass::Serve, async move {
            if let Err(error) = shared.cluster.find_topic(&topic, Missing::Fail).await {
                if matches!(error, ClientError::NoSuchTopic(_) | ClientError::Refused { .. }) {
                    shared.tell(error.into());
                }
                shared.world().sleep(shared.cluster.config().retry_pause).await;
            }
            shared.refreshing.borrow_mut().remove(&topic);
            shared.wake.notify_one();
        });
    }

    /// Puts a question to a broker and takes the answers in.
    async fn put(&self, leader: i32, question: Question) {
        let peer = match self.cluster.peer(leader).await {
            Ok(peer) => peer,
            Err(error) => {
                tracing::debug!(leader, %error, "the leader cannot be reached");
                for (id, generation) in question.parts() {
                    self.fail(id, generation, ErrorCode::LeaderNotAvailable);
                }
                return;
            }
        };
        let Question { lookups, fetches } = question;
        if !lookups.is_empty() {
            let parts: Vec<OffsetPart> = lookups.iter().map(|lookup| lookup.2.clone()).collect();
            let found = peer.list_offsets(&parts).await;
            self.take_offsets(&lookups, found);
        }
        if !fetches.is_empty() {
            let parts: Vec<FetchPart> = fetches.iter().map(|fetch| fetch.2.clone()).collect();
            let limits = self.limits(&fetches);
            let fetched = peer.fetch(limits, &parts).await;
            self.take_records(&fetches, fetched);
        }
    }

    fn limits(&self, fetches: &[(PartId, Generation, FetchPart)]) -> FetchLimits {
        let parts = self.parts.borrow();
        let partition_bytes_max =
            fetches.iter().map(|(id, ..)| parts[id.0].bytes_max).max().unwrap_or(0);
        FetchLimits {
            wait_ms: i32::try_from(self.config.fetch_wait_max.as_millis()).unwrap_or(i32::MAX),
            bytes_min: wire_bytes(self.config.fetch_bytes_min),
            bytes_max: wire_bytes(self.config.fetch_bytes_max).max(partition_bytes_max),
            partition_bytes_max,
        }
    }

    fn take_offsets(
        &self,
        lookups: &[(PartId, Generation, OffsetPart)],
        found: Result<Vec<Option<OffsetFound>>, ClientError>,
    ) {
        let found = found.unwrap_or_else(|error| {
            tracing::debug!(%error, "an offset could not be looked up");
            vec![None; lookups.len()]
        });
        for ((id, generation, asked), found) in lookups.iter().zip(found) {
            match found {
                None => self.fail(*id, *generation, ErrorCode::NetworkException),
                Some(found) if found.error.is_error() => self.fail(*id, *generation, found.error),
                // No record is that young: go on with what comes next.
                Some(found) if found.offset < 0 && asked.timestamp >= 0 => {
                    self.positions.borrow_mut().redirect(*id, *generation, Seek::Latest);
                }
                Some(found) => {
                    self.positions.borrow_mut().looked_up(*id, *generation, found.offset.max(0));
                }
            }
        }
    }

    fn take_records(
        &self,
        fetches: &[(PartId, Generation, FetchPart)],
        fetched: Result<Vec<Option<FetchedPart>>, ClientError>,
    ) {
        let fetched = fetched.unwrap_or_else(|error| {
            tracing::debug!(%error, "a fetch failed");
            vec![None; fetches.len()]
        });
        for ((id, generation, asked), fetched) in fetches.iter().zip(fetched) {
            match fetched {
                None => self.fail(*id, *generation, ErrorCode::NetworkException),
                Some(part) if part.error.is_error() => self.fail(*id, *generation, part.error),
                Some(part) => self.take_part(*id, *generation, asked, &part),
            }
        }
    }

    fn take_part(&self, id: PartId, generation: Generation, asked: &FetchPart, part: &FetchedPart) {
        let name = (&asked.topic.name, asked.partition);
        let parsed = match fetched::parse(name, &part.records, asked.offset) {
            Ok(parsed) => parsed,
            Err(what) => {
                self.positions.borrow_mut().halt(id, generation);
                self.tell(ConsumeError::Damaged {
                    topic: asked.topic.name.to_string(),
                    partition: asked.partition,
                    offset: asked.offset,
                    what,
                });
                return;
            }
        };
        if parsed.is_cut {
            // A broker that clips even the first batch: ask for more of it.
            let mut parts = self.parts.borrow_mut();
            let bytes_max = &mut parts[id.0].bytes_max;
            *bytes_max = bytes_max.saturating_mul(2).min(i32::MAX / 2);
        }
        let arrival = Arrival {
            data: parsed.fetched.map(|fetched| (fetched, parsed.bytes)),
            next: parsed.next.unwrap_or(asked.offset).max(asked.offset),
            high_watermark: part.high_watermark,
        };
        self.positions.borrow_mut().fetched(id, generation, arrival);
        self.arrived.notify_all();
    }

    fn fail(&self, id: PartId, generation: Generation, code: ErrorCode) {
        let now = self.world().now().get();
        let part = self.parts.borrow()[id.0].clone();
        let setback = if code == ErrorCode::OffsetOutOfRange {
            Setback::OutOfRange
        } else {
            self.cluster.doubt_topic(&part.topic);
            Setback::Later
        };
        let told = self.positions.borrow_mut().failed(id, generation, (now, setback));
        if let Some(offset) = told {
            let topic = part.topic.to_string();
            self.tell(ConsumeError::OutOfRange { topic, partition: part.partition, offset });
        } else if setback == Setback::Later && !code.retriable() {
            self.tell(ClientError::Refused { code, message: None }.into());
        }
    }
}

impl Question {
    fn is_full(&self) -> bool {
        self.lookups.len() + self.fetches.len() >= PARTS_MAX
    }

    fn add(&mut self, id: PartId, need: Need, part: &Part, view: &TopicView) {
        let topic = Rc::clone(&view.topic);
        let partition = part.partition;
        match need {
            Need::Lookup { seek, generation } => {
                let timestamp = match seek {
                    Seek::Earliest => EARLIEST,
                    Seek::Latest => LATEST,
                    Seek::Timestamp(timestamp) => timestamp.max(0),
                    Seek::Offset(_) => unreachable!("an offset needs no lookup"),
                };
                self.lookups.push((id, generation, OffsetPart { topic, partition, timestamp }));
            }
            Need::Fetch { offset, generation } => {
                let known = view.partition(partition);
                let leader_epoch = known.map_or(-1, |known| known.leader_epoch);
                let fetch = FetchPart { topic, partition, offset, leader_epoch };
                self.fetches.push((id, generation, fetch));
            }
        }
    }

    fn parts(&self) -> Vec<(PartId, Generation)> {
        let lookups = self.lookups.iter().map(|lookup| (lookup.0, lookup.1));
        lookups.chain(self.fetches.iter().map(|fetch| (fetch.0, fetch.1))).collect()
    }
}
