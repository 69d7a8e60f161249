//! Records on their way into one partition of `__consumer_offsets`.
//!
//! What arrives while a batch is being written gathers into the next one, so a batch of many commits costs one append
//! and one place in the journal. Batches are written one after the other, and what waits for them is told in order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use protocol::batch::Compression;
use protocol::batch::builder::BatchBuilder;
use protocol::kafka::group_log::GroupKey;
use protocol::wire::EncodeError;
use protocol::{ErrorCode, TopicPartition};
use runtime::sync::{Notify, OneSender};

use super::offsets::{Committed, Place};
use crate::append::{Acks, Appending, Author};
use crate::shard::Shard;

/// A batch that has so many bytes takes no further entries.
const BATCH_BYTES: usize = 256 * 1024;
/// An entry of so many bytes goes alone, so that it cannot make a batch too large for others.
const ALONE_BYTES: usize = 64 * 1024;
/// Bytes that may wait to be written. What comes then is refused, and clients try again.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Who is told what became of a record.
pub(crate) type Done = OneSender<Result<(), ErrorCode>>;

/// A partition and the offset that counts for it from now on, if any.
pub(crate) type Change = (Rc<str>, i32, Option<Committed>);

/// What follows once records are on disk, or could not be written.
pub(crate) enum Then {
    /// These offsets count, or are forgotten.
    Offsets { group: Rc<str>, changes: Vec<Change>, done: Option<Done> },
    /// The machine of a group is told.
    Written { group: Rc<str>, write: u64 },
    /// The group is gone, and these offsets with it.
    Removed { group: Rc<str>, places: Vec<Place>, done: Option<Done> },
}

/// Records that belong together, in one batch.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// Where each key ends, and each value if there is one.
    ends: Vec<(usize, Option<usize>)>,
}

impl Lines {
    /// Adds a record: what it is about, and what writes its value; without a value earlier ones are taken back.
    ///
    /// # Errors
    /// A name is longer than a record can carry.
    pub(crate) fn add(
        &mut self,
        about: GroupKey<'_>,
        value: Option<impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>>,
    ) -> Result<(), EncodeError> {
        about.encode(&mut self.bytes)?;
        let key_end = self.bytes.len();
        let value_end = match value {
            Some(write) => {
                write(&mut self.bytes)?;
                Some(self.bytes.len())
            }
            None => None,
        };
        self.ends.push((key_end, value_end));
        Ok(())
    }

    /// Adds a record that takes earlier ones back.
    ///
    /// # Errors
    /// A name is longer than a record can carry.
    pub(crate) fn take_back(&mut self, about: GroupKey<'_>) -> Result<(), EncodeError> {
        self.add(about, None::<fn(&mut Vec<u8>) -> Result<(), EncodeError>>)
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Every key, and its value if there is one.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut from = 0;
        self.ends.iter().map(move |(key_end, value_end)| {
            let key = &self.bytes[from..*key_end];
            let value = value_end.map(|end| &self.bytes[*key_end..end]);
            from = value_end.unwrap_or(*key_end);
            (key, value)
        })
    }
}

struct Entry {
    lines: Lines,
    then: Then,
}

/// Records that wait to be written to one partition.
#[derive(Default)]
pub(crate) struct Ledger {
    waiting: RefCell<VecDeque<Entry>>,
    waiting_bytes: Cell<usize>,
    changed: Notify,
    closed: Cell<bool>,
}

impl Ledger {
    /// Takes records and what follows once they are on disk.
    ///
    /// # Errors
    /// Too much waits already, or the partition is not ours any more; `then` comes back.
    pub(crate) fn put(&self, lines: Lines, then: Then) -> Result<(), (ErrorCode, Then)> {
        if self.closed.get() {
            return Err((ErrorCode::NotCoordinator, then));
        }
        if self.waiting_bytes.get() > WAITING_BYTES_MAX {
            return Err((ErrorCode::CoordinatorNotAvailable, then));
        }
        self.waiting_bytes.set(self.waiting_bytes.get() + lines.bytes.len());
        self.waiting.borrow_mut().push_back(Entry { lines, then });
        self.changed.notify_all();
        Ok(())
    }

