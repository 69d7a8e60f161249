//! Writes records: takes them in, batches them per partition, and sees them through to their receipts.

mod driver;
mod lane;
mod receipt;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use runtime::sync::Notify;
use runtime::{Nanos, TaskClass, World};

use self::lane::Lane;
use self::receipt::Completion;
pub use self::receipt::{Delivery, Receipt};
use crate::accumulator::{Accumulator, Policy, Refused, SlotId};
use crate::cluster::{Cluster, Missing};
use crate::config::ProducerConfig;
use crate::draft::DraftLimits;
use crate::error::{ClientError, SendError};
use crate::partitioner::{Sticky, partition_for_key};
use crate::record::Record;
use crate::view::TopicView;

/// Writes records to topics. Cheap to clone: clones share batches, memory and connections.
///
/// Dropping the last clone still delivers what was accepted, as long as the program lives; [`Producer::close`] waits
/// for it.
///
/// ```no_run
/// # async fn example(world: runtime::World) -> Result<(), Box<dyn std::error::Error>> {
/// use client::{Cluster, ClusterConfig, Producer, ProducerConfig, Record};
///
/// let cluster = Cluster::connect(&world, ClusterConfig::kafka("127.0.0.1:9092")).await?;
/// let producer = Producer::new(&cluster, ProducerConfig::default())?;
/// let receipt = producer.send(Record::to("orders").key("customer-7").value("two of those")).await?;
/// println!("written at offset {:?}", receipt.await?.offset);
/// producer.close().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Producer(Rc<Handle>);

struct Handle {
    shared: Rc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.begin_close();
    }
}

struct Shared {
    cluster: Cluster,
    config: ProducerConfig,
    machine: RefCell<Accumulator<Rc<Completion>>>,
    topics: RefCell<BTreeMap<Rc<str>, Rc<TopicSlots>>>,
    /// What each slot stands for.
    partitions: RefCell<Vec<Partition>>,
    lanes: RefCell<BTreeMap<i32, Rc<Lane>>>,
    /// The machine has something to do.
    wake: Notify,
    /// Records are done: memory is free, a flush may be complete.
    progress: Notify,
    is_closing: Cell<bool>,
    is_asking_identity: Cell<bool>,
    /// Topics whose leaders are being looked up.
    refreshing: RefCell<BTreeSet<Rc<str>>>,
    ended: Notify,
    has_ended: Cell<bool>,
    /// Why no producer id can be had, if it cannot.
    refused: RefCell<Option<ClientError>>,
}

/// A topic's partitions and their places in the accumulator.
struct TopicSlots {
    view: Rc<TopicView>,
    slots: Vec<SlotId>,
    /// Partitions with a leader, for records that may go anywhere.
    usable: Vec<i32>,
    sticky: RefCell<Sticky>,
}

#[derive(Clone)]
struct Partition {
    topic: Rc<str>,
    index: i32,
}

impl Producer {
    /// A producer for the topics of `cluster`.
    ///
    /// # Errors
    /// [`ClientError::Config`] for settings that contradict each other.
    pub fn new(cluster: &Cluster, config: ProducerConfig) -> Result<Self, ClientError> {
        config.check()?;
        let nanos = |span: std::time::Duration| (Nanos::ZERO + span).get();
        let is_idempotent = config.is_idempotent();
        let policy = Policy {
            draft: DraftLimits {
                batch_bytes: config.batch_bytes,
                record_bytes_max: config.record_bytes_max,
                compression: config.compression,
                level: config.compression_level,
            },
            memory_bytes: config.memory_bytes,
            linger: nanos(config.linger),
            in_flight_max: if is_idempotent { config.in_flight_max } else { 1 },
            delivery_timeout: nanos(config.delivery_timeout),
            backoff: nanos(config.retry_pause),
            backoff_max: nanos(config.retry_pause_max),
            idempotent: is_idempotent,
            seed: cluster.world().random(),
        };
        let shared = Rc::new(Shared {
            cluster: cluster.clone(),
            config,
            machine: RefCell::new(Accumulator::new(policy)),
            topics: RefCell::default(),
            partitions: RefCell::default(),
            lanes: RefCell::default(),
            wake: Notify::new(),
            progress: Notify::new(),
            is_closing: Cell::new(false),
            is_asking_identity: Cell::new(false),
            refreshing: RefCell::default(),
            ended: Notify::new(),
            has_ended: Cell::new(false),
            refused: RefCell::new(None),
        });
        shared.world().spawn(TaskClass::Serve, Rc::clone(&shared).run());
        Ok(Self(Rc::new(Handle { shared })))
    }

