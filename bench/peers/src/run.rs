//! Running workloads: A B B A, a fresh topic and a fresh client each time, everything noted.
#![expect(clippy::print_stdout, reason = "this is a command line tool")]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ::tests::{place, reference};
use bench::process::Usage;

use crate::client::{ConsumeJob, DrainJob, JavaJob, Job, LatencyJob, Outcome, ProduceJob, Target};
use crate::machine::{Machine, Spell};
use crate::plan::{self, Load, Produce, Workload};
use crate::row::{Row, Rows, RunRow, Setting};
use crate::system::{self, Running, System};
use crate::{PeersError, RunArguments, recover, render};

/// Between two runs, and between the last acknowledgement and the look at what was used: what is
/// written behind the acknowledgement belongs to the run.
const REST: Duration = Duration::from_secs(1);

/// A JVM is not itself before it has seen this many records.
const WARM_UP_RECORDS: u64 = 2_000_000;

/// Bytes on the wire per byte of text from which on it was not compressed.
const UNCOMPRESSED: f64 = 0.9;

/// What stays the same over all workloads.
pub(crate) struct Session {
    running: BTreeMap<System, Running>,
    /// Whether everybody may use every CPU, whatever the workload.
    whole_box: bool,
    /// The CPUs of what runs now.
    client_cpu: Option<usize>,
    broker_cpu: Option<usize>,
    scale: f64,
    topics: usize,
}

/// Runs what was asked for and prints the table.
///
/// # Errors
/// Something needed is missing. A workload that fails is a row; the others go on.
pub(crate) fn all(arguments: &RunArguments) -> Result<(), PeersError> {
    let workloads = plan::chosen(&arguments.workloads, arguments.full).map_err(PeersError::Plan)?;
    let path = arguments.out.clone().unwrap_or_else(|| system::scratch().join("rows.jsonl"));
    let mut rows = Rows::create(&path)?;
    let began = Instant::now();
    let setting = Row::Setting(setting(arguments));
    rows.add(&setting)?;
    let mut session = Session {
        running: BTreeMap::new(),
        whole_box: arguments.whole_box,
        client_cpu: None,
        broker_cpu: None,
        scale: arguments.scale,
        topics: 0,
    };
    let mut made = vec![setting];
    for workload in &workloads {
        println!("## {} {}: {}", workload.number, workload.name, workload.text);
        session.pin(workload);
        let mut keep = |row: Row| {
            if let Row::Run(run) = &row {
                println!("{}", line(workload, run));
            }
            rows.add(&row)?;
            made.push(row);
            Ok(())
        };
        let done = match workload.load {
            Load::Recover => recover::run(&mut session, workload, arguments, &mut keep),
            _ => pairs(&mut session, workload, arguments, &mut keep),
        };
        if let Err(error) = done {
            println!("   failed: {error}");
            keep(Row::Failure { workload: workload.name.into(), why: error.to_string() })?;
            // Whoever failed may be in no state to go on.
            session.running.clear();
        }
    }
    println!("\n{}", render::table(&made));
    println!("took {} min; rows: {}", began.elapsed().as_secs() / 60, path.display());
    let failed = made.iter().filter(|row| matches!(row, Row::Failure { .. })).count();
    if failed > 0 {
        return Err(PeersError::Client(format!("{failed} workloads failed; see the table")));
    }
    Ok(())
}

fn setting(arguments: &RunArguments) -> Setting {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
    let pom = read(&place::clients().join("java/kafka/pom.xml").display().to_string());
    let between = |text: &str, from: &str, to: &str| {
        let rest = text.split_once(from).map_or("", |(_, rest)| rest);
        rest.split_once(to).map_or("", |(inner, _)| inner).to_owned()
    };
    let revision = Command::new("git")
        .current_dir(place::root())
        .args(["rev-parse", "--short", "HEAD"])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    Setting {
        mode: if arguments.full { "full" } else { "short" }.into(),
        revision: revision.unwrap_or_default(),
        kernel: read("/proc/sys/kernel/osrelease").trim().into(),
        cpu: model.unwrap_or_default().trim_start_matches([' ', '\t', ':']).into(),
        cpus: cpus.matches("processor\t").count(),
        kafka: between(&pom, "<kafka.version>", "</kafka.version>"),
        java: reference::STOCK_JVM.iter().map(ToString::to_string).collect(),
        pinned: !arguments.whole_box,
        scale: arguments.scale,
    }
}

