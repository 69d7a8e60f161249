//! The clients: how each is run, what it can do, and why it cannot do the rest.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::broker::Kind;
use tests::place;
use tests::reference;

/// Every codec of the record batch.
pub(crate) const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// How a client decides where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partitioner {
    /// It is told the partition of each record.
    Explicit,
    /// It hashes the key as Kafka's own producer does.
    Murmur2,
}

/// One client of the matrix.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) name: String,
    /// Program and first arguments; the job's two files are appended.
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Why it cannot run on this machine.
    pub(crate) missing: Option<String>,
    /// Codecs that it cannot write, and why.
    pub(crate) lacks: Vec<(&'static str, &'static str)>,
    pub(crate) consumes: bool,
    pub(crate) creates_topics: bool,
    pub(crate) partitioner: Partitioner,
    /// Whether it can be told a record's timestamp.
    pub(crate) given_time: bool,
    /// Whether it can give each record headers of its own.
    pub(crate) seq_header: bool,
}

impl Client {
    fn new(name: &str, program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: arguments.iter().map(|&argument| argument.into()).collect(),
            environment: Vec::new(),
            missing: None,
            lacks: Vec::new(),
            consumes: true,
            creates_topics: true,
            partitioner: Partitioner::Explicit,
            given_time: true,
            seq_header: true,
        }
    }

    /// Marks the client as not run when one of the things it needs is not there.
    fn needing(mut self, needs: &[(&str, bool)]) -> Self {
        let absent: Vec<&str> = needs.iter().filter(|(_, there)| !there).map(|(n, _)| *n).collect();
        if !absent.is_empty() {
            self.missing = Some(format!("no {}; see ci/tools", absent.join(", no ")));
        }
        self
    }

    pub(crate) fn runs(&self) -> bool {
        self.missing.is_none()
    }

    pub(crate) fn produces(&self) -> bool {
        self.lacks.len() < CODECS.len()
    }

    /// The codecs that it writes.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = &'static str> {
        CODECS.into_iter().filter(|codec| self.lacks.iter().all(|(lacking, _)| lacking != codec))
    }

    /// The command that does the job in `job` and writes what came of it to `result`.
    pub(crate) fn command(&self, job: &Path, result: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(job).arg(result);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// All clients, or those that are named.
pub(crate) fn all(kind: Kind, only: &[String]) -> Vec<Client> {
    let mut clients = vec![kcat()];
    clients.extend(
        [("confluent-kafka", "confluent_client.py"), ("aiokafka", "aiokafka_client.py")]
            .map(|(name, file)| python(name, file)),
    );
    clients.push(python("kafka-python", "kafka_python_client.py"));
    clients.push(java("java", "newest", "JavaClient"));
    clients.push(console());
    clients.push(go("franz-go"));
    clients.push(go("sarama"));
    clients.push(kafkajs());
    if kind == Kind::Corelog {
        clients.extend(ours());
    }
    clients.retain(|client| only.is_empty() || only.contains(&client.name));
    clients
}

fn interpreter() -> PathBuf {
    place::tools().join("venv/bin/python")
}

fn python(name: &str, file: &str) -> Client {
    let script = place::clients().join("python").join(file);
    let client = Client::new(name, interpreter(), &[&script.to_string_lossy()]);
    client.needing(&[("Python environment", interpreter().is_file())])
}

/// It cannot be told a time, nor a header per record, and it has no administration.
fn kcat() -> Client {
    let client = python("kcat", "kcat_client.py");
    let client = client.needing(&[
        ("kcat", place::program("kcat").is_some()),
        ("Python environment", interpreter().is_file()),
    ]);
    Client { creates_topics: false, given_time: false, seq_header: false, ..client }
}

fn java(name: &str, jars: &str, class: &str) -> Client {
    let tools = place::tools().join("java");
    let path = [tools.join("classes"), tools.join(jars).join("*"), tools.join("json/*")]
        .map(|place| place.to_string_lossy().into_owned())
        .join(":");
    let heap = "-Xmx1g";
    let arguments = [heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path, class];
    let client = Client::new(name, "java", &arguments);
    client.needing(&[
        ("java", place::program("java").is_some()),
        ("Kafka's jars", tools.join("classes").join(format!("{class}.class")).is_file()),
    ])
}

/// Kafka's command-line tools choose the partition by the key and the time by the clock.
fn console() -> Client {
    let client = java("console", "kafka", "ConsoleTools");
    debug_assert!(reference::class_path().ends_with("kafka/*"));
    Client { partitioner: Partitioner::Murmur2, given_time: false, ..client }
}

fn go(name: &str) -> Client {
    let program = place::tools().join("go/clients");
    let there = program.is_file();
    Client::new(name, program, &[name]).needing(&[("Go client (Go 1.21 or newer)", there)])
}

fn kafkajs() -> Client {
    let modules = place::tools().join("node/node_modules");
    let script = place::clients().join("node/kafkajs_client.js");
    let client = Client::new("kafkajs", "node", &[&script.to_string_lossy()]).needing(&[
        ("node", place::program("node").is_some()),
        ("kafkajs", modules.join("kafkajs").is_dir()),
    ]);
    let reason = "not built in";
    Client {
        consumes: false,
        lacks: vec![("snappy", reason), ("lz4", reason), ("zstd", reason)],
        environment: vec![("NODE_MODULES".into(), modules.to_string_lossy().into_owned())],
        ..client
    }
}

/// Corelog's own client, by each of its two protocols.
fn ours() -> Vec<Client> {
    let Ok(program) = place::corelog() else { return Vec::new() };
    ["kafka", "native"]
        .map(|protocol| {
            let client = python(&format!("corelog-{protocol}"), "corelog_client.py");
            let environment = vec![
                ("CORELOG_BIN".into(), program.to_string_lossy().into_owned()),
                ("CORELOG_PROTOCOL".into(), protocol.into()),
            ];
            Client { environment, ..client }
        })
        .into()
}
