//! The programs that write and read while brokers fail under them, and the history they leave.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::history::{self, Entry};
use crate::place;

/// How long the writers may take to get what is in flight acknowledged, and the drain to read all.
const END_WITHIN: Duration = Duration::from_secs(180);

/// What to write and to read.
#[derive(Debug, Clone, Serialize)]
pub struct Spec {
    pub bootstrap: String,
    history: PathBuf,
    pub topics: Vec<Topic>,
    pub writers: Vec<Writer>,
    /// Consumers that read everything from the start while it is written.
    pub readers: usize,
}

/// A topic of a load; it is created when it is not there.
#[derive(Debug, Clone, Serialize)]
pub struct Topic {
    pub name: String,
    pub partitions: u32,
}

/// One writer of a load.
#[derive(Debug, Clone, Serialize)]
pub struct Writer {
    pub name: String,
    /// `franz-go` or `confluent-kafka`.
    pub client: &'static str,
    /// The upper bits of its values.
    pub id: u64,
    pub idempotent: bool,
    /// `all` or `1`.
    pub acks: &'static str,
    pub topics: Vec<String>,
    /// Records per second.
    pub rate: u32,
    /// Largest payload, bytes.
    pub size: u32,
    pub codec: &'static str,
}

impl Spec {
    /// Writers of every kind over a few shared partitions, and one over many.
    pub fn mixed(bootstrap: String, dir: &Path) -> Self {
        let topics = [("shared", 4), ("single", 1), ("many", 24)];
        let topics = topics.map(|(name, partitions)| Topic { name: name.into(), partitions });
        let kinds = [
            ("franz-go", true, "all", "none", vec!["shared", "single"]),
            ("franz-go", true, "all", "lz4", vec!["shared", "many"]),
            ("franz-go", false, "all", "none", vec!["shared", "single"]),
            ("franz-go", false, "1", "snappy", vec!["shared", "many"]),
            ("confluent-kafka", true, "all", "none", vec!["shared", "many"]),
            ("confluent-kafka", false, "1", "zstd", vec!["shared", "single"]),
        ];
        let writers = (0..).zip(kinds).map(|(id, (client, idempotent, acks, codec, topics))| {
            let kind = if idempotent { "idempotent" } else { "plain" };
            Writer {
                name: format!("{id}-{client}-{kind}-acks-{acks}"),
                client,
                id,
                idempotent,
                acks,
                topics: topics.into_iter().map(Into::into).collect(),
                rate: if client == "franz-go" { 400 } else { 200 },
                size: 600,
                codec,
            }
        });
        let history = dir.join("history.jsonl");
        Self { bootstrap, history, topics: topics.into(), writers: writers.collect(), readers: 1 }
    }

    /// Only what waits for the whole in-sync set: what a power cut must not touch.
    #[must_use]
    pub fn acks_all(mut self) -> Self {
        self.writers.retain(|writer| writer.acks == "all");
        self
    }
}

/// What a program of the load says.
enum Word {
    Acknowledged(usize, u64),
    Created,
    Stopped,
    Drained,
    Ended(usize),
}

struct Program {
    child: Child,
    input: ChildStdin,
}

/// A running load; dropped, its programs are killed.
pub struct Load {
    spec: Spec,
    programs: Vec<Program>,
    words: Receiver<Word>,
    acknowledged: Vec<u64>,
    others: PathBuf,
}

impl Load {
    /// Starts the programs. The broker must serve: the topics are created now.
    ///
    /// # Errors
    /// When a program cannot be started.
    pub fn start(spec: Spec, dir: &Path) -> io::Result<Self> {
        let file = dir.join("load.json");
        fs::write(&file, serde_json::to_vec(&spec)?)?;
        let others = dir.join("history-librdkafka.jsonl");
        let (sender, words) = channel();
        let mut go = Command::new(place::tools().join("go/clients"));
        go.arg("load").arg(&file);
        let mut programs = vec![launch(go, 0, &dir.join("load-go.log"), sender.clone())?];
        // No other program may meet a topic that is not there: its client would have it made.
        match words.recv_timeout(END_WITHIN).map_err(io::Error::other)? {
            Word::Created => {}
            _ => {
                return Err(io::Error::other(
                    "the Go program of the load did not create the topics",
                ));
            }
        }
        if spec.writers.iter().any(|writer| writer.client == "confluent-kafka") {
            let mut python = Command::new(place::tools().join("venv/bin/python"));
            python.arg(place::clients().join("python/load.py")).arg(&file).arg(&others);
            programs.push(launch(python, 1, &dir.join("load-python.log"), sender)?);
        }
        let acknowledged = vec![0; programs.len()];
        Ok(Self { spec, programs, words, acknowledged, others })
    }

