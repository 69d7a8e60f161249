//! The one way to speak to a peer.
