//! From written to durable: groups come back in any order and count in theirs.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use runtime::TaskClass;

use crate::error::Fenced;
use crate::log::Log;
use crate::store::Inner;

/// A group on its way to the disk.
pub(crate) struct Flying {
    pub(crate) sequence: u64,
    /// Where it ends in the journal.
    pub(crate) end: u64,
    pub(crate) done: bool,
    pub(crate) runs: Vec<FlyingRun>,
}

/// What becomes durable with a group.
pub(crate) struct FlyingRun {
    pub(crate) log: Log,
    pub(crate) segment: i64,
    pub(crate) to: u32,
    pub(crate) next: i64,
}

impl Inner {
    /// A group and all extents it names are on disk.
    pub(crate) fn group_done(self: &Rc<Self>, sequence: u64) {
        let mut landed = Vec::new();
        {
            let mut flight = self.flight.borrow_mut();
            if let Some(flying) = flight.iter_mut().find(|it| it.sequence == sequence) {
                flying.done = true;
            }
            while flight.front().is_some_and(|it| it.done) {
                landed.extend(flight.pop_front());
            }
        }
        let Some(last) = landed.last() else { return };
        self.durable_sequence.set(last.sequence);
        self.durable_position.set(last.end);
        for run in landed.iter().flat_map(|it| &it.runs) {
            run.log.became_durable(run.segment, run.to, run.next);
        }
        self.wake_waiting(self.durable_sequence.get());
        self.landed.notify_all();
        self.wake_writer.notify_one();
        self.mark_idle();
    }

    fn wake_waiting(&self, upto: u64) {
        loop {
            let wakers = {
                let mut waiting = self.waiting.borrow_mut();
                match waiting.front() {
                    Some((sequence, _)) if *sequence <= upto => waiting.pop_front(),
                    _ => None,
                }
            };
            let Some((_, wakers)) = wakers else { return };
            wakers.into_iter().for_each(std::task::Waker::wake);
        }
    }

    /// Waits until the journal says of everything that is durable that it is. Files whose removal
    /// was decided in a group go only then: replay takes an extent that is not there for one that
    /// was never written, unless a later group says that it was, and ends the chain at its group.
    pub(crate) async fn settled(&self) -> Result<(), Fenced> {
        let sequence = self.gathers.borrow_mut().add_marker(self.config.tuning.group_bytes);
        self.wake_writer.notify_one();
        self.durable(sequence).await
    }

    /// Waits for a group.
    pub(crate) async fn durable(&self, sequence: u64) -> Result<(), Fenced> {
        poll_fn(|context| {
            if self.durable_sequence.get() >= sequence {
                return Poll::Ready(Ok(()));
            }
            if self.ends() {
                return Poll::Ready(Err(Fenced));
            }
            let mut waiting = self.waiting.borrow_mut();
            let at = waiting.partition_point(|(it, _)| *it < sequence);
            let waker = context.waker().clone();
            match waiting.get_mut(at) {
                Some((it, wakers)) if *it == sequence => wakers.push(waker),
                _ => waiting.insert(at, (sequence, vec![waker])),
            }
            Poll::Pending
        })
        .await
    }

    /// If the journal has fallen idle and its last group said something, an empty group follows
    /// soon: it says that everything before it is durable, so that a crash leaves no doubt.
    fn mark_idle(self: &Rc<Self>) {
        let idle = self.flight.borrow().is_empty() && self.gathers.borrow().front().is_none();
        if !idle || !self.last_group_said_something.get() || self.marker_due.replace(true) {
            return;
        }
        let (weak, world) = (Rc::downgrade(self), self.world.clone());
        let wait = Duration::from_millis(self.config.tuning.marker_ms);
        self.world.spawn(TaskClass::Serve, async move {
            world.sleep(wait).await;
            let Some(inner) = weak.upgrade() else { return };
            inner.marker_due.set(false);
            let idle = inner.flight.borrow().is_empty() && inner.gathers.borrow().front().is_none();
            if inner.refuses() || inner.ends() || !inner.last_group_said_something.get() {
                return;
            }
            if idle {
                inner.gathers.borrow_mut().add_marker(inner.config.tuning.group_bytes);
                inner.wake_writer.notify_one();
            }
        });
    }
}
