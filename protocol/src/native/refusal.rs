//! The answer to a request that failed as a whole, whatever its kind.

use super::encoder::Encoder;
use super::frame::{Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::no_payload;
use crate::error_code::ErrorCode;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// Kafka's number for it. Numbers that this release does not know read as
    /// [`ErrorCode::UnknownServerError`].
    pub code: ErrorCode,
    /// One line for a human; may be empty.
    pub message: &'a str,
}

impl<'a> Refusal<'a> {
    /// The head of a frame that answers the request of this correlation id.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.answer(Kind::Error, correlation, 0, |builder| {
            let message = Some(builder.create_string(self.message));
            let fields = generated::ErrorArgs { code: self.code.code(), message };
            generated::Error::create(builder, &fields)
        })
    }

    /// Reads the refusal, if the frame is one.
    ///
    /// # Errors
    /// [`FrameError`] if it says that it is one and is malformed.
    pub fn read(frame: &Frame<'a>) -> Result<Option<Self>, FrameError> {
        if frame.kind() != Kind::Error {
            return Ok(None);
        }
        no_payload(frame)?;
        let table = frame.table::<generated::Error<'a>>(Kind::Error, true)?;
        let code = ErrorCode::new(table.code()).unwrap_or(ErrorCode::UnknownServerError);
        if code == ErrorCode::None {
            return Err(frame.wrong("an error that is none"));
        }
        Ok(Some(Self { code, message: table.message().unwrap_or_default() }))
    }
}
