//! The machine: disks, sockets, clocks, shards and the mesh between them, real or simulated.
