//! A broker as a process of its own: started, awaited, killed, stopped.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::place;
use crate::reference;
use crate::seeded::Seeded;

/// How long a broker may take until it serves.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long a broker may take to stop when asked.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// Which broker a test runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ours: `corelog dev`.
    Corelog,
    /// Apache Kafka as it comes: it answers before the disk has the data.
    Kafka,
    /// Apache Kafka told to flush every message.
    KafkaFlushing,
}

impl Kind {
    /// The kind that a name on the command line or in `BROKER` means.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "corelog" => Some(Self::Corelog),
            "kafka" => Some(Self::Kafka),
            "kafka-flushing" => Some(Self::KafkaFlushing),
            _ => None,
        }
    }
}

/// All that is needed to start the same broker again and again.
#[derive(Debug, Clone)]
pub struct Plan {
    pub kind: Kind,
    /// Its data.
    pub dir: PathBuf,
    /// Where its standard error goes, appended.
    pub log: PathBuf,
    /// Its ports on loopback.
    pub kafka: u16,
    pub native: u16,
    pub admin: u16,
    /// More arguments of `corelog dev`.
    pub arguments: Vec<String>,
    /// More lines of Kafka's settings; they win over those that tests need.
    pub settings: String,
    /// How Kafka's JVM is started; unless said otherwise, small and fast to start.
    pub java: Vec<String>,
    /// What starts the program, such as `taskset -c 1`; it must become the program.
    pub under: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// The program, when it is not the one that cargo builds.
    pub program: Option<PathBuf>,
}

impl Plan {
    /// A broker over `dir`, on ports that are free now.
    ///
    /// # Errors
    /// When no ports are free.
    pub fn new(kind: Kind, dir: &Path, seeded: &mut Seeded) -> io::Result<Self> {
        let log = dir.with_extension("log");
        Ok(Self {
            kind,
            dir: dir.to_path_buf(),
            log,
            kafka: place::free_port(seeded)?,
            native: place::free_port(seeded)?,
            admin: place::free_port(seeded)?,
            arguments: Vec::new(),
            settings: String::new(),
            java: reference::SMALL_JVM.iter().map(ToString::to_string).collect(),
            under: Vec::new(),
            environment: Vec::new(),
            program: None,
        })
    }

    /// What Kafka clients connect to.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.kafka)
    }

    /// The command line of this broker, nothing redirected yet.
    ///
    /// # Errors
    /// When the program cannot be built or prepared.
    pub fn command(&self) -> io::Result<Command> {
        let mut command = match self.kind {
            Kind::Corelog => self.corelog()?,
            Kind::Kafka | Kind::KafkaFlushing => reference::command(self)?,
        };
        if let [first, more @ ..] = self.under.as_slice() {
            let mut under = Command::new(first);
            under.args(more).arg(command.get_program()).args(command.get_args());
            command = under;
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    fn corelog(&self) -> io::Result<Command> {
        let program = match &self.program {
            Some(file) => file.clone(),
            None => place::corelog()?,
        };
        let mut command = Command::new(program);
        command.arg("dev").arg("--dir").arg(&self.dir);
        for (flag, port) in
            [("--kafka", self.kafka), ("--native", self.native), ("--admin", self.admin)]
        {
            command.arg(flag).arg(format!("127.0.0.1:{port}"));
        }
        command.args(&self.arguments);
        Ok(command)
    }
}

/// A running broker; dropped, it is killed.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    lines: Receiver<String>,
    started: Instant,
    /// From the start of the process until it said that it serves.
    pub ready_after: Duration,
}

impl Broker {
    /// Starts the broker and waits until it serves.
    ///
    /// # Errors
    /// When it does not serve in time, or ends before; the end of its log is part of the message.
    pub fn start(plan: &Plan) -> io::Result<Self> {
        let mut broker = Self::launch(plan)?;
        broker.await_ready(plan)?;
        Ok(broker)
    }

    /// Starts the process and returns at once.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn launch(plan: &Plan) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(&plan.log)?;
        let mut command = plan.command()?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let started = Instant::now();
        let mut child = command.spawn()?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { child, lines, started, ready_after: Duration::ZERO })
    }

    /// Waits until the broker says that it serves.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn await_ready(&mut self, plan: &Plan) -> io::Result<()> {
        if plan.kind == Kind::Corelog {
            self.await_ready_line(plan)?;
        } else {
            reference::await_serving(plan, READY_WITHIN)?;
        }
        self.ready_after = self.started.elapsed();
        Ok(())
    }

    fn await_ready_line(&mut self, plan: &Plan) -> io::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with("ready") => return Ok(()),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(complaint("the broker was not ready in time", plan));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    return Err(complaint(&format!("the broker ended with {status}"), plan));
                }
            }
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process at once with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When the process cannot be signalled or awaited.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to stop with SIGTERM and waits for it.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        signal(self.pid(), "TERM")?;
        self.wait(STOPPED_WITHIN)
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        // Its standard output closes when it ends; that is the event to wait for.
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait(),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::other(format!("still running after {limit:?}")));
                }
            }
        }
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.is_running() && self.child.kill().is_ok() {
            let _ended = self.child.wait();
        }
    }
}

/// Sends a signal by its short name to one process.
///
/// # Errors
/// When there is no such process.
pub fn signal(pid: u32, name: &str) -> io::Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{name} {pid}"))) }
}

/// An error that carries the end of the broker's log.
fn complaint(what: &str, plan: &Plan) -> io::Error {
    let log = std::fs::read_to_string(&plan.log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(20)..].join("\n");
    io::Error::other(format!("{what}; end of its log:\n{tail}"))
}
