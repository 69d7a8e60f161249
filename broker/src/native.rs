//! The native dialect: by frame kind to the file that serves it.
//!
//! As in the Kafka dialect a frame is handled to its end before the next of its connection is begun, save for
//! produce, which is answered when it is on disk; answers leave in the order of their requests.
//! `docs/native-protocol.md` says which errors end a connection and which are answered.

use std::rc::Rc;

use bytes::Bytes;
use protocol::metadata::Image;
use protocol::metadata::control;
use protocol::native::refusal::Refusal;
use protocol::native::{Encoder, FRAME_BYTES_MAX, Frame, FrameError, Kind, frame_size};
use protocol::{ErrorCode, TopicPartition};
use runtime::Nanos;

use crate::answer::Answer;
use crate::connection::{Connection, Handled};
use crate::metrics::Stage;
use crate::pending::Pending;
use crate::shard::Shard;

mod configs;
mod fetch;
mod hello;
mod metadata;
mod offsets;
mod produce;
mod producer;
mod topics;

/// What a peer may send before its hello was answered: far more than any hello, far less than a produce.
const STRANGER_BYTES_MAX: usize = 64 * 1024;
/// The longest explanation in an answer, in bytes. What clients sent is part of some.
const MESSAGE_BYTES_MAX: usize = 512;
/// An encoder that has grown beyond this is not kept.
const ENCODER_KEEP_BYTES: usize = 256 * 1024;

/// One request: who asks, and the frame.
struct Request<'a> {
    connection: &'a Connection,
    shard: &'a Rc<Shard>,
    /// The frame's bytes; what is appended on other shards keeps a reference to them.
    bytes: &'a Bytes,
    frame: Frame<'a>,
    arrived: Nanos,
}

/// Why a request gets an [`Refusal`] instead of its answer, or ends its connection.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Refused(#[from] control::Refusal),
}

impl Fault {
    /// A refusal of the whole request.
    fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused(control::Refusal { code, message: message.into() })
    }
}

impl Request<'_> {
    /// Copies a head out of the shard's encoder.
    fn encode(
        &self,
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> Result<Vec<u8>, FrameError> {
        encode_answer(self.shard, self.frame.correlation(), encode)
    }

    /// An answer without a payload.
    fn answer(
        &self,
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> Result<Answer, Fault> {
        Ok(Answer::new(self.encode(encode)?))
    }
}

fn encode_answer(
    shard: &Shard,
    correlation: u64,
    encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
) -> Result<Vec<u8>, FrameError> {
    let mut encoder = shard.encoder.borrow_mut();
    let head = encode(correlation, &mut encoder).map(<[u8]>::to_vec);
    if head.as_ref().map_or(true, |head| head.len() > ENCODER_KEEP_BYTES) {
        *encoder = Encoder::new();
    }
    head
}

/// The whole length of the frame at the front of the buffer, if its prefix is there.
pub(crate) fn frame_bytes(connection: &Connection, buffer: &[u8]) -> Result<Option<usize>, String> {
    let max_bytes = if connection.greeted.get() {
        frame_bytes_max(&connection.shard)
    } else {
        STRANGER_BYTES_MAX
    };
    frame_size(buffer, max_bytes).map_err(|error| error.to_string())
}

/// The largest frame this broker takes.
fn frame_bytes_max(shard: &Shard) -> usize {
    FRAME_BYTES_MAX.min(shard.config.limits.request_max_bytes as usize)
}

/// Handles one frame.
pub(crate) async fn handle(connection: &Rc<Connection>, bytes: Bytes, arrived: Nanos) -> Handled {
    let shard = &connection.shard;
    let frame = match Frame::parse(&bytes) {
        Ok(frame) => frame,
        Err(error @ FrameError::UnknownKind { correlation, .. }) => {
            return refuse(shard, correlation, &Fault::Frame(error));
        }
        Err(error) => return close(connection, &error),
    };
    if frame.is_answer() {
        return Handled::Close("an answer that nobody waits for");
    }
    let request = Request { connection, shard, bytes: &bytes, frame, arrived };
    match serve(&request).await {
        Ok(handled) => handled,
        Err(Fault::Frame(error)) if error.is_fatal() => close(connection, &error),
        Err(fault) => refuse(shard, frame.correlation(), &fault),
    }
}

fn close(connection: &Connection, error: &FrameError) -> Handled {
    tracing::info!(peer = %connection.peer, %error, "a frame that cannot be trusted");
    Handled::Close("a frame that cannot be trusted")
}

async fn serve(request: &Request<'_>) -> Result<Handled, Fault> {
    let kind = request.frame.kind();
    if kind != Kind::Hello && !request.connection.greeted.get() {
        return Err(Fault::refused(ErrorCode::InvalidRequest, "the first frame must be a hello"));
    }
    let answer = match kind {
        Kind::Produce => {
            request.shard.room().await;
            return produce::handle(request);
        }
        Kind::Fetch => return Ok(owe(fetch::handle(request).await?, Stage::FetchTotal)),
        Kind::Hello => hello::handle(request),
        Kind::Metadata => metadata::handle(request).await,
        Kind::ListOffsets => offsets::list(request).await,
        Kind::DeleteRecords => offsets::delete_records(request).await,
        Kind::InitProducer => producer::handle(request).await,
        Kind::CreateTopics => topics::create(request).await,
        Kind::DeleteTopics => topics::delete(request).await,
        Kind::CreatePartitions => topics::grow(request).await,
        Kind::DescribeConfigs => configs::describe(request),
        Kind::AlterConfigs => configs::alter(request).await,
        Kind::Error => {
            Err(Fault::refused(ErrorCode::InvalidRequest, "an error answers, and asks nothing"))
        }
    };
    Ok(owe(answer?, Stage::OtherTotal))
}

fn owe(answer: Answer, stage: Stage) -> Handled {
    Handled::Owe(Pending::Ready(answer), stage)
}

fn refuse(shard: &Shard, correlation: u64, fault: &Fault) -> Handled {
    owe(refusal(shard, correlation, fault), Stage::OtherTotal)
}

/// The answer to a request that failed as a whole.
fn refusal(shard: &Shard, correlation: u64, fault: &Fault) -> Answer {
    let (code, message) = match fault {
        Fault::Frame(error) => (error.code(), error.to_string()),
        Fault::Refused(refusal) => (refusal.code, refusal.message.clone()),
    };
    let refusal = Refusal { code, message: brief(&message) };
    let head = encode_answer(shard, correlation, |correlation, encoder| {
        refusal.encode(correlation, encoder)
    });
    Answer::new(head.expect("a code and a short message fit every frame"))
}

/// An explanation without what goes beyond the limit.
fn brief(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

/// What a client is told about a partition that is not found here. Native clients name topics by id: if nobody
/// knows the id, the topic is gone, whatever partitions it had.
fn not_found(image: &Image, partition: TopicPartition, code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::UnknownTopicOrPartition if image.topic(partition.topic).is_none() => {
            ErrorCode::UnknownTopicId
        }
        code => code,
    }
}
