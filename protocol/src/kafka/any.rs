//! Which messages belong to which API; and any request or response as one value, for tools and tests.

use super::alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
use super::api::Api;
use super::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use super::consumer_group_describe::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use super::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use super::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use super::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use super::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use super::delete_records::{DeleteRecordsRequest, DeleteRecordsResponse};
use super::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use super::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use super::describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
use super::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use super::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use super::describe_producers::{DescribeProducersRequest, DescribeProducersResponse};
use super::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use super::fetch::{FetchRequest, FetchResponse};
use super::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use super::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use super::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use super::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use super::join_group::{JoinGroupRequest, JoinGroupResponse};
use super::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use super::list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use super::list_groups::{ListGroupsRequest, ListGroupsResponse};
use super::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use super::metadata::{MetadataRequest, MetadataResponse};
use super::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use super::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use super::offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
use super::offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use super::produce::{ProduceRequest, ProduceResponse};
use super::sync_group::{SyncGroupRequest, SyncGroupResponse};
use crate::reader::{DecodeError, Reader};
use crate::wire::{EncodeError, Version, Wire};

/// A request and the response that answers it.
pub trait Request {
    /// The API that the request belongs to.
    const API: Api;
    /// What answers it, borrowed from the response's bytes.
    type Response<'r>: Wire<'r> + std::fmt::Debug;
}

macro_rules! any {
    ($q:lifetime $r:lifetime; $($name:ident: $request:ident $(<$life:lifetime>)? => $response:ty;)*) => {
        $(
            impl $(<$life>)? Request for $request $(<$life>)? {
                const API: Api = Api::$name;
                type Response<$r> = $response;
            }
        )*

        /// A request of whichever API.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyRequest<$q> {
            $(
                #[doc = concat!("See [`", stringify!($request), "`].")]
                $name($request $(<$life>)?),
            )*
        }

        impl<$q> AnyRequest<$q> {
            /// Reads the body of a request.
            pub fn decode(api: Api, from: &mut Reader<$q>, version: Version) -> Result<Self, DecodeError> {
                match api {
                    $(Api::$name => Wire::decode(from, version).map(Self::$name),)*
                }
            }

            /// Appends the body.
            pub fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
                match self {
                    $(Self::$name(request) => request.encode(into, version),)*
                }
            }

            /// The API that the request belongs to.
            pub const fn api(&self) -> Api {
                match self {
                    $(Self::$name(_) => Api::$name,)*
                }
            }

            /// A request with every field of the version at a value of its own.
            #[cfg(any(test, fuzzing))]
            pub fn sample(api: Api, sampler: &mut crate::sample::Sampler, version: Version) -> Self {
                match api {
                    $(Api::$name => Self::$name(Wire::sample(sampler, version)),)*
                }
            }
        }

        /// A response of whichever API.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyResponse<$r> {
            $(
                #[doc = concat!("See [`", stringify!($response), "`].")]
                $name($response),
            )*
        }

        impl<$r> AnyResponse<$r> {
            /// Reads the body of a response.
            pub fn decode(api: Api, from: &mut Reader<$r>, version: Version) -> Result<Self, DecodeError> {
                match api {
                    $(Api::$name => Wire::decode(from, version).map(Self::$name),)*
                }
            }

            /// Appends the body.
            pub fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
                match self {
                    $(Self::$name(response) => response.encode(into, version),)*
                }
            }

            /// A response with every field of the version at a value of its own.
            #[cfg(any(test, fuzzing))]
            pub fn sample(api: Api, sampler: &mut crate::sample::Sampler, version: Version) -> Self {
                match api {
                    $(Api::$name => Self::$name(Wire::sample(sampler, version)),)*
                }
            }
        }
    };
}

any! {
    'a 'r;
    Produce: ProduceRequest<'a> => ProduceResponse<'r>;
    Fetch: FetchRequest<'a> => FetchResponse<'r>;
    ListOffsets: ListOffsetsRequest<'a> => ListOffsetsResponse<'r>;
    Metadata: MetadataRequest<'a> => MetadataResponse<'r>;
    OffsetCommit: OffsetCommitRequest<'a> => OffsetCommitResponse<'r>;
    OffsetFetch: OffsetFetchRequest<'a> => OffsetFetchResponse<'r>;
    FindCoordinator: FindCoordinatorRequest<'a> => FindCoordinatorResponse<'r>;
    JoinGroup: JoinGroupRequest<'a> => JoinGroupResponse<'r>;
    Heartbeat: HeartbeatRequest<'a> => HeartbeatResponse;
    LeaveGroup: LeaveGroupRequest<'a> => LeaveGroupResponse<'r>;
    SyncGroup: SyncGroupRequest<'a> => SyncGroupResponse<'r>;
    DescribeGroups: DescribeGroupsRequest<'a> => DescribeGroupsResponse<'r>;
    ListGroups: ListGroupsRequest<'a> => ListGroupsResponse<'r>;
    ApiVersions: ApiVersionsRequest<'a> => ApiVersionsResponse<'r>;
    CreateTopics: CreateTopicsRequest<'a> => CreateTopicsResponse<'r>;
    DeleteTopics: DeleteTopicsRequest<'a> => DeleteTopicsResponse<'r>;
    DeleteRecords: DeleteRecordsRequest<'a> => DeleteRecordsResponse<'r>;
    InitProducerId: InitProducerIdRequest<'a> => InitProducerIdResponse;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest<'a> => OffsetForLeaderEpochResponse<'r>;
    DescribeConfigs: DescribeConfigsRequest<'a> => DescribeConfigsResponse<'r>;
    AlterConfigs: AlterConfigsRequest<'a> => AlterConfigsResponse<'r>;
    DescribeLogDirs: DescribeLogDirsRequest<'a> => DescribeLogDirsResponse<'r>;
    CreatePartitions: CreatePartitionsRequest<'a> => CreatePartitionsResponse<'r>;
    DeleteGroups: DeleteGroupsRequest<'a> => DeleteGroupsResponse<'r>;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest<'a> => IncrementalAlterConfigsResponse<'r>;
    OffsetDelete: OffsetDeleteRequest<'a> => OffsetDeleteResponse<'r>;
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse<'r>;
    DescribeProducers: DescribeProducersRequest<'a> => DescribeProducersResponse<'r>;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest<'a> => ConsumerGroupHeartbeatResponse<'r>;
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest<'a> => ConsumerGroupDescribeResponse<'r>;
    ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse<'r>;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest<'a> => DescribeTopicPartitionsResponse<'r>;
}
