//! The Kafka dialect: by API key to the file that serves it.
//!
//! A request is handled to its end before the next of its connection is begun, as Kafka does, save
//! for produce and for commits of offsets: these are done here when their order is fixed, and are
//! answered when they are on disk. What comes behind a commit and could see it waits for it.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use protocol::kafka::header::HeaderError;
use protocol::kafka::{Api, RequestHeader};
use protocol::reader::{DecodeError, Reader};
use protocol::wire::{Version, Wire};
use runtime::Nanos;

use crate::answer::Answer;
use crate::connection::{Connection, Handled};
use crate::metrics::Stage;
use crate::pending::Pending;
use crate::shard::Shard;

mod alter_configs;
mod api_versions;
mod brokers;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;

/// What is served, and so advertised. A crate may know more messages than its broker answers.
const SERVED: &[Api] = &[
    Api::Produce,
    Api::Fetch,
    Api::ListOffsets,
    Api::Metadata,
    Api::OffsetCommit,
    Api::OffsetFetch,
    Api::FindCoordinator,
    Api::JoinGroup,
    Api::Heartbeat,
    Api::LeaveGroup,
    Api::SyncGroup,
    Api::DescribeGroups,
    Api::ListGroups,
    Api::ApiVersions,
    Api::CreateTopics,
    Api::DeleteTopics,
    Api::DeleteRecords,
    Api::InitProducerId,
    Api::OffsetForLeaderEpoch,
    Api::DescribeConfigs,
    Api::AlterConfigs,
    Api::DescribeLogDirs,
    Api::CreatePartitions,
    Api::DeleteGroups,
    Api::IncrementalAlterConfigs,
    Api::OffsetDelete,
    Api::DescribeCluster,
    Api::DescribeProducers,
    Api::ConsumerGroupHeartbeat,
    Api::ConsumerGroupDescribe,
    Api::ListConfigResources,
    Api::DescribeTopicPartitions,
];

/// One request: who asks, how, and the bytes.
pub(crate) struct Request {
    pub(crate) shard: Rc<Shard>,
    pub(crate) api: Api,
    pub(crate) version: Version,
    pub(crate) correlation_id: i32,
    /// The frame behind the length prefix; `body_at` is where the request's own fields begin.
    pub(crate) frame: Bytes,
    pub(crate) body_at: usize,
    pub(crate) arrived: Nanos,
    /// Where the client connects from.
    pub(crate) peer: SocketAddr,
}

/// Why a request gets no answer and its connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the request cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    #[error("the answer cannot be encoded: {0}")]
    Encode(#[from] protocol::wire::EncodeError),
}

impl Request {
    /// Decodes the body. What is borrowed lives as long as this request.
    pub(crate) fn decode<'a, T: Wire<'a>>(&'a self) -> Result<T, DecodeError> {
        let mut reader = self.body();
        // Bytes behind the last field are passed over, as Kafka does: librdkafka 2.16 leaves three of
        // them behind when it asks for the metadata of all topics.
        T::decode(&mut reader, self.version)
    }

    /// At the request's own fields.
    pub(crate) fn body(&self) -> Reader<'_> {
        Reader::request(&self.frame[self.body_at..])
    }

    /// What the client calls itself. Read anew from the frame: few requests want to know.
    pub(crate) fn client_id(&self) -> &str {
        let header = RequestHeader::decode(&mut Reader::request(&self.frame));
        header.ok().and_then(|header| header.client_id).unwrap_or_default()
    }

    /// Where the client connects from, as Kafka writes it.
    pub(crate) fn client_host(&self) -> String {
        format!("/{}", self.peer.ip())
    }

    /// Starts an answer: four bytes for the length, then the header.
    pub(crate) fn answer_head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(256);
        head.extend_from_slice(&[0; 4]);
        head.extend_from_slice(&self.correlation_id.to_be_bytes());
        // A client reads this header before it knows what the broker speaks.
        if self.version.flexible && self.api != Api::ApiVersions {
            head.push(0);
        }
        head
    }

    /// Who asked for what, without the request's own bytes, for answers that come later.
    pub(crate) fn without_body(mut self) -> Self {
        self.frame = Bytes::new();
        self.body_at = 0;
        self
    }

    /// A whole answer.
    pub(crate) fn answer<'a, T: Wire<'a>>(&self, body: &T) -> Result<Answer, Broken> {
        let mut bytes = self.answer_head();
        body.encode(&mut bytes, self.version)?;
        Ok(Answer::new(with_length(bytes, 0)))
    }
}

