//! The journal: groups in a ring of files. Everything here is pure; `store` reads and writes.

pub(crate) mod chain;
pub(crate) mod entry;
pub(crate) mod group;
pub(crate) mod scan;
pub(crate) mod superblock;
