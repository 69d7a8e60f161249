//! The connections a shard has, and the clock that ends those which hang or sleep.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Shutdown};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime::sync::Notify;
use runtime::{Closer, Map, Nanos, Stream};

use super::census::Census;
use crate::config::Limits;
use crate::metrics::Count;
use crate::shard::Shard;

/// A frame that is incomplete for this long must have come at [`TRICKLE_BYTES_PER_MS`].
const TRICKLE_AFTER: Duration = Duration::from_secs(5);
/// 4 KiB a second.
const TRICKLE_BYTES_PER_MS: u128 = 4;
/// The pace, 1 MB a second, that gives a large frame more time than [`Limits::frame`].
const PACE_BYTES_PER_US: usize = 1;

/// The connections of one shard.
pub(crate) struct Registry {
    entries: RefCell<Map<u64, Rc<Entry>>>,
    next_id: Cell<u64>,
    /// The last connection has left.
    empty: Notify,
    /// The connections of all shards.
    census: Arc<Census>,
}

struct Entry {
    closer: Closer,
    last_beat: Cell<Nanos>,
    /// Since when a frame is incomplete, how much of it is here, and how much it will be.
    frame: Cell<Option<(Nanos, usize, usize)>>,
}

/// A connection's place in the registry; leaving is dropping it.
pub(crate) struct Pulse {
    shard: Rc<Shard>,
    id: u64,
    ip: IpAddr,
    entry: Rc<Entry>,
}

impl Registry {
    /// No connections yet; `census` is shared by the registries of all shards.
    pub(crate) fn new(census: Arc<Census>) -> Self {
        Self {
            entries: RefCell::new(Map::default()),
            next_id: Cell::new(0),
            empty: Notify::new(),
            census,
        }
    }

    /// Takes a connection in, or not: then a limit is reached.
    pub(crate) fn enter(&self, shard: &Rc<Shard>, stream: &Stream) -> Option<Pulse> {
        let ip = stream.peer_addr().ip();
        if !self.census.enter(ip, &shard.config.limits) {
            return None;
        }
        let entry = Rc::new(Entry {
            closer: stream.closer(),
            last_beat: Cell::new(shard.world.now()),
            frame: Cell::new(None),
        });
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        self.entries.borrow_mut().insert(id, Rc::clone(&entry));
        Some(Pulse { shard: Rc::clone(shard), id, ip, entry })
    }

    fn leave(&self, id: u64, ip: IpAddr) {
        self.entries.borrow_mut().remove(&id);
        self.census.leave(ip);
        if self.entries.borrow().is_empty() {
            self.empty.notify_all();
        }
    }

    /// Waits until there is none.
    pub(crate) async fn emptied(&self) {
        while !self.entries.borrow().is_empty() {
            self.empty.notified().await;
        }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Ends the connections that were silent, or drip-feed a frame, for longer than they may.
    pub(crate) fn sweep(&self, shard: &Shard, now: Nanos) {
        let limits = &shard.config.limits;
        for entry in self.entries.borrow().values() {
            if let Some(why) = entry.overdue(limits, now) {
                shard.metrics.add(why, 1);
                entry.closer.shutdown(Shutdown::Both);
            }
        }
    }

    /// Stops reading from every connection; what they are owed is still sent.
    pub(crate) fn stop_reading(&self) {
        for entry in self.entries.borrow().values() {
            entry.closer.shutdown(Shutdown::Read);
        }
    }

    /// Ends every connection.
    pub(crate) fn close_all(&self) {
        for entry in self.entries.borrow().values() {
            entry.closer.shutdown(Shutdown::Both);
        }
    }
}

impl Entry {
    fn overdue(&self, limits: &Limits, now: Nanos) -> Option<Count> {
        if let Some((began, have, total)) = self.frame.get() {
            let spent = now.since(began);
            // A large frame gets the time its size needs at a modest pace.
            let allowed =
                limits.frame() + Duration::from_micros((total / PACE_BYTES_PER_US) as u64);
            let trickles =
                spent > TRICKLE_AFTER && (have as u128) < spent.as_millis() * TRICKLE_BYTES_PER_MS;
            if spent > allowed || trickles {
                return Some(Count::SlowFrame);
            }
        }
        (now.since(self.last_beat.get()) > limits.idle()).then_some(Count::IdleClosed)
    }
}

impl Pulse {
    /// Something was received or sent.
    pub(crate) fn beat(&self, now: Nanos) {
        self.entry.last_beat.set(now);
    }

    /// Part of a frame is here, `have` bytes of `total`; its deadline runs from the first such call.
    pub(crate) fn frame_grew(&self, now: Nanos, have: usize, total: usize) {
        let began = self.entry.frame.get().map_or(now, |(began, _, _)| began);
        self.entry.frame.set(Some((began, have, total)));
    }

    /// No frame is incomplete.
    pub(crate) fn frame_ended(&self) {
        self.entry.frame.set(None);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.shard.registry.leave(self.id, self.ip);
    }
}
