//! The systems that are compared: started, given topics, asked what they used, stopped.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde::{Deserialize, Serialize};
use tests::broker::{Broker, Kind, Plan};
use tests::seeded::Seeded;
use tests::{place, reference};

use crate::PeersError;

/// Who is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// Ours.
    Corelog,
    /// Apache Kafka. Where a workload says so, its topic has `flush.messages=1`.
    Kafka,
    /// The floor program in its durable mode.
    Floor,
}

impl System {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Corelog => "Corelog",
            Self::Kafka => "Kafka",
            Self::Floor => "floor",
        }
    }
}

/// Settings that Kafka has by default but the tests' reference broker does not, and one that keeps
/// deleted topics from being unlinked in the middle of a later run.
const KAFKA_SETTINGS: &str = "log.segment.bytes=1073741824\nnum.network.threads=3\n\
    num.io.threads=8\nlog.segment.delete.delay.ms=500\nauto.create.topics.enable=false\n";

/// How long an administrative request may take.
const ADMIN: Duration = Duration::from_secs(120);

/// A running system.
pub(crate) struct Running {
    pub(crate) system: System,
    process: Process,
    pub(crate) bootstrap: String,
}

enum Process {
    Broker(Broker),
    Floor(FloorProcess),
}

/// Ended when dropped.
struct FloorProcess(Child);

/// Where this program puts things.
pub(crate) fn scratch() -> PathBuf {
    place::target().join("side-by-side")
}

/// A broker of this kind over a directory of that name, which is emptied first.
pub(crate) fn plan(system: System, name: &str, cpu: Option<usize>) -> Result<Plan, PeersError> {
    let dir = scratch().join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(scratch())?;
    let mut seeded = Seeded::new(u64::from(std::process::id()) * 2_654_435_761);
    let kind = if system == System::Corelog { Kind::Corelog } else { Kind::Kafka };
    let mut plan = Plan::new(kind, &dir, &mut seeded)?;
    plan.settings = KAFKA_SETTINGS.into();
    plan.java = reference::STOCK_JVM.iter().map(ToString::to_string).collect();
    // Nothing of a comparison that was broken off goes on by itself.
    plan.under = ["setpriv", "--pdeathsig", "KILL"].map(Into::into).to_vec();
    if let Some(cpu) = cpu {
        plan.under.extend(["taskset", "-c", &cpu.to_string()].map(Into::into));
    }
    Ok(plan)
}

impl Running {
    /// Starts a system over an empty directory.
    pub(crate) fn start(system: System, cpu: Option<usize>) -> Result<Self, PeersError> {
        if system == System::Floor {
            return floor(cpu);
        }
        let plan = plan(system, system.name(), cpu)?;
        Self::over(system, &plan)
    }

    /// Starts a broker over what its directory holds.
    pub(crate) fn over(system: System, plan: &Plan) -> Result<Self, PeersError> {
        let broker = Broker::start(plan)?;
        Ok(Self { system, process: Process::Broker(broker), bootstrap: plan.bootstrap() })
    }

    pub(crate) fn pid(&self) -> u32 {
        match &self.process {
            Process::Broker(broker) => broker.pid(),
            Process::Floor(floor) => floor.0.id(),
        }
    }

    /// Creates a topic and waits until it is there.
    pub(crate) fn create(
        &self,
        topic: &str,
        partitions: i32,
        flush: bool,
    ) -> Result<(), PeersError> {
        if self.system == System::Floor {
            return Ok(());
        }
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        // Corelog has no other way than to write first.
        if flush && self.system == System::Kafka {
            new = new.set("flush.messages", "1");
        }
        let admin = self.admin()?;
        let created = futures_lite::future::block_on(admin.create_topics([&new], &patient()))?;
        match created.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            other => Err(PeersError::Client(format!("{topic} was not created: {other:?}"))),
        }
    }

    /// Deletes a topic.
    pub(crate) fn delete(&self, topic: &str) -> Result<(), PeersError> {
        if self.system == System::Floor {
            return Ok(());
        }
        let admin = self.admin()?;
        let deleted = futures_lite::future::block_on(admin.delete_topics(&[topic], &patient()))?;
        match deleted.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            other => Err(PeersError::Client(format!("{topic} was not deleted: {other:?}"))),
        }
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, PeersError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("broker.address.family", "v4");
        Ok(config.create()?)
    }

    /// Ends it as a power cut of its process would.
    pub(crate) fn kill(self) -> Result<(), PeersError> {
        if let Process::Broker(broker) = self.process {
            broker.kill()?;
        }
        Ok(())
    }
}

fn patient() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN))
}

fn floor(cpu: Option<usize>) -> Result<Running, PeersError> {
    fs::create_dir_all(scratch())?;
    let program = std::env::var_os("FLOOR_BIN")
        .map_or_else(|| place::target().join("release/floor"), PathBuf::from);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command.arg("--durable").arg("--file").arg(scratch().join("floor.dat"));
    // The most that any workload which includes the floor asks for.
    command.args(["--partitions", "100"]);
    if let Some(cpu) = cpu {
        command.args(["--cpu", &cpu.to_string()]);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let Some(addr) = line.trim().strip_prefix("ready: ") else {
        return Err(PeersError::Client("the floor program did not start".into()));
    };
    let bootstrap = addr.to_owned();
    Ok(Running { system: System::Floor, process: Process::Floor(FloorProcess(child)), bootstrap })
}

impl Drop for FloorProcess {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            let _ended = self.0.wait();
        }
    }
}
