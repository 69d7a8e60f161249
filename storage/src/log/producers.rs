//! What each idempotent producer appended last (KIP-98, KIP-360): duplicates are answered with the
//! offset they got the first time, gaps and fenced epochs are refused.

use std::collections::BTreeMap;

use crate::limits::PRODUCER_BATCHES;

/// An idempotent producer as the log remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownProducer {
    /// Its id.
    pub id: i64,
    /// The epoch of its last batch.
    pub epoch: i16,
    /// The sequence number of its last record, or -1.
    pub last_sequence: i32,
    /// The largest timestamp of its last batch, or -1. Milliseconds since 1970.
    pub last_timestamp: i64,
}

/// A batch a producer appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ProducedBatch {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base: i64,
    pub(crate) last: i64,
    pub(crate) timestamp: i64,
}

/// The last batches of one producer, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    /// When it last appended, in milliseconds since 1970.
    pub(crate) seen_ms: i64,
    batches: [ProducedBatch; PRODUCER_BATCHES],
    count: u8,
}

impl Producer {
    pub(crate) fn new(epoch: i16, seen_ms: i64) -> Self {
        Self { epoch, seen_ms, batches: [ProducedBatch::default(); PRODUCER_BATCHES], count: 0 }
    }

    pub(crate) fn batches(&self) -> &[ProducedBatch] {
        &self.batches[..self.count as usize]
    }

    pub(crate) fn push(&mut self, batch: ProducedBatch) {
        if self.count as usize == PRODUCER_BATCHES {
            self.batches.copy_within(1.., 0);
            self.count -= 1;
        }
        self.batches[self.count as usize] = batch;
        self.count += 1;
    }
}

/// What a batch's producer fields say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
}

/// What becomes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Append,
    Duplicate(ProducedBatch),
}

/// Why a batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A newer incarnation of the producer exists.
    Fenced { current: i16 },
    /// It does not follow the producer's last batch.
    OutOfOrder { expected: i32 },
    /// It is not a producer's first batch, and nothing is known of that producer here: it was
    /// idle for too long. Accepting it could store a record twice.
    Unknown,
}

/// The producers of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Producers(BTreeMap<i64, Producer>);

impl Producers {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.0.iter().map(|(id, producer)| (*id, producer))
    }

    /// Every producer, in the order of ids.
    pub(crate) fn known(&self) -> Vec<KnownProducer> {
        let known = |(id, producer): (i64, &Producer)| {
            let last = producer.batches().last();
            KnownProducer {
                id,
                epoch: producer.epoch,
                last_sequence: last.map_or(-1, |batch| batch.last_sequence),
                last_timestamp: last.map_or(-1, |batch| batch.timestamp),
            }
        };
        self.iter().map(known).collect()
    }

    /// The last offset of each producer, in order.
    pub(crate) fn last_offsets(&self) -> Vec<i64> {
        let mut last: Vec<i64> =
            self.0.values().filter_map(|it| it.batches().last()).map(|it| it.last).collect();
        last.sort_unstable();
        last
    }

    pub(crate) fn insert(&mut self, id: i64, producer: Producer) {
        self.0.insert(id, producer);
    }

    /// Decides about a batch before it is appended.
    pub(crate) fn admit(&self, stamp: &Stamp) -> Result<Admission, Refusal> {
        let Some(producer) = self.0.get(&stamp.id) else {
            if stamp.first_sequence == 0 {
                return Ok(Admission::Append);
            }
            return Err(Refusal::Unknown);
        };
        if stamp.epoch < producer.epoch {
            return Err(Refusal::Fenced { current: producer.epoch });
        }
        let expected = if stamp.epoch > producer.epoch {
            0
        } else {
            let same = |batch: &&ProducedBatch| {
                batch.first_sequence == stamp.first_sequence
                    && batch.last_sequence == stamp.last_sequence
            };
            if let Some(batch) = producer.batches().iter().find(same) {
                return Ok(Admission::Duplicate(*batch));
            }
            producer.batches().last().map_or(0, |last| following(last.last_sequence))
        };
        if stamp.first_sequence == expected {
            Ok(Admission::Append)
        } else {
            Err(Refusal::OutOfOrder { expected })
        }
    }

    /// Notes an appended batch. Returns whether the producer is new here.
    pub(crate) fn note(&mut self, stamp: &Stamp, batch: ProducedBatch, seen_ms: i64) -> bool {
        let mut new = false;
        let producer = self.0.entry(stamp.id).or_insert_with(|| {
            new = true;
            Producer::new(stamp.epoch, seen_ms)
        });
        if producer.epoch != stamp.epoch {
            *producer = Producer::new(stamp.epoch, seen_ms);
        }
        producer.seen_ms = producer.seen_ms.max(seen_ms);
        producer.push(batch);
        new
    }

    /// Forgets producers not seen since `before_ms`; returns how many.
    pub(crate) fn expire(&mut self, before_ms: i64) -> usize {
        let before = self.0.len();
        self.0.retain(|_, producer| producer.seen_ms >= before_ms);
        before - self.0.len()
    }

    /// Forgets the tenth that was seen longest ago, at least one; returns how many.
    pub(crate) fn evict(&mut self) -> usize {
        let mut seen: Vec<_> = self.0.iter().map(|(id, it)| (it.seen_ms, *id)).collect();
        seen.sort_unstable();
        seen.truncate(self.0.len().div_ceil(10));
        for (_, id) in &seen {
            self.0.remove(id);
        }
        seen.len()
    }
}

/// The sequence after `last`: it wraps from `i32::MAX` to 0.
const fn following(last: i32) -> i32 {
    protocol::batch::sequence_plus(last, 1)
}

#[cfg(test)]
mod tests;
