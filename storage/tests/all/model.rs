//! What a store must hold, kept beside it: every batch with its bytes, and which were acknowledged.

use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::batch::builder::BatchBuilder;
use protocol::batch::{Compression, RawBatch};
use protocol::epoch::{LeaderEpoch, ProducerEpoch};
use protocol::ids::{BrokerId, PartitionIndex, ProducerId, TopicId, TopicPartition};
use protocol::offset::Offset;
use runtime::{ShardId, World};
use storage::{
    AppendContext, AppendError, Appended, DataDir, Identity, Log, LogConfig, OpenError, Origin,
    ReadError, ReadLimit, RecoveryReport, Store, StoreConfig, Ticket, Tuning,
};

/// A small generator of our own: tests must not change when a library does.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Files of a few blocks, so that rings lap, segments roll and chunks fill all the time.
pub fn tiny(random: &mut Random) -> StoreConfig {
    let mut config = StoreConfig::new("/data", ShardId(0));
    config.tuning = Tuning {
        ring_file_bytes: 32 << 10,
        group_bytes: 4 << 10,
        groups_in_flight: 1 + random.below(4) as usize,
        direct_bytes: 8 << 10,
        chunk_bytes: 4096 << random.below(3),
        allocate_bytes: 64 << 10,
        marker_ms: 40,
        read_ahead_bytes: 4096 << random.below(3),
    };
    config.journal_bytes = (32 << 10) * (4 + random.below(5));
    config.cache_bytes = (16 << 10) << random.below(4);
    config.unflushed_bytes = (64 << 10) << random.below(3);
    config.request_bytes = 16 << 10;
    config.open_files_max = 1 + random.below(8) as usize;
    config
}

pub fn identity() -> Identity {
    Identity { cluster: "test".into(), broker: BrokerId::new(1).unwrap() }
}

pub async fn open(
    world: &World,
    config: &StoreConfig,
) -> Result<(Store, RecoveryReport), OpenError> {
    drop(DataDir::open(world, &config.dir, &identity(), 1).await?);
    Store::open(world.clone(), config.clone()).await
}

pub fn partition(number: u8) -> TopicPartition {
    TopicPartition {
        topic: TopicId::new([number / 3 + 1; 16]),
        index: PartitionIndex::new(i32::from(number % 3)).unwrap(),
    }
}

/// A batch of `records` records with `bytes` bytes each, recognisable by `mark`.
pub fn batch(
    mark: u64,
    records: usize,
    bytes: usize,
    producer: Option<(i64, i16, i32)>,
) -> Vec<u8> {
    batch_at(mark, records, bytes, producer, 1_700_000_000_000)
}

pub fn batch_at(
    mark: u64,
    records: usize,
    bytes: usize,
    producer: Option<(i64, i16, i32)>,
    timestamp: i64,
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some((id, epoch, sequence)) = producer {
        let id = ProducerId::new(id).unwrap();
        builder.set_producer(id, ProducerEpoch::new(epoch).unwrap(), sequence);
    }
    let mut filler = Random::new(mark);
    for record in 0..records {
        let mut value: Vec<u8> =
            (0..bytes.div_ceil(8)).flat_map(|_| filler.next().to_le_bytes()).collect();
        value.truncate(bytes);
        let key = mark.to_be_bytes();
        builder.append(Some(&key), Some(&value), &[], timestamp + record as i64).unwrap();
    }
    let mut out = Vec::new();
    builder.build(&mut out).unwrap();
    out
}

pub fn append(log: &Log, bytes: &[u8]) -> Result<Appended, AppendError> {
    append_at(log, bytes, 1_700_000_000_000)
}

pub fn append_at(log: &Log, bytes: &[u8], now_ms: i64) -> Result<Appended, AppendError> {
    let batch = RawBatch(bytes).check().unwrap();
    let epoch = LeaderEpoch::new(0).unwrap();
    log.append(&batch, AppendContext { epoch, now_ms, origin: Origin::Client, max_timestamp: None })
}

/// The bytes as a log stores them.
pub fn stamped(bytes: &[u8], base: i64) -> Vec<u8> {
    let mut out = bytes.to_vec();
    protocol::batch::stamp(Offset::new(base).unwrap(), LeaderEpoch::ZERO, &mut out);
    out
}

#[derive(Clone)]
pub struct ModelBatch {
    pub base: i64,
    pub next: i64,
    pub bytes: Rc<Vec<u8>>,
    pub ticket: Ticket,
    pub acked: bool,
    /// The bytes as sent, to send them again.
    pub sent: Rc<Vec<u8>>,
    pub producer: bool,
}

#[derive(Clone, Default)]
pub struct ModelLog {
    pub created: Option<Ticket>,
    pub create_acked: bool,
    pub delete_asked: bool,
    pub delete_acked: bool,
    pub batches: Vec<ModelBatch>,
    /// The largest log start asked for, and the largest acknowledged.
    pub trim_asked: i64,
    pub trim_acked: i64,
    pub sequence: i32,
}

impl ModelLog {
    pub fn end(&self) -> i64 {
        self.batches.last().map_or(0, |it| it.next)
    }
    pub fn acked_end(&self) -> i64 {
        self.batches.iter().rev().find(|it| it.acked).map_or(0, |it| it.next)
    }
}

#[derive(Clone, Default)]
pub struct Model {
    pub logs: BTreeMap<TopicPartition, ModelLog>,
    pub acked: u64,
    pub next_mark: u64,
}