/// Writes the length prefix of an answer whose pieces have `more_bytes` in total.
pub(crate) fn with_length(mut bytes: Vec<u8>, more_bytes: usize) -> Vec<u8> {
    let length = bytes.len() - 4 + more_bytes;
    let length = i32::try_from(length).expect("an answer is far below 2 GiB");
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Handles one frame, length prefix removed.
pub(crate) async fn handle(connection: &Rc<Connection>, frame: Bytes, arrived: Nanos) -> Handled {
    let mut reader = Reader::request(&frame);
    let decoded = RequestHeader::decode(&mut reader);
    let body_at = frame.len() - reader.left_bytes();
    let shard = &connection.shard;
    match decoded {
        Ok(header) => {
            let RequestHeader { api, version, correlation_id, .. } = header;
            if !matches!(api, Api::OffsetCommit | Api::Produce | Api::Heartbeat) {
                connection.wait_for_commits().await;
            }
            let shard = Rc::clone(shard);
            let peer = connection.peer;
            serve(Request { shard, api, version, correlation_id, frame, body_at, arrived, peer })
                .await
        }
        Err(HeaderError::UnsupportedVersion { api: Api::ApiVersions, head }) => {
            owe(api_versions::unknown_version(head.correlation_id))
        }
        Err(error) => {
            tracing::info!(peer = %connection.peer, %error, "a request that is not served");
            Handled::Close("a request that is not served")
        }
    }
}

async fn serve(request: Request) -> Handled {
    match request.api {
        Api::Produce => {
            request.shard.room().await;
            produce::handle(request)
        }
        Api::Fetch => {
            let answer = fetch::handle(&request).await;
            owe_as(answer, Stage::FetchTotal)
        }
        Api::ListOffsets => owe(list_offsets::handle(&request).await),
        Api::Metadata => owe(metadata::handle(&request).await),
        Api::ApiVersions => owe(api_versions::handle(&request)),
        Api::CreateTopics => owe(create_topics::handle(&request).await),
        Api::DeleteTopics => owe(delete_topics::handle(&request).await),
        Api::DeleteRecords => owe(delete_records::handle(&request).await),
        Api::InitProducerId => owe(init_producer_id::handle(&request).await),
        Api::OffsetForLeaderEpoch => owe(offset_for_leader_epoch::handle(&request).await),
        Api::DescribeConfigs => owe(describe_configs::handle(&request)),
        Api::AlterConfigs => owe(alter_configs::handle(&request).await),
        Api::DescribeLogDirs => owe(describe_log_dirs::handle(&request).await),
        Api::CreatePartitions => owe(create_partitions::handle(&request).await),
        Api::IncrementalAlterConfigs => owe(incremental_alter_configs::handle(&request).await),
        Api::DescribeCluster => owe(describe_cluster::handle(&request)),
        Api::ListConfigResources => owe(list_config_resources::handle(&request)),
        Api::DescribeTopicPartitions => owe(describe_topic_partitions::handle(&request)),
        Api::DescribeProducers => owe(describe_producers::handle(&request).await),
        Api::OffsetCommit => match offset_commit::handle(request) {
            Ok(later) => Handled::Owe(Pending::Later(later), Stage::OtherTotal),
            Err(error) => owe(Err(error)),
        },
        Api::OffsetFetch => owe(offset_fetch::handle(&request).await),
        Api::FindCoordinator => owe(find_coordinator::handle(&request).await),
        Api::JoinGroup => owe(join_group::handle(&request).await),
        Api::Heartbeat => owe(heartbeat::handle(&request).await),
        Api::LeaveGroup => owe(leave_group::handle(&request).await),
        Api::SyncGroup => owe(sync_group::handle(&request).await),
        Api::DescribeGroups => owe(describe_groups::handle(&request).await),
        Api::ListGroups => owe(list_groups::handle(&request).await),
        Api::DeleteGroups => owe(delete_groups::handle(&request).await),
        Api::OffsetDelete => owe(offset_delete::handle(&request).await),
        Api::ConsumerGroupHeartbeat => owe(consumer_group_heartbeat::handle(&request).await),
        Api::ConsumerGroupDescribe => owe(consumer_group_describe::handle(&request).await),
    }
}

fn owe(answer: Result<Answer, Broken>) -> Handled {
    owe_as(answer, Stage::OtherTotal)
}

fn owe_as(answer: Result<Answer, Broken>, stage: Stage) -> Handled {
    match answer {
        Ok(answer) => Handled::Owe(Pending::Ready(answer), stage),
        Err(error) => {
            tracing::info!(%error, "request refused");
            Handled::Close("the request cannot be decoded")
        }
    }
}
