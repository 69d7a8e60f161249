//! Reading on behalf of a client: records now, or as soon as there are some, over several
//! partitions and shards, for both dialects.

use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use protocol::{ErrorCode, Offset, TopicPartition};
use runtime::sync::Permit;
use runtime::{Map, Nanos, ShardId};

use crate::answer::Piece;
use crate::metrics::{Count, Stage};
use crate::shard::{LocalFuture, Shard};

/// No client needs to wait longer than this between two answers.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60 * 5);

/// One partition a client wants to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) partition: TopicPartition,
    /// The first offset wanted.
    pub(crate) offset: i64,
    /// How many bytes of records at most; a first batch may be larger.
    pub(crate) max_bytes: u32,
    /// The leader epoch the client knows, or -1. An older one is fenced (KIP-320).
    pub(crate) current_epoch: i32,
}

/// What a fetch as a whole may take and wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) max_bytes: u32,
    pub(crate) min_bytes: u32,
    pub(crate) max_wait: Duration,
}

/// What one partition gave.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) error: ErrorCode,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) bytes: usize,
}

impl Found {
    /// Nothing but an error.
    pub(crate) const fn error(error: ErrorCode) -> Self {
        Self {
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            pieces: Vec::new(),
            bytes: 0,
        }
    }
}

/// A [`Found`] that can travel between shards: its records are copied out of the cache.
struct Sent {
    error: ErrorCode,
    offsets: [i64; 3],
    records: Vec<Bytes>,
    bytes: usize,
}

/// Reads what is wanted. Waits, at most as long as the bounds say, while fewer than the least
/// bytes are there; an error of any partition ends the wait at once.
pub(crate) async fn read(
    shard: &Rc<Shard>,
    wanted: &[Wanted],
    bounds: Bounds,
) -> (Vec<Found>, Option<Permit>) {
    let most: u64 = wanted.iter().map(|want| u64::from(want.max_bytes)).sum();
    let most = most.min(u64::from(bounds.max_bytes));
    let deadline = shard.world.now() + bounds.max_wait;
    let mut waited = false;
    loop {
        let mut loan = shard.fetch_memory.acquire(most).await;
        let began = shard.world.now();
        let found = read_now(shard, wanted, bounds).await;
        let now = shard.world.now();
        shard.metrics.time(Stage::FetchRead, now.since(began));

        let bytes: usize = found.iter().map(|found| found.bytes).sum();
        let failed = found.iter().any(|found| found.error != ErrorCode::None);
        if failed || bytes >= bounds.min_bytes as usize || now >= deadline || shard.is_stopping() {
            shard.metrics.add(Count::FetchBytes, bytes as u64);
            loan.release(loan.units().saturating_sub(bytes as u64));
            return (found, Some(loan));
        }
        drop(loan);
        if shard.waiting_fetches.get() >= shard.config.limits.waiting_fetches_max {
            return (found, None);
        }
        if !waited {
            waited = true;
            shard.metrics.add(Count::FetchWaits, 1);
        }
        shard.waiting_fetches.set(shard.waiting_fetches.get() + 1);
        wait(shard, wanted, &found, deadline).await;
        shard.waiting_fetches.set(shard.waiting_fetches.get() - 1);
    }
}

/// Reads without waiting for records that are not there yet.
async fn read_now(shard: &Rc<Shard>, wanted: &[Wanted], bounds: Bounds) -> Vec<Found> {
    let mut found: Vec<Option<Found>> = wanted.iter().map(|_| None).collect();
    let mut left_bytes = bounds.max_bytes as usize;
    let mut away: Map<ShardId, Vec<(usize, Wanted)>> = Map::default();
    let mut any = false;

    for (at, want) in wanted.iter().enumerate() {
        match shard.view.home(want.partition) {
            Some(home) if home == shard.id => {
                let here = read_here(shard, want, left_bytes, !any).await;
                left_bytes = left_bytes.saturating_sub(here.bytes);
                any |= here.bytes > 0;
                found[at] = Some(here);
            }
            Some(home) => away.entry(home).or_default().push((at, *want)),
            None => found[at] = Some(Found::error(ErrorCode::UnknownTopicOrPartition)),
        }
    }
    for (home, parts) in away {
        let slots: Vec<usize> = parts.iter().map(|(at, _)| *at).collect();
        let first = !any;
        let sent = shard
            .on(home, move |there: Rc<Shard>| async move {
                let mut left_bytes = left_bytes;
                let mut sent = Vec::with_capacity(parts.len());
                let mut any = !first;
                for (_, want) in &parts {
                    let here = read_here(&there, want, left_bytes, !any).await;
                    left_bytes = left_bytes.saturating_sub(here.bytes);
                    any |= here.bytes > 0;
                    sent.push(here.pack());
                }
                sent
            })
            .await;
        match sent {
            Ok(sent) => {
                for (at, sent) in slots.into_iter().zip(sent) {
                    let there = sent.unpack();
                    left_bytes = left_bytes.saturating_sub(there.bytes);
                    any |= there.bytes > 0;
                    found[at] = Some(there);
                }
            }
            Err(gone) => {
                for at in slots {
                    found[at] = Some(Found::error(gone.code()));
                }
            }
        }
    }
    found
        .into_iter()
        .map(|found| found.unwrap_or(Found::error(ErrorCode::UnknownTopicOrPartition)))
        .collect()
}

