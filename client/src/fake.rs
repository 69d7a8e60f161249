//! A broker in memory for tests, on any world: it speaks Kafka's protocol, keeps Kafka's rules for idempotent
//! producers, and misbehaves when it is told to.

mod serve;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use protocol::batch::records::Records;
use protocol::batch::{BatchError, CheckedBatch, RawBatch};
use protocol::{ErrorCode, LeaderEpoch, Offset, TopicId};
use runtime::sync::Notify;
use runtime::{ListenOptions, TaskClass, World};

use crate::config::ClusterConfig;

/// What to do with a request instead of, or besides, serving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Serve it.
    None,
    /// Refuse it; nothing is written.
    Refuse(ErrorCode),
    /// Serve it, and answer with this error all the same.
    ServeAndRefuse(ErrorCode),
    /// Serve it and close the connection without an answer.
    ServeAndClose,
    /// Close the connection.
    Close,
    /// Never answer, nor anything behind it.
    Silence,
    /// Answer later.
    Delay(Duration),
    /// Answer with bytes that are no answer.
    Garbage,
}

/// A batch as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) base: i64,
    pub(crate) next: i64,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct FakePartition {
    pub(crate) leader: Cell<i32>,
    pub(crate) batches: RefCell<Vec<Written>>,
    pub(crate) log_start: Cell<i64>,
    producers: RefCell<BTreeMap<i64, ProducerState>>,
}

/// What a broker remembers of one producer.
#[derive(Debug, Default)]
struct ProducerState {
    epoch: i16,
    next_sequence: i32,
    /// First sequence, last sequence and base offset of the last five batches.
    last: Vec<(i32, i32, i64)>,
}

#[derive(Debug)]
pub(crate) struct FakeTopic {
    pub(crate) id: TopicId,
    pub(crate) partitions: Vec<FakePartition>,
}

type Plan = Box<dyn FnMut(protocol::kafka::Api) -> Fault>;

pub(crate) struct State {
    pub(crate) topics: RefCell<BTreeMap<String, FakeTopic>>,
    pub(crate) brokers: RefCell<Vec<SocketAddr>>,
    plan: RefCell<Plan>,
    pub(crate) appended: Notify,
    next_producer: Cell<i64>,
    /// The largest batch that is taken.
    pub(crate) batch_bytes_max: Cell<usize>,
    /// Requests seen, by API.
    pub(crate) seen: RefCell<BTreeMap<protocol::kafka::Api, usize>>,
}

/// A cluster of fake brokers that share their topics.
#[derive(Clone)]
pub(crate) struct Fake(pub(crate) Rc<State>);

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Rc::new(State {
            topics: RefCell::default(),
            brokers: RefCell::default(),
            plan: RefCell::new(Box::new(|_| Fault::None)),
            appended: Notify::new(),
            next_producer: Cell::new(100),
            batch_bytes_max: Cell::new(usize::MAX),
            seen: RefCell::default(),
        }))
    }

    /// Decides what happens to each request from now on.
    pub(crate) fn plan(&self, plan: impl FnMut(protocol::kafka::Api) -> Fault + 'static) {
        *self.0.plan.borrow_mut() = Box::new(plan);
    }

    /// What happens to produce requests, one after the other; afterwards all is well.
    pub(crate) fn plan_produces(&self, faults: Vec<Fault>) {
        let mut faults = faults.into_iter();
        self.plan(move |api| match api {
            protocol::kafka::Api::Produce => faults.next().unwrap_or(Fault::None),
            _ => Fault::None,
        });
    }

    /// Starts one more broker; the first is number 0.
    pub(crate) async fn start(&self, world: &World) -> SocketAddr {
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = world.listen(any, ListenOptions::default()).await.expect("it is free");
        let address = listener.local_addr();
        let number = i32::try_from(self.0.brokers.borrow().len()).expect("a few");
        self.0.brokers.borrow_mut().push(address);
        let (fake, world) = (self.clone(), world.clone());
        world.clone().spawn(TaskClass::Serve, async move {
            while let Ok(stream) = listener.accept().await {
                let (fake, served) = (fake.clone(), world.clone());
                world.spawn(TaskClass::Serve, async move {
                    serve::connection(&fake, &served, stream, number).await;
                });
            }
        });
        address
    }

    /// How a client reaches it, with timeouts that suit a test.
    pub(crate) fn config(&self) -> ClusterConfig {
        ClusterConfig {
            bootstrap: self.0.brokers.borrow().iter().map(ToString::to_string).collect(),
            request_timeout: Duration::from_secs(2),
            ..ClusterConfig::default()
        }
    }

    /// Adds a topic led by broker 0.
    pub(crate) fn add_topic(&self, name: &str, partitions: usize) {
        let mut id = [1; 16];
        id[..name.len().min(16)].copy_from_slice(&name.as_bytes()[..name.len().min(16)]);
        let partitions = (0..partitions).map(|_| FakePartition::default()).collect();
        let topic = FakeTopic { id: TopicId::new(id), partitions };
        self.0.topics.borrow_mut().insert(name.to_owned(), topic);
    }

    /// Every record's value in a partition, in offset order; and that the offsets have no gap.
    pub(crate) fn values(&self, topic: &str, partition: usize) -> Vec<String> {
        let topics = self.0.topics.borrow();
        let mut values = Vec::new();
        for written in topics[topic].partitions[partition].batches.borrow().iter() {
            assert_eq!(written.base, i64::try_from(values.len()).expect("few"), "no gap");
            let checked = RawBatch(&written.bytes).check().expect("it was checked when it came");
            for record in unpacked(&checked, |record| record) {
                values.push(record);
            }
        }
        values
    }

    pub(crate) fn count(&self, api: protocol::kafka::Api) -> usize {
        self.0.seen.borrow().get(&api).copied().unwrap_or(0)
    }

    pub(crate) fn set_leader(&self, topic: &str, partition: usize, leader: i32) {
        self.0.topics.borrow()[topic].partitions[partition].leader.set(leader);
    }
}

