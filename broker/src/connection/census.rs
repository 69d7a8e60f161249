//! How many connections the whole broker has, altogether and from each address.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::config::Limits;

/// Addresses are counted by their hash, so that this needs no lock and does not grow. Two that share
/// a place share its limit; which ones do, nobody outside can know.
const PLACES: usize = 8_192;

/// Shared by all shards. It is written once per connection, so sharing it costs nothing.
#[derive(Debug)]
pub(crate) struct Census {
    total: AtomicUsize,
    by_address: Box<[AtomicU32]>,
    hasher: RandomState,
}

impl Census {
    /// Nobody is connected.
    pub(crate) fn new() -> Self {
        let by_address = (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Self { total: AtomicUsize::new(0), by_address, hasher: RandomState::new() }
    }

    /// Counts a connection in, unless the broker or its address has as many as it may.
    pub(crate) fn enter(&self, ip: IpAddr, limits: &Limits) -> bool {
        if self.total.fetch_add(1, Ordering::Relaxed) < limits.connections_max {
            let before = self.place(ip).fetch_add(1, Ordering::Relaxed);
            if usize::try_from(before).is_ok_and(|n| n < limits.connections_per_ip_max) {
                return true;
            }
            self.place(ip).fetch_sub(1, Ordering::Relaxed);
        }
        self.total.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Counts a connection out that [`Census::enter`] counted in.
    pub(crate) fn leave(&self, ip: IpAddr) {
        self.place(ip).fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_sub(1, Ordering::Relaxed);
    }

    fn place(&self, ip: IpAddr) -> &AtomicU32 {
        let hash = usize::try_from(self.hasher.hash_one(ip) % PLACES as u64).unwrap_or(0);
        &self.by_address[hash]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_and_all_together_have_their_limit() {
        let census = Census::new();
        let limits = Limits { connections_max: 5, connections_per_ip_max: 3, ..Limits::default() };
        let ip = |last| IpAddr::from([10, 0, 0, last]);
        for _ in 0..3 {
            assert!(census.enter(ip(1), &limits));
        }
        assert!(!census.enter(ip(1), &limits));
        // Another address, at another place.
        let other = (2..50).find(|n| !std::ptr::eq(census.place(ip(*n)), census.place(ip(1))));
        let other = ip(other.expect("48 addresses do not share one of 8192 places"));
        assert!(census.enter(other, &limits));
        assert!(census.enter(other, &limits));
        assert!(!census.enter(other, &limits), "the broker is full");
        census.leave(ip(1));
        assert!(census.enter(other, &limits));
    }
}
