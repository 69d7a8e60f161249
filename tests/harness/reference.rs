//! Apache Kafka as the broker under test: it proves the harness before the harness judges ours.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::{Kind, Plan};
use crate::place;

/// A cluster id must be the base64 form of 16 bytes; any will do.
const CLUSTER_ID: &str = "Y29yZWxvZy1yZWZlcmVuYw";

/// An `ApiVersions` request, version 0, with no client id.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xFF, 0xFF];

/// A JVM for tests that start one often and never measure it.
pub const SMALL_JVM: [&str; 4] =
    ["-Xmx768m", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// The JVM as Kafka's own start script runs it.
pub const STOCK_JVM: [&str; 8] = [
    "-server",
    "-Xms1g",
    "-Xmx1g",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// The jars of the reference broker and of Kafka's tools.
pub fn class_path() -> PathBuf {
    place::tools().join("java/kafka/*")
}

/// The command that runs Kafka over the plan's directory, which is formatted when it is new.
///
/// # Errors
/// When the settings cannot be written or the directory cannot be formatted.
pub fn command(plan: &Plan) -> io::Result<Command> {
    fs::create_dir_all(&plan.dir)?;
    let settings = plan.dir.with_extension("properties");
    fs::write(&settings, settings_of(plan))?;
    let data = plan.dir.join("data");
    if !data.join("meta.properties").exists() {
        let formatted = java(&SMALL_JVM, "kafka.tools.StorageTool")
            .args(["format", "--cluster-id", CLUSTER_ID, "--config"])
            .arg(&settings)
            .output()?;
        if !formatted.status.success() {
            let text = String::from_utf8_lossy(&formatted.stdout).into_owned();
            return Err(io::Error::other(format!("kafka storage format: {text}")));
        }
    }
    let mut command = java(&plan.java, "kafka.Kafka");
    command.arg(&settings);
    Ok(command)
}

fn java(options: &[impl AsRef<OsStr>], class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(options);
    command.arg("-cp").arg(class_path()).arg(class);
    command
}

fn settings_of(plan: &Plan) -> String {
    let (kafka, controller) = (plan.kafka, plan.native);
    let data = plan.dir.join("data");
    let flush =
        if plan.kind == Kind::KafkaFlushing { "log.flush.interval.messages=1\n" } else { "" };
    format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{kafka}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\nnum.network.threads=2\nnum.io.threads=4\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\nlog.segment.bytes=16777216\n{flush}{}",
        data.display(),
        plan.settings
    )
}

/// Waits until Kafka answers a request on its port. It prints nothing that could be awaited.
///
/// # Errors
/// When it does not answer within `limit`.
pub fn await_serving(plan: &Plan, limit: Duration) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if answers(plan.kafka).unwrap_or(false) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(io::Error::other("the reference broker does not answer"))
}

fn answers(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&API_VERSIONS)?;
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    Ok(head[4..] == [0, 0, 0, 7])
}
