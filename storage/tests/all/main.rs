//! The store against a model, on a disk that crashes, lies and fills up, and on a real one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::explicit_counter_loop,
    unreachable_pub,
    reason = "helpers of tests are test code"
)]

mod basics;
mod compaction;
mod crash;
mod model;
mod planted;
mod real;