impl Model {
    /// Everything up to the ticket is durable.
    pub fn ack(&mut self, ticket: Ticket) {
        for log in self.logs.values_mut() {
            if log.created.is_some_and(|it| it <= ticket) {
                log.create_acked = true;
            }
            for batch in log.batches.iter_mut().rev().take(64) {
                if !batch.acked && batch.ticket <= ticket {
                    batch.acked = true;
                    self.acked += 1;
                }
            }
        }
    }

    /// Compares a recovered store with what was promised, and forgets what was not kept because it
    /// was not promised.
    pub async fn check(&mut self, store: &Store, report: &RecoveryReport) {
        assert!(report.lost.is_empty(), "offsets are lost: {:?}", report.lost);
        let mut gone = Vec::new();
        for (partition, model) in &mut self.logs {
            let Some(log) = store.log(*partition) else {
                assert!(
                    !model.create_acked || model.delete_asked,
                    "{partition} was created and is not there"
                );
                gone.push(*partition);
                continue;
            };
            assert!(!model.delete_acked, "{partition} was deleted and is back");
            model.delete_asked = false;
            model.create_acked = true;
            model.created = None;
            let end = log.log_end_offset().get();
            assert!(
                end >= model.acked_end(),
                "{partition}: acknowledged up to {}, recovered up to {end}",
                model.acked_end()
            );
            model.batches.retain(|batch| batch.next <= end);
            assert_eq!(model.end(), end, "{partition} ends inside a batch or beyond what was sent");
            for batch in &mut model.batches {
                batch.acked = true;
                batch.ticket = Ticket::default();
            }
            let start = log.log_start_offset().get();
            assert!(
                (model.trim_acked..=model.trim_asked.max(model.trim_acked)).contains(&start),
                "{partition} starts at {start}, acknowledged {}, asked {}",
                model.trim_acked,
                model.trim_asked
            );
            model.trim_acked = start;
            model.trim_asked = start;
            assert_eq!(log.durable_offset().get(), end);
            read_all(&log, model).await;
            assert!(store.fenced().is_none(), "{:?}", store.fenced());
            check_producer(&log, model);
        }
        for partition in gone {
            self.logs.remove(&partition);
        }
        for log in store.logs() {
            assert!(self.logs.contains_key(&log.partition()), "{} was never made", log.partition());
        }
    }
}

/// Reads a log from its start to its end and compares every byte.
pub async fn read_all(log: &Log, model: &ModelLog) {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let mut from = start;
    let mut at = model.batches.partition_point(|batch| batch.next <= start.get());
    while from < end {
        let limit = ReadLimit { max_bytes: 10_000, end, at_least_one: true };
        let outcome = match log.read(from, limit).await {
            Ok(outcome) => outcome,
            Err(error) => panic!("{} at {from}: {error}", log.partition()),
        };
        assert!(outcome.next > from, "{} stands still at {from} of {end}", log.partition());
        let mut bytes: Vec<u8> = Vec::new();
        outcome.slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
        assert_eq!(bytes.len(), outcome.bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let wanted = &model.batches[at];
            assert!(
                rest.starts_with(&wanted.bytes),
                "{}: offset {} reads differently",
                log.partition(),
                wanted.base
            );
            rest = &rest[wanted.bytes.len()..];
            at += 1;
        }
        assert_eq!(outcome.next.get(), model.batches[at - 1].next);
        from = outcome.next;
    }
    assert_eq!(at, model.batches.len());
}

/// What an idempotent producer sent last is recognised.
pub fn check_producer(log: &Log, model: &mut ModelLog) {
    let last = model.batches.iter().rev().find(|it| it.producer);
    if let Some(last) = last {
        let again = append(log, &last.sent).expect("a duplicate is answered");
        assert!(again.duplicate, "{}: offset {} was appended twice", log.partition(), last.base);
        assert_eq!(again.base_offset.get(), last.base);
        let header = protocol::batch::BatchHeader::peek(&last.sent).unwrap();
        model.sequence = header.base_sequence() + header.record_count();
    } else {
        model.sequence = 0;
    }
}

/// Compares what is read at a random place.
pub async fn read_somewhere(log: &Log, model: &ModelLog, random: &mut Random) {
    let (start, end) = (log.log_start_offset().get(), log.log_end_offset().get());
    if end <= start {
        return;
    }
    let from = start + random.below((end - start) as u64) as i64;
    let limit = ReadLimit {
        max_bytes: random.below(20_000) as usize,
        end: Offset::new(end).unwrap(),
        at_least_one: true,
    };
    let outcome = match log.read(Offset::new(from).unwrap(), limit).await {
        Ok(outcome) => outcome,
        // Retention and deletion run beside it.
        Err(ReadError::OutOfRange { .. } | ReadError::Deleted) => return,
        Err(error) => panic!("{} at {from}: {error}", log.partition()),
    };
    let mut bytes: Vec<u8> = Vec::new();
    outcome.slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
    let first = model.batches.partition_point(|batch| batch.next <= from);
    let expected: Vec<u8> = model.batches[first..]
        .iter()
        .take_while(|batch| batch.next <= outcome.next.get())
        .flat_map(|batch| batch.bytes.iter().copied())
        .collect();
    assert!(!bytes.is_empty(), "{} reads nothing at {from} of {end}", log.partition());
    assert!(
        bytes == expected,
        "{} at {from} to {} reads differently",
        log.partition(),
        outcome.next
    );
}

pub fn small_segments(random: &mut Random) -> LogConfig {
    LogConfig {
        segment_bytes: 20_000 + random.below(80_000) as u32,
        retention_ms: -1,
        ..LogConfig::default()
    }
}
