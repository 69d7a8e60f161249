//! One broker for one test: its directory, its log, its memory, and the checks that end every test.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tests::broker::{Broker, Kind, Plan};
use tests::place;
use tests::seeded::Seeded;
use tests::wire::Wire;

/// What no attack may make the broker's memory grow by, bytes.
pub(crate) const GROWTH_MAX: u64 = 64 << 20;

/// A running broker and what belongs to it.
pub(crate) struct Fixture {
    pub(crate) plan: Plan,
    pub(crate) dir: PathBuf,
    broker: Option<Broker>,
}

/// The broker that `BROKER` names.
pub(crate) fn kind() -> Kind {
    let name = std::env::var("BROKER").unwrap_or_else(|_unset| "corelog".into());
    Kind::from_name(&name).expect("BROKER names a broker")
}

/// Whether a test that is about Corelog alone must be passed over.
pub(crate) fn is_foreign() -> bool {
    kind() != Kind::Corelog
}

impl Fixture {
    /// A broker with two shards and everything else at its default.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, "")
    }

    /// A broker with a configuration file.
    pub(crate) fn start_with(name: &str, config: &str) -> Self {
        let mut fixture = Self::prepare(name, config);
        fixture.launch();
        fixture
    }

    /// All but the running broker.
    pub(crate) fn prepare(name: &str, config: &str) -> Self {
        let dir = place::scratch(name).expect("scratch space");
        // Tests run at the same time; each looks for its ports somewhere else.
        let place = name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        let mut seeded = Seeded::new(u64::from(std::process::id()) << 32 ^ place);
        let mut plan = Plan::new(kind(), &dir.join("broker"), &mut seeded).expect("free ports");
        if plan.kind == Kind::Corelog {
            plan.arguments = vec!["--shards".into(), "2".into(), "--memory".into(), "64MiB".into()];
        }
        if !config.is_empty() {
            let file = dir.join("corelog.toml");
            fs::write(&file, config).expect("a writable file");
            plan.arguments.extend(["--config".into(), file.to_string_lossy().into_owned()]);
        }
        Self { plan, dir, broker: None }
    }

    /// Starts the broker, again or for the first time.
    pub(crate) fn launch(&mut self) {
        self.broker = Some(Broker::start(&self.plan).expect("a broker that starts"));
    }

    /// Ends the broker at once.
    pub(crate) fn kill(&mut self) {
        self.broker.take().expect("a running broker").kill().expect("a broker that can be killed");
    }

    pub(crate) fn broker(&mut self) -> &mut Broker {
        self.broker.as_mut().expect("a running broker")
    }

    /// A new connection for Kafka clients.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.plan.kafka).expect("a broker that accepts")
    }

    /// A topic of one partition, ready to be written to.
    pub(crate) fn topic(&self, name: &str, settings: &[(&str, &str)]) -> Wire {
        let mut wire = self.connect();
        assert_eq!(wire.create_topic(name, 1, settings).expect("an answer"), 0, "create {name}");
        wire
    }

    /// The memory the broker holds, bytes.
    pub(crate) fn resident(&mut self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.broker().pid()));
        let status = status.expect("a running broker");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
        let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kib << 10
    }

    /// What the broker has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.plan.log).unwrap_or_default()
    }

    /// The broker must still serve, must never have panicked, and must stop when asked.
    pub(crate) fn finish(mut self) {
        self.connect().ping().expect("a broker that still serves");
        let broker = self.broker.take().expect("a running broker");
        let status = broker.stop().expect("a broker that stops");
        self.leave();
        if self.plan.kind == Kind::Corelog {
            assert!(status.success(), "it stopped with {status}:\n{}", self.log());
        }
    }

    /// As [`Fixture::finish`], for a test whose broker does not run any more.
    pub(crate) fn leave(&mut self) {
        let log = self.log();
        assert!(!log.contains("panicked"), "it panicked:\n{log}");
        fs::remove_dir_all(&self.dir).expect("a directory of our own");
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock before the year 292 million")
}