/// Reads a partition this shard owns. `first` lets one batch through whatever its size (KIP-74).
async fn read_here(shard: &Rc<Shard>, want: &Wanted, left_bytes: usize, first: bool) -> Found {
    let Some(partition) = shard.partition(want.partition) else {
        return Found::error(ErrorCode::UnknownTopicOrPartition);
    };
    if let Err(code) = partition.check_epoch(want.current_epoch) {
        return Found::error(code);
    }
    let max_bytes = left_bytes.min(want.max_bytes as usize);
    partition.read(shard, want.offset, max_bytes, first).await
}

impl Found {
    /// Makes it fit to travel.
    fn pack(mut self) -> Sent {
        let records = self
            .pieces
            .drain(..)
            .map(|piece| match piece {
                Piece::Bytes(bytes) => bytes,
                Piece::Block(block) => Bytes::copy_from_slice(&block),
            })
            .collect();
        let offsets = [self.high_watermark, self.last_stable_offset, self.log_start_offset];
        Sent { error: self.error, offsets, records, bytes: self.bytes }
    }
}

impl Sent {
    fn unpack(self) -> Found {
        let [high_watermark, last_stable_offset, log_start_offset] = self.offsets;
        Found {
            error: self.error,
            high_watermark,
            last_stable_offset,
            log_start_offset,
            pieces: self.records.into_iter().map(Piece::Bytes).collect(),
            bytes: self.bytes,
        }
    }
}

/// Waits until a wanted partition has more than was found, the deadline, or the broker's stop.
async fn wait(shard: &Rc<Shard>, wanted: &[Wanted], found: &[Found], deadline: Nanos) {
    let mut news: Vec<LocalFuture<()>> = Vec::with_capacity(wanted.len() + 2);
    let mut away: Map<ShardId, Vec<(TopicPartition, i64)>> = Map::default();
    for (want, found) in wanted.iter().zip(found) {
        match shard.view.home(want.partition) {
            Some(home) if home == shard.id => {
                news.push(rise(shard, want.partition, found.high_watermark));
            }
            Some(home) => {
                away.entry(home).or_default().push((want.partition, found.high_watermark));
            }
            None => {}
        }
    }
    for (home, parts) in away {
        let from = Rc::clone(shard);
        news.push(Box::pin(async move {
            let risen = from.on(home, move |there: Rc<Shard>| async move {
                let mut news: Vec<_> =
                    parts.iter().map(|(id, seen)| rise(&there, *id, *seen)).collect();
                news.extend(end_of_patience(&there, deadline));
                first_of(news).await;
            });
            if risen.await.is_err() {
                // A shard that is gone has no news; the deadline or the stop ends the wait.
                pending::<()>().await;
            }
        }));
    }
    news.extend(end_of_patience(shard, deadline));
    first_of(news).await;
}

/// Ends when the partition's high watermark is past `seen`, or the partition is gone.
fn rise(shard: &Shard, id: TopicPartition, seen: i64) -> LocalFuture<()> {
    let log = shard.partition(id).map(|partition| partition.log.clone());
    Box::pin(async move {
        if let (Some(log), Some(seen)) = (log, Offset::new(seen)) {
            log.on_durable(seen).await;
        }
    })
}

fn end_of_patience(shard: &Shard, deadline: Nanos) -> [LocalFuture<()>; 2] {
    let (clock, stop) = (shard.world.clone(), shard.world.clone());
    [
        Box::pin(async move { clock.sleep_until(deadline).await }),
        Box::pin(async move { stop.stopping().await }),
    ]
}

/// Ends when the first of them does.
async fn first_of(mut futures: Vec<LocalFuture<()>>) {
    poll_fn(|context| {
        let ended = futures.iter_mut().any(|future| future.as_mut().poll(context).is_ready());
        if ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
