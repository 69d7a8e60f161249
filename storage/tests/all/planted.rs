//! Damage made on purpose in a crash image, one kind each, so that every recovery rule is met: what is
//! read is what was written, and what must not cost anything costs nothing.

use std::path::{Path, PathBuf};

use protocol::batch::RawBatch;
use protocol::crc::crc32c;
use protocol::epoch::LeaderEpoch;
use protocol::ids::TopicPartition;
use runtime::sim::{DiskFaults, NodeId, Sim, SimDisk};
use storage::{DataDir, Log, ReadError, ReadLimit, Rule, Store, StoreConfig};

use crate::model::{Model, ModelLog, Random, open};

const BLOCK: usize = 4096;

/// What is done to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    RingFlip,
    RingSwap,
    RingUnreadable,
    SuperblockFlip,
    IndexFlip,
    IndexLie,
    IndexForeign,
    CheckpointFlip,
    CheckpointEpochs,
    CheckpointWatermark,
    CheckpointStart,
    CheckpointEpochAhead,
    SegmentCut,
    Stranger,
    StrangePartition,
}

const ALL: [Damage; 15] = [
    Damage::RingFlip,
    Damage::RingSwap,
    Damage::RingUnreadable,
    Damage::SuperblockFlip,
    Damage::IndexFlip,
    Damage::IndexLie,
    Damage::IndexForeign,
    Damage::CheckpointFlip,
    Damage::CheckpointEpochs,
    Damage::CheckpointWatermark,
    Damage::CheckpointStart,
    Damage::CheckpointEpochAhead,
    Damage::SegmentCut,
    Damage::Stranger,
    Damage::StrangePartition,
];

impl Damage {
    /// Whether every acknowledged record must be readable all the same.
    fn is_harmless(self) -> bool {
        match self {
            Self::SuperblockFlip
            | Self::IndexFlip
            | Self::IndexLie
            | Self::IndexForeign
            | Self::CheckpointFlip
            | Self::CheckpointEpochs
            | Self::CheckpointWatermark
            | Self::Stranger
            | Self::StrangePartition => true,
            Self::RingFlip
            | Self::RingSwap
            | Self::RingUnreadable
            | Self::CheckpointStart
            | Self::CheckpointEpochAhead
            | Self::SegmentCut => false,
        }
    }
}

/// Damages a copy of an image and recovers it. Gives which rules were applied; nothing if the image
/// has nothing that could be damaged like that.
pub fn recover(
    image: &SimDisk,
    model: &Model,
    config: &StoreConfig,
    random: &mut Random,
) -> Option<[u32; Rule::ALL.len()]> {
    let damage = ALL[random.below(ALL.len() as u64) as usize];
    let disk = image.kill();
    disk.set_faults(DiskFaults::instant());
    plant(damage, &disk, random)?;
    let segments = files(&disk, "log");
    let sim = Sim::new(random.next());
    sim.set_disk(NodeId(0), disk.clone());
    let recovered = sim.run(async |world| {
        let (store, report) = match open(&world, config).await {
            Ok(opened) => opened,
            Err(error) if damage.is_harmless() => panic!("{damage:?}: {error}"),
            Err(_) => return ([0; Rule::ALL.len()], Vec::new()),
        };
        let offline = store.logs().into_iter().filter(Log::is_offline);
        let broken: Vec<_> = offline.map(|log| directory(log.partition())).collect();
        assert!(!damage.is_harmless() || report.lost.is_empty(), "{damage:?}: {:?}", report.lost);
        let mut swept = [0; Rule::ALL.len()];
        if damage == Damage::StrangePartition {
            let known = store.logs().iter().map(Log::partition).collect();
            let moved = DataDir::sweep(&world, &config.dir, &known).await.expect("it can move");
            swept[Rule::R15 as usize] = moved.strays;
            swept[Rule::R14 as usize] = moved.lost;
            assert!(moved.strays > 0, "nothing was set aside");
        }
        for (partition, known) in &model.logs {
            let Some(log) = store.log(*partition) else {
                let excused = !known.create_acked || known.delete_asked || !damage.is_harmless();
                assert!(excused, "{damage:?}: {partition} is gone");
                continue;
            };
            let fits = damage != Damage::CheckpointEpochAhead || log.check_epoch(LeaderEpoch::ZERO);
            assert_eq!(log.is_offline(), !fits || log.log_end_offset() < log.log_start_offset());
            // Without the groups that say so, nobody knows that a log was deleted and made anew.
            let strict = report.lost_groups.is_none();
            read(&log, known, damage, strict).await;
        }
        assert!(store.fenced().is_none(), "{damage:?}: {:?}", store.fenced());
        finish(&store, damage).await;
        let mut rules = store.rules();
        rules.iter_mut().zip(swept).for_each(|(sum, count)| *sum += count);
        (rules, broken)
    });
    let (rules, broken) = recovered.unwrap_or_else(|stuck| panic!("{damage:?}: {stuck:?}"));
    if damage == Damage::CheckpointStart && rules[Rule::R12 as usize] > 0 {
        // Segments go where a partition was deleted, and where one was made after the checkpoint
        // and trimmed: the journal says so.
        let kept = |segment: &&PathBuf| broken.iter().any(|dir| segment.starts_with(dir));
        for segment in segments.iter().filter(kept) {
            assert!(disk.peek(segment).is_some(), "{} was deleted", segment.display());
        }
    }
    Some(rules)
}

