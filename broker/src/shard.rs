//! Everything one core owns: its logs, its connections, its copy of the metadata.
//!
//! A shard is one thread. Nothing here is shared with another core; whoever needs a partition of
//! another shard sends it work ([`Shard::on`]) and awaits the answer.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use protocol::native::Encoder;
use protocol::{ErrorCode, TopicPartition};
use runtime::sync::{Notify, OneReceiver, OneSender, Semaphore, oneshot};
use runtime::{Listener, Map, Mesh, MeshFull, ShardId, TaskClass, World};
use storage::Store;

use crate::config::BrokerConfig;
use crate::connection::registry::Registry;
use crate::controller::Controller;
use crate::groups::Groups;
use crate::metrics::ShardMetrics;
use crate::partition::Partition;
use crate::producer_ids::ProducerIds;
use crate::view::{Node, View};

pub(crate) type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// How long a produce waits for room before it is refused.
const ROOM_PATIENCE: Duration = Duration::from_millis(500);
/// How much longer when it is only slow.
const ROOM_PATIENCE_BUSY: Duration = Duration::from_secs(10);

/// Work sent to another shard. It is called there in the order sent; the future it gives runs
/// beside the others.
type Work = Box<dyn FnOnce(Rc<Shard>) -> LocalFuture<Box<dyn Any + Send>> + Send>;

/// What travels between shards.
pub(crate) enum Mail {
    /// Do this and return what it gives.
    Call { token: u64, work: Work },
    /// What a call gave.
    Return { token: u64, value: Box<dyn Any + Send> },
}

/// The asked shard has stopped, or answered with something else than was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shard that owns the partition has stopped")]
pub(crate) struct Gone;

impl Gone {
    /// What a client is told: try again, elsewhere or later.
    pub(crate) const fn code(self) -> ErrorCode {
        ErrorCode::NotLeaderOrFollower
    }
}

/// One core's share of a broker.
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) world: World,
    pub(crate) config: Rc<BrokerConfig>,
    pub(crate) node: Rc<Node>,
    pub(crate) store: Store,
    pub(crate) view: View,
    pub(crate) metrics: ShardMetrics,
    pub(crate) registry: Registry,
    /// The start found that something durable is lost: nothing is tidied away on its word.
    pub(crate) damaged: bool,
    /// Bytes that large requests may take while they arrive.
    pub(crate) request_memory: Semaphore,
    /// Bytes that fetched records may take until they are sent.
    pub(crate) fetch_memory: Semaphore,
    /// Fetches that wait for records now.
    pub(crate) waiting_fetches: Cell<usize>,
    pub(crate) producer_ids: ProducerIds,
    /// The consumer groups that live here.
    pub(crate) groups: Groups,
    /// Writes the heads of native answers, one at a time.
    pub(crate) encoder: RefCell<Encoder>,
    partitions: RefCell<Map<TopicPartition, Rc<Partition>>>,
    count: usize,
    mesh: Mesh<Mail>,
    drained: Cell<usize>,
    drained_changed: Notify,
    pub(crate) listeners: RefCell<Vec<Rc<Listener>>>,
    controller: RefCell<Option<Rc<Controller>>>,
    calls: RefCell<Map<u64, OneSender<Box<dyn Any + Send>>>>,
    next_call: Cell<u64>,
    stopping: Cell<bool>,
}

/// What a shard is made of.
pub(crate) struct Parts {
    pub(crate) id: ShardId,
    pub(crate) world: World,
    pub(crate) config: Rc<BrokerConfig>,
    pub(crate) node: Rc<Node>,
    pub(crate) store: Store,
    pub(crate) count: usize,
    pub(crate) mesh: Mesh<Mail>,
    pub(crate) damaged: bool,
    pub(crate) registry: Registry,
}

impl Shard {
    /// Puts the parts together. Nothing runs yet: see [`Shard::serve_mail`].
    pub(crate) fn new(parts: Parts) -> Rc<Self> {
        Rc::new(Self {
            id: parts.id,
            metrics: ShardMetrics::new(parts.id),
            view: View::new(),
            request_memory: Semaphore::new(parts.config.limits.request_memory_bytes),
            fetch_memory: Semaphore::new(parts.config.limits.fetch_memory_bytes),
            waiting_fetches: Cell::new(0),
            groups: Groups::new(&parts.config),
            producer_ids: ProducerIds::new(&parts.config),
            partitions: RefCell::new(Map::default()),
            calls: RefCell::new(Map::default()),
            next_call: Cell::new(0),
            stopping: Cell::new(false),
            world: parts.world,
            config: parts.config,
            node: parts.node,
            store: parts.store,
            count: parts.count,
            mesh: parts.mesh,
            damaged: parts.damaged,
            drained: Cell::new(0),
            drained_changed: Notify::new(),
            encoder: RefCell::default(),
            listeners: RefCell::default(),
            controller: RefCell::default(),
            registry: parts.registry,
        })
    }

    /// How many shards this broker has.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether the broker is going down: new requests are not begun.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// No further requests are begun from here on.
    pub(crate) fn stop(&self) {
        self.stopping.set(true);
    }

