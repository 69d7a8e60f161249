//! What all tasks of a run share: its window, its end, its first failure, and what was left over.

use std::cell::{Cell, RefCell};
use std::net::Shutdown;

use runtime::Closer;
use runtime::sync::Notify;

use crate::BenchError;
use crate::recorder::Window;

/// See the file's first line.
pub(crate) struct Round {
    pub(crate) window: Window,
    pub(crate) producing: Tasks,
    pub(crate) consuming: Tasks,
    /// Records whose delivery was acknowledged, warm-up included.
    pub(crate) acknowledged: Count,
    /// Records that were due before the end and never sent.
    pub(crate) unsent: Count,
    /// Records that were sent and not answered in time.
    pub(crate) unanswered: Count,
    failure: RefCell<Option<BenchError>>,
    is_stopped: Cell<bool>,
    closers: RefCell<Vec<Closer>>,
}

/// Tasks under way.
#[derive(Default)]
pub(crate) struct Tasks {
    running: Cell<usize>,
    ended: Notify,
}

/// A count that tasks share.
#[derive(Default)]
pub(crate) struct Count(Cell<u64>);

impl Count {
    pub(crate) fn add(&self, count: u64) {
        self.0.set(self.0.get() + count);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Tasks {
    pub(crate) fn begin(&self) {
        self.running.set(self.running.get() + 1);
    }

    pub(crate) fn finish(&self) {
        self.running.set(self.running.get() - 1);
        self.ended.notify_all();
    }

    pub(crate) fn have_ended(&self) -> bool {
        self.running.get() == 0
    }

    /// Ends when all of them have.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.have_ended() {
                return;
            }
            ended.await;
        }
    }
}

impl Round {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            producing: Tasks::default(),
            consuming: Tasks::default(),
            acknowledged: Count::default(),
            unsent: Count::default(),
            unanswered: Count::default(),
            failure: RefCell::default(),
            is_stopped: Cell::new(false),
            closers: RefCell::default(),
        }
    }

    /// Connections to close when the run ends.
    pub(crate) fn close_at_end(&self, closers: Vec<Closer>) {
        self.closers.borrow_mut().extend(closers);
    }

    /// Ends the run because of `error`, unless it is ending already.
    pub(crate) fn fail(&self, error: BenchError) {
        if !self.is_stopped.get() {
            self.failure.borrow_mut().get_or_insert(error);
            self.stop();
        }
    }

    /// Closes every connection; the tasks end because of it.
    pub(crate) fn stop(&self) {
        self.is_stopped.set(true);
        for closer in self.closers.borrow_mut().drain(..) {
            closer.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.get()
    }

    pub(crate) fn take_failure(&self) -> Option<BenchError> {
        self.failure.borrow_mut().take()
    }
}
