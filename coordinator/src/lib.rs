//! The cluster that decides.