    /// Shard 0 decides from here on.
    pub(crate) fn install(&self, controller: Rc<Controller>) {
        *self.controller.borrow_mut() = Some(controller);
    }

    /// Who decides, on shard 0 once it has started.
    pub(crate) fn controller(&self) -> Option<Rc<Controller>> {
        self.controller.borrow().clone()
    }

    /// Waits until every other shard has answered its clients, too: until then they may need us.
    pub(crate) async fn others_drained(self: &Rc<Self>) {
        for id in ShardId::all(self.count).filter(|id| *id != self.id) {
            // Nobody awaits the answer: a shard that is gone needs nothing any more.
            drop(self.send(id, |there: Rc<Self>| {
                there.drained.set(there.drained.get() + 1);
                there.drained_changed.notify_all();
                async {}
            }));
        }
        while self.drained.get() + 1 < self.count {
            self.drained_changed.notified().await;
        }
        self.mesh.flushed().await;
    }

    /// Waits while the store has no room for an append, so that a fast producer is held back by its
    /// connection. Not for long on a full disk, and not for ever on a slow one: what finds no room
    /// then is refused with an error that clients retry.
    pub(crate) async fn room(&self) {
        // Either way the append itself says what it found.
        if self.world.timeout(ROOM_PATIENCE, self.store.room()).await.is_err()
            && !self.store.is_disk_full()
        {
            let _in_time = self.world.timeout(ROOM_PATIENCE_BUSY, self.store.room()).await;
        }
    }

    /// The partition, if this shard owns it.
    pub(crate) fn partition(&self, id: TopicPartition) -> Option<Rc<Partition>> {
        self.partitions.borrow().get(&id).map(Rc::clone)
    }

    /// Every partition this shard owns, in no particular order.
    pub(crate) fn partitions(&self) -> Vec<Rc<Partition>> {
        self.partitions.borrow().values().map(Rc::clone).collect()
    }

    /// How many partitions this shard owns.
    pub(crate) fn partition_count(&self) -> usize {
        self.partitions.borrow().len()
    }

    /// Takes ownership of a partition.
    pub(crate) fn adopt(&self, partition: Rc<Partition>) {
        self.partitions.borrow_mut().insert(partition.id, partition);
    }

    /// Gives a partition up; requests for it are answered as unknown from here on.
    pub(crate) fn disown(&self, id: TopicPartition) -> Option<Rc<Partition>> {
        self.partitions.borrow_mut().remove(&id)
    }

    /// Runs `work` on shard `home` and gives what it gives.
    ///
    /// `work` itself runs in the order of the calls to that shard, so appends keep their order; the
    /// future it gives runs later. On this very shard it runs at once.
    pub(crate) async fn on<T, F, W>(self: &Rc<Self>, home: ShardId, work: W) -> Result<T, Gone>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
        W: FnOnce(Rc<Shard>) -> F + Send + 'static,
    {
        if home == self.id {
            return Ok(work(Rc::clone(self)).await);
        }
        let answer = self.send(home, work);
        let value = answer.await.map_err(|_closed| Gone)?;
        value.downcast::<T>().map(|value| *value).map_err(|_other| Gone)
    }

    /// Sends `work` to shard `home` now; the answer can be awaited later.
    pub(crate) fn send<T, F, W>(
        self: &Rc<Self>,
        home: ShardId,
        work: W,
    ) -> OneReceiver<Box<dyn Any + Send>>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
        W: FnOnce(Rc<Shard>) -> F + Send + 'static,
    {
        let token = self.next_call.get();
        self.next_call.set(token + 1);
        let (sender, receiver) = oneshot();
        self.calls.borrow_mut().insert(token, sender);
        let work: Work = Box::new(move |shard| {
            let running = work(shard);
            Box::pin(async move { Box::new(running.await) as Box<dyn Any + Send> })
        });
        if self.mesh.send(home, Mail::Call { token, work }).is_err() {
            // Dropping the sender tells the receiver.
            self.calls.borrow_mut().remove(&token);
        }
        receiver
    }

    /// Takes mail for as long as the shard lives.
    pub(crate) async fn serve_mail(self: Rc<Self>) {
        let mut mail = Vec::new();
        loop {
            self.mesh.recv(&mut mail).await;
            for (from, mail) in mail.drain(..) {
                match mail {
                    Mail::Call { token, work } => {
                        // The work's own part, up to the future it gives, runs here, in order.
                        let running = work(Rc::clone(&self));
                        let shard = Rc::clone(&self);
                        self.world.spawn(TaskClass::Serve, async move {
                            let value = running.await;
                            shard.give_back(from, Mail::Return { token, value }).await;
                        });
                    }
                    Mail::Return { token, value } => {
                        let waiting = self.calls.borrow_mut().remove(&token);
                        // Who no longer waits needs no answer.
                        drop(waiting.map(|waiting| waiting.send(value)));
                    }
                }
            }
        }
    }

    /// Sends an answer, however long that shard takes to have room for it.
    async fn give_back(&self, to: ShardId, mut mail: Mail) {
        while let Err(MeshFull(back)) = self.mesh.send(to, mail) {
            mail = back;
            self.world.turn().await;
        }
    }
}
