//! As much Kafka as a producer needs.

use std::net::SocketAddr;

use protocol::ErrorCode;
use protocol::kafka::api_versions::{ApiVersion, ApiVersionsResponse};
use protocol::kafka::create_topics::{
    CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use protocol::kafka::header::HeaderError;
use protocol::kafka::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use protocol::kafka::produce::walk::ProduceWalk;
use protocol::kafka::{Api, RequestHeader};
use protocol::reader::Reader;
use protocol::wire::{Version, Wire};

/// What is advertised; flexible versions of produce would only cost more to answer.
const SERVED: [(Api, i16, i16); 5] = [
    (Api::Produce, 3, 8),
    // Never asked for: librdkafka writes batches of magic 2 only to those who can also read them.
    (Api::Fetch, 4, 4),
    (Api::Metadata, 1, 8),
    (Api::ApiVersions, 0, 3),
    (Api::CreateTopics, 2, 4),
];

/// The parts of a batch's header that are looked at.
const BATCH_CRC: std::ops::Range<usize> = 17..21;
const BATCH_CHECKED_FROM: usize = 21;
const BATCH_LAST_OFFSET_DELTA: std::ops::Range<usize> = 23..27;

/// The one broker, and its topics: whatever anyone asks for.
pub(crate) struct Topics {
    host: String,
    port: i32,
    /// The next offset of each partition, over all topics together.
    ends: Vec<i64>,
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Decode(#[from] protocol::reader::DecodeError),
    #[error(transparent)]
    Encode(#[from] protocol::wire::EncodeError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("that is more than a producer needs")]
    NotServed,
    #[error("a length does not fit")]
    TooLong,
    /// Not the peer's fault: the floor gives way.
    #[error("the disk: {0}")]
    Disk(#[from] std::io::Error),
}

/// What to do about a request.
pub(crate) enum Reply {
    /// The answer was written.
    Now,
    /// The answer was written and may leave when this write is done.
    After(u64),
    /// The disk has no room: try again later.
    Full,
}

/// Where batches go.
pub(crate) trait Sink {
    fn has_room(&self, bytes: usize) -> bool;
    /// Gives the number of the write that completes the batch.
    fn append(&mut self, batch: &[u8]) -> std::io::Result<u64>;
}

impl Topics {
    pub(crate) fn new(addr: SocketAddr, partitions: i32) -> Self {
        Self {
            host: addr.ip().to_string(),
            port: i32::from(addr.port()),
            ends: vec![0; usize::try_from(partitions).unwrap_or(0)],
        }
    }

    /// Handles one frame, without its length, and appends the answer to `out`.
    pub(crate) fn handle(
        &mut self,
        frame: &[u8],
        sink: &mut impl Sink,
        out: &mut Vec<u8>,
    ) -> Result<Reply, Broken> {
        let mut reader = Reader::request(frame);
        let header = match RequestHeader::decode(&mut reader) {
            Ok(header) => header,
            // A client's first question may be in a version of the future.
            Err(HeaderError::UnsupportedVersion { api: Api::ApiVersions, head }) => {
                versions(head.correlation_id, Version { number: 0, flexible: false }, out)?;
                return Ok(Reply::Now);
            }
            Err(error) => return Err(error.into()),
        };
        match header.api {
            Api::Produce => {
                if !sink.has_room(frame.len()) {
                    return Ok(Reply::Full);
                }
                self.produce(&header, &mut reader, sink, out)
            }
            Api::Metadata => self.metadata(&header, &mut reader, out),
            Api::ApiVersions => {
                versions(header.correlation_id, header.version, out).map(|()| Reply::Now)
            }
            Api::CreateTopics => self.create(&header, &mut reader, out),
            _ => Err(Broken::NotServed),
        }
    }

    fn produce(
        &mut self,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
        sink: &mut impl Sink,
        out: &mut Vec<u8>,
    ) -> Result<Reply, Broken> {
        let version = header.version.number;
        let walk = ProduceWalk::new(reader, header.version)?;
        let start = begin(header.correlation_id, out);
        let mut write = 0;
        out.extend_from_slice(&count(walk.topic_count));
        for topic in walk.topics() {
            let name_bytes = i16::try_from(topic.name.len()).or(Err(Broken::TooLong))?;
            out.extend_from_slice(&name_bytes.to_be_bytes());
            out.extend_from_slice(topic.name.as_bytes());
            out.extend_from_slice(&count(topic.partition_count));
            for partition in topic.partitions() {
                let batch = partition.records.unwrap_or_default();
                let (error, base) = match self.place(partition.index, batch) {
                    Ok(base) => {
                        write = sink.append(batch)?;
                        (ErrorCode::None, base)
                    }
                    Err(error) => (error, -1),
                };
                out.extend_from_slice(&partition.index.to_be_bytes());
                out.extend_from_slice(&error.code().to_be_bytes());
                out.extend_from_slice(&base.to_be_bytes());
                out.extend_from_slice(&(-1_i64).to_be_bytes());
                if version >= 5 {
                    out.extend_from_slice(&0_i64.to_be_bytes());
                }
                if version >= 8 {
                    out.extend_from_slice(&0_i32.to_be_bytes());
                    out.extend_from_slice(&(-1_i16).to_be_bytes());
                }
            }
        }
        out.extend_from_slice(&0_i32.to_be_bytes());
        if walk.acks == 0 {
            out.truncate(start);
            return Ok(Reply::Now);
        }
        end(start, out)?;
        Ok(Reply::After(write))
    }

    /// Checks a batch and gives it offsets.
    fn place(&mut self, partition: i32, batch: &[u8]) -> Result<i64, ErrorCode> {
        let end = usize::try_from(partition).ok().and_then(|index| self.ends.get_mut(index));
        let end = end.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let field = |range| batch.get(range).and_then(|bytes: &[u8]| bytes.try_into().ok());
        let (Some(crc), Some(last)) = (field(BATCH_CRC), field(BATCH_LAST_OFFSET_DELTA)) else {
            return Err(ErrorCode::CorruptMessage);
        };
        if protocol::crc::crc32c(&batch[BATCH_CHECKED_FROM..]) != u32::from_be_bytes(crc) {
            return Err(ErrorCode::CorruptMessage);
        }
        let base = *end;
        *end += i64::from(i32::from_be_bytes(last).max(0)) + 1;
        Ok(base)
    }

    fn metadata(
        &self,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Reply, Broken> {
        let request = MetadataRequest::decode(reader, header.version)?;
        let partitions: Vec<MetadataResponsePartition> = (0..self.ends.len())
            .map(|index| MetadataResponsePartition {
                partition_index: i32::try_from(index).unwrap_or(i32::MAX),
                replica_nodes: vec![1],
                isr_nodes: vec![1],
                leader_id: 1,
                leader_epoch: 0,
                ..MetadataResponsePartition::default()
            })
            .collect();
        let topics = request.topics.unwrap_or_default();
        let body = MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 1,
                host: &self.host,
                port: self.port,
                rack: None,
            }],
            cluster_id: Some("floor"),
            controller_id: 1,
            topics: topics
                .iter()
                .map(|topic| MetadataResponseTopic {
                    name: topic.name,
                    partitions: partitions.clone(),
                    ..MetadataResponseTopic::default()
                })
                .collect(),
            ..MetadataResponse::default()
        };
        answer(header, &body, out)
    }

    fn create(
        &self,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Reply, Broken> {
        let request = CreateTopicsRequest::decode(reader, header.version)?;
        let fits = |partitions: i32| {
            usize::try_from(partitions).is_ok_and(|partitions| partitions <= self.ends.len())
        };
        let body = CreateTopicsResponse {
            topics: request
                .topics
                .iter()
                .map(|topic| CreatableTopicResult {
                    name: topic.name,
                    error_code: if fits(topic.num_partitions) {
                        ErrorCode::None
                    } else {
                        ErrorCode::InvalidPartitions
                    },
                    ..CreatableTopicResult::default()
                })
                .collect(),
            ..CreateTopicsResponse::default()
        };
        answer(header, &body, out)
    }
}

fn versions(correlation_id: i32, version: Version, out: &mut Vec<u8>) -> Result<(), Broken> {
    let api_keys = SERVED.map(|(api, min_version, max_version)| ApiVersion {
        api_key: api.key(),
        min_version,
        max_version,
    });
    let body = ApiVersionsResponse { api_keys: api_keys.to_vec(), ..Default::default() };
    let start = begin(correlation_id, out);
    body.encode(out, version)?;
    end(start, out)
}

fn answer<'a>(
    header: &RequestHeader<'_>,
    body: &impl Wire<'a>,
    out: &mut Vec<u8>,
) -> Result<Reply, Broken> {
    // No flexible version is advertised but that of ApiVersions.
    if header.version.flexible {
        return Err(Broken::NotServed);
    }
    let start = begin(header.correlation_id, out);
    body.encode(out, header.version)?;
    end(start, out)?;
    Ok(Reply::Now)
}

/// Starts an answer; gives where.
fn begin(correlation_id: i32, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&correlation_id.to_be_bytes());
    start
}

/// Writes the length of the answer that began at `start`.
fn end(start: usize, out: &mut [u8]) -> Result<(), Broken> {
    let bytes = i32::try_from(out.len() - start - 4).or(Err(Broken::TooLong))?;
    out[start..start + 4].copy_from_slice(&bytes.to_be_bytes());
    Ok(())
}

fn count(items: usize) -> [u8; 4] {
    i32::try_from(items).unwrap_or(i32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
