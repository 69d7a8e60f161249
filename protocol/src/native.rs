//! The native dialect: frames with FlatBuffers headers, between brokers, coordinators and the
//! Rust client. `docs/native-protocol.md` describes it.
//!
//! ```text
//! frame_size ──▶ Frame::parse ──▶ produce::RequestView::read ──▶ entries and their batches
//! buffer until    lengths and      the header is verified,        borrowed from the frame
//! it is whole     checksum hold    entries and payload agree
//!
//! produce::Request { .. }.encode(correlation, &mut encoder) ──▶ head; the payload is sent behind it
//! ```
//! Every message has a plain struct to encode it from, and is read back as one if it is flat or
//! as a view if it holds lists, so reading allocates nothing. Generated code stays in here.

mod encoder;
mod frame;
#[expect(
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::semicolon_if_nothing_returned,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    elided_lifetimes_in_paths,
    unsafe_code,
    unused_lifetimes,
    unreachable_pub,
    reason = "written by flatc; reads are unchecked because the verifier ran before"
)]
mod generated;
mod parts;

pub mod configs;
pub mod fetch;
pub mod hello;
pub mod metadata;
pub mod offsets;
pub mod outcomes;
pub mod produce;
pub mod producer;
pub mod refusal;
pub mod topics;
#[cfg(any(test, fuzzing))]
pub mod visit;

pub use encoder::Encoder;
pub use frame::{
    DEPTH_MAX, ENTRIES_MAX, FRAME_BYTES_MAX, Frame, FrameError, HEADER_BYTES_MAX, Kind,
    PAYLOAD_BYTES_MAX, PREFIX_BYTES, TABLES_MAX, frame_size,
};

/// The version of the native protocol that this release speaks.
pub const VERSION: u16 = 1;

#[cfg(test)]
mod tests;
