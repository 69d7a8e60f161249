//! Appending on behalf of a client: the two moments *ordered* and *durable*, over several
//! partitions and shards, for both dialects.

use std::any::Any;
use std::rc::Rc;

use bytes::Bytes;
use protocol::batch::RecordError;
use protocol::{ErrorCode, TopicPartition};
use runtime::sync::OneReceiver;
use runtime::{Nanos, ShardId};
use storage::Ticket;

use crate::metrics::{Count, Stage};
use crate::shard::Shard;

/// How sure a producer wants to be (`acks` on the wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    /// No answer at all.
    None,
    /// On the leader's disk.
    Leader,
    /// On the disk of every in-sync replica.
    InSync,
}

impl Acks {
    /// Reads the wire's number.
    pub(crate) const fn from_wire(number: i16) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::InSync),
            _ => None,
        }
    }
}

/// Who wrote a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// A client.
    Client,
    /// The broker, in a topic of its own.
    Broker,
}

/// Where a batch landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Landed {
    /// The offset of its first record.
    pub(crate) base_offset: i64,
    /// The broker's time stamp if the topic uses log append time, else -1. Milliseconds.
    pub(crate) log_append_time_ms: i64,
    /// The partition's log start offset.
    pub(crate) log_start_offset: i64,
}

/// Why a batch was not appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
    /// Records that are to blame, by their place in the batch, and why (KIP-467).
    pub(crate) records: Vec<(u32, String)>,
}

impl Refusal {
    /// An error with an explanation for people.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()), records: Vec::new() }
    }

    /// An error of some records, of which there is at least one.
    pub(crate) fn of_records(errors: &[RecordError]) -> Self {
        let code = errors.first().map_or(ErrorCode::InvalidRecord, |error| error.code());
        let records = errors.iter().map(|error| (error.index, error.fault.to_string())).collect();
        let message = errors.first().map(ToString::to_string);
        Self { code, message, records }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None, records: Vec::new() }
    }
}

/// What became of one partition's records.
pub(crate) type Outcome = Result<Landed, Refusal>;

/// Records bound for a partition of another shard.
struct Parcel {
    slot: usize,
    partition: TopicPartition,
    records: Bytes,
}

/// The outcomes of another shard, and the slots they belong to.
type Remote = (OneReceiver<Box<dyn Any + Send>>, Vec<usize>);

/// Batches on their way to the disk. A *slot* is a partition's place in the request.
pub(crate) struct Appending {
    acks: Acks,
    author: Author,
    outcomes: Vec<Outcome>,
    ticket: Option<Ticket>,
    parcels: Vec<(ShardId, Vec<Parcel>)>,
    remote: Vec<Remote>,
    ordered_at: Nanos,
    settled: bool,
}

impl Appending {
    /// Nothing appended yet.
    pub(crate) fn new(acks: Acks, author: Author) -> Self {
        Self {
            acks,
            author,
            outcomes: Vec::new(),
            ticket: None,
            parcels: Vec::new(),
            remote: Vec::new(),
            ordered_at: Nanos::ZERO,
            settled: false,
        }
    }

    /// Appends to `partition`, here or at its home, and takes the next slot for the outcome.
    /// `frame` is what `records` is a part of.
    pub(crate) fn append(
        &mut self,
        shard: &Rc<Shard>,
        partition: TopicPartition,
        frame: &Bytes,
        records: &[u8],
    ) {
        match shard.view.home(partition) {
            Some(home) if home == shard.id => {
                let outcome = self.append_here(shard, partition, records);
                self.outcomes.push(outcome);
            }
            Some(home) => self.post(home, partition, frame.slice_ref(records)),
            None => self.refuse(ErrorCode::UnknownTopicOrPartition.into()),
        }
    }

    /// Takes the next slot for an error.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.outcomes.push(Err(refusal));
    }

    fn append_here(&mut self, shard: &Shard, id: TopicPartition, records: &[u8]) -> Outcome {
        let Some(partition) = shard.partition(id) else {
            return Err(ErrorCode::UnknownTopicOrPartition.into());
        };
        let (landed, ticket) = partition.append(shard, records, self.acks, self.author)?;
        self.ticket = self.ticket.max(Some(ticket));
        Ok(landed)
    }

    fn post(&mut self, home: ShardId, partition: TopicPartition, records: Bytes) {
        let slot = self.outcomes.len();
        // Overwritten by the home's answer; what stays if the home never answers.
        self.outcomes.push(Err(ErrorCode::NotLeaderOrFollower.into()));
        let parcel = Parcel { slot, partition, records };
        match self.parcels.iter_mut().find(|(shard, _)| *shard == home) {
            Some((_, parcels)) => parcels.push(parcel),
            None => self.parcels.push((home, vec![parcel])),
        }
    }

    /// Sends what belongs to other shards. After this every batch has, or will get in this order,
    /// its offset.
    pub(crate) fn dispatch(&mut self, shard: &Rc<Shard>) {
        self.ordered_at = shard.world.now();
        for (home, parcels) in std::mem::take(&mut self.parcels) {
            let slots = parcels.iter().map(|parcel| parcel.slot).collect();
            let (acks, author) = (self.acks, self.author);
            let answer = shard.send(home, move |shard: Rc<Shard>| {
                let mut there = Self::new(acks, author);
                for parcel in parcels {
                    let outcome = there.append_here(&shard, parcel.partition, &parcel.records);
                    there.outcomes.push(outcome);
                }
                async move {
                    there.settle(&shard).await;
                    // Nobody could wait for room before these were appended: the answer waits.
                    shard.room().await;
                    there.outcomes
                }
            });
            self.remote.push((answer, slots));
        }
    }

    /// Whether every outcome is final.
    pub(crate) fn is_settled(&self, shard: &Shard) -> bool {
        self.settled
            || (self.remote.is_empty()
                && self.ticket.is_none_or(|ticket| shard.store.is_durable(ticket)))
    }

    /// Waits until everything that was appended is on disk, or known not to be.
    pub(crate) async fn settle(&mut self, shard: &Rc<Shard>) {
        if self.settled || self.acks == Acks::None {
            return;
        }
        if let Some(ticket) = self.ticket
            && !shard.store.is_durable(ticket)
            && shard.store.durable(ticket).await.is_err()
        {
            self.fence();
        }
        for (answer, slots) in std::mem::take(&mut self.remote) {
            // A home that has stopped leaves the outcomes as `post` wrote them.
            let Ok(value) = answer.await else { continue };
            let Ok(outcomes) = value.downcast::<Vec<Outcome>>() else { continue };
            for (slot, outcome) in slots.into_iter().zip(*outcomes) {
                self.outcomes[slot] = outcome;
            }
        }
        self.settled = true;
        if self.ordered_at > Nanos::ZERO {
            shard.metrics.time(Stage::ProduceDurable, shard.world.now().since(self.ordered_at));
        }
        let refused = self.outcomes.iter().filter(|outcome| outcome.is_err()).count();
        if refused > 0 {
            shard.metrics.add(Count::ProduceRefused, refused as u64);
        }
    }

    /// Nothing that was appended here may be called durable: the log directory is fenced.
    fn fence(&mut self) {
        for outcome in &mut self.outcomes {
            if outcome.is_ok() {
                *outcome = Err(ErrorCode::KafkaStorageError.into());
            }
        }
    }

    /// When every batch had its order; zero before [`Self::dispatch`].
    pub(crate) fn ordered_at(&self) -> Nanos {
        self.ordered_at
    }

    /// The outcomes by slot; final once settled.
    pub(crate) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }
}
