//! Reads records of the partitions that it is told to, from where it is told to, ahead of being asked for them.

mod fetched;
mod fetcher;
pub(crate) mod position;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::Notify;
use runtime::{Nanos, TaskClass, World};

pub use self::fetched::{Fetched, RecordView};
use self::position::{PartId, Positions, Seek};
use crate::cluster::Cluster;
use crate::config::ConsumerConfig;
use crate::error::{ClientError, ConsumeError};

/// Reads partitions that are assigned to it by hand. Not for groups: those share partitions out by themselves.
///
/// It fetches ahead in the background, as far as its configuration lets it; [`Consumer::poll`] hands out what has
/// arrived. Dropping it ends the fetching.
///
/// ```no_run
/// # async fn example(world: runtime::World) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use client::{Cluster, ClusterConfig, Consumer, ConsumerConfig, Seek};
///
/// let cluster = Cluster::connect(&world, ClusterConfig::kafka("127.0.0.1:9092")).await?;
/// let consumer = Consumer::new(&cluster, ConsumerConfig::default());
/// consumer.assign("orders", 0, Seek::Earliest).await?;
/// while let Some(fetched) = consumer.poll(Duration::from_secs(1)).await? {
///     for record in fetched.records() {
///         println!("{} {:?}", record.offset, record.value);
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Consumer {
    shared: Rc<Shared>,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.is_closed.set(true);
        self.shared.wake.notify_one();
    }
}

struct Shared {
    cluster: Cluster,
    config: ConsumerConfig,
    parts: RefCell<Vec<Part>>,
    positions: RefCell<Positions<Fetched>>,
    /// Brokers that have a question of ours.
    busy: RefCell<BTreeSet<i32>>,
    refreshing: RefCell<BTreeSet<Rc<str>>>,
    errors: RefCell<VecDeque<ConsumeError>>,
    /// Something may be asked.
    wake: Notify,
    /// Something may be handed out.
    arrived: Notify,
    is_closed: Cell<bool>,
    /// Which partition is looked at first.
    turn: Cell<usize>,
}

#[derive(Clone)]
struct Part {
    topic: Rc<str>,
    partition: i32,
    /// How much to ask for: grows when a single batch turns out larger.
    bytes_max: i32,
}

/// Errors that wait to be told, at most: a program that does not poll shall not gather them.
const ERRORS_MAX: usize = 16;

impl Consumer {
    /// A consumer for the topics of `cluster`, with nothing assigned.
    pub fn new(cluster: &Cluster, config: ConsumerConfig) -> Self {
        let retry_pause = (Nanos::ZERO + cluster.config().retry_pause).get();
        let positions = Positions::new(
            config.buffered_bytes_max,
            config.partition_bytes_max,
            retry_pause,
            config.out_of_range,
        );
        let shared = Rc::new(Shared {
            cluster: cluster.clone(),
            config,
            parts: RefCell::default(),
            positions: RefCell::new(positions),
            busy: RefCell::default(),
            refreshing: RefCell::default(),
            errors: RefCell::default(),
            wake: Notify::new(),
            arrived: Notify::new(),
            is_closed: Cell::new(false),
            turn: Cell::new(0),
        });
        cluster.world().spawn(TaskClass::Serve, Rc::clone(&shared).run());
        Self { shared }
    }

