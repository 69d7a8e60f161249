//! Wakes a shard that sleeps although it has work.
//!
//! W1 can strike the heartbeat's own task: its timer has fired, the executor parks before running
//! it, and then no timer is armed that could end the sleep. So one thread of the process looks at
//! every shard's beats, ten times a second at most, and wakes a shard that has missed its own. The
//! wake-up goes through glommio's own event descriptor, which the reactor arms before every sleep.
#![expect(unsafe_code, reason = "masking signals")]

use std::future::poll_fn;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// How often the beats are looked at. Longer than an idle shard's beat, so that a healthy one is
/// never woken.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the thread sees of one shard.
struct Watched {
    beats: AtomicU64,
    ended: AtomicBool,
    /// Wakes a task of the shard that does nothing. Never dropped: dropping a waker of another
    /// thread's task is not safe to do in glommio while that thread ends.
    waker: Mutex<Option<ManuallyDrop<Waker>>>,
}

static ALL: Mutex<Vec<(Arc<Watched>, u64)>> = Mutex::new(Vec::new());
static THREAD: Once = Once::new();

/// A shard's end of the watch; ends it when dropped.
pub(crate) struct Watch(Arc<Watched>);

impl Watch {
    /// Begins to watch the executor this runs in.
    pub(crate) fn begin() -> Self {
        let watched = Arc::new(Watched {
            beats: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
        let sleeper = watched.clone();
        // Lives as long as the executor and is polled only when the thread wakes it.
        let task = glommio::spawn_local(poll_fn(move |context| {
            let mut waker = sleeper.waker.lock().unwrap_or_else(PoisonError::into_inner);
            if waker.is_none() {
                *waker = Some(ManuallyDrop::new(context.waker().clone()));
            }
            Poll::<()>::Pending
        }));
        drop(task.detach());
        ALL.lock().unwrap_or_else(PoisonError::into_inner).push((watched.clone(), 0));
        THREAD.call_once(|| {
            let started = std::thread::Builder::new().name("watchdog".into()).spawn(look_for_ever);
            if let Err(error) = started {
                tracing::warn!(%error, "no thread watches over sleeping shards");
            }
        });
        Self(watched)
    }

    /// The heart has beaten.
    pub(crate) fn beat(&self) {
        // Only this shard writes it, and nothing else is ordered by it.
        self.0.beats.store(self.0.beats.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Under the lock of the waker: once this returns, nobody wakes the executor any more.
        let _held = self.0.waker.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

fn look_for_ever() {
    leave_signals_to_others();
    loop {
        std::thread::sleep(LOOK_EVERY);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain_mut(|(watched, seen)| watched.look(seen));
    }
}

/// A signal that this thread took would miss those who wait for it.
fn leave_signals_to_others() {
    let mut every = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: fills the set it is given.
    unsafe { libc::sigfillset(every.as_mut_ptr()) };
    // SAFETY: reads the set filled above; the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, every.as_ptr(), std::ptr::null_mut()) };
}

impl Watched {
    /// Wakes the shard if it missed its beats; false once it has ended.
    fn look(&self, seen: &mut u64) -> bool {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ended.load(Ordering::Relaxed) {
            return false;
        }
        let beats = self.beats.load(Ordering::Relaxed);
        if beats == *seen
            && let Some(waker) = &*waker
        {
            waker.wake_by_ref();
        }
        *seen = beats;
        true
    }
}
