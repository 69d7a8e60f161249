//! A core's journal and its partitions' logs on disk.