    /// Sends acknowledged until now, as far as the programs have told.
    pub fn acknowledged(&mut self) -> io::Result<u64> {
        while let Ok(word) = self.words.try_recv() {
            self.hear(&word)?;
        }
        Ok(self.acknowledged.iter().sum())
    }

    /// Waits until `more` sends were acknowledged from now on.
    ///
    /// # Errors
    /// When that takes longer than `limit`, or a program ended.
    pub fn await_progress(&mut self, more: u64, limit: Duration) -> io::Result<()> {
        let wanted = self.acknowledged()? + more;
        let deadline = Instant::now() + limit;
        while self.acknowledged.iter().sum::<u64>() < wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            let word = self.words.recv_timeout(left).map_err(|_late| {
                let got = self.acknowledged.iter().sum::<u64>();
                io::Error::other(format!("{got} of {wanted} sends acknowledged after {limit:?}"))
            })?;
            self.hear(&word)?;
        }
        Ok(())
    }

    fn hear(&mut self, word: &Word) -> io::Result<bool> {
        match word {
            Word::Acknowledged(program, count) => self.acknowledged[*program] = *count,
            Word::Ended(program) => {
                let name = ["the Go program", "the Python program"][(*program).min(1)];
                return Err(io::Error::other(format!("{name} of the load ended")));
            }
            Word::Created | Word::Stopped | Word::Drained => return Ok(true),
        }
        Ok(false)
    }

    /// Ends the writers, empties every partition with a fresh client, and returns the history.
    ///
    /// # Errors
    /// When a program fails or takes too long.
    pub fn finish(mut self) -> io::Result<Vec<Entry>> {
        for program in &mut self.programs {
            program.input.write_all(b"stop\n")?;
        }
        for _ in 0..self.programs.len() {
            self.await_word()?;
        }
        self.programs[0].input.write_all(b"drain\n")?;
        self.await_word()?;
        for program in &mut self.programs {
            let status = program.child.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("a program of the load: {status}")));
            }
        }
        let mut entries = history::read(&self.spec.history)?;
        if self.others.exists() {
            entries.extend(history::read(&self.others)?);
        }
        Ok(entries)
    }

    fn await_word(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + END_WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let word = self.words.recv_timeout(left).map_err(io::Error::other)?;
            // A program that said what it had to may end.
            if matches!(word, Word::Ended(1)) {
                continue;
            }
            if self.hear(&word)? {
                return Ok(());
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for program in &mut self.programs {
            if matches!(program.child.try_wait(), Ok(None)) && program.child.kill().is_ok() {
                let _ended = program.child.wait();
            }
        }
    }
}

fn launch(
    mut command: Command,
    number: usize,
    log: &Path,
    words: Sender<Word>,
) -> io::Result<Program> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log)?);
    let mut child = command.spawn()?;
    let missing = || io::Error::other("a pipe that was asked for is missing");
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let (name, count) = line.split_once(' ').unwrap_or((&line, ""));
            let count = count.parse().unwrap_or(0);
            let heard = match name {
                "acknowledged" => words.send(Word::Acknowledged(number, count)),
                "stopped" => words
                    .send(Word::Acknowledged(number, count))
                    .and_then(|()| words.send(Word::Stopped)),
                "created" => words.send(Word::Created),
                "drained" => words.send(Word::Drained),
                _ => Ok(()),
            };
            if heard.is_err() {
                return;
            }
        }
        // Nobody listens any more when the load was dropped.
        let _heard = words.send(Word::Ended(number));
    });
    Ok(Program { child, input })
}
