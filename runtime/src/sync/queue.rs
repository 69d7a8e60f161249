//! A bounded queue between tasks of one shard.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use super::Notify;

/// A bounded first-in first-out queue with any number of producers and consumers.
pub struct Queue<T>(Rc<Shared<T>>);

struct Shared<T> {
    items: RefCell<VecDeque<T>>,
    count_max: usize,
    closed: Cell<bool>,
    filled: Notify,
    emptied: Notify,
}

/// The queue was closed; the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueClosed<T>(pub T);

/// Why an item could not be pushed at once; the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryPush<T> {
    /// As many items wait as may.
    Full(T),
    /// Nobody will take it.
    Closed(T),
}

impl<T> fmt::Display for QueueClosed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is closed")
    }
}
impl<T: fmt::Debug> std::error::Error for QueueClosed<T> {}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Queue<T> {
    /// A queue for at most `count_max` items (at least one).
    pub fn new(count_max: usize) -> Self {
        Self(Rc::new(Shared {
            items: RefCell::new(VecDeque::new()),
            count_max: count_max.max(1),
            closed: Cell::new(false),
            filled: Notify::new(),
            emptied: Notify::new(),
        }))
    }

    /// Adds an item if there is room now.
    pub fn try_push(&self, item: T) -> Result<(), TryPush<T>> {
        if self.0.closed.get() {
            return Err(TryPush::Closed(item));
        }
        let mut items = self.0.items.borrow_mut();
        if items.len() >= self.0.count_max {
            return Err(TryPush::Full(item));
        }
        items.push_back(item);
        drop(items);
        self.0.filled.notify_one();
        Ok(())
    }

    /// Adds an item, waiting for room. Safe to drop: the item is then not added.
    pub async fn push(&self, mut item: T) -> Result<(), QueueClosed<T>> {
        loop {
            match self.try_push(item) {
                Ok(()) => return Ok(()),
                Err(TryPush::Closed(back)) => return Err(QueueClosed(back)),
                Err(TryPush::Full(back)) => item = back,
            }
            self.0.emptied.notified().await;
        }
    }

    /// The oldest item if there is one now.
    pub fn try_pop(&self) -> Option<T> {
        let item = self.0.items.borrow_mut().pop_front();
        if item.is_some() {
            self.0.emptied.notify_one();
        }
        item
    }

    /// The oldest item, waiting for one; `None` when the queue is closed and empty.
    pub async fn pop(&self) -> Option<T> {
        loop {
            if let Some(item) = self.try_pop() {
                // One wake-up may stand for several items: pass it on.
                if !self.is_empty() {
                    self.0.filled.notify_one();
                }
                return Some(item);
            }
            if self.0.closed.get() {
                return None;
            }
            self.0.filled.notified().await;
        }
    }

    /// Takes everything that waits, waiting for at least one item; empty when closed and empty.
    pub async fn pop_all(&self, into: &mut Vec<T>) {
        let Some(first) = self.pop().await else { return };
        into.push(first);
        into.extend(self.0.items.borrow_mut().drain(..));
        self.0.emptied.notify_all();
    }

    /// Ends the queue: pushes fail, what waits can still be popped.
    pub fn close(&self) {
        self.0.closed.set(true);
        self.0.filled.notify_all();
        self.0.emptied.notify_all();
    }

    /// Whether [`Queue::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.0.closed.get()
    }
    /// How many items wait.
    pub fn len(&self) -> usize {
        self.0.items.borrow().len()
    }
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
