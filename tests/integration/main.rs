//! Real processes.
fn _none() {}
