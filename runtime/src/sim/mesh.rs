//! The mesh in virtual time: messages of one sender arrive in order, of several in any.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::World;
use crate::mesh::{MeshFull, RING_COUNT};
use crate::{Nanos, ShardId};

pub(crate) struct Builder<M>(Arc<Vec<Mutex<Inbox<M>>>>);

impl<M> Clone for Builder<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What is under way to one shard. Behind a lock only because builders are `Send`.
struct Inbox<M> {
    /// By sender, with the time of arrival.
    flying: Vec<VecDeque<(Nanos, M)>>,
    waker: Option<Waker>,
}

pub(crate) struct Mesh<M> {
    world: World,
    inboxes: Arc<Vec<Mutex<Inbox<M>>>>,
    count_max: usize,
}

impl<M> Builder<M> {
    pub(crate) fn new(shards: usize) -> Self {
        let inbox = |_| {
            let flying = (0..shards).map(|_| VecDeque::new()).collect();
            Mutex::new(Inbox { flying, waker: None })
        };
        Self(Arc::new((0..shards).map(inbox).collect()))
    }

    pub(crate) fn join(&self, world: &World, overflow_max: usize) -> Mesh<M> {
        let count_max = RING_COUNT.saturating_add(overflow_max);
        Mesh { world: world.clone(), inboxes: self.0.clone(), count_max }
    }
}

impl<M> Mesh<M> {
    pub(crate) fn send(&self, to: ShardId, message: M) -> Result<(), MeshFull<M>> {
        let micros = 1 + self.world.executor().draw(40);
        let mut inbox = self.inboxes[to.index()].lock().unwrap_or_else(PoisonError::into_inner);
        let flying = &mut inbox.flying[self.world.shard().index()];
        if flying.len() >= self.count_max {
            return Err(MeshFull(message));
        }
        let last = flying.back().map_or(Nanos::ZERO, |(at, _)| *at);
        let at = (self.world.now() + Duration::from_micros(micros)).max(last);
        flying.push_back((at, message));
        if let Some(waker) = inbox.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    pub(crate) async fn recv(&self, into: &mut Vec<(ShardId, M)>) {
        let inbox = &self.inboxes[self.world.shard().index()];
        let before = into.len();
        loop {
            let next = {
                let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
                self.take(&mut inbox, into)
            };
            if into.len() > before {
                return;
            }
            let mut registered = false;
            let told = poll_fn(|context| {
                if std::mem::replace(&mut registered, true) {
                    return Poll::Ready(());
                }
                let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
                inbox.waker = Some(context.waker().clone());
                Poll::Pending
            });
            match next {
                Some(at) => {
                    let arrives = self.world.executor().sleep_until(at);
                    futures_lite::future::or(arrives, told).await;
                }
                None => told.await,
            }
        }
    }

    /// Takes what has arrived, beginning with any sender; returns when the next arrives.
    fn take(&self, inbox: &mut Inbox<M>, into: &mut Vec<(ShardId, M)>) -> Option<Nanos> {
        let now = self.world.now();
        let senders = inbox.flying.len();
        let first = self.world.executor().draw(senders as u64) as usize;
        for turn in 0..senders {
            let from = (first + turn) % senders;
            let flying = &mut inbox.flying[from];
            let shard = ShardId(u16::try_from(from).unwrap_or(u16::MAX));
            while flying.front().is_some_and(|(at, _)| *at <= now) {
                into.extend(flying.pop_front().map(|(_, message)| (shard, message)));
            }
        }
        inbox.flying.iter().filter_map(|flying| flying.front()).map(|(at, _)| *at).min()
    }
}
