//! The store against a model, on a disk that crashes, lies and fills up, and on a real one.

mod basics;
mod crash;
mod model;
mod real;