/// One run, for whoever watches.
fn line(workload: &Workload, run: &RunRow) -> String {
    let mut text = format!("   pair {} {:<8}", run.pair, run.system.name());
    let mut shown: Vec<&str> = Vec::new();
    for figure in &workload.figures {
        if let Some(value) = run.figures.get(figure.key)
            && !shown.contains(&figure.key)
        {
            shown.push(figure.key);
            text.push_str(&format!(" {} {};", render::number(*value), figure.text));
        }
    }
    for (key, name) in
        [("pressure", "pressure %"), ("outside_percent", "outside CPU %"), ("load", "load")]
    {
        if let Some(value) = run.figures.get(key) {
            text.push_str(&format!(" {name} {};", render::number(*value)));
        }
    }
    text
}

/// All pairs of one workload.
fn pairs(
    session: &mut Session,
    workload: &Workload,
    arguments: &RunArguments,
    keep: &mut impl FnMut(Row) -> Result<(), PeersError>,
) -> Result<(), PeersError> {
    let mut systems = vec![System::Kafka, System::Corelog];
    if workload.floor {
        systems.insert(0, System::Floor);
    }
    let size = workload.size(arguments.full);
    let wanted = arguments.pairs.unwrap_or(size.pairs);
    let amount = size.amount * session.scale;
    let mut stage = Stage { session, workload, amount, held: BTreeMap::new() };
    // Once for nothing, so that both are at home in this workload.
    for system in &systems {
        stage.prepare(*system)?;
        stage.measure(*system)?;
    }
    let mut runs: Vec<RunRow> = Vec::new();
    let mut turn = 0;
    // Pairs that say nothing are made up for, within reason.
    for pair in 0..wanted + wanted / 2 {
        for system in &systems {
            let (figures, histograms) = stage.measure(*system)?;
            let run = RunRow {
                workload: workload.name.into(),
                system: *system,
                pair,
                turn,
                figures,
                histograms,
            };
            turn += 1;
            keep(Row::Run(run.clone()))?;
            runs.push(run);
        }
        systems.reverse();
        if arguments.keep_noisy && pair + 1 == wanted {
            break;
        }
        if render::kept_pairs(&runs).len() == wanted {
            break;
        }
    }
    stage.clear()?;
    for result in render::results(workload, &runs, arguments.keep_noisy) {
        keep(Row::Result(result))?;
    }
    Ok(())
}

/// One workload on its systems.
struct Stage<'a> {
    session: &'a mut Session,
    workload: &'a Workload,
    amount: f64,
    /// Topics that serve all runs of a system.
    held: BTreeMap<System, Target>,
}

/// Figures and histograms of a run.
type Measured = (BTreeMap<String, f64>, BTreeMap<String, String>);

