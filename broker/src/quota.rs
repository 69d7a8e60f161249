//! Quotas: how much of something may happen in a second, as token buckets (KIP-599).
//!
//! What begins while anything is left is let through, and its whole cost is owed: a wish that is larger than the
//! bucket can be fulfilled, but what comes behind it waits longer.

use std::cell::Cell;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::metadata::control::{Command, Mode, Refusal, Reply};
use protocol::metadata::{Image, Record, topic_name};
use runtime::Nanos;

/// What is saved up for a burst unless something else is said, as in Kafka (`quota.window.num` windows of a second, less
/// the current one).
pub(crate) const BURST: Duration = Duration::from_secs(10);

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Tokens that come in a second; none is no limit.
    per_second: Option<f64>,
    /// Tokens that are saved up at the most.
    most: f64,
    left: Cell<f64>,
    filled_at: Cell<Nanos>,
}

impl Quota {
    /// A full bucket that holds what comes in the time of `burst`. A rate of zero is no limit.
    pub(crate) fn new(per_second: f64, burst: Duration) -> Self {
        let most = per_second * burst.as_secs_f64();
        let per_second = (per_second > 0.0).then_some(per_second);
        Self { per_second, most, left: Cell::new(most), filled_at: Cell::new(Nanos::ZERO) }
    }

    /// Takes what a wish costs, if anything is left.
    ///
    /// # Errors
    /// Nothing is left; how long until something is.
    pub(crate) fn take(&self, now: Nanos, cost: usize) -> Result<(), Duration> {
        let Some(per_second) = self.per_second else { return Ok(()) };
        self.fill(now, per_second);
        let left = self.left.get();
        if left <= 0.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / per_second));
        }
        self.left.set(left - cost as f64);
        Ok(())
    }

    /// Takes what something costs that cannot be refused any more; how long until that is paid for.
    pub(crate) fn owe(&self, now: Nanos, cost: usize) -> Duration {
        let Some(per_second) = self.per_second else { return Duration::ZERO };
        self.fill(now, per_second);
        let left = self.left.get() - cost as f64;
        self.left.set(left);
        Duration::from_secs_f64((-left).max(0.0) / per_second)
    }

    fn fill(&self, now: Nanos, per_second: f64) {
        let time = now.since(self.filled_at.replace(now));
        self.left.set((self.left.get() + time.as_secs_f64() * per_second).min(self.most));
    }
}

/// Whether a command that creates or deletes partitions may go on. What it costs is known when it is decided: a wish that
/// is refused costs nothing, however much it asks for.
///
/// # Errors
/// It has to come again later, and this is what is answered.
pub(crate) fn check_changes(quota: &Quota, now: Nanos, command: &Command) -> Result<(), Reply> {
    match quota.take(now, 0) {
        Ok(()) => Ok(()),
        Err(wait) => refused(command, wait).map_or(Ok(()), Err),
    }
}

/// What is answered while nothing is left.
pub(crate) fn refusal(wait: Duration) -> Refusal {
    Refusal {
        code: ErrorCode::ThrottlingQuotaExceeded,
        message: format!("The quota is used up; try again in {} ms.", wait.as_millis()),
    }
}

/// How many partitions a decision creates and deletes. To create the broker's own topics costs nothing.
pub(crate) fn changed_partitions(records: &[Record], image: &Image) -> usize {
    let mut internal = Vec::new();
    let mut changed = 0;
    for record in records {
        match record {
            Record::TopicCreated { topic, name } if topic_name::is_internal(name) => {
                internal.push(*topic);
            }
            Record::Partition(new)
                if !internal.contains(&new.topic)
                    && image.partition(new.topic, new.index).is_none() =>
            {
                changed += 1;
            }
            Record::TopicDeleted { topic } => {
                changed += image.topic(*topic).map_or(0, |topic| topic.partitions.len());
            }
            _ => {}
        }
    }
    changed
}

