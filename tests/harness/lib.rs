//! What tests of whole brokers share.
