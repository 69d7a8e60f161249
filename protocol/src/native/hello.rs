//! Hello (kind 1): the first frame of a connection, both ways.

use super::encoder::Encoder;
use super::frame::{FRAME_BYTES_MAX, Frame, FrameError, Kind};
use super::generated::corelog::native as generated;
use super::parts::no_payload;

/// Who calls, and which versions of the protocol it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request<'a> {
    /// The oldest version.
    pub version_min: u16,
    /// The newest version.
    pub version_max: u16,
    /// A name for logs, metrics and quotas; may be empty.
    pub client_id: &'a str,
    /// The library's name.
    pub software_name: &'a str,
    /// The library's version.
    pub software_version: &'a str,
    /// The cluster it believes to talk to, if it has been told.
    pub cluster_id: Option<&'a str>,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer<'a> {
    /// The version that both speak from here on.
    pub version: u16,
    /// The cluster's id.
    pub cluster_id: &'a str,
    /// The broker's id.
    pub broker_id: i32,
    /// Which of the broker's cores serves this connection.
    pub lane: u16,
    /// How many cores serve.
    pub lanes: u16,
    /// The largest frame that the broker takes, in bytes.
    pub frame_bytes_max: u32,
    /// The broker's name for itself.
    pub software_name: &'a str,
    /// Its version.
    pub software_version: &'a str,
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
        encoder.request(Kind::Hello, correlation, 0, |builder| {
            let fields = generated::HelloRequestArgs {
                version_min: self.version_min,
                version_max: self.version_max,
                client_id: Some(builder.create_string(self.client_id)),
                software_name: Some(builder.create_string(self.software_name)),
                software_version: Some(builder.create_string(self.software_version)),
                cluster_id: self.cluster_id.map(|id| builder.create_string(id)),
            };
            generated::HelloRequest::create(builder, &fields)
        })
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::HelloRequest<'a>>(Kind::Hello, false)?;
        no_payload(frame)?;
        if table.version_min() > table.version_max() {
            return Err(frame.wrong("a smallest version above the largest"));
        }
        Ok(Self {
            version_min: table.version_min(),
            version_max: table.version_max(),
            client_id: table.client_id().unwrap_or_default(),
            software_name: table.software_name().unwrap_or_default(),
            software_version: table.software_version().unwrap_or_default(),
            cluster_id: table.cluster_id(),
        })
    }

    /// The largest version that this peer and one that speaks `min..=max` have in common.
    pub fn common_version(&self, min: u16, max: u16) -> Option<u16> {
        let common = self.version_max.min(max);
        (common >= self.version_min && common >= min).then_some(common)
    }
}

impl<'a> Answer<'a> {
    /// The answer's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        encoder.answer(Kind::Hello, correlation, 0, |builder| {
            let fields = generated::HelloAnswerArgs {
                version: self.version,
                cluster_id: Some(builder.create_string(self.cluster_id)),
                broker_id: self.broker_id,
                lane: self.lane,
                lanes: self.lanes,
                frame_bytes_max: self.frame_bytes_max,
                software_name: Some(builder.create_string(self.software_name)),
                software_version: Some(builder.create_string(self.software_version)),
            };
            generated::HelloAnswer::create(builder, &fields)
        })
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let table = frame.table::<generated::HelloAnswer<'a>>(Kind::Hello, true)?;
        no_payload(frame)?;
        let limit = table.frame_bytes_max();
        Ok(Self {
            version: table.version(),
            cluster_id: table.cluster_id().unwrap_or_default(),
            broker_id: table.broker_id(),
            lane: table.lane(),
            lanes: table.lanes(),
            // Absent: what every peer takes.
            frame_bytes_max: if limit == 0 { FRAME_BYTES_MAX as u32 } else { limit },
            software_name: table.software_name().unwrap_or_default(),
            software_version: table.software_version().unwrap_or_default(),
        })
    }
}
