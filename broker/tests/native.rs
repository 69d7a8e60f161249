//! The native dialect over real sockets: every kind of request, and every way to get one wrong.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may have threads and clocks of its own, and fails where it unwraps"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::sync::mpsc::channel;

use broker::Serving;
use broker::config::{BrokerConfig, Limits};
use protocol::BrokerId;

#[path = "native/admin.rs"]
mod admin;
#[path = "native/data.rs"]
mod data;
#[path = "native/frames.rs"]
mod frames;
#[path = "native/peer.rs"]
mod peer;

/// One broker with two shards for all tests of this process; it ends with the process.
fn serving() -> &'static Serving {
    static SERVING: OnceLock<Serving> = OnceLock::new();
    SERVING.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory").keep();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = BrokerConfig {
            broker_id: BrokerId::new(1).expect("1 is a broker's number"),
            cluster_id: None,
            dir,
            kafka: any_port,
            native: any_port,
            admin: any_port,
            advertise: None,
            advertise_native: None,
            rack: Some("here".to_owned()),
            shards: 2,
            memory_bytes: 512 << 20,
            journal_bytes: 64 << 20,
            any_file_system: true,
            kafka_settings: BTreeMap::new(),
            limits: Limits::default(),
        };
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let ended = broker::run(config, move |serving| drop(sender.send(serving.clone())));
            ended.expect("the broker runs until the process ends");
        });
        receiver.recv().expect("the broker starts")
    })
}
