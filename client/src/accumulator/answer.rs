//! What the broker's answer to a batch means for it.

use protocol::error_code::ErrorCode;

/// What became of a batch that was to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is in the log; or, with acks 0, it was handed to the network.
    Appended(Delivered),
    /// The broker refused it, with its explanation if it gave one.
    Refused(ErrorCode, Option<String>),
    /// The connection ended, or time ran out, between sending and the answer: nobody knows.
    Lost,
    /// It never left: no leader is known, or no connection could be made.
    NotSent,
}

/// Where a batch landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// The first record's offset; `None` if the broker did not say (acks 0, or a repetition it no longer remembers).
    pub(crate) base_offset: Option<i64>,
    /// The broker's time in milliseconds, if the topic uses append time.
    pub(crate) log_append_time_ms: Option<i64>,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Report success.
    Deliver(Delivered),
    /// Send it again.
    Retry(Retry),
    /// The broker has lost sight of this producer: send it again under a new epoch.
    Renumber,
    /// Cut it in two and send both.
    Split,
    /// Give it up.
    GiveUp(ErrorCode),
}

/// How to send a batch again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    /// It may be in the log already.
    pub(super) is_uncertain: bool,
    /// The leader may have moved.
    pub(super) must_refresh: bool,
    /// Without a pause and without counting as a failure: it only came too early.
    pub(super) at_once: bool,
}

impl Retry {
    /// Surely not written, after a pause.
    pub(super) const PAUSED: Self =
        Self { is_uncertain: false, must_refresh: false, at_once: false };
}

/// What the slot knows about the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// When it was sent it was the oldest of its partition that was not done.
    First,
    /// Older ones were still to be delivered then.
    Later,
    /// An older one was given up, so this one's number can no longer be accepted.
    BehindHole,
}

/// Decides. `divisible` says that the batch holds more than one record.
pub(super) fn verdict(answer: &Answer, standing: Standing, divisible: bool) -> Verdict {
    use ErrorCode as Code;
    let lost = Retry { is_uncertain: true, must_refresh: true, at_once: false };
    let code = match answer {
        Answer::Appended(delivered) => return Verdict::Deliver(*delivered),
        Answer::Lost => return Verdict::Retry(lost),
        Answer::NotSent => return Verdict::Retry(Retry { is_uncertain: false, ..lost }),
        Answer::Refused(code, _) => *code,
    };
    match code {
        // A repetition the broker recognises only by its number: it is in the log.
        Code::DuplicateSequenceNumber => {
            Verdict::Deliver(Delivered { base_offset: None, log_append_time_ms: None })
        }
        Code::OutOfOrderSequenceNumber | Code::UnknownProducerId if standing != Standing::First => {
            Verdict::Retry(Retry { is_uncertain: false, must_refresh: false, at_once: true })
        }
        Code::UnknownProducerId | Code::InvalidProducerEpoch => Verdict::Renumber,
        Code::MessageTooLarge | Code::RecordListTooLarge if divisible => Verdict::Split,
        // Decided before anything was written.
        Code::NotEnoughReplicas
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId
        | Code::LeaderNotAvailable
        | Code::CorruptMessage
        | Code::ThrottlingQuotaExceeded => Verdict::Retry(Retry { is_uncertain: false, ..lost }),
        // A leader may say so after it had appended: while waiting for its replicas, or for its disk.
        code if code.retriable() => Verdict::Retry(lost),
        code => Verdict::GiveUp(code),
    }
}
