//! An answer that is owed: known already, or waiting for the disk.

use std::rc::Rc;

use crate::answer::Answer;
use crate::append::Appending;
use crate::shard::Shard;

/// Turns the outcome of an append into a dialect's answer.
pub(crate) trait AppendReply {
    /// Encodes the answer; `appending` is settled.
    fn answer(&self, appending: &Appending) -> Answer;
}

/// What a connection owes for one request.
pub(crate) enum Pending {
    /// The answer itself; taken once.
    Ready(Answer),
    /// Batches that have their offsets and wait to be durable.
    Append { appending: Appending, reply: Box<dyn AppendReply> },
}

impl Pending {
    /// The bytes this answer holds in memory, as far as they are known.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Ready(answer) => answer.bytes(),
            Self::Append { .. } => 256,
        }
    }

    /// Whether the answer can be given without waiting.
    pub(crate) fn is_ready(&mut self, shard: &Shard) -> bool {
        match self {
            Self::Ready(_) => true,
            Self::Append { appending, .. } => appending.is_settled(shard),
        }
    }

    /// Waits until the answer can be given, and gives it.
    pub(crate) async fn settle(self, shard: &Rc<Shard>) -> Answer {
        match self {
            Self::Ready(answer) => answer,
            Self::Append { mut appending, reply } => {
                appending.settle(shard).await;
                reply.answer(&appending)
            }
        }
    }
}
