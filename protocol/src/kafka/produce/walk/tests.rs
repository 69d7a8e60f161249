//! The walk and the declared message agree on every input; and what they cost.

use super::*;
use crate::kafka::Api;
use crate::kafka::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::sample::Sampler;

fn versions() -> impl Iterator<Item = Version> {
    Api::Produce.served().map(|number| Api::Produce.version(number).expect("a served version"))
}

/// What the walk saw, as the declared message would have it.
fn collected<'a>(walk: &ProduceWalk<'a>) -> ProduceRequest<'a> {
    let topics = walk.topics().map(|topic| TopicProduceData {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_data: topic
            .partitions()
            .map(|PartitionWalk { index, records }| PartitionProduceData { index, records })
            .collect(),
    });
    ProduceRequest {
        transactional_id: walk.transactional_id,
        acks: walk.acks,
        timeout_ms: walk.timeout_ms,
        topic_data: topics.collect(),
    }
}

/// Both read the same from these bytes, or both refuse them; only the memory budget is the declared message's alone.
fn check(bytes: &[u8]) {
    for version in versions() {
        let mut from = Reader::request(bytes);
        let declared = ProduceRequest::decode(&mut from, version);
        let mut walked_from = Reader::request(bytes);
        let walk = ProduceWalk::new(&mut walked_from, version);
        match (declared, walk) {
            (Ok(request), Ok(walk)) => {
                assert_eq!(collected(&walk), request, "v{}", version.number);
                assert_eq!(walked_from.left_bytes(), from.left_bytes());
                assert_eq!(walk.topic_count, request.topic_data.len());
                let partitions = request.topic_data.iter().map(|topic| topic.partition_data.len());
                assert_eq!(walk.partition_count, partitions.sum::<usize>());
            }
            (Err(DecodeError::OverBudget), _) => {}
            (Err(theirs), Err(ours)) => assert_eq!(ours, theirs, "v{}", version.number),
            (declared, walk) => panic!("v{}: {declared:?} and {walk:?}", version.number),
        }
    }
}

#[test]
fn the_walk_sees_what_the_declared_message_says() {
    for version in versions() {
        for empty in [false, true] {
            let request = ProduceRequest::sample(&mut Sampler::new(true, empty), version);
            let mut bytes = Vec::new();
            request.encode(&mut bytes, version).expect("a sample fits its version");
            let walk =
                ProduceWalk::new(&mut Reader::request(&bytes), version).expect("it is whole");
            assert_eq!(collected(&walk), request);
            for cut in 0..bytes.len() {
                check(&bytes[..cut]);
            }
            check(&bytes);
        }
    }
}

#[test]
fn records_are_the_frames_own_bytes() {
    let version = Api::Produce.newest();
    let mut bytes = Vec::new();
    ProduceRequest::sample(&mut Sampler::new(true, false), version)
        .encode(&mut bytes, version)
        .expect("a sample fits its version");
    let walk = ProduceWalk::new(&mut Reader::request(&bytes), version).expect("it is whole");
    let frame = bytes.as_ptr_range();
    let mut seen = 0;
    for partition in walk.topics().flat_map(|topic| topic.partitions()) {
        let records = partition.records.expect("the sample has records").as_ptr_range();
        assert!(frame.start <= records.start && records.end <= frame.end);
        seen += 1;
    }
    assert_eq!(seen, walk.partition_count);
    assert_eq!(seen, 4);
}

#[test]
fn more_partitions_than_allowed_are_refused_over_all_topics_together() {
    let version = Api::Produce.version(3).expect("a served version");
    let mut body = Vec::new();
    body.extend_from_slice(&[0xff, 0xff, 0, 1, 0, 0, 0, 1]);
    body.extend_from_slice(&2i32.to_be_bytes());
    for _ in 0..2 {
        body.extend_from_slice(&[0, 1, b't']);
        body.extend_from_slice(&50_001i32.to_be_bytes());
        body.resize(body.len() + 50_001 * 8, 0);
    }
    let refused = ProduceWalk::new(&mut Reader::request(&body), version).expect_err("too many");
    assert_eq!(refused, DecodeError::OverCap(Cap::Partitions));
    check(&body);
}

proptest::proptest! {
    #[test]
    fn the_walk_and_the_declared_message_agree_on_garbage(
        bytes in proptest::collection::vec(0u8..6, 0..96),
    ) {
        check(&bytes);
    }
}
