//! `corelog`: the one binary.
fn main() {}
