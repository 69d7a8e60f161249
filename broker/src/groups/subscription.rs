//! The part of a consumer's metadata that the broker looks into: the topics it reads.
//!
//! It matters in two places only: offsets of topics that are still read are not forgotten, and a static member that
//! comes back with other topics needs a rebalance.

use protocol::reader::{Limits, Reader};
use protocol::wire::{Version, Wire};

const PLAIN: Version = Version { number: 0, flexible: false };

/// The topics in a consumer's metadata; `None` if it is not what consumers send.
pub(crate) fn topics(metadata: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let mut from = Reader::new(metadata, Limits::REQUEST);
    let _version = i16::decode(&mut from, PLAIN).ok()?;
    Vec::<&str>::decode(&mut from, PLAIN).ok().map(Vec::into_iter)
}

/// Whether two consumers read the same topics.
pub(crate) fn same_topics(one: &[u8], other: &[u8]) -> bool {
    match (topics(one), topics(other)) {
        (Some(one), Some(other)) => {
            let (mut one, mut other): (Vec<_>, Vec<_>) = (one.collect(), other.collect());
            one.sort_unstable();
            other.sort_unstable();
            one == other
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_garbage_is_not() {
        let two = b"\0\x03\0\0\0\x02\0\x01b\0\x01aREST";
        assert_eq!(topics(two).map(Iterator::collect::<Vec<_>>), Some(vec!["b", "a"]));
        assert!(same_topics(two, b"\0\x01\0\0\0\x02\0\x01a\0\x01b"));
        assert!(!same_topics(two, b"\0\x01\0\0\0\x01\0\x01a"));
        for bad in [&b""[..], b"\0", b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\x01\0\x05ab"] {
            assert!(topics(bad).is_none(), "{bad:?}");
            assert!(!same_topics(bad, bad), "{bad:?}");
        }
    }
}
