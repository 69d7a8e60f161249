//! Messages between the shards of one process.
//!
//! One bounded single-producer single-consumer ring per pair of shards. Sending never waits: what
//! does not fit goes to a local overflow that a task of its own drains, so two shards full of
//! messages for each other cannot wait for one another (W9). Everything that has arrived is taken
//! at once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use crate::sync::Notify;
use crate::world::Kind;
use crate::{ShardId, World, real, sim};

/// Messages a ring between two shards holds.
pub(crate) const RING_COUNT: usize = 1024;

/// Makes the mesh of `shards` shards; give a clone to each and let it [`MeshBuilder::join`].
pub struct MeshBuilder<M: Send> {
    real: real::mesh::Builder<M>,
    sim: sim::mesh::Builder<M>,
    overflow_max: usize,
}

/// One shard's place in the mesh. Cheap to clone.
pub struct Mesh<M: Send>(Rc<MeshKind<M>>);

enum MeshKind<M: Send> {
    Real(real::mesh::Mesh<M>),
    Sim(sim::mesh::Mesh<M>),
}

/// Too many messages wait for that shard; the message comes back. Answer with a retriable error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MeshFull<M>(pub M);

impl<M> fmt::Debug for MeshFull<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshFull")
    }
}
impl<M> fmt::Display for MeshFull<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many messages wait for that shard")
    }
}
impl<M> std::error::Error for MeshFull<M> {}

impl<M: Send> Clone for MeshBuilder<M> {
    fn clone(&self) -> Self {
        let (real, sim) = (self.real.clone(), self.sim.clone());
        Self { real, sim, overflow_max: self.overflow_max }
    }
}

impl<M: Send> Clone for Mesh<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Send + 'static> MeshBuilder<M> {
    /// A mesh of `shards` shards in which at most `overflow_max` messages wait per receiver beyond
    /// the 1,024 of its ring.
    pub fn new(shards: usize, overflow_max: usize) -> Self {
        let (real, sim) = (real::mesh::Builder::new(shards), sim::mesh::Builder::new(shards));
        Self { real, sim, overflow_max }
    }

    /// Takes this shard's place; returns when every shard has come to take its own, in any order.
    pub async fn join(&self, world: &World) -> Mesh<M> {
        Mesh(Rc::new(match &world.0 {
            Kind::Real(world) => MeshKind::Real(self.real.join(world, self.overflow_max).await),
            Kind::Sim(world) => MeshKind::Sim(self.sim.join(world, self.overflow_max)),
        }))
    }
}

impl<M: Send + 'static> Mesh<M> {
    /// Sends without waiting; messages to one shard arrive in order. To oneself works too.
    pub fn send(&self, to: ShardId, message: M) -> Result<(), MeshFull<M>> {
        match &*self.0 {
            MeshKind::Real(mesh) => mesh.send(to, message),
            MeshKind::Sim(mesh) => mesh.send(to, message),
        }
    }

    /// Waits until nothing this shard sent waits here any more: before a shard ends.
    pub async fn flushed(&self) {
        match &*self.0 {
            MeshKind::Real(mesh) => mesh.flushed().await,
            // A simulated message is under way as soon as it is sent.
            MeshKind::Sim(_) => {}
        }
    }

    /// Appends everything that has arrived, with its sender, waiting for at least one message.
    pub async fn recv(&self, into: &mut Vec<(ShardId, M)>) {
        match &*self.0 {
            MeshKind::Real(mesh) => mesh.recv(into).await,
            MeshKind::Sim(mesh) => mesh.recv(into).await,
        }
    }
}

/// Messages that have arrived at a shard.
pub(crate) struct Inbox<M> {
    messages: RefCell<VecDeque<(ShardId, M)>>,
    arrived: Notify,
}

impl<M> Inbox<M> {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { messages: RefCell::default(), arrived: Notify::new() })
    }
    pub(crate) fn push(&self, from: ShardId, message: M) {
        self.messages.borrow_mut().push_back((from, message));
    }
    pub(crate) fn tell(&self) {
        self.arrived.notify_one();
    }
    pub(crate) async fn take(&self, into: &mut Vec<(ShardId, M)>) {
        while self.messages.borrow().is_empty() {
            self.arrived.notified().await;
        }
        into.extend(self.messages.borrow_mut().drain(..));
    }
}
