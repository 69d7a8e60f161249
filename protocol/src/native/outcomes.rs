//! What every administrative request is answered with: one outcome per item, in its order.

use super::encoder::Encoder;
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::{no_payload, topic_id, uuid};
use crate::error_code::ErrorCode;
use crate::ids::TopicId;

/// What became of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// [`ErrorCode::None`] if it was done.
    pub error: ErrorCode,
    /// Why not, for a human; may be empty.
    pub message: &'a str,
    /// The id of a topic that was created or deleted.
    pub topic: Option<TopicId>,
    /// The first offset of a partition whose records were deleted; -1 else.
    pub log_start_offset: i64,
}

impl Outcome<'_> {
    /// It was done.
    pub const DONE: Self =
        Self { error: ErrorCode::None, message: "", topic: None, log_start_offset: -1 };
}

/// What became of all items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Which request is answered.
    pub kind: Kind,
    /// One per item of the request.
    pub outcomes: &'a [Outcome<'a>],
}

/// An administrative answer, read from its frame.
#[derive(Debug, Clone, Copy)]
pub struct AnswerView<'a> {
    table: generated::OutcomesAnswer<'a>,
}

impl Answer<'_> {
    /// The answer's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.answer(self.kind, correlation, 0, |builder| {
            let mut outcomes = Vec::with_capacity(self.outcomes.len());
            for outcome in self.outcomes {
                let message = outcome.message;
                let topic = outcome.topic.map(uuid);
                let fields = generated::OutcomeArgs {
                    error: outcome.error.code(),
                    message: (!message.is_empty()).then(|| builder.create_string(message)),
                    topic: topic.as_ref(),
                    log_start_offset: outcome.log_start_offset,
                };
                outcomes.push(generated::Outcome::create(builder, &fields));
            }
            let outcomes = Some(builder.create_vector(&outcomes));
            generated::OutcomesAnswer::create(builder, &generated::OutcomesAnswerArgs { outcomes })
        })
    }
}

impl<'a> AnswerView<'a> {
    /// Reads the answer to a request of `kind`.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>, kind: Kind) -> Result<Self, FrameError> {
        let table = frame.table::<generated::OutcomesAnswer<'a>>(kind, true)?;
        no_payload(frame)?;
        Ok(Self { table })
    }

    /// See [`Answer::outcomes`].
    pub fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'a>> + use<'a> {
        self.table.outcomes().unwrap_or_default().iter().map(|it| Outcome {
            error: ErrorCode::new(it.error()).unwrap_or(ErrorCode::UnknownServerError),
            message: it.message().unwrap_or_default(),
            topic: it.topic().map(topic_id),
            log_start_offset: it.log_start_offset(),
        })
    }
}