impl Stage<'_> {
    /// Starts the system if need be, and fills what is only read.
    fn prepare(&mut self, system: System) -> Result<(), PeersError> {
        self.session.start(system)?;
        if let Load::Consume { .. } = self.workload.load {
            let target = self.session.target(system, 6, false)?;
            // Small enough for everybody's cache.
            let bytes = 5e8_f64.min(self.amount);
            self.session.produce(&target, &plan::BULK, bytes)?;
            self.held.insert(system, target);
        }
        Ok(())
    }

    /// Deletes what was kept for all runs.
    fn clear(&mut self) -> Result<(), PeersError> {
        while let Some((system, target)) = self.held.pop_first() {
            self.session.get(system)?.delete(&target.topic)?;
        }
        Ok(())
    }

    /// One run.
    fn measure(&mut self, system: System) -> Result<Measured, PeersError> {
        let flush = self.workload.flush;
        match &self.workload.load {
            Load::Produce(load) => {
                let target = self.session.target(system, load.partitions, flush)?;
                let job = Job::Produce(produce_job(&target, load, self.amount));
                let measured = self.session.measure(system, &job)?;
                self.session.get(system)?.delete(&target.topic)?;
                check_compression(load, &measured)?;
                Ok(measured)
            }
            Load::Consume { consumers } => {
                let target = self.held.get(&system).cloned();
                let target = target.ok_or_else(|| PeersError::Plan("nothing to read".into()))?;
                let bytes = 5e8_f64.min(self.amount);
                let job = Job::Consume(ConsumeJob {
                    target,
                    consumers: *consumers,
                    passes: (self.amount / bytes).round().max(1.0) as u32,
                    settings: plan::consumer(),
                });
                self.session.measure(system, &job)
            }
            Load::Latency { rate } => {
                let target = self.session.target(system, 6, flush)?;
                let job = Job::Latency(LatencyJob {
                    target: target.clone(),
                    record_bytes: 1_024,
                    rate: *rate,
                    warm_up: plan::LATENCY_WARM_UP,
                    duration: Duration::from_secs_f64(self.amount),
                    consume: true,
                    producer: plan::prompt_producer(),
                    consumer: plan::consumer(),
                });
                let measured = self.session.measure(system, &job)?;
                self.session.get(system)?.delete(&target.topic)?;
                Ok(measured)
            }
            Load::Java(load) => self.java(system, load),
            Load::Partitions { partitions, load } => self.partitions(system, *partitions, load),
            Load::Drain => self.drain(system),
            Load::Recover => Err(PeersError::Plan("recovery has a stage of its own".into())),
        }
    }

    fn java(&mut self, system: System, load: &Produce) -> Result<Measured, PeersError> {
        let target = self.session.target(system, load.partitions, self.workload.flush)?;
        let job = Job::Java(JavaJob {
            target: target.clone(),
            class_path: reference::class_path().display().to_string(),
            lines: system::scratch().join("lines"),
            record_bytes: load.record_bytes,
            records: (self.amount / load.record_bytes as f64).max(1.0) as u64,
            settings: plan::java_settings(load),
        });
        let measured = self.session.measure(system, &job)?;
        self.session.get(system)?.delete(&target.topic)?;
        Ok(measured)
    }

    fn partitions(
        &mut self,
        system: System,
        partitions: i32,
        load: &Produce,
    ) -> Result<Measured, PeersError> {
        let mut costs = Vec::new();
        let mut last = Measured::default();
        for count in [6, partitions] {
            if count == 6 && system != System::Corelog {
                continue;
            }
            let target = self.session.target(system, count, false)?;
            let load = Produce { partitions: count, ..load.clone() };
            let job = Job::Produce(produce_job(&target, &load, self.amount));
            last = self.session.measure(system, &job)?;
            costs.extend(last.0.get("cpu_s_per_gb").copied());
            self.session.get(system)?.delete(&target.topic)?;
        }
        if let [few, many] = costs[..] {
            last.0.insert("cost_per_6_partitions".into(), many / few);
        }
        Ok(last)
    }

    fn drain(&mut self, system: System) -> Result<Measured, PeersError> {
        let target = self.session.target(system, 6, false)?;
        self.session.produce(&target, &plan::BULK, self.amount)?;
        forget_page_cache()?;
        let job = Job::Drain(DrainJob {
            target: target.clone(),
            before: Duration::from_secs(4),
            record_bytes: 1_024,
            rate: 50_000,
            pid: self.session.get(system)?.pid(),
            producer: Produce { acks: "all", ..plan::BULK }.settings(),
            consumer: plan::consumer(),
        });
        let mut measured = self.session.measure(system, &job)?;
        let figure = |name: &str| measured.0.get(name).copied();
        if let (Some(user), Some(kernel), Some(bytes)) =
            (figure("drain_user_s"), figure("drain_system_s"), figure("bytes"))
        {
            measured.0.insert("cpu_s_per_gb".into(), (user + kernel) / (bytes / 1e9));
        }
        self.session.get(system)?.delete(&target.topic)?;
        Ok(measured)
    }
}

