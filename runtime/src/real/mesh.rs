//! The mesh over glommio's shared channels.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_lite::Stream;
use glommio::GlommioError;
use glommio::channels::shared_channel::{
    ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender, new_bounded,
};

use super::World;
use crate::mesh::{Inbox, MeshFull, RING_COUNT};
use crate::sync::Notify;
use crate::{ShardId, TaskClass};

/// Messages taken from one ring before other tasks get their turn.
const BATCH_MAX: usize = 512;

pub(crate) struct Builder<M: Send>(Arc<Mutex<Vec<Option<Seat<M>>>>>);

impl<M: Send> Clone for Builder<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// One shard's ends of all rings; `None` where it would meet itself.
struct Seat<M: Send> {
    senders: Vec<Option<SharedSender<M>>>,
    receivers: Vec<Option<SharedReceiver<M>>>,
}

impl<M: Send + 'static> Builder<M> {
    pub(crate) fn new(shards: usize) -> Self {
        let mut seats: Vec<Seat<M>> = Vec::new();
        for _ in 0..shards {
            seats.push(Seat {
                senders: (0..shards).map(|_| None).collect(),
                receivers: (0..shards).map(|_| None).collect(),
            });
        }
        for from in 0..shards {
            for to in (0..shards).filter(|to| *to != from) {
                let (sender, receiver) = new_bounded(RING_COUNT);
                seats[from].senders[to] = Some(sender);
                seats[to].receivers[from] = Some(receiver);
            }
        }
        Self(Arc::new(Mutex::new(seats.into_iter().map(Some).collect())))
    }

    pub(crate) async fn join(&self, world: &World, overflow_max: usize) -> Mesh<M> {
        let shard = world.0.shard;
        let seat = self.0.lock().unwrap_or_else(PoisonError::into_inner)[shard.index()].take();
        let seat = seat.expect("each shard joins once");
        // All connections at once: one after the other, two shards could wait for each other's
        // next one for ever.
        let (connected, all_connected) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
        let wanted = 2 * (seat.senders.len() - 1);
        let inbox = Inbox::new();
        let mut peers = Vec::with_capacity(seat.senders.len());
        for sender in seat.senders {
            let Some(sender) = sender else {
                peers.push(None);
                continue;
            };
            let peer = Rc::new(Peer::default());
            peers.push(Some(peer.clone()));
            let (connected, all_connected) = (connected.clone(), all_connected.clone());
            world.spawn(TaskClass::Serve, async move {
                *peer.sender.borrow_mut() = Some(Rc::new(sender.connect().await));
                connected.set(connected.get() + 1);
                all_connected.notify_all();
                peer.drain_overflow().await;
            });
        }
        for (from, receiver) in seat.receivers.into_iter().enumerate() {
            let Some(receiver) = receiver else { continue };
            let from = ShardId(u16::try_from(from).expect("there are fewer shards"));
            let (connected, all_connected) = (connected.clone(), all_connected.clone());
            let inbox = inbox.clone();
            world.spawn(TaskClass::Serve, async move {
                let mut receiver = receiver.connect().await;
                connected.set(connected.get() + 1);
                all_connected.notify_all();
                poll_fn(|context| poll_ring(&mut receiver, from, &inbox, context)).await;
            });
        }
        while connected.get() < wanted {
            all_connected.notified().await;
        }
        Mesh { shard, peers, inbox, overflow_max }
    }
}

/// Moves what has arrived to the inbox; ends with the sender's shard.
///
/// glommio forgets nobody who once waited on an empty ring, so this waits once per round only.
fn poll_ring<M: Send>(
    receiver: &mut ConnectedReceiver<M>,
    from: ShardId,
    inbox: &Inbox<M>,
    context: &mut Context<'_>,
) -> Poll<()> {
    let mut taken = 0;
    loop {
        let next = Pin::new(&mut *receiver).poll_next(context);
        match next {
            Poll::Ready(Some(message)) => {
                inbox.push(from, message);
                taken += 1;
            }
            Poll::Ready(None) | Poll::Pending if taken > 0 => {
                inbox.tell();
                return if next.is_ready() { Poll::Ready(()) } else { Poll::Pending };
            }
            Poll::Ready(None) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
        if taken == BATCH_MAX {
            inbox.tell();
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
    }
}

pub(crate) struct Mesh<M: Send> {
    shard: ShardId,
    peers: Vec<Option<Rc<Peer<M>>>>,
    inbox: Rc<Inbox<M>>,
    overflow_max: usize,
}

/// The way to one other shard.
struct Peer<M: Send> {
    sender: RefCell<Option<Rc<ConnectedSender<M>>>>,
    overflow: RefCell<VecDeque<M>>,
    /// A message taken from the overflow waits for room: later ones must not overtake it.
    draining: Cell<bool>,
    overflowed: Notify,
    drained: Notify,
}

impl<M: Send> Default for Peer<M> {
    fn default() -> Self {
        Self {
            sender: RefCell::default(),
            overflow: RefCell::default(),
            draining: Cell::default(),
            overflowed: Notify::new(),
            drained: Notify::new(),
        }
    }
}

impl<M: Send + 'static> Peer<M> {
    fn send(&self, message: M, overflow_max: usize) -> Result<(), MeshFull<M>> {
        let waits = self.waits();
        let sender = self.sender.borrow().clone();
        let message = match sender {
            Some(sender) if !waits => match sender.try_send(message) {
                Err(GlommioError::WouldBlock(glommio::ResourceType::Channel(back))) => back,
                // Sent; or the other shard has ended, and so does the process: nobody waits.
                Ok(()) | Err(_) => return Ok(()),
            },
            _ => message,
        };
        if self.overflow.borrow().len() >= overflow_max {
            return Err(MeshFull(message));
        }
        self.overflow.borrow_mut().push_back(message);
        self.overflowed.notify_one();
        Ok(())
    }

    /// Whether messages wait for room.
    fn waits(&self) -> bool {
        self.draining.get() || !self.overflow.borrow().is_empty()
    }

    async fn drain_overflow(&self) {
        let sender = self.sender.borrow().clone().expect("set before this is called");
        loop {
            let next = self.overflow.borrow_mut().pop_front();
            self.draining.set(next.is_some());
            match next {
                Some(message) => {
                    if sender.send(message).await.is_err() {
                        // The other shard has ended: nothing waits for it any more.
                        self.overflow.borrow_mut().clear();
                        self.draining.set(false);
                        self.drained.notify_all();
                        return;
                    }
                }
                None => {
                    self.drained.notify_all();
                    self.overflowed.notified().await;
                }
            }
        }
    }
}

impl<M: Send + 'static> Mesh<M> {
    pub(crate) fn send(&self, to: ShardId, message: M) -> Result<(), MeshFull<M>> {
        match &self.peers[to.index()] {
            Some(peer) => peer.send(message, self.overflow_max),
            None => {
                self.inbox.push(self.shard, message);
                self.inbox.tell();
                Ok(())
            }
        }
    }

    pub(crate) async fn flushed(&self) {
        for peer in self.peers.iter().flatten() {
            while peer.waits() {
                peer.drained.notified().await;
            }
        }
    }

    pub(crate) async fn recv(&self, into: &mut Vec<(ShardId, M)>) {
        self.inbox.take(into).await;
    }
}