    /// Takes no more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.changed.notify_all();
    }

    /// Writes what comes, until [`Self::close`]; `settle` is told what became of it.
    pub(crate) async fn write_all(
        &self,
        shard: &Rc<Shard>,
        partition: TopicPartition,
        settle: impl Fn(Then, Result<(), ErrorCode>),
    ) {
        loop {
            let entries = self.next_batch();
            if entries.is_empty() {
                if self.closed.get() {
                    return;
                }
                self.changed.notified().await;
                continue;
            }
            let outcome = append(shard, partition, &entries).await;
            for entry in entries {
                settle(entry.then, outcome);
            }
        }
    }

    /// As many entries as make a batch.
    fn next_batch(&self) -> Vec<Entry> {
        let mut waiting = self.waiting.borrow_mut();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(next) = waiting.front()
        {
            let size = next.lines.bytes.len();
            if !batch.is_empty() && size > ALONE_BYTES {
                break;
            }
            bytes += size;
            batch.extend(waiting.pop_front());
            if size > ALONE_BYTES {
                break;
            }
        }
        self.waiting_bytes.set(self.waiting_bytes.get() - bytes);
        batch
    }
}

/// Appends the entries as one batch and waits until it is below the high watermark.
async fn append(
    shard: &Rc<Shard>,
    partition: TopicPartition,
    entries: &[Entry],
) -> Result<(), ErrorCode> {
    let mut builder = BatchBuilder::new(Compression::None);
    let now_ms = shard.world.wall_ms();
    let too_large = |_error| ErrorCode::UnknownServerError;
    for (key, value) in entries.iter().flat_map(|entry| entry.lines.each()) {
        builder.append(Some(key), value, &[], now_ms).map_err(too_large)?;
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).map_err(too_large)?;
    let frame = Bytes::from(bytes);
    shard.room().await;
    let mut appending = Appending::new(Acks::InSync, Author::Broker);
    appending.append(shard, partition, &frame, &frame);
    appending.dispatch(shard);
    appending.settle(shard).await;
    match appending.outcomes().first() {
        Some(Ok(_landed)) => Ok(()),
        Some(Err(refusal)) => {
            tracing::warn!(%partition, code = %refusal.code, "records of groups were not written");
            Err(told(refusal.code))
        }
        None => Err(ErrorCode::UnknownServerError),
    }
}

/// What the members of groups are told when a record could not be written, as Kafka has it.
const fn told(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        _ => ErrorCode::UnknownServerError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize, write: u64) -> (Lines, Then) {
        let lines = Lines { bytes: vec![0; bytes], ends: vec![(bytes, None)] };
        (lines, Then::Written { group: Rc::from("g"), write })
    }

    fn sizes(ledger: &Ledger) -> Vec<Vec<usize>> {
        let batch = || ledger.next_batch().iter().map(|entry| entry.lines.bytes.len()).collect();
        std::iter::repeat_with(batch).take_while(|batch: &Vec<usize>| !batch.is_empty()).collect()
    }

    #[test]
    fn small_entries_share_a_batch_and_large_ones_go_alone() {
        let ledger = Ledger::default();
        for bytes in [10, 20, ALONE_BYTES + 1, 30, ALONE_BYTES, 40] {
            let (lines, then) = entry(bytes, 0);
            assert!(ledger.put(lines, then).is_ok());
        }
        let expected = [vec![10, 20], vec![ALONE_BYTES + 1], vec![30, ALONE_BYTES, 40]];
        assert_eq!(sizes(&ledger), expected);
        assert_eq!(ledger.waiting_bytes.get(), 0);
    }

    #[test]
    fn too_much_that_waits_is_refused_and_so_is_all_after_the_end() {
        let ledger = Ledger::default();
        let put = |bytes| {
            let (lines, then) = entry(bytes, 0);
            ledger.put(lines, then).map_err(|(code, _then)| code)
        };
        assert_eq!(put(WAITING_BYTES_MAX + 1), Ok(()));
        assert_eq!(put(1), Err(ErrorCode::CoordinatorNotAvailable));
        ledger.close();
        assert_eq!(put(1), Err(ErrorCode::NotCoordinator));
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        let mut lines = Lines::default();
        let about = GroupKey::Group { group: "g" };
        lines
            .add(
                about,
                Some(|into: &mut Vec<u8>| {
                    into.extend_from_slice(b"value");
                    Ok(())
                }),
            )
            .expect("a short name");
        lines.take_back(about).expect("a short name");
        let key: &[u8] = b"\0\x02\0\x01g";
        let expected = [(key, Some(b"value".as_slice())), (key, None)];
        assert_eq!(lines.each().collect::<Vec<_>>(), expected);
    }
}
