//! A bound on something that is used and given back: bytes, writes in flight.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Counts units that are lent out, in the order in which they are asked for.
#[derive(Clone)]
pub struct Semaphore(Rc<Shared>);

struct Shared {
    total: u64,
    free: Cell<u64>,
    line: RefCell<VecDeque<Rc<Waiter>>>,
}

struct Waiter {
    wanted: u64,
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Units on loan. Dropping it gives them back.
pub struct Permit {
    shared: Rc<Shared>,
    units: u64,
}

impl Semaphore {
    /// `total` units, all free.
    pub fn new(total: u64) -> Self {
        Self(Rc::new(Shared { total, free: Cell::new(total), line: RefCell::default() }))
    }

    /// Takes `units` now, or nothing. More than the total counts as the total, so that one
    /// oversized request is served alone instead of never.
    pub fn try_acquire(&self, units: u64) -> Option<Permit> {
        let units = units.min(self.0.total);
        if !self.0.line.borrow().is_empty() || self.0.free.get() < units {
            return None;
        }
        self.0.free.set(self.0.free.get() - units);
        Some(Permit { shared: self.0.clone(), units })
    }

    /// Takes `units`, waiting in line for them; more than the total counts as the total.
    pub async fn acquire(&self, units: u64) -> Permit {
        if let Some(permit) = self.try_acquire(units) {
            return permit;
        }
        let units = units.min(self.0.total);
        let waiter =
            Rc::new(Waiter { wanted: units, granted: Cell::new(false), waker: RefCell::new(None) });
        self.0.line.borrow_mut().push_back(waiter.clone());
        let mut place = Place { shared: &self.0, waiter: Some(waiter) };
        poll_fn(|context| {
            let waiter = place.waiter.as_ref().expect("the place is given up only below");
            if waiter.granted.get() {
                return Poll::Ready(());
            }
            *waiter.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        place.waiter = None;
        Permit { shared: self.0.clone(), units }
    }

    /// Units nobody holds.
    pub fn free(&self) -> u64 {
        self.0.free.get()
    }
    /// All units.
    pub fn total(&self) -> u64 {
        self.0.total
    }
}

impl Shared {
    fn give_back(&self, units: u64) {
        self.free.set(self.free.get() + units);
        self.serve();
    }

    /// Grants what the front of the line can have.
    fn serve(&self) {
        loop {
            let first = {
                let mut line = self.line.borrow_mut();
                match line.front() {
                    Some(first) if first.wanted <= self.free.get() => line.pop_front(),
                    _ => None,
                }
            };
            let Some(first) = first else { return };
            self.free.set(self.free.get() - first.wanted);
            first.granted.set(true);
            let waker = first.waker.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// A place in line; giving it up returns what was already granted.
struct Place<'a> {
    shared: &'a Rc<Shared>,
    waiter: Option<Rc<Waiter>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        if waiter.granted.get() {
            self.shared.give_back(waiter.wanted);
        } else {
            self.shared.line.borrow_mut().retain(|other| !Rc::ptr_eq(other, &waiter));
            self.shared.serve();
        }
    }
}

impl Permit {
    /// How many units are on loan.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Gives `units` of them back early; at most all.
    pub fn release(&mut self, units: u64) {
        let units = units.min(self.units);
        self.units -= units;
        self.shared.give_back(units);
    }

    /// Splits off up to `units` of them as a loan of their own.
    pub fn split(&mut self, units: u64) -> Self {
        let units = units.min(self.units);
        self.units -= units;
        Self { shared: self.shared.clone(), units }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.give_back(self.units);
    }
}
