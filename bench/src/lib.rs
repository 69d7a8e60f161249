//! Load from outside, never from within.
