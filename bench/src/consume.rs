//! The consume load: every partition from its beginning to the end it has at the start.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::batch::BatchHeader;
use protocol::kafka::Api;
use protocol::kafka::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use protocol::kafka::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use runtime::sync::Notify;
use runtime::{Nanos, Sender, TaskClass, World};

use crate::process::Usage;
use crate::report::{Outcome, Samples};
use crate::wire::{self, Frames};
use crate::{BenchError, ConsumePlan};

/// Bytes of a batch before its length field ends.
const LENGTH_ENDS_AT: usize = 12;

struct Run {
    plan: ConsumePlan,
    world: World,
    end: Nanos,
    samples: RefCell<Samples>,
    failure: RefCell<Option<BenchError>>,
    running: Cell<usize>,
    ended: Notify,
}

/// Where one partition's reading stands.
#[derive(Debug, Clone, Copy)]
struct Position {
    partition: i32,
    next: i64,
    end: i64,
}

/// Reads the topic and reports. `progress` is called every second with the seconds gone and the
/// records read so far.
///
/// # Errors
/// A connection failed, or the broker refused a fetch.
pub async fn run(
    world: &World,
    plan: ConsumePlan,
    progress: impl Fn(Duration, u64),
) -> Result<Outcome, BenchError> {
    let start = world.now();
    let run = Rc::new(Run {
        end: start + plan.duration,
        world: world.clone(),
        samples: RefCell::new(Samples::new()),
        failure: RefCell::default(),
        running: Cell::new(0),
        ended: Notify::new(),
        plan,
    });
    let usage = |pid: Option<u32>| pid.map(Usage::of).transpose();
    let own = std::process::id();
    let mut lines = Vec::new();
    for number in 0..run.plan.connections {
        let mut connection = wire::connect(world, run.plan.addr).await?;
        let positions = positions(&run.plan, number, &mut connection).await?;
        lines.push((connection, positions));
    }
    let (broker_before, own_before) = (usage(run.plan.pid)?, Usage::of(own)?);
    let began = world.now();
    for ((sender, frames), positions) in lines {
        run.running.set(run.running.get() + 1);
        world.spawn(TaskClass::Serve, read_all(Rc::clone(&run), sender, frames, positions));
    }
    while run.running.get() > 0 {
        if world.timeout(Duration::from_secs(1), run.ended.notified()).await.is_err() {
            progress(world.now().since(began), run.samples.borrow().records);
        }
    }
    let measured = world.now().since(began);
    if let Some(error) = run.failure.borrow_mut().take() {
        return Err(error);
    }
    let samples = std::mem::take(&mut *run.samples.borrow_mut());
    let broker = broker_before.zip(usage(run.plan.pid)?).map(|(before, now)| now.since(&before));
    let client = Usage::of(own)?.since(&own_before);
    Ok(Outcome { samples, seconds: measured.as_secs_f64(), broker, client })
}

async fn positions(
    plan: &ConsumePlan,
    number: u32,
    connection: &mut (Sender, Frames),
) -> Result<Vec<Position>, BenchError> {
    let mine = (0..plan.partitions).filter(|partition| partition % plan.connections == number);
    let mine: Vec<i32> = mine.map(|index| i32::try_from(index).unwrap_or(i32::MAX)).collect();
    let first = offsets(plan, connection, &mine, -2).await?;
    let last = offsets(plan, connection, &mine, -1).await?;
    let both = first.into_iter().zip(last);
    Ok(both.map(|((partition, next), (_, end))| Position { partition, next, end }).collect())
}

async fn offsets(
    plan: &ConsumePlan,
    connection: &mut (Sender, Frames),
    partitions: &[i32],
    timestamp: i64,
) -> Result<Vec<(i32, i64)>, BenchError> {
    let body = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: &plan.topic,
            partitions: partitions
                .iter()
                .map(|index| ListOffsetsPartition {
                    partition_index: *index,
                    timestamp,
                    ..ListOffsetsPartition::default()
                })
                .collect(),
        }],
        ..ListOffsetsRequest::default()
    };
    let request = wire::frame(Api::ListOffsets, wire::LIST_OFFSETS, &body)?;
    wire::ask(connection, &request, |bytes| {
        let answer: ListOffsetsResponse<'_> = wire::decode(bytes, wire::LIST_OFFSETS)?;
        let found = answer.topics.iter().flat_map(|topic| &topic.partitions);
        found
            .map(|partition| match partition.error_code {
                ErrorCode::None => Ok((partition.partition_index, partition.offset)),
                code => Err(BenchError::Refused { what: "list offsets", code }),
            })
            .collect()
    })
    .await
}

async fn read_all(
    run: Rc<Run>,
    mut sender: Sender,
    mut frames: Frames,
    mut positions: Vec<Position>,
) {
    while run.world.now() < run.end && run.failure.borrow().is_none() {
        positions.retain(|position| position.next < position.end);
        if positions.is_empty() {
            break;
        }
        if let Err(error) = fetch(&run, &mut sender, &mut frames, &mut positions).await {
            run.failure.borrow_mut().get_or_insert(error);
        }
    }
    run.running.set(run.running.get() - 1);
    run.ended.notify_all();
}

async fn fetch(
    run: &Run,
    sender: &mut Sender,
    frames: &mut Frames,
    positions: &mut [Position],
) -> Result<(), BenchError> {
    let plan = &run.plan;
    let body = FetchRequest {
        replica_id: -1,
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: i32::try_from(plan.fetch_bytes).unwrap_or(i32::MAX),
        topics: vec![FetchTopic {
            topic: &plan.topic,
            partitions: positions
                .iter()
                .map(|position| FetchPartition {
                    partition: position.partition,
                    fetch_offset: position.next,
                    partition_max_bytes: i32::try_from(plan.fetch_bytes).unwrap_or(i32::MAX),
                    ..FetchPartition::default()
                })
                .collect(),
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    };
    let request = wire::frame(Api::Fetch, wire::FETCH, &body)?;
    let asked = run.world.now();
    sender.send_all(&request).await?;
    let frame = frames.next().await?;
    let answer: FetchResponse<'_> = wire::decode(&frame, wire::FETCH)?;
    let (mut records, mut bytes) = (0, 0);
    for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
        if partition.error_code != ErrorCode::None {
            return Err(BenchError::Refused { what: "fetch", code: partition.error_code });
        }
        let Some(position) =
            positions.iter_mut().find(|it| it.partition == partition.partition_index)
        else {
            continue;
        };
        let data = partition.records.unwrap_or_default();
        bytes += data.len() as u64;
        records += advance(position, data);
    }
    run.samples.borrow_mut().add(run.world.now().since(asked), records, bytes);
    // The next request stands in front, so that every partition gets its share of a full answer.
    positions.rotate_left(1);
    Ok(())
}

/// Moves the position behind the whole batches in `data` and gives their records.
fn advance(position: &mut Position, mut data: &[u8]) -> u64 {
    let mut records = 0;
    while let Some(header) = BatchHeader::peek(data) {
        let size = usize::try_from(header.length()).unwrap_or(0) + LENGTH_ENDS_AT;
        let Some(rest) = data.get(size..) else { break };
        position.next = header.base_offset() + i64::from(header.last_offset_delta()) + 1;
        records += u64::try_from(header.record_count()).unwrap_or(0);
        data = rest;
    }
    records
}
