//! Every message in every version, against another implementation of the protocol and against garbage.
//!
//! Each message is filled so that every field the version carries has a value of its own. Our bytes must be read by the
//! oracle, mean the same there field by field, and be written again byte for byte; so must be read by ourselves.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use std::fmt::Debug;

use super::any::{AnyRequest, AnyResponse};
use super::*;
use crate::reader::{DecodeError, Reader};
use crate::sample::Sampler;
use crate::wire::{Version, Wire};

mod facts;
use facts::facts;

/// The ways to fill a message: booleans true, booleans false, and everything null or empty that may be.
const FILLINGS: [fn() -> Sampler; 3] =
    [|| Sampler::new(true, false), || Sampler::new(false, false), || Sampler::new(false, true)];

fn versions(api: Api) -> impl Iterator<Item = Version> + Clone {
    api.served().map(move |number| api.version(number).expect("a served version"))
}

/// Every sample of one message in one version, with its bytes.
fn samples<T>(
    version: Version,
    sample: impl Fn(&mut Sampler, Version) -> T,
    encode: impl Fn(&T, &mut Vec<u8>),
) -> impl Iterator<Item = (T, Vec<u8>)> {
    FILLINGS.into_iter().map(move |filling| {
        let message = sample(&mut filling(), version);
        let mut bytes = Vec::new();
        encode(&message, &mut bytes);
        (message, bytes)
    })
}

/// A sample request of ours: what it says, and its bytes.
fn request(api: Api, sampler: &mut Sampler, version: Version) -> (String, Vec<u8>) {
    let message = AnyRequest::sample(api, sampler, version);
    let mut bytes = Vec::new();
    message.encode(&mut bytes, version).expect("a sample fits its version");
    (format!("{message:?}"), bytes)
}

/// A sample response of ours: what it says, and its bytes.
fn response(api: Api, sampler: &mut Sampler, version: Version) -> (String, Vec<u8>) {
    let message = AnyResponse::sample(api, sampler, version);
    let mut bytes = Vec::new();
    message.encode(&mut bytes, version).expect("a sample fits its version");
    (format!("{message:?}"), bytes)
}

/// Compares one message with the oracle's, except for fields `skipped` because only one side has them. Says how many
/// versions were compared.
fn check<Theirs: Message + Decodable + Encodable + Debug>(
    api: Api,
    ours: fn(Api, &mut Sampler, Version) -> (String, Vec<u8>),
    skipped: &[&str],
) -> usize {
    let known = versions(api).filter(|version| version.number <= Theirs::VERSIONS.max);
    let compared = known.clone().count();
    for (version, filling) in known.flat_map(|version| FILLINGS.map(|filling| (version, filling))) {
        let (said, bytes) = ours(api, &mut filling(), version);
        let at = format!("v{}: {said}", version.number);
        let mut input = Bytes::from(bytes.clone());
        let read = Theirs::decode(&mut input, version.number).expect(&at);
        assert!(!input.has_remaining(), "they left {} bytes: {at}", input.remaining());
        let mut again = BytesMut::new();
        read.encode(&mut again, version.number).expect(&at);
        assert_eq!(&again[..], &bytes[..], "they write it otherwise: {at}\n{read:?}");
        assert_eq!(facts(&said, skipped), facts(&format!("{read:?}"), skipped), "{at}");
    }
    compared
}

macro_rules! check_all {
    ($($name:ident $request:ident $response:ident $(, skip $($skipped:literal)*)?;)*) => {
        [$({
            let skipped: &[&str] = &[$($($skipped),*)?];
            let requests = check::<theirs::$request>(Api::$name, request, skipped);
            let responses = check::<theirs::$response>(Api::$name, response, skipped);
            (Api::$name, requests, responses)
        }),*]
    };
}

