//! Bad days of the disk: it fills up, it fails a sync, it holds what we did not write (row S30).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tests::batch::{batch, record};
use tests::broker::Broker;
use tests::device::Device;
use tests::seeded::Seeded;
use tests::wire::Wire;

use crate::fixture::{Fixture, is_foreign, now_ms};

const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// Error codes that tell a client to come again: timed out, storage error, not enough replicas.
const RETRIABLE: [i64; 4] = [5, 7, 19, 56];
const STORAGE_ERROR: i64 = 56;

/// A broker whose directory lies on a disk of its own.
struct OnDisk {
    fixture: Fixture,
    device: Device,
    image: PathBuf,
}

/// Nothing when this machine cannot make such a disk; under CI that fails.
fn on_disk(name: &str, megabytes: u64) -> Option<OnDisk> {
    if is_foreign() {
        return None;
    }
    if let Some(reason) = Device::missing() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{reason}");
        return None;
    }
    let mut fixture = Fixture::prepare(name, "");
    let image = fixture.dir.join("image");
    Device::format(&image, megabytes).unwrap();
    let device = Device::mount(&image, &fixture.dir).unwrap();
    fixture.plan.dir = device.mount.join("broker");
    fixture.plan.arguments = vec!["--shards".into(), "1".into(), "--memory".into(), "64MiB".into()];
    Some(OnDisk { fixture, device, image })
}

fn one(value: &[u8]) -> Vec<u8> {
    batch(&[record(0, b"k", value)], now_ms())
}

/// The base offsets that a fetch from the beginning returns.
fn offsets(wire: &mut Wire, topic: &str) -> Vec<i64> {
    let mut found = Vec::new();
    loop {
        let from = found.last().map_or(0, |last| last + 1);
        let (code, high_watermark, records) = wire.fetch(topic, 0, from).unwrap();
        assert_eq!(code, 0, "fetch from {from}");
        let mut rest = &records[..];
        while rest.len() > 12 {
            let base = i64::from_be_bytes(rest[..8].try_into().unwrap());
            let length = u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize + 12;
            if length > rest.len() {
                break;
            }
            if base >= from {
                found.push(base);
            }
            rest = &rest[length..];
        }
        if found.last().map_or(0, |last| last + 1) >= high_watermark {
            return found;
        }
    }
}

#[test]
fn a_full_disk_refuses_records_serves_fetches_and_heals() {
    let Some(OnDisk { mut fixture, device, .. }) = on_disk("disk-full", 128) else { return };
    fs::create_dir_all(&fixture.plan.dir).unwrap();
    let ballast = device.mount.join("ballast");
    File::create(&ballast).unwrap().write_all(&vec![1; 24 << 20]).unwrap();
    fixture.launch();
    let mut wire = fixture.topic("filling", &[]);
    let value = vec![0xAB; 500_000];
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    // Nothing that holds 128 MiB takes 400 of these.
    for _ in 0..400 {
        let (code, offset) = wire.produce("filling", 0, &one(&value)).unwrap();
        if code == 0 {
            acknowledged.push(offset);
        } else {
            assert!(
                RETRIABLE.contains(&code),
                "error {code} does not tell the client to come again"
            );
            refused += 1;
        }
        if refused >= 5 {
            break;
        }
    }
    assert!(refused > 0, "a full disk took {} records", acknowledged.len());
    assert!(acknowledged.len() > 10, "only {} records before it was full", acknowledged.len());
    assert_eq!(
        offsets(&mut wire, "filling"),
        acknowledged,
        "what is there is not what was acknowledged"
    );

    fs::remove_file(&ballast).unwrap();
    let deadline = Instant::now() + HEALED_WITHIN;
    loop {
        let (code, offset) = wire.produce("filling", 0, &one(b"again")).unwrap();
        if code == 0 {
            acknowledged.push(offset);
            break;
        }
        assert!(Instant::now() < deadline, "error {code} although there is room again");
    }
    fixture.kill();
    fixture.launch();
    assert_eq!(offsets(&mut fixture.connect(), "filling"), acknowledged, "after a kill");
    fixture.kill();
    drop(device);
    fixture.leave();
}

