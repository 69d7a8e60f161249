//! Committed offsets and kills: what was acknowledged is there after every kill, and never goes back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tests::broker::{Broker, Plan};
use tests::seeded::Seeded;
use tests::wire::{Bytes, Wire};

const TOPIC: &str = "offsets.kills";
const OFFSET_COMMIT: i16 = 8;
const OFFSET_FETCH: i16 = 9;
const FIND_COORDINATOR: i16 = 10;
const WRITERS: usize = 4;
const GROUPS: usize = 5;
const PARTITIONS: i32 = 3;
/// So many commits must be acknowledged between two kills.
const PROGRESS: i64 = 200;
const PATIENCE: Duration = Duration::from_secs(60);

/// The offsets that one writer has sent and that were acknowledged, one place for each group: a commit names all
/// partitions of the topic with the same offset.
struct Counter {
    sent: AtomicI64,
    acknowledged: AtomicI64,
}

/// Commits and kills; gives what to say about it.
///
/// # Errors
/// The broker does not start or does not answer.
pub(crate) fn run(
    plan: &Plan,
    mut broker: Broker,
    rounds: u64,
    seeded: &mut Seeded,
) -> io::Result<(Result<String, String>, Broker)> {
    let mut wire = Wire::connect(plan.kafka)?;
    let created = wire.create_topic(TOPIC, PARTITIONS, &[])?;
    wire.call(FIND_COORDINATOR, 0, &Bytes::default().text("any"))?;
    if created != 0 {
        return Err(io::Error::other(format!("creating {TOPIC}: error {created}")));
    }
    let counter = |_| Counter { sent: AtomicI64::new(-1), acknowledged: AtomicI64::new(-1) };
    let counters: Arc<Vec<Counter>> = Arc::new((0..WRITERS * GROUPS).map(counter).collect());
    let ending = Arc::new(AtomicBool::new(false));
    let writers: Vec<JoinHandle<()>> = (0..WRITERS)
        .map(|writer| {
            let (counters, ending) = (Arc::clone(&counters), Arc::clone(&ending));
            let port = plan.kafka;
            thread::spawn(move || commit_all(port, writer, &counters, &ending))
        })
        .collect();
    let mut found = vec![-1; WRITERS * GROUPS];
    let mut told = Ok(());
    for _ in 0..rounds {
        await_progress(&counters)?;
        // The moment of the kill is what the test is about.
        thread::sleep(Duration::from_millis(seeded.below(500)));
        broker.kill()?;
        broker = Broker::start(plan)?;
        told = check(plan.kafka, &counters, &mut found);
        if told.is_err() {
            break;
        }
    }
    ending.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().map_err(|_panicked| io::Error::other("a writer has failed"))?;
    }
    let told = told.and_then(|()| check(plan.kafka, &counters, &mut found));
    let commits = total(&counters);
    Ok((
        told.map(|()| format!("{rounds} kills, {commits} commits acknowledged, none lost")),
        broker,
    ))
}

fn total(counters: &[Counter]) -> i64 {
    counters.iter().map(|counter| counter.acknowledged.load(Ordering::SeqCst) + 1).sum()
}

fn await_progress(counters: &[Counter]) -> io::Result<()> {
    let (before, deadline) = (total(counters), Instant::now() + PATIENCE);
    while total(counters) < before + PROGRESS {
        if Instant::now() >= deadline {
            return Err(io::Error::other("commits are not acknowledged any more"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn group_of(number: usize) -> String {
    format!("offsets-{number}")
}

/// Commits for each of a writer's groups in turn.
fn commit_all(port: u16, writer: usize, counters: &[Counter], ending: &AtomicBool) {
    let mut wire = None;
    let mut turn = 0;
    while !ending.load(Ordering::Relaxed) {
        let number = writer * GROUPS + turn % GROUPS;
        let counter = &counters[number];
        wire = wire.or_else(|| Wire::connect(port).ok());
        let Some(open) = wire.as_mut() else { continue };
        let offset = counter.sent.load(Ordering::SeqCst) + 1;
        counter.sent.store(offset, Ordering::SeqCst);
        match commit(open, &group_of(number), offset) {
            Ok(0) => {
                counter.acknowledged.store(offset, Ordering::SeqCst);
                turn += 1;
            }
            // It is being loaded; the next offset is sent then.
            Ok(_) => {}
            Err(_) => wire = None,
        }
    }
}

/// Commits one offset for all partitions; the first error of any of them.
fn commit(wire: &mut Wire, group: &str, offset: i64) -> io::Result<i64> {
    let body = Bytes::default().text(group).i32(-1).text("").i64(-1).i32(1).text(TOPIC);
    let body = body.i32(PARTITIONS);
    let body = (0..PARTITIONS).fold(body, |body, index| body.i32(index).i64(offset).text("m"));
    let mut answer = wire.call(OFFSET_COMMIT, 2, &body)?;
    answer.i32()?;
    answer.text()?;
    let mut first = 0;
    for _ in 0..answer.i32()? {
        answer.i32()?;
        let code = answer.i16()?;
        first = if first == 0 { code } else { first };
    }
    Ok(first)
}

/// Every group's offset is one that was sent, not older than what was acknowledged or seen before, and the same in
/// every partition, because a commit is whole.
fn check(port: u16, counters: &[Counter], found: &mut [i64]) -> Result<(), String> {
    let mut wire = Wire::connect(port).map_err(|error| error.to_string())?;
    for (number, counter) in counters.iter().enumerate() {
        let acknowledged = counter.acknowledged.load(Ordering::SeqCst);
        let offsets = fetch(&mut wire, &group_of(number)).map_err(|error| error.to_string())?;
        let sent = counter.sent.load(Ordering::SeqCst);
        let group = group_of(number);
        let least = acknowledged.max(found[number]);
        for offset in &offsets {
            if *offset < least || *offset > sent || *offset != offsets[0] {
                return Err(format!(
                    "{group} stands at {offsets:?}: acknowledged {acknowledged}, seen before {}, sent {sent}",
                    found[number]
                ));
            }
        }
        found[number] = offsets.iter().copied().min().unwrap_or(-1);
    }
    Ok(())
}

/// A group's offsets, once its home has loaded them.
fn fetch(wire: &mut Wire, group: &str) -> io::Result<Vec<i64>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let body = Bytes::default().text(group).i32(1).text(TOPIC).i32(PARTITIONS);
        let body = (0..PARTITIONS).fold(body, Bytes::i32);
        let mut answer = wire.call(OFFSET_FETCH, 1, &body)?;
        answer.i32()?;
        answer.text()?;
        let mut offsets = Vec::new();
        let mut failed = 0;
        for _ in 0..answer.i32()? {
            answer.i32()?;
            offsets.push(answer.i64()?);
            answer.text()?;
            failed = answer.i16()?.max(failed);
        }
        match failed {
            0 => return Ok(offsets),
            14..=16 if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            code => return Err(io::Error::other(format!("{group}: error {code}"))),
        }
    }
}
