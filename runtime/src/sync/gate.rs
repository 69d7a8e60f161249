//! Graceful stop: lets nobody in any more and waits until all have left.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use super::Notify;

/// Counts those inside and can be closed.
#[derive(Clone, Default)]
pub struct Gate(Rc<Shared>);

#[derive(Default)]
struct Shared {
    inside: Cell<usize>,
    closing: Cell<bool>,
    closed: Notify,
    left: Notify,
}

/// Proof of being inside; dropping it is leaving.
pub struct Pass(Rc<Shared>);

/// The gate lets nobody in any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateClosed;

impl fmt::Display for GateClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closing down")
    }
}
impl std::error::Error for GateClosed {}

impl Gate {
    /// An open gate, nobody inside.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes in, unless the gate closes.
    pub fn enter(&self) -> Result<Pass, GateClosed> {
        if self.0.closing.get() {
            return Err(GateClosed);
        }
        self.0.inside.set(self.0.inside.get() + 1);
        Ok(Pass(self.0.clone()))
    }

    /// Closes the gate and waits until everyone inside has left. May be called more than once.
    pub async fn close(&self) {
        self.begin_close();
        while self.0.inside.get() > 0 {
            self.0.left.notified().await;
        }
    }

    /// Closes the gate without waiting.
    pub fn begin_close(&self) {
        if !self.0.closing.replace(true) {
            self.0.closed.notify_all();
        }
    }

    /// Ends when the gate begins to close: what long waits inside listen to.
    pub async fn closing(&self) {
        while !self.0.closing.get() {
            self.0.closed.notified().await;
        }
    }

    /// Whether the gate is closing or closed.
    pub fn is_closing(&self) -> bool {
        self.0.closing.get()
    }
    /// How many are inside.
    pub fn inside(&self) -> usize {
        self.0.inside.get()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.inside.set(self.0.inside.get() - 1);
        if self.0.inside.get() == 0 {
            self.0.left.notify_all();
        }
    }
}