/// librdkafka sends records as they are, without a word, to a broker that does not advertise what it
/// takes for a sign of the codec. Then nothing was measured of compression.
fn check_compression(load: &Produce, measured: &Measured) -> Result<(), PeersError> {
    let sent = measured.0.get("sent_per_byte").copied().unwrap_or(0.0);
    if load.codec != "none" && sent > UNCOMPRESSED {
        return Err(PeersError::Client(format!(
            "the client sent {sent:.2} bytes per byte: it did not compress for this broker"
        )));
    }
    Ok(())
}

/// The client's side of a produce load, over so many bytes.
pub(crate) fn produce_job(target: &Target, load: &Produce, bytes: f64) -> ProduceJob {
    ProduceJob {
        target: target.clone(),
        record_bytes: load.record_bytes,
        records: (bytes / load.record_bytes as f64).max(1.0) as u64,
        producers: load.producers,
        chunk: load.chunk(),
        keys: load.keys,
        rate: load.rate / load.record_bytes as u64,
        text: load.text,
        timed: load.timed,
        settings: load.settings(),
    }
}

impl Session {
    /// Starts a system and warms it up, unless it runs.
    fn start(&mut self, system: System) -> Result<(), PeersError> {
        if self.running.contains_key(&system) {
            return Ok(());
        }
        println!("   starting {}", system.name());
        let running = Running::start(system, self.broker_cpu)?;
        self.running.insert(system, running);
        let records = if system == System::Kafka { WARM_UP_RECORDS } else { 300_000 };
        let bytes = records as f64 * 1_024.0 * self.scale.min(1.0);
        let target = self.target(system, 6, false)?;
        self.produce(&target, &plan::BULK, bytes)?;
        self.get(system)?.delete(&target.topic)
    }

    fn get(&self, system: System) -> Result<&Running, PeersError> {
        let running = self.running.get(&system);
        running.ok_or_else(|| PeersError::Client(format!("{} does not run", system.name())))
    }

    /// Gives broker and client a CPU each for figures of cost, and everybody the whole box for those
    /// of time.
    fn pin(&mut self, workload: &Workload) {
        let pinned = !self.whole_box && workload.load.is_pinned();
        let cpus = if pinned { (Some(0), Some(1)) } else { (None, None) };
        if cpus != (self.client_cpu, self.broker_cpu) {
            self.stop_all();
            (self.client_cpu, self.broker_cpu) = cpus;
        }
    }

    pub(crate) const fn broker_cpu(&self) -> Option<usize> {
        self.broker_cpu
    }

    /// Ends every system.
    pub(crate) fn stop_all(&mut self) {
        self.running.clear();
    }

    /// A fresh topic.
    fn target(
        &mut self,
        system: System,
        partitions: i32,
        flush: bool,
    ) -> Result<Target, PeersError> {
        self.topics += 1;
        let topic = format!("side-{}", self.topics);
        let running = self.get(system)?;
        running.create(&topic, partitions, flush)?;
        Ok(Target { bootstrap: running.bootstrap.clone(), topic, partitions })
    }

    /// Produces without a look at the cost.
    pub(crate) fn produce(
        &self,
        target: &Target,
        load: &Produce,
        bytes: f64,
    ) -> Result<Outcome, PeersError> {
        let load = Produce { partitions: target.partitions, ..load.clone() };
        self.client(&Job::Produce(produce_job(target, &load, bytes)))
    }

