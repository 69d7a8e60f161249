//! A core's journal and its partitions' logs on disk.
#![cfg_attr(not(test), expect(dead_code, unused, reason = "wip"))]
mod bytes;
mod checksum;
mod journal;
pub mod limits;
