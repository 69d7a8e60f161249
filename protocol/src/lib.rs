//! The words every other crate speaks: ids, offsets, record batches, both dialects. No I/O, no clock.