fn unpacked(checked: &CheckedBatch<'_>, map: impl Fn(String) -> String) -> Vec<String> {
    use protocol::batch::compress::decompress;
    let plain = decompress(checked.compression(), checked.record_bytes(), 64 << 20).expect("ours");
    Records::new(checked.header(), &plain)
        .map(|record| record.expect("ours"))
        .map(|record| map(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()))
        .collect()
}

impl FakePartition {
    pub(crate) fn end(&self) -> i64 {
        self.batches.borrow().last().map_or(self.log_start.get(), |last| last.next)
    }

    /// Appends a batch by Kafka's rules; answers its base offset.
    fn append(&self, bytes: &[u8], batch_bytes_max: usize) -> Result<i64, ErrorCode> {
        let checked = RawBatch(bytes).check_produced().map_err(BatchError::code)?;
        if bytes.len() > batch_bytes_max {
            return Err(ErrorCode::MessageTooLarge);
        }
        let base = self.end();
        if let Some(stamp) = checked.producer() {
            let (first, last) =
                (stamp.base_sequence.expect("one"), stamp.last_sequence.expect("one"));
            let mut producers = self.producers.borrow_mut();
            let epoch = stamp.epoch.get();
            let is_new = producers.get(&stamp.id.get()).is_none_or(|state| epoch > state.epoch);
            if is_new {
                if first != 0 {
                    return Err(ErrorCode::OutOfOrderSequenceNumber);
                }
                let state = ProducerState { epoch, ..ProducerState::default() };
                producers.insert(stamp.id.get(), state);
            }
            let state = producers.get_mut(&stamp.id.get()).expect("it was just seen to");
            if epoch < state.epoch {
                return Err(ErrorCode::InvalidProducerEpoch);
            }
            let repeated = state.last.iter().find(|(f, l, _)| (*f, *l) == (first, last));
            if let Some((_, _, base)) = repeated {
                return Ok(*base);
            }
            if first != state.next_sequence {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            state.next_sequence = protocol::batch::sequence_plus(last, 1);
            state.last.push((first, last, base));
            if state.last.len() > 5 {
                state.last.remove(0);
            }
        }
        let mut stored = vec![0; bytes.len()];
        checked.copy_assigned(Offset::new(base).expect("positive"), LeaderEpoch::ZERO, &mut stored);
        let next = base + i64::from(checked.offset_count());
        self.batches.borrow_mut().push(Written { base, next, bytes: stored });
        Ok(base)
    }
}
