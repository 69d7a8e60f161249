//! The produce load: requests leave when they are due, whatever became of those before.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::batch::Compression;
use protocol::batch::builder::BatchBuilder;
use protocol::kafka::Api;
use protocol::kafka::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use runtime::sync::Notify;
use runtime::{Nanos, Sender, TaskClass, World};

use crate::process::Usage;
use crate::report::{Outcome, Samples};
use crate::wire::{self, Frames};
use crate::{BenchError, ProducePlan};

/// Requests handed to the kernel with one call at most.
const GATHER_MAX: usize = 16;

/// What the sending and the receiving side of all connections share.
struct Run {
    plan: ProducePlan,
    world: World,
    measure_from: Nanos,
    end: Nanos,
    samples: RefCell<Samples>,
    failure: RefCell<Option<BenchError>>,
    running: Cell<usize>,
    ended: Notify,
}

/// One connection's requests under way.
struct Line {
    due: RefCell<VecDeque<Nanos>>,
    answered: Notify,
    sending: Cell<bool>,
}

/// Creates the topic, runs the load and reports. `progress` is called every second with the
/// seconds gone and the records acknowledged so far.
///
/// # Errors
/// The plan is impossible, a connection failed, or the broker refused a batch.
pub async fn run(
    world: &World,
    plan: ProducePlan,
    progress: impl Fn(Duration, u64),
) -> Result<Outcome, BenchError> {
    plan.check()?;
    let mut first = wire::connect(world, plan.addr).await?;
    wire::create_topic(&mut first, &plan.topic, plan.partitions).await?;
    drop(first);

    let start = world.now();
    let run = Rc::new(Run {
        measure_from: start + plan.warm_up,
        end: start + plan.warm_up + plan.duration,
        world: world.clone(),
        samples: RefCell::new(Samples::new()),
        failure: RefCell::default(),
        running: Cell::new(0),
        ended: Notify::new(),
        plan,
    });
    for number in 0..run.plan.connections {
        let requests = requests(&run.plan, number, world.wall_ms())?;
        let (sender, frames) = wire::connect(world, run.plan.addr).await?;
        let line = Rc::new(Line {
            due: RefCell::default(),
            answered: Notify::new(),
            sending: Cell::new(true),
        });
        run.running.set(run.running.get() + 2);
        world
            .spawn(TaskClass::Serve, send_all(Rc::clone(&run), Rc::clone(&line), sender, requests));
        world.spawn(TaskClass::Serve, receive_all(Rc::clone(&run), line, frames));
    }

    world.sleep_until(run.measure_from).await;
    let own = std::process::id();
    let (broker_before, own_before) = (usage(run.plan.pid)?, Usage::of(own)?);
    while world.now() < run.end && run.failure.borrow().is_none() {
        let second = (world.now() + Duration::from_secs(1)).min(run.end);
        world.sleep_until(second).await;
        progress(world.now().since(start), run.samples.borrow().records);
    }
    let (broker_after, own_after) = (usage(run.plan.pid)?, Usage::of(own)?);
    let measured = world.now().since(run.measure_from);
    while run.running.get() > 0 {
        run.ended.notified().await;
    }
    if let Some(error) = run.failure.borrow_mut().take() {
        return Err(error);
    }
    let samples = std::mem::take(&mut *run.samples.borrow_mut());
    Ok(Outcome {
        samples,
        seconds: measured.as_secs_f64(),
        broker: broker_before.zip(broker_after).map(|(before, after)| after.since(&before)),
        client: own_after.since(&own_before),
    })
}

fn usage(pid: Option<u32>) -> Result<Option<Usage>, BenchError> {
    Ok(pid.map(Usage::of).transpose()?)
}

/// The requests of one connection, sent round and round.
fn requests(plan: &ProducePlan, number: u32, now_ms: i64) -> Result<Vec<Vec<u8>>, BenchError> {
    let batch = batch(plan, now_ms)?;
    let mine: Vec<i32> = (0..plan.partitions)
        .filter(|partition| partition % plan.connections == number)
        .map(|partition| i32::try_from(partition).unwrap_or(i32::MAX))
        .collect();
    mine.chunks(plan.request_batches as usize)
        .filter(|chunk| chunk.len() == plan.request_batches as usize)
        .map(|partitions| {
            let body = ProduceRequest {
                acks: plan.acks,
                timeout_ms: 30_000,
                topic_data: vec![TopicProduceData {
                    name: &plan.topic,
                    partition_data: partitions
                        .iter()
                        .map(|index| PartitionProduceData { index: *index, records: Some(&batch) })
                        .collect(),
                    ..TopicProduceData::default()
                }],
                ..ProduceRequest::default()
            };
            wire::frame(Api::Produce, wire::PRODUCE, &body)
        })
        .collect()
}