    /// Runs a client and gives what it and the broker used.
    fn measure(&self, system: System, job: &Job) -> Result<Measured, PeersError> {
        let pid = self.get(system)?.pid();
        sync()?;
        let quiet = rest()?;
        let (usage, machine) = (Usage::of(pid)?, Machine::now()?);
        let outcome = self.client(job)?;
        let spell = Machine::now()?.since(&machine);
        let used = Usage::of(pid)?.since(&usage);
        sync()?;
        let after = rest()?;
        let settled = Usage::of(pid)?.since(&usage);
        let workers = Machine::now()?.since(&machine).workers;
        let mut figures = figures(&outcome, &settled, &spell);
        figures.insert("pressure".into(), quiet.pressure.max(after.pressure));
        figures.insert("cpu_after_s".into(), settled.cpu_seconds() - used.cpu_seconds());
        figures.insert("worker_cpu_s".into(), workers);
        Ok((figures, outcome.histograms))
    }

    /// Starts a client process and waits for what it has to say.
    fn client(&self, job: &Job) -> Result<Outcome, PeersError> {
        let own = std::env::current_exe()?;
        let mut command = match self.client_cpu {
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.arg("-c").arg(cpu.to_string()).arg(own);
                command
            }
            None => Command::new(own),
        };
        command.arg("client").arg(serde_json::to_string(job)?);
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(PeersError::Client(format!("the client ended with {}", output.status)));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// What the client saw and what the broker used, by name.
fn figures(outcome: &Outcome, used: &Usage, spell: &Spell) -> BTreeMap<String, f64> {
    let mut figures = outcome.figures.clone();
    let of = |name: &str| outcome.figures.get(name).copied().unwrap_or(0.0);
    let (seconds, records, bytes) = (of("seconds"), of("records"), of("bytes"));
    let (requests, client) = (of("requests"), of("client_cpu_s"));
    let cpu = used.cpu_seconds();
    let cpus = thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    let switches = (used.voluntary_switches + used.involuntary_switches) as f64;
    let outside = spell.busy - cpu.min(spell.busy) - client - spell.workers;
    let mut set = |name: &str, value: f64| {
        if value.is_finite() {
            figures.insert(name.to_owned(), value);
        }
    };
    set("cpu_user_s", used.user_seconds);
    set("cpu_system_s", used.system_seconds);
    set("cpu_s_per_gb", cpu / (bytes / 1e9));
    set("cpu_s_per_million", cpu / (records / 1e6));
    set("records_per_s", records / seconds);
    set("mb_per_s", bytes / 1e6 / seconds);
    set("written_per_byte", used.written_bytes as f64 / bytes);
    set("read_per_byte", used.read_bytes as f64 / bytes);
    set("switches_per_1000", switches / (records / 1e3));
    set("peak_mib", used.peak_resident_bytes as f64 / f64::from(1 << 20));
    set("client_cpu_s_per_gb", client / (bytes / 1e9));
    // Of the whole box, as the rule for client-bound figures has it.
    set("client_share", client / (spell.seconds * cpus));
    set("outside_percent", 100.0 * outside.max(0.0) / (spell.seconds * cpus));
    set("pressure_during", spell.pressure);
    set("stolen_s", spell.stolen);
    set("load", spell.load);
    if requests > 0.0 {
        set("cpu_us_per_request", cpu * 1e6 / requests);
        set("requests_per_s", requests / seconds);
        set("bytes_per_request", bytes / requests);
    }
    figures
}

/// Rests, and gives what the machine did meanwhile that was none of our doing.
fn rest() -> Result<Spell, PeersError> {
    let before = Machine::now()?;
    thread::sleep(REST);
    Ok(Machine::now()?.since(&before))
}

/// Writes every dirty page back, so that the next run does not pay for this one.
pub(crate) fn sync() -> Result<(), PeersError> {
    let status = Command::new("sync").status()?;
    if status.success() { Ok(()) } else { Err(PeersError::Client("sync failed".into())) }
}

/// Lets the page cache go, so that reads come from the disk. Needs root.
fn forget_page_cache() -> Result<(), PeersError> {
    sync()?;
    fs::write("/proc/sys/vm/drop_caches", "1").map_err(|error| {
        PeersError::Client(format!("the page cache cannot be dropped ({error}); needs root"))
    })
}

#[cfg(test)]
mod tests;
