//! A single-threaded executor in virtual time; a seed picks the next ready task.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::{NodeId, Stuck, salt};
use crate::Nanos;
use crate::random::Rng;

/// Polls without time passing after which the simulation counts as stuck.
const POLLS_AT_ONCE_MAX: u64 = 2_000_000;
/// The future given to `run`; spawned tasks count from 1.
const FIRST: u64 = 0;

pub(crate) struct Executor {
    tasks: RefCell<BTreeMap<u64, Task>>,
    ready: Arc<Ready>,
    timers: RefCell<BTreeMap<(Nanos, u64), Waker>>,
    now: Cell<Nanos>,
    /// Numbers tasks and timers.
    next: Cell<u64>,
    schedule: RefCell<Rng>,
    trace: Cell<u64>,
}

struct Task {
    /// Taken out while it is polled.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    waker: Waker,
    node: NodeId,
    spawned: &'static Location<'static>,
}

/// Tasks that were woken. Behind a lock because a waker must be `Send`; never contended.
#[derive(Default)]
struct Ready(Mutex<Vec<u64>>);

struct TaskWaker {
    task: u64,
    ready: Arc<Ready>,
}

impl Ready {
    fn push(&self, task: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
    fn take_into(&self, into: &mut Vec<u64>) {
        into.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.task);
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self.task);
    }
}

impl Executor {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            tasks: RefCell::default(),
            ready: Arc::default(),
            timers: RefCell::default(),
            now: Cell::new(Nanos::ZERO),
            next: Cell::new(FIRST + 1),
            schedule: RefCell::new(Rng::new(seed, salt::SCHEDULE)),
            trace: Cell::new(seed),
        }
    }

    pub(crate) fn now(&self) -> Nanos {
        self.now.get()
    }
    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.get()
    }
    /// A number below `bound` from the schedule's stream.
    pub(crate) fn draw(&self, bound: u64) -> u64 {
        self.schedule.borrow_mut().below(bound)
    }

    fn number(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        number
    }

    #[track_caller]
    pub(crate) fn spawn(&self, node: NodeId, future: impl Future<Output = ()> + 'static) {
        let task = self.number();
        let waker = Waker::from(Arc::new(TaskWaker { task, ready: self.ready.clone() }));
        let future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
        let spawned = Location::caller();
        self.tasks.borrow_mut().insert(task, Task { future: Some(future), waker, node, spawned });
        self.ready.push(task);
    }

    /// Drops a node's tasks where they stand.
    pub(crate) fn drop_tasks(&self, node: NodeId) {
        let dropped: Vec<Task> = {
            let mut tasks = self.tasks.borrow_mut();
            let doomed: Vec<u64> =
                tasks.iter().filter(|(_, task)| task.node == node).map(|(&id, _)| id).collect();
            doomed.iter().filter_map(|id| tasks.remove(id)).collect()
        };
        // Outside the borrow: what a task owns may spawn or wake as it goes.
        drop(dropped);
    }

    pub(crate) fn sleep_until(&self, at: Nanos) -> impl Future<Output = ()> + '_ {
        let mut timer = Timer { executor: self, at, number: None };
        poll_fn(move |context| timer.poll(context))
    }

    /// Runs `first` to its end, and everything else meanwhile.
    pub(crate) fn run<R: Future>(&self, first: R) -> Result<R::Output, Stuck> {
        let mut first = pin!(first);
        let first_waker =
            Waker::from(Arc::new(TaskWaker { task: FIRST, ready: self.ready.clone() }));
        self.ready.push(FIRST);
        let mut ready = Vec::new();
        let mut polls_at_once = 0u64;
        let outcome = loop {
            self.ready.take_into(&mut ready);
            if ready.is_empty() {
                polls_at_once = 0;
                if self.advance() {
                    continue;
                }
                break Err(Stuck::Deadlock(self.names(|_| true)));
            }
            polls_at_once += 1;
            if polls_at_once > POLLS_AT_ONCE_MAX {
                break Err(Stuck::Livelock(self.names(|task| ready.contains(&task))));
            }
            let choice = self.draw(ready.len() as u64) as usize;
            let task = ready.swap_remove(choice);
            self.note(task);
            if task == FIRST {
                let mut context = Context::from_waker(&first_waker);
                if let Poll::Ready(value) = first.as_mut().poll(&mut context) {
                    break Ok(value);
                }
            } else {
                self.poll(task);
            }
        };
        let left = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(left);
        self.ready.take_into(&mut ready);
        outcome
    }

    fn poll(&self, id: u64) {
        let taken = self.tasks.borrow_mut().get_mut(&id).and_then(|task| {
            let future = task.future.take()?;
            Some((future, task.waker.clone()))
        });
        // A task may have been woken twice, or have ended since.
        let Some((mut future, waker)) = taken else { return };
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            let ended = self.tasks.borrow_mut().remove(&id);
            drop(ended);
            drop(future);
        } else if let Some(task) = self.tasks.borrow_mut().get_mut(&id) {
            task.future = Some(future);
        }
    }

    /// Moves time to the next timer; false if there is none.
    fn advance(&self) -> bool {
        let Some(((at, _), waker)) = self.timers.borrow_mut().pop_first() else { return false };
        self.now.set(at.max(self.now.get()));
        waker.wake();
        true
    }

    fn note(&self, task: u64) {
        let mixed =
            self.trace.get() ^ task.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.now.get().get();
        self.trace.set(mixed.rotate_left(23).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    }

    fn names(&self, wanted: impl Fn(u64) -> bool) -> Vec<String> {
        let tasks = self.tasks.borrow();
        let named = tasks.iter().filter(|(id, _)| wanted(**id)).map(|(_, task)| {
            let (file, line) = (task.spawned.file(), task.spawned.line());
            format!("node {} {file}:{line}", task.node.0)
        });
        let first = wanted(FIRST).then(|| "the first task".to_owned());
        first.into_iter().chain(named).collect()
    }
}

struct Timer<'a> {
    executor: &'a Executor,
    at: Nanos,
    number: Option<u64>,
}

impl Timer<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.at {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| self.executor.number());
        let mut timers = self.executor.timers.borrow_mut();
        timers.insert((self.at, number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let timer = self.executor.timers.borrow_mut().remove(&(self.at, number));
            drop(timer);
        }
    }
}