#[test]
fn every_message_is_the_oracles_in_every_version_it_knows() {
    let compared = check_all! {
        Produce ProduceRequest ProduceResponse;
        Fetch FetchRequest FetchResponse;
        ListOffsets ListOffsetsRequest ListOffsetsResponse;
        Metadata MetadataRequest MetadataResponse;
        OffsetCommit OffsetCommitRequest OffsetCommitResponse;
        OffsetFetch OffsetFetchRequest OffsetFetchResponse;
        FindCoordinator FindCoordinatorRequest FindCoordinatorResponse;
        JoinGroup JoinGroupRequest JoinGroupResponse;
        Heartbeat HeartbeatRequest HeartbeatResponse;
        LeaveGroup LeaveGroupRequest LeaveGroupResponse;
        SyncGroup SyncGroupRequest SyncGroupResponse;
        DescribeGroups DescribeGroupsRequest DescribeGroupsResponse;
        ListGroups ListGroupsRequest ListGroupsResponse;
        ApiVersions ApiVersionsRequest ApiVersionsResponse;
        CreateTopics CreateTopicsRequest CreateTopicsResponse;
        DeleteTopics DeleteTopicsRequest DeleteTopicsResponse;
        DeleteRecords DeleteRecordsRequest DeleteRecordsResponse;
        InitProducerId InitProducerIdRequest InitProducerIdResponse,
            skip "enable_2_pc" "keep_prepared_txn" "ongoing_txn_producer_id" "ongoing_txn_producer_epoch";
        OffsetForLeaderEpoch OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse;
        DescribeConfigs DescribeConfigsRequest DescribeConfigsResponse;
        AlterConfigs AlterConfigsRequest AlterConfigsResponse;
        DescribeLogDirs DescribeLogDirsRequest DescribeLogDirsResponse, skip "is_cordoned";
        CreatePartitions CreatePartitionsRequest CreatePartitionsResponse;
        DeleteGroups DeleteGroupsRequest DeleteGroupsResponse;
        IncrementalAlterConfigs IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse;
        OffsetDelete OffsetDeleteRequest OffsetDeleteResponse;
        DescribeCluster DescribeClusterRequest DescribeClusterResponse;
        DescribeProducers DescribeProducersRequest DescribeProducersResponse;
        ConsumerGroupHeartbeat ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse;
        ConsumerGroupDescribe ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse;
        ListConfigResources ListConfigResourcesRequest ListConfigResourcesResponse;
        DescribeTopicPartitions DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse;
    };
    // Versions newer than the oracle are covered by the round trip below, and by their like among the older ones.
    // So many of each API's requests, and of its responses.
    let newer = [
        (Api::ListOffsets, 1, 1),
        (Api::DescribeLogDirs, 1, 1),
        (Api::OffsetCommit, 1, 0),
        (Api::OffsetFetch, 1, 0),
    ];
    assert_eq!(compared.map(|(api, ..)| api)[..].len(), Api::ALL.len());
    for (api, requests, responses) in compared {
        let missing = newer.iter().find(|(of, ..)| *of == api);
        let (fewer_requests, fewer_responses) = missing.map_or((0, 0), |one| (one.1, one.2));
        let all = api.served().count();
        assert_eq!((requests, responses), (all - fewer_requests, all - fewer_responses), "{api}");
    }
}

#[test]
fn every_message_is_read_back_as_it_was_written() {
    for &api in Api::ALL {
        for version in versions(api) {
            let at = format!("{api} v{}", version.number);
            let requests = samples(
                version,
                |sampler, version| AnyRequest::sample(api, sampler, version),
                |message, into| message.encode(into, version).expect("a sample fits its version"),
            );
            for (message, bytes) in requests {
                let mut from = Reader::request(&bytes);
                assert_eq!(AnyRequest::decode(api, &mut from, version), Ok(message), "{at}");
                assert_eq!(from.finish(), Ok(()), "{at}");
            }
            let responses = samples(
                version,
                |sampler, version| AnyResponse::sample(api, sampler, version),
                |message, into| message.encode(into, version).expect("a sample fits its version"),
            );
            for (message, bytes) in responses {
                let mut from = Reader::response(&bytes);
                assert_eq!(AnyResponse::decode(api, &mut from, version), Ok(message), "{at}");
                assert_eq!(from.finish(), Ok(()), "{at}");
            }
        }
    }
}