/// A batch of pseudo-random values, so that nobody gains from compressing it.
fn batch(plan: &ProducePlan, now_ms: i64) -> Result<Vec<u8>, BenchError> {
    let wrong = |error: protocol::batch::builder::BuildError| BenchError::Plan(error.to_string());
    let mut builder = BatchBuilder::new(Compression::None);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut value = vec![0; plan.record_bytes as usize];
    for _ in 0..plan.batch_records {
        for word in value.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
        }
        builder.append(None, Some(&value), &[], now_ms).map_err(wrong)?;
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

async fn send_all(run: Rc<Run>, line: Rc<Line>, mut sender: Sender, requests: Vec<Vec<u8>>) {
    let plan = &run.plan;
    let interval = match plan.rate {
        0 => Duration::ZERO,
        rate => {
            let per_second =
                rate as f64 / plan.request_records() as f64 / f64::from(plan.connections);
            Duration::from_secs_f64(1.0 / per_second)
        }
    };
    let mut due = run.world.now();
    let mut at = 0;
    while due < run.end && run.failure.borrow().is_none() {
        let now = run.world.now();
        if now >= run.end {
            break;
        }
        if interval > Duration::ZERO && due > now {
            run.world.sleep_until(due).await;
            continue;
        }
        let room = (plan.in_flight as usize).saturating_sub(line.due.borrow().len());
        if room == 0 {
            line.answered.notified().await;
            continue;
        }
        let mut slices = Vec::with_capacity(GATHER_MAX);
        for _ in 0..room.min(GATHER_MAX) {
            if interval > Duration::ZERO && due > now {
                break;
            }
            slices.push(IoSlice::new(&requests[at]));
            at = (at + 1) % requests.len();
            if plan.acks == 0 {
                run.samples.borrow_mut().records += plan.request_records();
            } else {
                let counted = if interval > Duration::ZERO { due } else { now };
                line.due.borrow_mut().push_back(counted);
            }
            due = if interval > Duration::ZERO { due + interval } else { now };
        }
        if let Err(error) = sender.send(&mut slices).await {
            fail(&run, BenchError::Connection { addr: plan.addr, error });
        }
    }
    line.sending.set(false);
    // Keeps the sending half open until the answers are in.
    while !line.due.borrow().is_empty() && run.failure.borrow().is_none() {
        line.answered.notified().await;
    }
    sender.shutdown(std::net::Shutdown::Both);
    ended(&run);
}

async fn receive_all(run: Rc<Run>, line: Rc<Line>, mut frames: Frames) {
    while line.sending.get() || !line.due.borrow().is_empty() {
        let frame = match frames.next().await {
            Ok(frame) => frame,
            Err(error) => {
                if line.sending.get() || !line.due.borrow().is_empty() {
                    fail(&run, BenchError::Connection { addr: run.plan.addr, error });
                }
                break;
            }
        };
        if let Err(error) = check(&frame) {
            fail(&run, error);
            break;
        }
        let now = run.world.now();
        let due = line.due.borrow_mut().pop_front();
        if let Some(due) = due
            && due >= run.measure_from
            && now <= run.end
        {
            let bytes = run.plan.request_records() * u64::from(run.plan.record_bytes);
            let samples = &mut *run.samples.borrow_mut();
            samples.add(now.since(due), run.plan.request_records(), bytes);
        }
        line.answered.notify_all();
    }
    line.answered.notify_all();
    ended(&run);
}

fn check(frame: &[u8]) -> Result<(), BenchError> {
    let answer: ProduceResponse<'_> = wire::decode(frame, wire::PRODUCE)?;
    let refused = answer
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .find(|partition| partition.error_code != ErrorCode::None);
    match refused {
        Some(partition) => Err(BenchError::Refused { what: "produce", code: partition.error_code }),
        None => Ok(()),
    }
}

fn fail(run: &Run, error: BenchError) {
    run.failure.borrow_mut().get_or_insert(error);
}

fn ended(run: &Run) {
    run.running.set(run.running.get() - 1);
    run.ended.notify_all();
}