    /// Accepts a record. The receipt tells, when awaited, where it was written; records of one partition are written
    /// in the order in which they were accepted. Waits only for the topic's description and for memory.
    ///
    /// # Errors
    /// [`SendError::Cluster`] if the topic cannot be found, `TooLarge`, `Full` after waiting for memory for too long,
    /// `Closed`.
    pub async fn send(&self, record: Record<'_>) -> Result<Receipt, SendError> {
        let shared = &self.0.shared;
        let (slot, partition, topic) = shared.place(&record).await?;
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(|| shared.world().wall_ms());
        let mut give_up_at = None;
        loop {
            let progress = shared.progress.notified();
            match shared.accept(slot, &record, timestamp_ms, (&topic, partition)) {
                Ok(receipt) => return Ok(receipt),
                Err(Refused::TooLarge { bytes, bytes_max }) => {
                    return Err(SendError::TooLarge { bytes, bytes_max });
                }
                Err(Refused::Full) => {}
            }
            shared.wake.notify_one();
            let now = shared.world().now();
            let deadline = *give_up_at.get_or_insert(now + shared.config.max_block);
            if shared.world().timeout(deadline.since(now), progress).await.is_err() {
                return Err(SendError::Full);
            }
        }
    }

    /// Like [`Producer::send`], without ever waiting: fails with [`SendError::Full`] when memory is full, and when
    /// the topic has not been described yet (send to it once, or call [`Producer::prepare`]).
    ///
    /// # Errors
    /// As for `send`.
    pub fn try_send(&self, record: Record<'_>) -> Result<Receipt, SendError> {
        let shared = &self.0.shared;
        if shared.is_closing.get() {
            return Err(SendError::Closed);
        }
        let topic = shared.topics.borrow().get(record.topic).cloned().ok_or(SendError::Full)?;
        let (slot, partition) = shared.slot_of(&topic, &record)?;
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(|| shared.world().wall_ms());
        let name = &topic.view.topic.name;
        shared.accept(slot, &record, timestamp_ms, (name, partition)).map_err(|refused| {
            shared.wake.notify_one();
            match refused {
                Refused::Full => SendError::Full,
                Refused::TooLarge { bytes, bytes_max } => SendError::TooLarge { bytes, bytes_max },
            }
        })
    }

    /// Looks a topic up, so that the first record does not have to wait for it; answers its number of partitions.
    ///
    /// # Errors
    /// [`SendError::Cluster`] if the topic cannot be found.
    pub async fn prepare(&self, topic: &str) -> Result<usize, SendError> {
        Ok(self.0.shared.topic(topic).await?.view.partitions.len())
    }

    /// Sends what is waiting and ends when everything accepted before is done, delivered or not: the receipts tell.
    pub async fn flush(&self) {
        let shared = &self.0.shared;
        let last = {
            let mut machine = shared.machine.borrow_mut();
            machine.flush();
            machine.newest()
        };
        shared.wake.notify_one();
        let Some(last) = last else { return };
        loop {
            let progress = shared.progress.notified();
            if shared.machine.borrow().oldest().is_none_or(|oldest| oldest > last) {
                return;
            }
            progress.await;
        }
    }

    /// Accepts nothing more, and ends when everything accepted is done.
    ///
    /// # Errors
    /// [`ClientError`] if the cluster refused to give this producer an id, so that nothing could be sent.
    pub async fn close(self) -> Result<(), ClientError> {
        let shared = Rc::clone(&self.0.shared);
        shared.begin_close();
        loop {
            let ended = shared.ended.notified();
            if shared.has_ended.get() {
                break;
            }
            ended.await;
        }
        let refused = shared.refused.borrow_mut().take();
        refused.map_or(Ok(()), Err)
    }

    /// Bytes accepted and not yet delivered.
    pub fn pending_bytes(&self) -> usize {
        self.0.shared.machine.borrow().used_bytes()
    }
}

