//! The machine's clocks.
#![expect(unsafe_code, reason = "the kernel's random numbers have no safe face in std")]

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::Nanos;

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Monotonic time since the process first asked; the same origin for all shards.
pub(crate) fn now() -> Nanos {
    let origin = *ORIGIN.get_or_init(Instant::now);
    Nanos::new(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Milliseconds since 1970; may jump.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Eight bytes of the kernel's randomness.
pub(crate) fn entropy() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: writes at most the eight bytes of `bytes`.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == 8 { u64::from_ne_bytes(bytes) } else { now().get() ^ wall_ms() as u64 }
}
