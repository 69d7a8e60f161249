//! Quotas: how much of something may happen in a second, as token buckets (KIP-599).
//!
//! What begins while anything is left is let through, and its whole cost is owed: a wish that is larger than the
//! bucket can be fulfilled, but what comes behind it waits longer.

use std::cell::Cell;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::metadata::control::{Command, Mode, Refusal, Reply};
use protocol::metadata::{Image, topic_name};
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

/// Takes what a command costs of the quota on partitions that are created and deleted.
///
/// # Errors
/// It has to come again later, and this is what is answered.
pub(crate) fn take_changes(
    quota: &Quota,
    now: Nanos,
    command: &Command,
    image: &Image,
) -> Result<(), Reply> {
    let cost = changed_partitions(command, image);
    if cost == 0 {
        return Ok(());
    }
    match quota.take(now, usize::try_from(cost).unwrap_or(usize::MAX)) {
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

/// How many partitions a command creates or deletes, as far as clients wish for them.
fn changed_partitions(command: &Command, image: &Image) -> i64 {
    match command {
        Command::CreateTopics(topics, Mode::Apply) => topics
            .iter()
            .filter(|topic| !topic_name::is_internal(&topic.name))
            .map(|topic| match topic.assignments.len() {
                0 => i64::from(topic.partitions.max(1)),
                chosen => i64::try_from(chosen).unwrap_or(i64::MAX),
            })
            .sum(),
        Command::AddPartitions(topics, Mode::Apply) => topics
            .iter()
            .filter_map(|wish| {
                let has = image.topic_by_name(&wish.topic)?.partitions.len();
                Some((i64::from(wish.count) - i64::try_from(has).ok()?).max(0))
            })
            .sum(),
        Command::DeleteTopics(topics) => topics
            .iter()
            .filter_map(|wish| {
                let known = match &wish.name {
                    Some(name) => image.topic_by_name(name),
                    None => image.topic(wish.id),
                };
                i64::try_from(known?.partitions.len()).ok()
            })
            .sum(),
        Command::CreateTopics(_, Mode::Validate)
        | Command::AddPartitions(_, Mode::Validate)
        | Command::AlterConfigs(..)
        | Command::AllocateProducerIds(_)
        | Command::RegisterBroker(_)
        | Command::SetFeature(..) => 0,
    }
}

/// Every item of a command is refused, for now. `None` if it costs nothing.
fn refused(command: &Command, wait: Duration) -> Option<Reply> {
    match command {
        Command::CreateTopics(topics, _) => {
            Some(Reply::CreateTopics(topics.iter().map(|_| Err(refusal(wait))).collect()))
        }
        Command::DeleteTopics(topics) => {
            Some(Reply::DeleteTopics(topics.iter().map(|_| Err(refusal(wait))).collect()))
        }
        Command::AddPartitions(topics, _) => {
            Some(Reply::AddPartitions(topics.iter().map(|_| Err(refusal(wait))).collect()))
        }
        Command::AlterConfigs(..)
        | Command::AllocateProducerIds(_)
        | Command::RegisterBroker(_)
        | Command::SetFeature(..) => None,
    }
}

#[cfg(test)]
mod tests {
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
    fn validation_and_internal_topics_cost_nothing() {
        let topic = |name: &str| protocol::metadata::control::NewTopic {
            name: name.to_owned(),
            partitions: 50,
            ..Default::default()
        };
        let image = Image::new();
        let cost = |command: &Command| changed_partitions(command, &image);
        assert_eq!(cost(&Command::CreateTopics(vec![topic("a"), topic("b")], Mode::Apply)), 100);
        assert_eq!(cost(&Command::CreateTopics(vec![topic("a")], Mode::Validate)), 0);
        assert_eq!(cost(&Command::CreateTopics(vec![topic("__consumer_offsets")], Mode::Apply)), 0);
    }
}
