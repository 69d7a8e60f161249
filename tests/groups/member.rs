//! The clients that can be members of a group, and how each is run.

use std::path::PathBuf;
use std::process::Command;

use tests::place;

/// One client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    program: PathBuf,
    /// Before the bootstrap address, the group and the topic.
    arguments: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    /// Why it cannot run on this machine.
    pub(crate) missing: Option<&'static str>,
}

impl Client {
    /// The same under another name.
    pub(crate) fn named(&self, name: &'static str) -> Self {
        Self { name, ..self.clone() }
    }

    /// The command of one member.
    pub(crate) fn command(&self, bootstrap: &str, group: &str, topic: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args([bootstrap, group, topic]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The clients that change over from one protocol to the other and back: in which order is told by [`crate::migration`].
pub(crate) fn changing() -> [Client; 6] {
    [
        python("confluent-kafka"),
        java("java", "classic"),
        java("java-848", "consumer"),
        python("confluent-848"),
        // These two know an assignor in common.
        python("aiokafka"),
        python("kafka-python"),
    ]
}

/// All clients, or those that are named.
pub(crate) fn all(only: &[String]) -> Vec<Client> {
    let mut clients = vec![
        python("confluent-kafka"),
        python("confluent-848"),
        python("kafka-python"),
        python("aiokafka"),
        java("java", "classic"),
        java("java-848", "consumer"),
        go("franz-go"),
        go("sarama"),
        kafkajs(),
    ];
    clients.retain(|client| only.is_empty() || only.iter().any(|name| name == client.name));
    clients
}

fn python(name: &'static str) -> Client {
    let program = place::tools().join("venv/bin/python");
    let script = place::clients().join("python/members.py");
    Client {
        name,
        missing: (!program.is_file()).then_some("no Python environment; see ci/tools"),
        program,
        arguments: vec![script.to_string_lossy().into_owned(), name.into()],
        environment: Vec::new(),
    }
}

fn java(name: &'static str, protocol: &str) -> Client {
    let tools = place::tools().join("java");
    let path = [tools.join("classes"), tools.join("newest/*"), tools.join("json/*")]
        .map(|place| place.to_string_lossy().into_owned())
        .join(":");
    let there = tools.join("classes/GroupMember.class").is_file();
    let heap = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"];
    let arguments = heap.into_iter().map(str::to_owned);
    Client {
        name,
        program: "java".into(),
        arguments: arguments.chain([path, "GroupMember".into(), protocol.into()]).collect(),
        environment: Vec::new(),
        missing: (!there).then_some("no Java client; see ci/tools"),
    }
}

fn go(name: &'static str) -> Client {
    let program = place::tools().join("go/clients");
    Client {
        name,
        missing: (!program.is_file()).then_some("no Go client; see ci/tools"),
        program,
        arguments: vec!["member".into(), name.into()],
        environment: Vec::new(),
    }
}

fn kafkajs() -> Client {
    let modules = place::tools().join("node/node_modules");
    let script = place::clients().join("node/kafkajs_member.js");
    Client {
        name: "kafkajs",
        program: "node".into(),
        arguments: vec![script.to_string_lossy().into_owned()],
        missing: (!modules.join("kafkajs").is_dir()).then_some("no kafkajs; see ci/tools"),
        environment: vec![("NODE_MODULES", modules)],
    }
}
