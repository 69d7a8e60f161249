//! The shards that serve.
