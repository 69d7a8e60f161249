//! Wakes a shard that sleeps although it has work.
//!
//! W1 can strike the heartbeat's own task: its timer has fired, the executor parks before running
//! it, and then no timer is armed that could end the sleep. It can strike the very first turn of an
//! executor, too, before anything of ours has run in it. So one thread of the process looks at every
//! shard's beats, four times a second, and sends a signal to the thread of a shard that missed its
//! own: the signal does nothing, but it interrupts the sleep, and then the executor looks at its
//! tasks again.
#![expect(unsafe_code, reason = "signals")]

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

/// How often the beats are looked at. Longer than an idle shard's beat, so that a healthy one is
/// never woken.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the thread sees of one shard.
struct Watched {
    beats: AtomicU64,
    /// The shard's thread, until it ends.
    thread: Mutex<Option<libc::pthread_t>>,
}

static ALL: Mutex<Vec<(Arc<Watched>, u64)>> = Mutex::new(Vec::new());
static THREAD: Once = Once::new();

/// A shard's end of the watch; ends it when dropped, on the thread that began it.
pub(crate) struct Watch(Arc<Watched>);

impl Watch {
    /// Begins to watch the executor that this thread is about to run.
    pub(crate) fn begin() -> Self {
        // SAFETY: no preconditions.
        let thread = unsafe { libc::pthread_self() };
        let watched =
            Arc::new(Watched { beats: AtomicU64::new(0), thread: Mutex::new(Some(thread)) });
        ALL.lock().unwrap_or_else(PoisonError::into_inner).push((watched.clone(), 0));
        THREAD.call_once(|| {
            let started = take_signals().and_then(|()| {
                std::thread::Builder::new().name("watchdog".into()).spawn(look_for_ever)
            });
            if let Err(error) = started {
                tracing::warn!(%error, "no thread watches over sleeping shards");
            }
        });
        Self(watched)
    }

    /// What the heart counts its beats with.
    pub(crate) fn beats(&self) -> Beats {
        Beats(self.0.clone())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Under the lock: once this returns, nobody signals the thread any more.
        *self.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The heart's end of the watch.
pub(crate) struct Beats(Arc<Watched>);

impl Beats {
    /// The heart has beaten.
    pub(crate) fn beat(&self) {
        // Only this shard writes it, and nothing else is ordered by it.
        self.0.beats.store(self.0.beats.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
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

/// The signal that interrupts a sleep. One of the real-time signals, which mean nothing by
/// themselves.
fn wake_up() -> libc::c_int {
    libc::SIGRTMIN() + 7
}

extern "C" fn awake(_signal: libc::c_int) {}

/// Has the signal do nothing but interrupt.
fn take_signals() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int) = awake;
    // SAFETY: all zeros is a valid action: no flags, so nothing is restarted, and an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as libc::sighandler_t;
    // SAFETY: reads the action; its handler does nothing, which a signal handler may.
    let outcome = unsafe { libc::sigaction(wake_up(), &raw const action, std::ptr::null_mut()) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = *thread else { return false };
        let beats = self.beats.load(Ordering::Relaxed);
        if beats == *seen {
            // SAFETY: the thread lives: its end takes the lock that is held here.
            unsafe { libc::pthread_kill(thread, wake_up()) };
        }
        *seen = beats;
        true
    }
}

#[cfg(test)]
mod tests;
