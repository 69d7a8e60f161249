//! Wakes those who wait for something to change.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A place to wait until someone says that something changed.
///
/// [`Notify::notify_all`] reaches every [`Notified`] made before the call, polled or not, so
/// "make the future, look at the state, then await" loses no wake-up. [`Notify::notify_one`]
/// wakes the longest waiting, or is kept (once) for the next to come.
#[derive(Default)]
pub struct Notify {
    /// Raised by every `notify_all`.
    generation: Cell<u64>,
    /// A `notify_one` that found nobody.
    permit: Cell<bool>,
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
}

struct Waiter {
    waker: RefCell<Waker>,
    told: Cell<bool>,
}

impl Waiter {
    fn tell(&self) {
        self.told.set(true);
        self.waker.borrow().wake_by_ref();
    }
}

impl Notify {
    /// Nobody waits, nothing is kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// A future that ends at the next notification after this call.
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, generation: self.generation.get(), waiter: None }
    }

    /// Wakes the longest waiting; if nobody waits, the next wait ends at once.
    pub fn notify_one(&self) {
        let first = self.waiters.borrow_mut().pop_front();
        match first {
            Some(waiter) => waiter.tell(),
            None => self.permit.set(true),
        }
    }

    /// Wakes everyone who waits now. Keeps nothing for later.
    pub fn notify_all(&self) {
        self.generation.set(self.generation.get().wrapping_add(1));
        // Taken out first: a waker may run foreign code that comes back here.
        let waiters = std::mem::take(&mut *self.waiters.borrow_mut());
        for waiter in waiters {
            waiter.tell();
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiters.borrow().len()
    }
}

/// Waits for a notification. Safe to drop: a `notify_one` it received passes to the next.
#[must_use = "a future does nothing until awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    generation: u64,
    waiter: Option<Rc<Waiter>>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.generation != self.notify.generation.get() {
            self.waiter = None;
            return Poll::Ready(());
        }
        match &self.waiter {
            Some(waiter) if waiter.told.get() => {
                self.waiter = None;
                return Poll::Ready(());
            }
            Some(waiter) => waiter.waker.borrow_mut().clone_from(context.waker()),
            None => {
                if self.notify.permit.take() {
                    return Poll::Ready(());
                }
                let waker = RefCell::new(context.waker().clone());
                let waiter = Rc::new(Waiter { waker, told: Cell::new(false) });
                self.notify.waiters.borrow_mut().push_back(waiter.clone());
                self.waiter = Some(waiter);
            }
        }
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        if !waiter.told.get() {
            self.notify.waiters.borrow_mut().retain(|other| !Rc::ptr_eq(other, &waiter));
        } else if self.generation == self.notify.generation.get() {
            // Told by `notify_one` and never saw it.
            self.notify.notify_one();
        }
    }
}