/// Whatever is lost, the store goes on.
async fn finish(store: &Store, damage: Damage) {
    if damage != Damage::CheckpointStart {
        store.tick(1_700_000_000_000).await.expect("nothing fails");
    }
    store.close().await.expect("nothing fails");
}

/// Reads all there is. Every batch is one that was sent, at its offset; what is lost is said.
async fn read(log: &Log, known: &ModelLog, damage: Damage, strict: bool) {
    let (mut from, end) = (log.log_start_offset(), log.log_end_offset());
    let mut told = Vec::new();
    while from < end {
        let limit = ReadLimit { max_bytes: 10_000, end, at_least_one: true };
        match log.read(from, limit).await {
            Ok(outcome) => {
                assert!(outcome.next > from, "{damage:?}: stands still at {from} of {end}");
                let mut bytes = Vec::new();
                outcome.slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
                let mut rest = &bytes[..];
                while let Ok((batch, after)) = RawBatch::split_first(rest) {
                    let base = batch.check().expect("a whole batch").base_offset().get();
                    let sent = known.batches.iter().find(|it| it.base == base);
                    let right = sent.is_some_and(|sent| batch.0 == &sent.bytes[..]);
                    assert!(right || !strict, "{damage:?}: {base} of {}", log.partition());
                    rest = after;
                }
                assert!(rest.is_empty(), "{damage:?}: half a batch");
                from = outcome.next;
            }
            Err(ReadError::Lost(range)) => {
                assert!(!damage.is_harmless(), "{damage:?}: {range:?} of {}", log.partition());
                from = protocol::offset::Offset::new(range.end).expect("an offset");
                told.push(range);
            }
            Err(error) => {
                assert!(!damage.is_harmless(), "{damage:?}: {error}");
                return;
            }
        }
    }
    assert!(told.is_sorted_by_key(|range| range.start), "{damage:?}: {told:?}");
    let kept = log.log_end_offset().get() >= known.acked_end();
    assert!(kept || !damage.is_harmless(), "{damage:?}: {} ends early", log.partition());
}

/// Where a partition's files are.
fn directory(partition: TopicPartition) -> PathBuf {
    let id = partition.topic.get().map(|byte| format!("{byte:02x}")).concat();
    let topic = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
    PathBuf::from(format!("/data/topics/{topic}/{}", partition.index))
}

#[test]
fn a_partitions_files_are_where_they_are_looked_for() {
    let path = Path::new("/data/topics/01010101-0101-0101-0101-010101010101/1");
    assert_eq!(directory(crate::model::partition(1)), path);
}

fn files(disk: &SimDisk, extension: &str) -> Vec<PathBuf> {
    let files = disk.files().into_iter();
    files.filter(|path| path.extension().is_some_and(|it| it == extension)).collect()
}

fn pick<'a, T>(random: &mut Random, some: &'a [T]) -> Option<&'a T> {
    some.get(random.below(some.len() as u64) as usize)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Puts a checksum over `bytes`, computed with its own field zero.
