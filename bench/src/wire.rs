//! A bare connection: frames out, frames in.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use protocol::ErrorCode;
use protocol::kafka::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use protocol::kafka::{Api, RequestHeader};
use protocol::reader::Reader;
use protocol::wire::{Version, Wire};
use runtime::{Receiver, Sender, World};

use crate::BenchError;

/// The versions spoken. Chosen so that every broker since Kafka 2.4 knows them.
pub(crate) const PRODUCE: Version = Version { number: 8, flexible: false };
pub(crate) const FETCH: Version = Version { number: 11, flexible: false };
pub(crate) const LIST_OFFSETS: Version = Version { number: 5, flexible: false };
const CREATE_TOPICS: Version = Version { number: 4, flexible: false };

/// Bytes read from the socket at a time.
const READ_BYTES: usize = 256 * 1024;
/// Larger answers than this are not believed.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A whole request frame.
pub(crate) fn frame<'a>(
    api: Api,
    version: Version,
    body: &impl Wire<'a>,
) -> Result<Vec<u8>, BenchError> {
    let header =
        RequestHeader { api, version, correlation_id: 0, client_id: Some("corelog-bench") };
    let mut bytes = Vec::new();
    header.encode_frame(&mut bytes, body).map_err(|error| BenchError::Plan(error.to_string()))?;
    Ok(bytes)
}

/// Takes frames off a socket.
pub(crate) struct Frames {
    receiver: Receiver,
    buffer: BytesMut,
}

impl Frames {
    /// The next frame behind its length and correlation id.
    pub(crate) async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            self.buffer.reserve(READ_BYTES);
            if self.receiver.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let Some((prefix, _)) = self.buffer.split_first_chunk::<4>() else { return Ok(None) };
        let bytes = usize::try_from(i32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if !(4..=ANSWER_BYTES_MAX).contains(&bytes) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an impossible answer length"));
        }
        if self.buffer.len() < 4 + bytes {
            self.buffer.reserve(4 + bytes - self.buffer.len());
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(4 + bytes).freeze();
        frame.advance(8);
        Ok(Some(frame))
    }
}

/// Connects to a broker.
pub(crate) async fn connect(
    world: &World,
    addr: SocketAddr,
) -> Result<(Sender, Frames), BenchError> {
    let stream =
        world.connect(addr).await.map_err(|error| BenchError::Connection { addr, error })?;
    let (receiver, sender) = stream.split();
    Ok((sender, Frames { receiver, buffer: BytesMut::with_capacity(READ_BYTES) }))
}

/// Sends one request and decodes its answer's body with `read`.
pub(crate) async fn ask<T>(
    connection: &mut (Sender, Frames),
    request: &[u8],
    read: impl FnOnce(&[u8]) -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    connection.0.send(&mut [IoSlice::new(request)]).await?;
    let answer = connection.1.next().await?;
    read(&answer)
}

/// Decodes an answer's body.
pub(crate) fn decode<'a, T: Wire<'a>>(bytes: &'a [u8], version: Version) -> Result<T, BenchError> {
    let mut reader = Reader::response(bytes);
    T::decode(&mut reader, version).map_err(|error| BenchError::Answer(error.to_string()))
}

/// Creates the topic unless it is there.
pub(crate) async fn create_topic(
    connection: &mut (Sender, Frames),
    name: &str,
    partitions: u32,
) -> Result<(), BenchError> {
    let body = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name,
            num_partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        timeout_ms: 30_000,
        ..CreateTopicsRequest::default()
    };
    let request = frame(Api::CreateTopics, CREATE_TOPICS, &body)?;
    let code = ask(connection, &request, |bytes| {
        let answer: CreateTopicsResponse<'_> = decode(bytes, CREATE_TOPICS)?;
        Ok(answer.topics.first().map_or(ErrorCode::UnknownServerError, |topic| topic.error_code))
    });
    match code.await? {
        ErrorCode::None | ErrorCode::TopicAlreadyExists => Ok(()),
        code => Err(BenchError::Refused { what: "create topic", code }),
    }
}
