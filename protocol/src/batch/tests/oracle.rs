//! The same records through another implementation, in both directions and every codec.
