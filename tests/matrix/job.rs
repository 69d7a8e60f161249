//! A job for one client program: written as a JSON file, run, and its result read back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Run;
use crate::client::{Client, Partitioner};

/// What the program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Create,
    Produce,
    Consume,
}

/// One topic: how it is written, and all that its readers need to judge what they read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TopicJob {
    pub(crate) topic: String,
    pub(crate) client: String,
    pub(crate) codec: String,
    pub(crate) records: PathBuf,
    partitioner: &'static str,
    given_time: bool,
    /// Between which milliseconds it was written, where the client stamps the records itself.
    pub(crate) window: [i64; 2],
    seq_header: bool,
}

impl TopicJob {
    pub(crate) fn of(client: &Client, codec: &str, records: &Path, started: i64) -> Self {
        Self {
            topic: format!("{}.{codec}", client.name),
            client: client.name.clone(),
            codec: codec.into(),
            records: records.to_path_buf(),
            partitioner: match client.partitioner {
                Partitioner::Explicit => "explicit",
                Partitioner::Murmur2 => "murmur2",
            },
            given_time: client.given_time,
            window: [started, i64::MAX],
            seq_header: client.seq_header,
        }
    }
}

/// A job as its program reads it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Job {
    role: Role,
    bootstrap: String,
    native: String,
    partitions: u32,
    /// What a producing program sends.
    records: PathBuf,
    pub(crate) topics: Vec<TopicJob>,
    #[serde(skip)]
    dir: PathBuf,
}

impl Job {
    pub(crate) fn new(role: Role, run: &Run, topics: Vec<TopicJob>) -> Self {
        Self {
            role,
            bootstrap: run.bootstrap.clone(),
            native: run.native.clone(),
            partitions: crate::PARTITIONS,
            records: run.records.clone(),
            topics,
            dir: run.dir.clone(),
        }
    }

    /// Lets a program send other records than the run's.
    pub(crate) fn sending(mut self, records: &Path) -> Self {
        self.records = records.to_path_buf();
        self
    }
}

/// One topic's answer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Answer {
    topic: String,
    ok: bool,
    detail: String,
    records: usize,
}

#[derive(Debug, Deserialize)]
struct File {
    version: String,
    results: Vec<Answer>,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) took: Duration,
    pub(crate) version: String,
    answers: Vec<Answer>,
    /// Why there are no answers.
    failure: Option<String>,
}

impl Outcome {
    /// `Ok` when the topic was handled whole, else why not.
    pub(crate) fn of(&self, topic: &str, records: usize) -> Result<(), String> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let answer = self.answers.iter().find(|answer| answer.topic == topic);
        let answer = answer.ok_or_else(|| "the program left this topic out".to_owned())?;
        if !answer.ok {
            return Err(answer.detail.clone());
        }
        if answer.records != records {
            return Err(format!("{} records, not {records}", answer.records));
        }
        Ok(())
    }
}

/// The client that makes topics for those that cannot.
pub(crate) fn topic_maker(clients: &[Arc<Client>]) -> Option<&Arc<Client>> {
    clients.iter().find(|client| client.name == "franz-go" && client.runs())
}

/// Makes topics for a client that cannot.
pub(crate) fn create(
    maker: Option<&Arc<Client>>,
    run: &Run,
    topics: &[TopicJob],
) -> io::Result<()> {
    let maker = maker.ok_or_else(|| io::Error::other("no client can make topics"))?;
    let job = Job::new(Role::Create, run, topics.to_vec());
    let outcome = perform(maker, &job, Duration::from_secs(60))?;
    outcome.failure.map_or(Ok(()), |failure| Err(io::Error::other(failure)))
}

/// Runs jobs, `at_once` at a time; the outcomes come in the order in which they ended.
pub(crate) fn run_all(
    jobs: Vec<(Arc<Client>, Job)>,
    at_once: usize,
    limit: Duration,
) -> impl Iterator<Item = (Arc<Client>, Job, Outcome)> {
    let (sender, outcomes) = channel();
    let queue = Arc::new(Mutex::new(jobs.into_iter()));
    for _ in 0..at_once.max(1) {
        let (queue, sender) = (Arc::clone(&queue), sender.clone());
        thread::spawn(move || {
            loop {
                let next = queue.lock().ok().and_then(|mut jobs| jobs.next());
                let Some((client, job)) = next else { break };
                let outcome = perform(&client, &job, limit).unwrap_or_else(|error| Outcome {
                    took: Duration::ZERO,
                    version: String::new(),
                    answers: Vec::new(),
                    failure: Some(error.to_string()),
                });
                if sender.send((client, job, outcome)).is_err() {
                    break;
                }
            }
        });
    }
    outcomes.into_iter()
}

fn perform(client: &Client, job: &Job, limit: Duration) -> io::Result<Outcome> {
    static JOBS: AtomicUsize = AtomicUsize::new(0);
    let number = JOBS.fetch_add(1, Ordering::Relaxed);
    let name = format!("{number:03}-{}-{:?}", client.name, job.role).to_lowercase();
    let files = ["job", "result", "log"].map(|kind| job.dir.join(format!("{name}.{kind}")));
    let [input, output, log] = &files;
    fs::write(input, serde_json::to_vec(job)?)?;

    let started = Instant::now();
    // `timeout` ends a program that hangs, and tells so by its exit code.
    let program = client.command(input, output);
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", &limit.as_secs().to_string()]).arg(program.get_program());
    command.args(program.get_args());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let errors = fs::File::create(log)?;
    command.stdin(Stdio::null()).stdout(errors.try_clone()?).stderr(errors);
    let status = command.status()?;
    let took = started.elapsed();
    if !status.success() {
        let text = fs::read_to_string(log)?;
        let tail: Vec<&str> = text.lines().rev().take(5).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join(" | ");
        let failure = Some(format!("{status} after {took:?}: {tail}"));
        return Ok(Outcome { took, version: String::new(), answers: Vec::new(), failure });
    }
    let file: File = serde_json::from_slice(&fs::read(output)?)?;
    Ok(Outcome { took, version: file.version, answers: file.results, failure: None })
}