/// Every item of a command is refused, for now. `None` if it creates and deletes nothing that clients wish for.
fn refused(command: &Command, wait: Duration) -> Option<Reply> {
    fn all<T>(count: usize, wait: Duration) -> Vec<Result<T, Refusal>> {
        std::iter::repeat_with(|| Err(refusal(wait))).take(count).collect()
    }
    match command {
        Command::CreateTopics(topics, Mode::Apply)
            if !topics.iter().all(|topic| topic_name::is_internal(&topic.name)) =>
        {
            Some(Reply::CreateTopics(all(topics.len(), wait)))
        }
        Command::DeleteTopics(topics) => Some(Reply::DeleteTopics(all(topics.len(), wait))),
        Command::AddPartitions(topics, Mode::Apply) => {
            Some(Reply::AddPartitions(all(topics.len(), wait)))
        }
        Command::CreateTopics(..)
        | Command::AddPartitions(_, Mode::Validate)
        | Command::AlterConfigs(..)
        | Command::AllocateProducerIds(_)
        | Command::RegisterBroker(_)
        | Command::SetFeature(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use protocol::metadata::record::PartitionRecord;
    use protocol::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

    use super::*;

    fn at(seconds: f64) -> Nanos {
        Nanos::ZERO + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_burst_goes_through_and_then_the_rate_counts() {
        let quota = Quota::new(10.0, BURST);
        // Ten seconds' worth are saved up, and the last wish may be larger than what is left.
        for _ in 0..9 {
            assert_eq!(quota.take(at(0.0), 10), Ok(()));
        }
        assert_eq!(quota.take(at(0.0), 30), Ok(()));
        assert_eq!(quota.take(at(0.0), 1), Err(Duration::from_secs_f64(2.1)));
        assert!(quota.take(at(1.9), 1).is_err());
        assert_eq!(quota.take(at(2.1), 1), Ok(()));
        // No more than the burst is ever saved up.
        for _ in 0..10 {
            assert_eq!(quota.take(at(1000.0), 10), Ok(()));
        }
        assert!(quota.take(at(1000.0), 1).is_err());
    }

    #[test]
    fn what_cannot_be_refused_is_paid_for_later() {
        let quota = Quota::new(100.0, BURST);
        assert_eq!(quota.owe(at(0.0), 1000), Duration::ZERO);
        assert_eq!(quota.owe(at(0.0), 50), Duration::from_millis(500));
        assert_eq!(quota.owe(at(0.5), 1), Duration::from_millis(10));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let quota = Quota::new(0.0, BURST);
        for _ in 0..1000 {
            assert_eq!(quota.take(at(0.0), usize::MAX), Ok(()));
            assert_eq!(quota.owe(at(0.0), usize::MAX), Duration::ZERO);
        }
    }

    #[test]
    fn validation_and_internal_topics_are_never_refused() {
        let create = |name: &str, mode| {
            let name = name.to_owned();
            let topic = protocol::metadata::control::NewTopic { name, ..Default::default() };
            Command::CreateTopics(vec![topic], mode)
        };
        let quota = Quota::new(1.0, BURST);
        quota.owe(at(0.0), 1000);
        let check = |command: &Command| check_changes(&quota, at(0.0), command).is_ok();
        assert!(!check(&create("a", Mode::Apply)));
        assert!(check(&create("a", Mode::Validate)));
        assert!(check(&create("__consumer_offsets", Mode::Apply)));
    }

    #[test]
    fn what_is_created_and_deleted_is_counted_and_internal_topics_are_not() {
        let topic = |byte| TopicId::new([byte; 16]);
        let created =
            |byte, name: &str| Record::TopicCreated { topic: topic(byte), name: name.to_owned() };
        let partition = |byte, index| {
            Record::Partition(PartitionRecord {
                topic: topic(byte),
                index: PartitionIndex::new(index).expect("not negative"),
                replicas: vec![BrokerId::new(1).expect("not negative")],
                in_sync: vec![BrokerId::new(1).expect("not negative")],
                leader: None,
                leader_epoch: LeaderEpoch::ZERO,
                partition_epoch: 0,
            })
        };
        let mut image = Image::new();
        let first = [created(1, "a"), partition(1, 0), partition(1, 1)];
        assert_eq!(changed_partitions(&first, &image), 2);
        for record in &first {
            image.apply(record).expect("a sound record");
        }
        // A partition that is there changes hands, one is added, and a topic of the broker's own comes.
        let second =
            [partition(1, 0), partition(1, 2), created(2, "__consumer_offsets"), partition(2, 0)];
        assert_eq!(changed_partitions(&second, &image), 1);
        let gone = Record::TopicDeleted { topic: topic(1) };
        assert_eq!(changed_partitions(&[gone], &image), 2);
    }
}
