//! One partition's log.

pub(crate) mod epochs;
pub(crate) mod producers;
pub(crate) mod state;