impl Shared {
    fn world(&self) -> &World {
        self.cluster.world()
    }

    fn begin_close(&self) {
        self.is_closing.set(true);
        self.machine.borrow_mut().close();
        self.wake.notify_one();
    }

    fn accept(
        &self,
        slot: SlotId,
        record: &Record<'_>,
        timestamp_ms: i64,
        (topic, partition): (&Rc<str>, i32),
    ) -> Result<Receipt, Refused> {
        let mut machine = self.machine.borrow_mut();
        let placed = machine.append(self.world().now().get(), slot, record, timestamp_ms)?;
        let must_look = machine.wants_a_look();
        drop(machine);
        if must_look {
            self.wake.notify_one();
        }
        placed.completion.name(topic, partition);
        Ok(Receipt::new(placed.completion, placed.index, timestamp_ms))
    }

    /// Finds a record's place, asking the cluster for its topic if it must.
    async fn place(&self, record: &Record<'_>) -> Result<(SlotId, i32, Rc<str>), SendError> {
        if self.is_closing.get() {
            return Err(SendError::Closed);
        }
        let mut topic = self.topic(record.topic).await?;
        if record.partition.is_some_and(|index| topic.view.partition(index).is_none()) {
            // It may have been added since.
            self.cluster.doubt_topic(record.topic);
            topic = self.ask_topic(record.topic).await?;
        }
        let (slot, partition) = self.slot_of(&topic, record)?;
        if self.is_closing.get() {
            return Err(SendError::Closed);
        }
        Ok((slot, partition, Rc::clone(&topic.view.topic.name)))
    }

    fn slot_of(&self, topic: &TopicSlots, record: &Record<'_>) -> Result<(SlotId, i32), SendError> {
        let count = topic.slots.len();
        let partition = match (record.partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for_key(key, count),
            (None, None) => {
                let bytes = crate::draft::Draft::record_bytes_max(record);
                let stick_bytes = self.config.batch_bytes;
                let random = || self.world().random();
                topic.sticky.borrow_mut().choose(&topic.usable, bytes, stick_bytes, random)
            }
        };
        let slot = usize::try_from(partition).ok().and_then(|place| topic.slots.get(place));
        let missing = || ClientError::NoSuchPartition { topic: record.topic.to_owned(), partition };
        Ok((*slot.ok_or_else(missing)?, partition))
    }

    async fn topic(&self, name: &str) -> Result<Rc<TopicSlots>, SendError> {
        // Leaders are looked up when batches are sent; here only the number of partitions matters.
        let entered = self.topics.borrow().get(name).cloned();
        match entered {
            Some(topic) => Ok(topic),
            None => self.ask_topic(name).await,
        }
    }

    async fn ask_topic(&self, name: &str) -> Result<Rc<TopicSlots>, SendError> {
        let missing = if self.config.auto_create_topics { Missing::Create } else { Missing::Fail };
        let view = self.cluster.find_topic(name, missing).await?;
        Ok(self.enter(view))
    }

    /// Gives every partition of the topic its slot; partitions keep theirs for ever.
    fn enter(&self, view: Rc<TopicView>) -> Rc<TopicSlots> {
        let mut topics = self.topics.borrow_mut();
        let name = Rc::clone(&view.topic.name);
        let before = topics.get(&name);
        let mut slots = before.map_or_else(Vec::new, |before| before.slots.clone());
        let mut machine = self.machine.borrow_mut();
        let mut partitions = self.partitions.borrow_mut();
        while slots.len() < view.partitions.len() {
            let index = i32::try_from(slots.len()).expect("partitions are numbered by an i32");
            slots.push(machine.slot());
            partitions.push(Partition { topic: Rc::clone(&name), index });
        }
        slots.truncate(view.partitions.len());
        let led = view.partitions.iter().filter(|partition| partition.leader.is_some());
        let mut usable: Vec<i32> = led.map(|partition| partition.index).collect();
        if usable.is_empty() {
            usable = view.partitions.iter().map(|partition| partition.index).collect();
        }
        let topic = Rc::new(TopicSlots { view, slots, usable, sticky: RefCell::default() });
        topics.insert(name, Rc::clone(&topic));
        topic
    }
}