    /// Adds a partition, to be read from `seek` on. Assigning it again moves it there.
    ///
    /// # Errors
    /// [`ConsumeError::Cluster`] if there is no such topic or partition.
    pub async fn assign(
        &self,
        topic: &str,
        partition: i32,
        seek: Seek,
    ) -> Result<(), ConsumeError> {
        let view = self.shared.cluster.topic(topic).await?;
        if view.partition(partition).is_none() {
            let topic = topic.to_owned();
            return Err(ClientError::NoSuchPartition { topic, partition }.into());
        }
        if let Some(id) = self.shared.find(topic, partition) {
            self.shared.positions.borrow_mut().seek(id, seek);
        } else {
            let topic = Rc::clone(&view.topic.name);
            let bytes_max = wire_bytes(self.shared.config.partition_bytes_max);
            self.shared.parts.borrow_mut().push(Part { topic, partition, bytes_max });
            self.shared.positions.borrow_mut().assign(seek);
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Adds every partition of a topic; answers how many there are.
    ///
    /// # Errors
    /// [`ConsumeError::Cluster`] if there is no such topic.
    pub async fn assign_topic(&self, topic: &str, seek: Seek) -> Result<usize, ConsumeError> {
        let view = self.shared.cluster.topic(topic).await?;
        for partition in &view.partitions {
            self.assign(topic, partition.index, seek).await?;
        }
        Ok(view.partitions.len())
    }

    /// Goes on reading an assigned partition elsewhere; what was fetched of it and not handed out is forgotten.
    ///
    /// # Errors
    /// [`ConsumeError::Unassigned`] if the partition is not assigned.
    pub fn seek(&self, topic: &str, partition: i32, seek: Seek) -> Result<(), ConsumeError> {
        let id = self.shared.find(topic, partition).ok_or(ConsumeError::Unassigned)?;
        self.shared.positions.borrow_mut().seek(id, seek);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Stops handing out and fetching a partition until it is resumed.
    ///
    /// # Errors
    /// [`ConsumeError::Unassigned`] if the partition is not assigned.
    pub fn pause(&self, topic: &str, partition: i32) -> Result<(), ConsumeError> {
        let id = self.shared.find(topic, partition).ok_or(ConsumeError::Unassigned)?;
        self.shared.positions.borrow_mut().set_paused(id, true);
        Ok(())
    }

    /// Goes on with a paused partition.
    ///
    /// # Errors
    /// [`ConsumeError::Unassigned`] if the partition is not assigned.
    pub fn resume(&self, topic: &str, partition: i32) -> Result<(), ConsumeError> {
        let id = self.shared.find(topic, partition).ok_or(ConsumeError::Unassigned)?;
        self.shared.positions.borrow_mut().set_paused(id, false);
        self.shared.wake.notify_one();
        self.shared.arrived.notify_all();
        Ok(())
    }

    /// The next records of one of the partitions, waiting at most `timeout` for some; `None` if none came. Partitions
    /// take turns.
    ///
    /// # Errors
    /// [`ConsumeError::Damaged`] and [`ConsumeError::OutOfRange`] for one partition: the others can be read on.
    /// [`ConsumeError::Cluster`] when the cluster refuses; trouble that passes is waited out. `Unassigned` without an
    /// assignment.
    pub async fn poll(&self, timeout: Duration) -> Result<Option<Fetched>, ConsumeError> {
        let shared = &self.shared;
        if shared.parts.borrow().is_empty() {
            return Err(ConsumeError::Unassigned);
        }
        let deadline = shared.world().now() + timeout;
        loop {
            let arrived = shared.arrived.notified();
            if let Some(error) = shared.errors.borrow_mut().pop_front() {
                return Err(error);
            }
            let taken = shared.positions.borrow_mut().take();
            if let Some((_, fetched)) = taken {
                // There is room now.
                shared.wake.notify_one();
                return Ok(Some(fetched));
            }
            let left = deadline.since(shared.world().now());
            if left.is_zero() || shared.world().timeout(left, arrived).await.is_err() {
                return Ok(None);
            }
        }
    }

    /// The offset of the next record that `poll` will show; `None` while it is being looked up, or if the partition
    /// is not assigned.
    pub fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        let id = self.shared.find(topic, partition)?;
        self.shared.positions.borrow().consumed(id)
    }

    /// How far the partition could be read when it was last fetched: the offset after its last readable record.
    pub fn high_watermark(&self, topic: &str, partition: i32) -> Option<i64> {
        let id = self.shared.find(topic, partition)?;
        self.shared.positions.borrow().high_watermark(id)
    }
}

impl Shared {
    fn world(&self) -> &World {
        self.cluster.world()
    }

    fn find(&self, topic: &str, partition: i32) -> Option<PartId> {
        let parts = self.parts.borrow();
        let same = |part: &Part| part.partition == partition && &*part.topic == topic;
        parts.iter().position(same).map(PartId)
    }

    fn tell(&self, error: ConsumeError) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < ERRORS_MAX {
            errors.push_back(error);
        }
        drop(errors);
        self.arrived.notify_all();
    }
}

/// A number of bytes as the wire carries it.
fn wire_bytes(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
