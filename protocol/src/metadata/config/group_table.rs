//! Every config a group has, sorted by name (KIP-848).

keys! {
    /// Every config a group has, sorted by name.
    GROUP_CONFIGS;
    "consumer.heartbeat.interval.ms": Int = "5000", AtLeast(1), Dynamic, Always below ["group.consumer.heartbeat.interval.ms" * 1]
        => "How often members of this KIP-848 group send heartbeats, in milliseconds.";
    "consumer.session.timeout.ms": Int = "45000", AtLeast(1), Dynamic, Always below ["group.consumer.session.timeout.ms" * 1]
        => "A member of this KIP-848 group that is silent for longer is dead, in milliseconds.";
}