#[test]
fn a_failed_sync_fences_the_directory_and_nothing_more_is_acknowledged() {
    let Some(OnDisk { mut fixture, device, image }) = on_disk("disk-sync", 512) else { return };
    fixture.launch();
    let mut wire = fixture.topic("synced", &[]);
    let mut acknowledged = Vec::new();
    for _ in 0..20 {
        let (code, offset) = wire.produce("synced", 0, &one(b"before")).unwrap();
        assert_eq!(code, 0);
        acknowledged.push(offset);
    }
    device.fail_next_flush().unwrap();
    // The flush that fails may be one that no produce waits for; but soon one does.
    let deadline = Instant::now() + HEALED_WITHIN;
    while !device.flush_has_failed().unwrap() {
        match wire.produce("synced", 0, &one(b"during")) {
            Ok((0, offset)) => acknowledged.push(offset),
            Ok((code, _)) => assert!(RETRIABLE.contains(&code), "error {code}"),
            Err(_gone) => break,
        }
        assert!(Instant::now() < deadline, "nothing was flushed");
    }
    // From here on the disk says that all is well, and must not be believed.
    for _ in 0..20 {
        match wire.produce("synced", 0, &one(b"after")) {
            Ok((code, _)) => assert_eq!(code, STORAGE_ERROR, "acknowledged on a disk that failed"),
            Err(_gone) => break,
        }
    }
    let log = fixture.log().to_lowercase();
    assert!(log.contains("fence") || log.contains("sync"), "nothing in the log:\n{log}");
    if fixture.broker().is_running() {
        fixture.kill();
    }
    drop(device);

    let device = Device::mount(&image, &fixture.dir).unwrap();
    fixture.launch();
    let there = offsets(&mut fixture.connect(), "synced");
    assert!(there.starts_with(&acknowledged), "acknowledged {acknowledged:?}, found {there:?}");
    fixture.kill();
    drop(device);
    fixture.leave();
}

/// How a file is spoilt.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip,
    Zero,
    Noise,
    Cut,
    Grow,
    Remove,
}

const HARMS: [Harm; 6] = [Harm::Flip, Harm::Zero, Harm::Noise, Harm::Cut, Harm::Grow, Harm::Remove];

#[test]
fn s30_a_hostile_directory_is_served_or_refused_and_never_a_reason_to_fall() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::start("s30");
    for name in ["one", "two"] {
        let mut wire = fixture.topic(name, &[]);
        for number in 0..50 {
            assert_eq!(wire.produce(name, 0, &one(&vec![number; 3_000])).unwrap().0, 0);
        }
    }
    fixture.kill();
    let sound = fixture.dir.join("sound");
    copy(&fixture.plan.dir, &sound);

    let mut seeded = Seeded::new(30);
    let (mut served, mut refused) = (0, 0);
    for round in 0..40 {
        fs::remove_dir_all(&fixture.plan.dir).unwrap();
        copy(&sound, &fixture.plan.dir);
        let files = files_of(&fixture.plan.dir);
        let file = files[usize::try_from(seeded.below(files.len() as u64)).unwrap()].clone();
        let harm = HARMS[round % HARMS.len()];
        spoil(&file, harm, &mut seeded);
        match Broker::start(&fixture.plan) {
            Ok(broker) => {
                served += 1;
                // Whatever is left can be asked for, and every batch that comes is whole.
                let mut wire = fixture.connect();
                for name in ["one", "two"] {
                    let answer = wire.fetch(name, 0, 0);
                    assert!(answer.is_ok(), "{harm:?} of {}: {answer:?}", file.display());
                }
                broker.kill().unwrap();
            }
            Err(error) => {
                refused += 1;
                let text = error.to_string();
                assert!(
                    text.contains("ended with exit status"),
                    "{harm:?} of {}: {text}",
                    file.display()
                );
            }
        }
        let log = fixture.log();
        assert!(!log.contains("panicked"), "{harm:?} of {}:\n{log}", file.display());
    }
    assert_eq!(served + refused, 40);
    assert!(served > 0, "nothing was served with one file spoilt");
    fixture.leave();
}

/// Where the groups of a ring file lie: each one's first byte, and the bytes of its payload.
fn groups_of(ring: &Path) -> Vec<(u64, u64)> {
    let bytes = fs::read(ring).unwrap();
    let blocks = bytes.chunks(4096).enumerate();
    let groups = blocks.filter(|(_, block)| block.starts_with(b"CLG1")).map(|(at, block)| {
        let payload = u32::from_le_bytes(block[56..60].try_into().unwrap());
        (at as u64 * 4096, u64::from(payload))
    });
    groups.collect()
}

