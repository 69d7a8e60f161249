//! The promise that a record's outcome will be told.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::accumulator::Delivered;
use crate::error::SendError;

/// Where a record was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The topic.
    pub topic: Rc<str>,
    /// The partition.
    pub partition: i32,
    /// Its offset; `None` with acks 0, or when the broker no longer remembers where it put a repeated batch.
    pub offset: Option<i64>,
    /// Its timestamp in milliseconds since 1970: the broker's if the topic keeps append time, else the record's own.
    pub timestamp_ms: i64,
}

/// Resolves, when awaited, to the record's [`Delivery`] or the reason why there is none. May be dropped: the record is
/// delivered all the same.
#[must_use = "a receipt is how a failed delivery is noticed: await it, or drop it on purpose"]
pub struct Receipt {
    completion: Rc<Completion>,
    index: u32,
    timestamp_ms: i64,
}

impl Receipt {
    pub(super) fn new(completion: Rc<Completion>, index: u32, timestamp_ms: i64) -> Self {
        Self { completion, index, timestamp_ms }
    }

    /// The outcome, if it is known already.
    pub fn outcome(&self) -> Option<Result<Delivery, SendError>> {
        let parts = self.completion.parts.borrow();
        let part = parts.iter().find(|part| (part.first..part.end).contains(&self.index))?;
        let delivered = match &part.outcome {
            Ok(delivered) => delivered,
            Err(error) => return Some(Err(error.clone())),
        };
        let (topic, partition) = self.completion.place.get().cloned().unwrap_or(("".into(), -1));
        let offset = delivered.base_offset.map(|base| base + i64::from(self.index - part.first));
        let timestamp_ms = delivered.log_append_time_ms.unwrap_or(self.timestamp_ms);
        Some(Ok(Delivery { topic, partition, offset, timestamp_ms }))
    }
}

impl Future for Receipt {
    type Output = Result<Delivery, SendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.outcome() {
            return Poll::Ready(outcome);
        }
        let mut wakers = self.completion.wakers.borrow_mut();
        if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// What the records of one batch share: their outcome, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Completion {
    place: OnceCell<(Rc<str>, i32)>,
    /// One part, except for a batch that had to be split.
    parts: RefCell<Vec<Part>>,
    wakers: RefCell<Vec<Waker>>,
}

#[derive(Debug)]
struct Part {
    first: u32,
    end: u32,
    outcome: Result<Delivered, SendError>,
}

impl Completion {
    /// Notes where the batch goes.
    pub(super) fn name(&self, topic: &Rc<str>, partition: i32) {
        self.place.get_or_init(|| (Rc::clone(topic), partition));
    }

    /// Notes what became of records `first..first + count`.
    pub(super) fn settle(&self, first: u32, count: u32, outcome: Result<Delivered, SendError>) {
        self.parts.borrow_mut().push(Part { first, end: first + count, outcome });
        let wakers = std::mem::take(&mut *self.wakers.borrow_mut());
        wakers.into_iter().for_each(Waker::wake);
    }
}
