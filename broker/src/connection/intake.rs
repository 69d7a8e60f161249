//! What has arrived from a peer and is not a whole frame yet.
//!
//! A peer is lent memory as it has earned it: a first read gets 4 KiB, and a frame may reserve as
//! much at once as this peer has completed before, else no more than what has arrived already. A
//! frame beyond 64 KiB takes its whole size from the shard's request memory before it grows.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use runtime::sync::{Permit, Semaphore};
use runtime::{Receiver, World};

/// The first room a peer gets, and what an idle one keeps.
const ROOM_MIN: usize = 4 * 1024;
/// The most room offered to the socket beyond the frame under way.
const ROOM_MAX: usize = 64 * 1024;
/// An empty buffer larger than this is given up when the peer falls silent.
const KEEP_BYTES: usize = 256 * 1024;
/// Silence after which a large empty buffer is given up.
const SILENCE: Duration = Duration::from_secs(5);

/// What stands at the front.
pub(super) enum Front {
    /// A whole frame, taken out.
    Frame(Bytes),
    /// So many bytes of a frame of so many.
    Part { have: usize, total: usize },
    /// Nothing.
    Empty,
}

/// A connection's receive buffer.
pub(super) struct Intake {
    buffer: BytesMut,
    trusted_bytes: usize,
    loan: Option<Permit>,
}

impl Intake {
    /// Empty; takes no memory before the first read.
    pub(super) fn new() -> Self {
        Self { buffer: BytesMut::new(), trusted_bytes: ROOM_MIN, loan: None }
    }

    /// Takes the next frame out. `measure` tells a frame's whole length from its beginning.
    pub(super) fn take(
        &mut self,
        measure: impl FnOnce(&[u8]) -> Result<Option<usize>, String>,
    ) -> Result<Front, String> {
        let have = self.buffer.len();
        if have == 0 {
            self.loan = None;
            return Ok(Front::Empty);
        }
        match measure(&self.buffer)? {
            Some(total) if have >= total => {
                self.trusted_bytes = self.trusted_bytes.max(total);
                Ok(Front::Frame(self.buffer.split_to(total).freeze()))
            }
            Some(total) => Ok(Front::Part { have, total }),
            None => Ok(Front::Part { have, total: have }),
        }
    }

    /// Makes room for what is missing of a frame of `total` bytes.
    pub(super) async fn make_room(&mut self, total: usize, memory: &Semaphore) {
        let missing = total.saturating_sub(self.buffer.len());
        if total > ROOM_MAX && self.loan.as_ref().is_none_or(|loan| loan.units() < total as u64) {
            self.loan = None;
            self.loan = Some(memory.acquire(total as u64).await);
        }
        let ahead = self.trusted_bytes.min(ROOM_MAX);
        if missing > ahead {
            // Exactly to the frame's end: what follows it would have to be moved.
            self.buffer.reserve(missing.min(self.trusted_bytes.max(self.buffer.len())));
        } else {
            self.buffer.reserve(ahead);
        }
    }

    /// Receives what has arrived; 0 is the end.
    pub(super) async fn read(
        &mut self,
        world: &World,
        receiver: &mut Receiver,
    ) -> io::Result<usize> {
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP_BYTES {
            match world.timeout(SILENCE, receiver.read_buf(&mut self.buffer)).await {
                Ok(outcome) => return outcome,
                Err(_silent) => self.buffer = BytesMut::with_capacity(ROOM_MIN),
            }
        }
        receiver.read_buf(&mut self.buffer).await
    }
}
