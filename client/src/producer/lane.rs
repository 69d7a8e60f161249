//! One broker's share of a producer's batches: gathered into requests, sent in order, many requests at a time.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use runtime::TaskClass;
use runtime::sync::Notify;

use super::Shared;
use crate::accumulator::{Answer, BatchId, Delivered, SlotId};
use crate::call::{ProducePart, Produced};
use crate::config::Acks;
use crate::error::ChannelError;
use crate::view::TopicRef;

/// Batches in one request, at most; brokers bound them too.
const PARTS_MAX: usize = 1_024;

/// A batch for the broker.
pub(super) struct Parcel {
    pub(super) slot: SlotId,
    pub(super) batch: BatchId,
    pub(super) topic: Rc<TopicRef>,
    pub(super) partition: i32,
    pub(super) bytes: Bytes,
}

/// See the file's first line.
pub(super) struct Lane {
    broker: i32,
    queue: RefCell<VecDeque<Parcel>>,
    wake: Notify,
    is_closed: Cell<bool>,
}

impl Lane {
    pub(super) fn start(shared: &Rc<Shared>, broker: i32) -> Rc<Self> {
        let lane = Rc::new(Self {
            broker,
            queue: RefCell::default(),
            wake: Notify::new(),
            is_closed: Cell::new(false),
        });
        let task = Rc::clone(&lane).run(Rc::downgrade(shared));
        shared.world().spawn(TaskClass::Serve, task);
        lane
    }

    pub(super) fn push(&self, parcel: Parcel) {
        self.queue.borrow_mut().push_back(parcel);
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.wake.notify_one();
    }

    async fn run(self: Rc<Self>, shared: Weak<Shared>) {
        loop {
            if self.queue.borrow().is_empty() {
                if self.is_closed.get() {
                    return;
                }
                self.wake.notified().await;
                continue;
            }
            let Some(shared) = shared.upgrade() else { return };
            self.send_queue(&shared).await;
        }
    }

    /// Sends what is queued, in its order.
    async fn send_queue(&self, shared: &Rc<Shared>) {
        let peer = match shared.cluster.peer(self.broker).await {
            Ok(peer) => peer,
            Err(error) => {
                tracing::debug!(broker = self.broker, %error, "the leader cannot be reached");
                self.give_back(shared);
                return;
            }
        };
        while !self.queue.borrow().is_empty() {
            let admission = peer.admit().await;
            // Chosen only now: what came while the line was busy goes with it.
            let request = self.next_request(shared.config.request_bytes);
            let parts: Vec<ProducePart> = request.iter().map(Parcel::part).collect();
            match peer.submit_produce(admission, shared.config.acks, &parts) {
                Ok(pending) => {
                    let shared = Rc::clone(shared);
                    let peer = peer.clone();
                    shared.world().clone().spawn(TaskClass::Serve, async move {
                        let outcome = peer.produced(pending, &parts).await;
                        settle(&shared, &request, outcome);
                    });
                }
                Err(error) => {
                    tracing::debug!(broker = self.broker, %error, "a produce request was not sent");
                    for parcel in request {
                        shared.answer(parcel.slot, parcel.batch, Answer::NotSent);
                    }
                    self.give_back(shared);
                    return;
                }
            }
        }
    }

    /// The first parcels of the queue that fit one request: at most one batch per partition, as the protocol demands,
    /// and no more than `bytes_max` unless one alone is larger.
    fn next_request(&self, bytes_max: usize) -> Vec<Parcel> {
        let mut queue = self.queue.borrow_mut();
        let mut request = Vec::new();
        let mut taken = BTreeSet::new();
        let mut bytes = 0;
        while let Some(next) = queue.front() {
            let fits = request.is_empty()
                || (bytes + next.bytes.len() <= bytes_max && request.len() < PARTS_MAX);
            if !fits || !taken.insert(next.slot) {
                break;
            }
            bytes += next.bytes.len();
            request.extend(queue.pop_front());
        }
        request
    }

    fn give_back(&self, shared: &Rc<Shared>) {
        // Taken out first: an answer may send the next batch this way.
        let parcels = std::mem::take(&mut *self.queue.borrow_mut());
        for parcel in parcels {
            shared.answer(parcel.slot, parcel.batch, Answer::NotSent);
        }
    }
}

impl Parcel {
    fn part(&self) -> ProducePart {
        ProducePart {
            topic: Rc::clone(&self.topic),
            partition: self.partition,
            batch: self.bytes.clone(),
        }
    }
}

/// Tells the machine what became of a request's batches.
fn settle(
    shared: &Rc<Shared>,
    request: &[Parcel],
    outcome: Result<Vec<Option<Produced>>, ChannelError>,
) {
    let acks = shared.config.acks;
    let outcomes = outcome.map_err(|error| {
        tracing::debug!(%error, "a produce request got no answer");
    });
    for (place, parcel) in request.iter().enumerate() {
        let answer = match &outcomes {
            Ok(outcomes) => answer_of(outcomes[place].as_ref(), acks),
            Err(()) => Answer::Lost,
        };
        shared.answer(parcel.slot, parcel.batch, answer);
    }
}

fn answer_of(produced: Option<&Produced>, acks: Acks) -> Answer {
    let known = |number: i64| Some(number).filter(|number| *number >= 0);
    match produced {
        None if acks == Acks::None => {
            Answer::Appended(Delivered { base_offset: None, log_append_time_ms: None })
        }
        // The broker answered, but not about this batch.
        None => Answer::Lost,
        Some(produced) if produced.error.is_error() => {
            Answer::Refused(produced.error, produced.message.clone())
        }
        Some(produced) => Answer::Appended(Delivered {
            base_offset: known(produced.base_offset),
            log_append_time_ms: known(produced.log_append_time_ms),
        }),
    }
}