/// Reads bytes as every message in every version; what can be read must be writable and read the same again.
fn read_as_everything(bytes: &[u8]) {
    for &api in Api::ALL {
        for version in versions(api) {
            if let Ok(request) = AnyRequest::decode(api, &mut Reader::request(bytes), version) {
                let mut again = Vec::new();
                request.encode(&mut again, version).expect("what was read can be written");
                // Unknown tags are gone; the memory budget of the bytes as they came must not be.
                again.resize(again.len().max(bytes.len()), 0);
                let reread = AnyRequest::decode(api, &mut Reader::request(&again), version);
                assert_eq!(reread, Ok(request), "{api} v{}", version.number);
            }
            if let Ok(response) = AnyResponse::decode(api, &mut Reader::response(bytes), version) {
                let mut again = Vec::new();
                response.encode(&mut again, version).expect("what was read can be written");
                // Unknown tags are gone; the memory budget of the bytes as they came must not be.
                again.resize(again.len().max(bytes.len()), 0);
                let reread = AnyResponse::decode(api, &mut Reader::response(&again), version);
                assert_eq!(reread, Ok(response), "{api} v{}", version.number);
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(256))]
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        read_as_everything(&bytes);
    }

    #[test]
    fn small_numbers_never_panic(bytes in proptest::collection::vec(0u8..4, 0..64)) {
        read_as_everything(&bytes);
    }
}

/// A bomb is a count that promises more than the message holds. Each sample gets one at every place.
#[test]
fn a_bomb_at_any_place_is_refused_or_harmless() {
    let bombs: [&[u8]; 4] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0x00, 0x98, 0x96, 0x80],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x80, 0x80, 0x80, 0x05],
    ];
    let mut refused = 0;
    for &api in Api::ALL {
        for version in versions(api) {
            let mut bytes = Vec::new();
            AnyRequest::sample(api, &mut FILLINGS[0](), version)
                .encode(&mut bytes, version)
                .expect("a sample fits its version");
            for place in 0..bytes.len() {
                for bomb in bombs {
                    let mut bytes = bytes.clone();
                    bytes.splice(place..bytes.len().min(place + bomb.len()), bomb.iter().copied());
                    refused += usize::from(
                        AnyRequest::decode(api, &mut Reader::request(&bytes), version).is_err(),
                    );
                }
                // Cut off there, it is never whole.
                let cut = AnyRequest::decode(api, &mut Reader::request(&bytes[..place]), version);
                assert!(
                    matches!(
                        cut,
                        Err(DecodeError::Truncated { .. } | DecodeError::BadCount { .. })
                    ),
                    "{api}: {cut:?}"
                );
            }
        }
    }
    assert!(refused > 10_000, "only {refused} bombs were refused");
}

/// The memory budget is for liars: many items with names of a single letter stay within it.
#[test]
fn honest_messages_stay_within_their_memory_budget() {
    for &api in Api::ALL {
        for version in versions(api) {
            for items in [1, 3, 12] {
                let at = format!("{api} v{} with {items} items", version.number);
                let sampler = || Sampler::terse(items);
                let mut bytes = Vec::new();
                AnyRequest::sample(api, &mut sampler(), version)
                    .encode(&mut bytes, version)
                    .expect("a sample fits its version");
                let request = AnyRequest::decode(api, &mut Reader::request(&bytes), version);
                assert!(request.is_ok(), "{at}: {request:?}");
                let mut bytes = Vec::new();
                AnyResponse::sample(api, &mut sampler(), version)
                    .encode(&mut bytes, version)
                    .expect("a sample fits its version");
                let response = AnyResponse::decode(api, &mut Reader::response(&bytes), version);
                assert!(response.is_ok(), "{at}: {response:?}");
            }
        }
    }
}

/// A newer peer may tag fields that we have never heard of, in every structure.
#[test]
fn tags_of_a_newer_peer_are_passed_over() {
    let unknown =
        || std::collections::BTreeMap::from([(9, Bytes::from_static(b"new")), (77, Bytes::new())]);
    let mut topic = theirs::metadata_request::MetadataRequestTopic::default();
    topic.name = Some(theirs::TopicName("orders".to_owned().into()));
    topic.unknown_tagged_fields = unknown();
    let mut request = theirs::MetadataRequest::default();
    request.topics = Some(vec![topic]);
    request.unknown_tagged_fields = unknown();
    let mut bytes = BytesMut::new();
    request.encode(&mut bytes, 12).expect("it can be said");
    let version = Api::Metadata.version(12).expect("a served version");
    let mut from = Reader::request(&bytes);
    let read = metadata::MetadataRequest::decode(&mut from, version).expect("tags are passed over");
    assert_eq!(from.finish(), Ok(()));
    let topics = read.topics.expect("one topic");
    assert_eq!(topics.iter().map(|topic| topic.name).collect::<Vec<_>>(), [Some("orders")]);
}