fn sign(bytes: &mut [u8], at: usize) {
    bytes[at..at + 4].fill(0);
    let crc = crc32c(bytes);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn plant(damage: Damage, disk: &SimDisk, random: &mut Random) -> Option<()> {
    match damage {
        Damage::RingFlip => {
            let (ring, groups) = ring_groups(disk, random)?;
            let at = *pick(random, &groups)? as u64 + random.below(200);
            disk.flip(ring, at, random.below(8) as u8).ok()
        }
        Damage::RingSwap => {
            let (ring, groups) = ring_groups(disk, random)?;
            let (one, other) = (*pick(random, &groups)?, *pick(random, &groups)?);
            let mut bytes = disk.peek(&ring)?;
            let block = bytes[one..one + BLOCK].to_vec();
            bytes.copy_within(other..other + BLOCK, one);
            bytes[other..other + BLOCK].copy_from_slice(&block);
            disk.plant(ring, &bytes).ok()
        }
        Damage::RingUnreadable => {
            let only = "ring-".into();
            disk.set_faults(DiskFaults { only, read_error: 0.2, ..DiskFaults::instant() });
            Some(())
        }
        Damage::SuperblockFlip => {
            let at = random.below(4) * BLOCK as u64 + random.below(116);
            disk.flip("/data/shards/0/superblock", at, random.below(8) as u8).ok()
        }
        Damage::IndexFlip => {
            let (index, bytes) = an_index(disk, random)?;
            disk.flip(index, random.below(bytes.len() as u64), random.below(8) as u8).ok()
        }
        Damage::IndexLie => {
            let (index, mut bytes) = an_index(disk, random)?;
            bytes[36..40].copy_from_slice(&u32::MAX.to_le_bytes());
            sign(&mut bytes[..BLOCK], 8);
            disk.plant(index, &bytes).ok()
        }
        Damage::IndexForeign => {
            let ((index, _), (other, bytes)) = (an_index(disk, random)?, an_index(disk, random)?);
            (index != other).then_some(())?;
            disk.plant(index, &bytes).ok()
        }
        Damage::CheckpointFlip => {
            let checkpoints = files(disk, if random.chance(50) { "a" } else { "b" });
            let newest = checkpoints.into_iter().max_by_key(|path| number_of(path))?;
            let bytes = disk.peek(&newest)?;
            disk.flip(newest, random.below(bytes.len() as u64), 3).ok()
        }
        Damage::CheckpointEpochs => patch_checkpoints(disk, |record| {
            let beyond = end_of(record) + 1_000_000;
            if u32_at(record, 76) > 0 {
                record[84..92].copy_from_slice(&beyond.to_le_bytes());
            }
        }),
        Damage::CheckpointWatermark => patch_checkpoints(disk, |record| {
            let beyond = end_of(record) + 1_000_000;
            record[56..64].copy_from_slice(&beyond.to_le_bytes());
        }),
        Damage::CheckpointStart => patch_checkpoints(disk, |record| {
            let beyond = end_of(record) + 1_000_000;
            record[40..48].copy_from_slice(&beyond.to_le_bytes());
        }),
        Damage::CheckpointEpochAhead => patch_checkpoints(disk, |record| {
            record[64..68].copy_from_slice(&5u32.to_le_bytes());
        }),
        Damage::SegmentCut => {
            let segments = files(disk, "log");
            let segment = pick(random, &segments)?;
            let bytes = disk.peek(segment)?;
            let left = random.below(1 + (bytes.len() / BLOCK) as u64) as usize * BLOCK;
            disk.plant(segment, &bytes[..left.min(bytes.len())]).ok()
        }
        Damage::Stranger => {
            let segments = files(disk, "log");
            disk.plant(pick(random, &segments)?.with_file_name("what.is.this"), b"?").ok()
        }
        Damage::StrangePartition => {
            let path = "/data/topics/07070707-0707-0707-0707-070707070707/9/";
            disk.plant(Path::new(path).join("00000000000000000000.log"), b"whose?").ok()
        }
    }
}

/// A ring file, and where the groups in it begin.
fn ring_groups(disk: &SimDisk, random: &mut Random) -> Option<(PathBuf, Vec<usize>)> {
    let rings: Vec<PathBuf> = disk.files().into_iter().filter(|it| is_ring(it)).collect();
    let ring = pick(random, &rings)?.clone();
    let bytes = disk.peek(&ring)?;
    let starts = (0..bytes.len() / BLOCK).map(|block| block * BLOCK);
    let groups = starts.filter(|at| bytes[*at..].starts_with(b"CLG1")).collect();
    Some((ring, groups))
}

fn is_ring(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ring-"))
}

/// An index file that has a page.
fn an_index(disk: &SimDisk, random: &mut Random) -> Option<(PathBuf, Vec<u8>)> {
    let indexes = files(disk, "index").into_iter();
    let indexes = indexes.filter_map(|path| Some((disk.peek(&path)?, path)));
    let indexes: Vec<_> = indexes.filter(|(bytes, _)| bytes.len() >= BLOCK).collect();
    pick(random, &indexes).map(|(bytes, path)| (path.clone(), bytes.clone()))
}

fn number_of(checkpoint: &Path) -> u64 {
    let name = checkpoint.file_stem().unwrap_or_default().to_string_lossy();
    name.trim_start_matches("checkpoint-").parse().unwrap_or(0)
}

fn end_of(record: &[u8]) -> i64 {
    i64::from_le_bytes(record[48..56].try_into().unwrap())
}

/// Changes every record of a live log in every checkpoint, with true checksums (docs/format.md 4).
fn patch_checkpoints(disk: &SimDisk, change: impl Fn(&mut [u8])) -> Option<()> {
    let mut changed = None;
    for path in [files(disk, "a"), files(disk, "b")].concat() {
        let mut bytes = disk.peek(&path)?;
        let body_end = 64 + u32_at(&bytes, 40) as usize;
        let mut at = 64;
        for _ in 0..u32_at(&bytes, 52) {
            let size = 4 + u32_at(&bytes, at) as usize;
            if bytes[at + 28] == 1 {
                change(&mut bytes[at..at + size]);
                changed = Some(());
            }
            at += size;
        }
        let crc = crc32c(&bytes[64..body_end]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
        sign(&mut bytes[..64], 12);
        disk.plant(path, &bytes).ok()?;
    }
    changed
}
