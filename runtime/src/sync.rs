//! Waiting for one another on one shard: no atomics, no locks, not `Send`.

mod gate;
mod notify;
mod oneshot;
mod queue;
mod semaphore;
#[cfg(test)]
mod tests;

pub use gate::{Gate, GateClosed, Pass};
pub use notify::{Notified, Notify};
pub use oneshot::{Dropped, OneReceiver, OneSender, oneshot};
pub use queue::{Queue, QueueClosed, TryPush};
pub use semaphore::{Permit, Semaphore};