/// The fields of a group's header, each by its first byte (docs/format.md 3.2).
const FIELDS: [u64; 15] = [0, 4, 6, 8, 12, 16, 32, 40, 48, 52, 56, 64, 72, 80, 84];

/// The first shard's journal carries the metadata log: what is lost there may leave nothing to serve,
/// but then the broker says so and ends.
#[test]
fn s30_a_flipped_bit_in_the_first_journal_is_told_or_refused_in_one_line() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::start("s30-first");
    for name in ["one", "two", "three"] {
        let mut wire = fixture.topic(name, &[]);
        assert_eq!(wire.produce(name, 0, &one(&[7; 500])).unwrap().0, 0);
    }
    fixture.kill();
    let sound = fixture.dir.join("sound");
    copy(&fixture.plan.dir, &sound);
    let ring = fixture.plan.dir.join("shards/0/ring-0");
    let mut groups = groups_of(&ring);
    // Whether the newest were acknowledged nobody can tell: damage to them is a torn tail.
    groups.truncate(groups.len() - 2);
    assert!(groups.len() > 5, "{groups:?}");

    let mut seeded = Seeded::new(31);
    let mut below = |bound: u64| seeded.below(bound);
    let mut places: Vec<u64> =
        FIELDS.iter().map(|field| groups[below(groups.len() as u64) as usize].0 + field).collect();
    // The first payloads make the metadata log and its first records.
    places.extend(groups[..5].iter().map(|(at, payload)| at + 128 + payload / 2));
    for _ in 0..10 {
        let (at, payload) = groups[below(groups.len() as u64) as usize];
        places.push(at + below(128 + payload));
    }
    let (mut served, mut refused) = (0, 0);
    for place in places {
        fs::remove_dir_all(&fixture.plan.dir).unwrap();
        copy(&sound, &fixture.plan.dir);
        let handle = File::options().read(true).write(true).open(&ring).unwrap();
        let mut byte = [0];
        handle.read_exact_at(&mut byte, place).unwrap();
        handle.write_all_at(&[byte[0] ^ 0x10], place).unwrap();
        let said_before = fixture.log().len();
        let started = Broker::start(&fixture.plan);
        let said = fixture.log()[said_before..].to_owned();
        assert!(!said.contains("panicked"), "byte {place}:\n{said}");
        match started {
            Ok(broker) => {
                served += 1;
                assert!(said.contains("lost"), "byte {place}: nothing is told:\n{said}");
                fixture.connect().ping().unwrap();
                broker.kill().unwrap();
            }
            Err(error) => {
                refused += 1;
                let text = error.to_string();
                assert!(text.contains("ended with exit status"), "byte {place}: {text}");
                let why = said.lines().filter(|line| line.starts_with("corelog: ")).count();
                assert_eq!(why, 1, "byte {place}:\n{said}");
            }
        }
    }
    assert!(served > 0 && refused > 0, "{served} served, {refused} refused");
    fixture.leave();
}

fn copy(from: &Path, to: &Path) {
    let status =
        std::process::Command::new("cp").arg("-a").arg("--sparse=always").args([from, to]).status();
    assert!(status.unwrap().success(), "cp");
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_of(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn spoil(file: &Path, harm: Harm, seeded: &mut Seeded) {
    let length = fs::metadata(file).unwrap().len();
    let at = seeded.below(length.min(256 << 10));
    let handle = File::options().read(true).write(true).open(file).unwrap();
    match harm {
        Harm::Remove => fs::remove_file(file).unwrap(),
        Harm::Cut => handle.set_len(at).unwrap(),
        Harm::Grow => handle.set_len(length + 1 + seeded.below(1 << 20)).unwrap(),
        Harm::Zero => handle.write_all_at(&[0; 4_096], at).unwrap(),
        Harm::Noise => {
            let noise: Vec<u8> = (0..512).flat_map(|_| seeded.bits().to_le_bytes()).collect();
            handle.write_all_at(&noise, at).unwrap();
        }
        Harm::Flip => {
            let mut byte = [0];
            if handle.read_at(&mut byte, at).unwrap() == 1 {
                handle.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
            }
        }
    }
}
