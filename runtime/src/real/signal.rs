//! Telling shards to stop, from a signal or from any thread.
#![expect(unsafe_code, reason = "signal masks, signalfd, eventfd and poll")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;

use glommio::io::BufferedFile;

use super::World;
use crate::TaskClass;

/// One event per shard, raised from any thread.
#[derive(Clone)]
pub(crate) struct Stopper(Arc<Vec<OwnedFd>>);

impl Stopper {
    /// One event per shard.
    pub(crate) fn new(shards: usize) -> io::Result<Self> {
        (0..shards).map(|_| event()).collect::<io::Result<Vec<_>>>().map(|all| Self(Arc::new(all)))
    }

    /// Tells them. Telling them again changes nothing.
    pub(crate) fn stop(&self) {
        for event in self.0.iter() {
            raise(event);
        }
    }

    /// Waits in the background for the event of `shard`.
    pub(crate) fn watch(&self, shard: usize, world: &World) -> io::Result<()> {
        let event = self.0[shard].try_clone()?;
        let inner = world.0.clone();
        world.spawn(TaskClass::Serve, async move {
            // SAFETY: an open descriptor of our own, given away here.
            let event = unsafe { BufferedFile::from_raw_fd(event.into_raw_fd()) };
            if let Err(error) = event.read_at(0, 8).await {
                tracing::error!(%error, "waiting for the stop event failed; stopping");
            }
            inner.stop.told.set(true);
            inner.stop.changed.notify_all();
        });
        Ok(())
    }
}

/// Turns SIGTERM and SIGINT into a stop until dropped.
pub(crate) struct Signals {
    quit: Arc<OwnedFd>,
    thread: Option<std::thread::JoinHandle<()>>,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks the signals in this thread and all it will start.
    pub(crate) fn catch(stop: Stopper) -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: fills the set, then adds to it.
        let set = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
            set.assume_init()
        };
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: reads one set, fills the other.
        let outcome =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr()) };
        if outcome != 0 {
            return Err(io::Error::from_raw_os_error(outcome));
        }
        // SAFETY: the call succeeded, so it filled the set.
        let before = unsafe { before.assume_init() };
        // SAFETY: reads the set, returns a new descriptor.
        let signals = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
        if signals < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let signals = unsafe { OwnedFd::from_raw_fd(signals) };
        let quit = Arc::new(event()?);
        let end = quit.clone();
        let thread = std::thread::Builder::new().name("signals".into()).spawn(move || {
            while wait_for_signal(&signals, &end) {
                stop.stop();
            }
        })?;
        Ok(Self { quit, thread: Some(thread), before })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        raise(&self.quit);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the signal thread panicked");
        }
        // SAFETY: reads a set that an earlier call filled.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut())
        };
    }
}

/// True if a signal came, false if it is time to go.
fn wait_for_signal(signals: &OwnedFd, quit: &OwnedFd) -> bool {
    let wait = |descriptor: &OwnedFd| libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut both = [wait(signals), wait(quit)];
    // SAFETY: two entries that live through the call.
    if unsafe { libc::poll(both.as_mut_ptr(), 2, -1) } < 0 {
        return io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
    }
    if both[1].revents != 0 {
        return false;
    }
    let mut signal = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: writes at most the size of the structure.
    unsafe { libc::read(signals.as_raw_fd(), signal.as_mut_ptr().cast(), size) > 0 }
}

fn event() -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers that returns a new descriptor.
    let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if event < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(event) })
}

fn raise(event: &OwnedFd) {
    let one = 1u64;
    // SAFETY: reads the eight bytes of `one`. It can fail only when the counter is at its end,
    // after 2^64 - 2 raises, and then the event is raised anyway.
    unsafe { libc::write(event.as_raw_fd(), std::ptr::from_ref(&one).cast(), 8) };
}
