//! Tasks, turns and the heartbeat.
//!
//! glommio neither submits nor reaps I/O while any task stays runnable, until its preempt timer
//! fires (W0); and when that timer fires before the first task ran, the executor parks with
//! runnable tasks, for ever (W1). So long work takes *turns*, whose wake-up comes only from the
//! reactor, and a heartbeat timer bounds the second: 5 ms while the shard's tasks run, 100 ms once
//! nothing ran for 200 ms, and `watchdog` wakes a shard whose heartbeat itself was struck. It never
//! stops entirely: the event that wakes an idle shard is itself a moment at which W1 can strike, and
//! ten wake-ups per second do not show in a CPU percentage.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use glommio::channels::shared_channel::{self, SharedSender};
use glommio::timer::Timer;
use glommio::{Latency, Shares, TaskQueueHandle};

use super::{World, clock};
use crate::TaskClass;

/// How often glommio looks at its rings although tasks are runnable: a backstop to turns.
pub(crate) const PREEMPT: Duration = Duration::from_micros(500);
const BEAT_BUSY: Duration = Duration::from_millis(5);
const BEAT_IDLE: Duration = Duration::from_millis(100);
/// Quiet busy beats before the shard counts as idle.
const QUIET_BEATS: u32 = 40;

/// glommio's task queues, by class.
pub(crate) struct Queues {
    serve: TaskQueueHandle,
    background: TaskQueueHandle,
}

impl Queues {
    pub(crate) fn new() -> Self {
        let create = glommio::executor();
        Self {
            serve: create.create_task_queue(Shares::Static(1000), Latency::NotImportant, "serve"),
            background: create.create_task_queue(
                Shares::Static(100),
                Latency::NotImportant,
                "background",
            ),
        }
    }
    fn of(&self, class: TaskClass) -> TaskQueueHandle {
        match class {
            TaskClass::Serve => self.serve,
            TaskClass::Background => self.background,
        }
    }
}

impl World {
    pub(crate) fn spawn(&self, class: TaskClass, task: impl Future<Output = ()> + 'static) {
        let task = Counted { heart: self.clone(), task: Box::pin(task) };
        let spawned = glommio::spawn_local_into(task, self.0.queues.of(class));
        // Detached, so that it is never cancelled: cancelling a spawned task leaks it (W3).
        drop(spawned.expect("the task queues live as long as the shard").detach());
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        Timer::new(duration).await;
    }

    /// Waits until the reactor has been round once.
    pub(crate) async fn turn(&self) {
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            self.0.turns.wake_next_round(context);
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn should_turn(&self) -> bool {
        glommio::executor().need_preempt()
    }

    /// Runs `work` on a thread where it may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::Result<T> {
        let (sender, receiver) = crate::sync::oneshot();
        // A panic would end glommio's pool thread and hang everyone who waits (W7); a dropped
        // waiter would leave its request behind. So the closure cannot unwind, and a detached
        // task waits for it.
        self.spawn(TaskClass::Serve, async move {
            let work = move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let outcome = glommio::executor().spawn_blocking(work).await;
            // Nobody waiting any more is the caller's right.
            drop(sender.send(outcome));
        });
        receiver.await.expect("the task above always sends")
    }
}

/// Futures that the reactor wakes in its next round.
///
/// A shared channel that is never connected: glommio wakes whoever waits for the connection in
/// every round of its reactor, and does not sleep while somebody waits. Nothing else it offers is
/// woken by the reactor alone and without a system call.
pub(crate) struct Turns {
    never: RefCell<Pin<Box<dyn Future<Output = ()>>>>,
    _peer: SharedSender<()>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        let (peer, receiver) = shared_channel::new_bounded::<()>(1);
        let never = Box::pin(async move {
            receiver.connect().await;
        });
        Self { never: RefCell::new(never), _peer: peer }
    }

    fn wake_next_round(&self, context: &mut Context<'_>) {
        let connected = self.never.borrow_mut().as_mut().poll(context);
        debug_assert!(connected.is_pending(), "the other end is never connected");
    }
}

/// Counts the polls of the shard's tasks.
#[derive(Default)]
pub(crate) struct Heart {
    polls: Cell<u64>,
}

/// A task that counts as work of its shard while it is polled.
struct Counted<F> {
    heart: World,
    task: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let polls = &self.heart.0.heart.polls;
        polls.set(polls.get().wrapping_add(1));
        poll_task(self.task.as_mut(), context)
    }
}

/// What a shard's tasks do happens below this one function, so that `ci/gate` can count it without
/// the reactor's rounds.
#[inline(never)]
fn poll_task(task: Pin<&mut dyn Future<Output = ()>>, context: &mut Context<'_>) -> Poll<()> {
    task.poll(context)
}

/// Counts the polls of the shard's first task.
pub(crate) async fn counted<T>(world: &World, task: impl Future<Output = T>) -> T {
    let mut task = std::pin::pin!(task);
    poll_fn(|context| {
        let polls = &world.0.heart.polls;
        polls.set(polls.get().wrapping_add(1));
        task.as_mut().poll(context)
    })
    .await
}

/// Starts the heartbeat; it ends with the world.
pub(crate) fn start_heart(world: &World) {
    let inner = Rc::downgrade(&world.0);
    let beat = async move {
        let mut quiet = 0;
        let mut polls_before = 0;
        loop {
            let wait = if quiet < QUIET_BEATS { BEAT_BUSY } else { BEAT_IDLE };
            let due = clock::now() + wait;
            Timer::new(wait).await;
            let Some(inner) = inner.upgrade() else { return };
            let polls = inner.heart.polls.get();
            if polls == polls_before {
                quiet += 1;
            } else {
                quiet = 0;
            }
            polls_before = polls;
            inner.beats.beat();
            inner.lag.record(clock::now().since(due));
        }
    };
    let queue = world.0.queues.serve;
    drop(glommio::spawn_local_into(beat, queue).expect("the queue was just made").detach());
}
