//! A Kafka client that sends exactly what a test says and hides nothing of the answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::batch::Compression;
use protocol::batch::builder::BatchBuilder;
use protocol::kafka::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use protocol::kafka::{Api, RequestHeader};
use protocol::reader::Reader;
use protocol::wire::{Version, Wire};
use protocol::{ErrorCode, ProducerEpoch, ProducerId};
use tempfile::TempDir;
use tests::broker::{Broker, Kind, Plan};
use tests::seeded::Seeded;

/// Servers started by this process, so that each looks for ports elsewhere.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// No answer takes longer, or the test fails.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A broker of its own in a directory of its own, gone when dropped.
pub(crate) struct Server {
    pub(crate) plan: Plan,
    /// `None` only while it restarts.
    broker: Option<Broker>,
    _dir: TempDir,
}

impl Server {
    /// Starts `corelog dev`, or Apache Kafka if `BROKER=kafka` asks for the reference, which answers before a change
    /// is in force everywhere: a test that looks at once may fail there.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, "")
    }

    /// Starts it with a configuration file.
    pub(crate) fn start_with(arguments: &[&str], settings: &str) -> Self {
        let dir = TempDir::new_in(tests::place::target()).unwrap();
        let name = std::env::var("BROKER").unwrap_or_else(|_| "corelog".to_owned());
        let kind = Kind::from_name(&name).expect("BROKER names a kind of broker");
        let started = STARTED.fetch_add(1, Ordering::Relaxed);
        let mut seeded = Seeded::new(u64::from(std::process::id()) << 16 | started);
        let mut plan = Plan::new(kind, &dir.path().join("data"), &mut seeded).unwrap();
        plan.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        if !settings.is_empty() && kind == Kind::Corelog {
            let file = dir.path().join("corelog.toml");
            std::fs::write(&file, settings).unwrap();
            plan.arguments.extend(["--config".to_owned(), file.display().to_string()]);
        }
        let broker = Some(Broker::start(&plan).unwrap());
        Self { plan, broker, _dir: dir }
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.plan.kafka)
    }

    /// Kills it with SIGKILL and starts it again over the same directory.
    pub(crate) fn kill_and_restart(&mut self) {
        self.broker.take().unwrap().kill().unwrap();
        self.broker = Some(Broker::start(&self.plan).unwrap());
    }

    /// Whether this is the reference, which differs where a test says so.
    pub(crate) fn is_kafka(&self) -> bool {
        self.plan.kind != Kind::Corelog
    }
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

/// A request that was sent.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    api: Api,
    version: Version,
    correlation_id: i32,
}

/// The body of an answer.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    version: Version,
}

impl Answer {
    /// Decodes it; nothing may be left over.
    pub(crate) fn read<'a, T: Wire<'a>>(&'a self) -> T {
        let mut reader = Reader::response(&self.bytes);
        let body = T::decode(&mut reader, self.version).unwrap();
        reader.finish().unwrap();
        body
    }
}

impl Client {
    /// Connects to a broker on this machine.
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, correlation_id: 0 }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask<'q, Q: Wire<'q>>(&mut self, api: Api, version: i16, request: &Q) -> Answer {
        let asked = self.send(api, version, request);
        self.receive(asked)
    }

    /// Sends a request whose answer may be long in coming.
    pub(crate) fn send<'q, Q: Wire<'q>>(&mut self, api: Api, version: i16, request: &Q) -> Asked {
        let version = api.version(version).expect("a version that is served");
        self.correlation_id += 1;
        let header = RequestHeader {
            api,
            version,
            correlation_id: self.correlation_id,
            client_id: Some("test"),
        };
        let mut frame = vec![0; 4];
        header.encode(&mut frame).unwrap();
        request.encode(&mut frame, version).unwrap();
        let length = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).unwrap();
        Asked { api, version, correlation_id: self.correlation_id }
    }

    /// Waits for the answer to a request; answers come in the order of the requests.
    pub(crate) fn receive(&mut self, asked: Asked) -> Answer {
        let Asked { api, version, correlation_id } = asked;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes[..4], correlation_id.to_be_bytes(), "an answer to another request");
        let header_bytes = if version.flexible && api != Api::ApiVersions { 5 } else { 4 };
        Answer { bytes: bytes.split_off(header_bytes), version }
    }

    /// Creates a topic and gives the code of the answer.
    pub(crate) fn create(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> ErrorCode {
        let configs = configs
            .iter()
            .map(|&(name, value)| CreatableTopicConfig { name, value: Some(value) })
            .collect();
        let topic = CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: -1,
            configs,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        let answer = self.ask(Api::CreateTopics, 7, &request);
        answer.read::<CreateTopicsResponse<'_>>().topics[0].error_code
    }
}

/// A batch with one record for each timestamp.
pub(crate) fn batch(timestamps: &[i64]) -> Vec<u8> {
    build(BatchBuilder::new(Compression::None), timestamps)
}

/// The same from an idempotent producer, whose first record has this sequence number.
pub(crate) fn idempotent(
    (id, epoch): (ProducerId, ProducerEpoch),
    sequence: i32,
    timestamps: &[i64],
) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.set_producer(id, epoch, sequence);
    build(batch, timestamps)
}

fn build(mut batch: BatchBuilder, timestamps: &[i64]) -> Vec<u8> {
    for timestamp in timestamps {
        batch.append(Some(b"key"), Some(b"value"), &[], *timestamp).unwrap();
    }
    let mut bytes = Vec::new();
    batch.build(&mut bytes).unwrap();
    bytes
}
