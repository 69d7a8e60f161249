//! An answer that is owed: known already, or waiting for the disk.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

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
    /// Anything else that has its place in the order of things and waits to be durable.
    Later(Later),
}

/// An answer in the making.
pub(crate) struct Later {
    making: Pin<Box<dyn Future<Output = Answer>>>,
    made: Option<Answer>,
    /// The bytes that it holds meanwhile.
    bytes: usize,
}

impl Later {
    /// Begins to make an answer. What happens up to its first wait has happened when this returns, so requests that
    /// begin one after the other keep their order.
    pub(crate) fn begin(making: impl Future<Output = Answer> + 'static, bytes: usize) -> Self {
        let mut later = Self { making: Box::pin(making), made: None, bytes };
        later.is_made();
        later
    }

    fn is_made(&mut self) -> bool {
        // Whoever waits for it in earnest looks again with a waker of its own.
        let mut nobody = Context::from_waker(Waker::noop());
        if self.made.is_none()
            && let Poll::Ready(answer) = self.making.as_mut().poll(&mut nobody)
        {
            self.made = Some(answer);
        }
        self.made.is_some()
    }
}

impl Pending {
    /// The bytes this answer holds in memory, as far as they are known.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Ready(answer) => answer.bytes(),
            Self::Append { .. } => 256,
            Self::Later(later) => later.bytes,
        }
    }

    /// Whether the answer can be given without waiting.
    pub(crate) fn is_ready(&mut self, shard: &Shard) -> bool {
        match self {
            Self::Ready(_) => true,
            Self::Append { appending, .. } => appending.is_settled(shard),
            Self::Later(later) => later.is_made(),
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
            Self::Later(Later { making, made, .. }) => match made {
                Some(answer) => answer,
                None => making.await,
            },
        }
    }
}
