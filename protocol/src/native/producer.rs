//! Init producer (kind 35): an id and epoch for an idempotent or transactional producer (KIP-98).

use super::encoder::Encoder;
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::no_payload;

/// Who asks for an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Set for a transactional producer.
    pub transactional_id: Option<&'a str>,
    /// After how many milliseconds its transactions are aborted.
    pub transaction_timeout_ms: i32,
    /// The identity it has and wants a new epoch for (KIP-360); -1 for none.
    pub producer_id: i64,
    /// That identity's epoch; -1 for none.
    pub producer_epoch: i16,
}

/// The identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}

impl<'a> Request<'a> {
    /// The request's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.request(Kind::InitProducer, correlation, 0, |builder| {
            let fields = generated::InitProducerRequestArgs {
                transactional_id: self.transactional_id.map(|id| builder.create_string(id)),
                transaction_timeout_ms: self.transaction_timeout_ms,
                producer_id: self.producer_id,
                producer_epoch: self.producer_epoch,
            };
            generated::InitProducerRequest::create(builder, &fields)
        })
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::InitProducerRequest<'a>>(Kind::InitProducer, false)?;
        no_payload(frame)?;
        Ok(Self {
            transactional_id: table.transactional_id(),
            transaction_timeout_ms: table.transaction_timeout_ms(),
            producer_id: table.producer_id(),
            producer_epoch: table.producer_epoch(),
        })
    }
}

impl Answer {
    /// The answer's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.answer(Kind::InitProducer, correlation, 0, |builder| {
            let Self { producer_id, producer_epoch } = *self;
            let fields = generated::InitProducerAnswerArgs { producer_id, producer_epoch };
            generated::InitProducerAnswer::create(builder, &fields)
        })
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::InitProducerAnswer<'_>>(Kind::InitProducer, true)?;
        no_payload(frame)?;
        Ok(Self { producer_id: table.producer_id(), producer_epoch: table.producer_epoch() })
    }
}
