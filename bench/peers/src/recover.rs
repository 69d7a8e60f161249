//! Workload 14: SIGKILL with thousands of partitions, the way back to the first acknowledgement, and
//! what an idle broker with as many partitions costs.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use bench::process::Usage;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tests::broker::{Broker, Plan};

use crate::client::Target;
use crate::machine::Machine;
use crate::plan::{self, Produce, Workload};
use crate::row::{Row, RunRow};
use crate::run::Session;
use crate::system::{self, Running, System};
use crate::{PeersError, RunArguments, render};

const PARTITIONS: i32 = 5_000;
/// Longer than any broker may take.
const LIMIT: Duration = Duration::from_secs(300);
/// Until the machine has forgotten the start, and then as long as it is watched.
const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(10);

pub(crate) fn run(
    session: &mut Session,
    workload: &Workload,
    arguments: &RunArguments,
    keep: &mut impl FnMut(Row) -> Result<(), PeersError>,
) -> Result<(), PeersError> {
    // Others that idle meanwhile would be counted as somebody else's load.
    session.stop_all();
    let size = workload.size(arguments.full);
    let wanted = arguments.pairs.unwrap_or(size.pairs);
    let mut systems = [System::Kafka, System::Corelog];
    let mut runs = Vec::new();
    for pair in 0..wanted {
        for system in systems {
            let figures = once(session, system, size.amount * arguments.scale)?;
            let run = RunRow {
                workload: workload.name.into(),
                system,
                pair,
                turn: runs.len(),
                figures,
                histograms: BTreeMap::new(),
            };
            keep(Row::Run(run.clone()))?;
            runs.push(run);
        }
        systems.reverse();
    }
    for result in render::results(workload, &runs, arguments.keep_noisy) {
        keep(Row::Result(result))?;
    }
    Ok(())
}

fn once(
    session: &Session,
    system: System,
    bytes: f64,
) -> Result<BTreeMap<String, f64>, PeersError> {
    let name = format!("{}-recover", system.name());
    let plan = system::plan(system, &name, session.broker_cpu())?;
    let running = Running::over(system, &plan)?;
    running.create("kept", PARTITIONS, false)?;
    let target = Target {
        bootstrap: running.bootstrap.clone(),
        topic: "kept".into(),
        partitions: PARTITIONS,
    };
    let load = Produce { batch_bytes: 65_536, ..plan::BULK };
    let client = session.produce(&target, &load, bytes)?;
    running.kill()?;

    let before = Machine::now()?;
    thread::sleep(Duration::from_secs(1));
    let quiet = Machine::now()?.since(&before);

    let began = Instant::now();
    let mut broker = Broker::launch(&plan)?;
    let acknowledged = first_ack(&target)?;
    let took = acknowledged.duration_since(began).as_secs_f64();
    broker.await_ready(&plan)?;
    let mut figures = BTreeMap::from([("first_ack_s".to_owned(), took)]);
    let mut set = |name: &str, value: f64| figures.insert(name.to_owned(), value);
    let used = Usage::of(broker.pid())?;
    set("recover_cpu_s", used.cpu_seconds());
    set("recover_read_bytes", used.read_bytes as f64);

    thread::sleep(SETTLE);
    let idle = Usage::of(broker.pid())?;
    thread::sleep(WATCH);
    let later = Usage::of(broker.pid())?;
    let mib = f64::from(1 << 20);
    set("idle_cpu_percent", 100.0 * later.since(&idle).cpu_seconds() / WATCH.as_secs_f64());
    set("resident_mib", later.resident_bytes as f64 / mib);
    set("peak_mib", later.peak_resident_bytes as f64 / mib);
    set("pressure", quiet.pressure);
    set("load", quiet.load);
    set(
        "fill_mb_per_s",
        client.figures.get("bytes").map_or(0.0, |bytes| bytes / 1e6)
            / client.figures.get("seconds").copied().unwrap_or(1.0),
    );
    broker.kill()?;
    remove(&plan)?;
    Ok(figures)
}

/// Sends one record until it is acknowledged; gives when.
fn first_ack(target: &Target) -> Result<Instant, PeersError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &target.bootstrap).set("broker.address.family", "v4");
    // It knocks often enough not to be what is measured.
    config.set("reconnect.backoff.ms", "5").set("reconnect.backoff.max.ms", "20");
    config.set("retry.backoff.ms", "20").set("retry.backoff.max.ms", "50");
    config.set("topic.metadata.refresh.fast.interval.ms", "20");
    config.set("message.timeout.ms", LIMIT.as_millis().to_string());
    config.set("linger.ms", "0").set("acks", "all").set("log_level", "0");
    let producer: BaseProducer = config.create()?;
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&target.topic);
    producer
        .send(record.partition(target.partitions - 1).payload(&b"back again"[..]))
        .map_err(|(error, _)| error)?;
    let deadline = Instant::now() + LIMIT;
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
        if Instant::now() > deadline {
            return Err(PeersError::Client("no acknowledgement after the restart".into()));
        }
    }
    Ok(Instant::now())
}

fn remove(plan: &Plan) -> Result<(), PeersError> {
    Ok(fs::remove_dir_all(&plan.dir)?)
}
