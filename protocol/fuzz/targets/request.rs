//! Requests of every API in every version: bounded memory, no panic, and what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::kafka::produce::walk::ProduceWalk;
use protocol::kafka::{AnyRequest, RequestHeader};
use protocol::reader::{ALLOCATED_BASE, Reader};

fuzz_target!(|input: &[u8]| {
    bounded_header(input);
    let Some((api, version, body)) = fuzz::choose(input) else { return };
    let decoded = fuzz::bounded(body, ALLOCATED_BASE, |body| {
        AnyRequest::decode(api, &mut Reader::request(body), version)
    });
    let Ok(request) = decoded else { return };
    let mut again = Vec::new();
    request.encode(&mut again, version).expect("what was read can be written");
    // Unknown tags are gone; the memory budget of the bytes as they came must not be.
    again.resize(again.len().max(body.len()), 0);
    let reread = AnyRequest::decode(api, &mut Reader::request(&again), version);
    assert_eq!(reread.as_ref(), Ok(&request));
    if let AnyRequest::Produce(declared) = request {
        let walk =
            fuzz::bounded(body, 0, |body| ProduceWalk::new(&mut Reader::request(body), version));
        let walk = walk.expect("what the declared message accepts");
        let walked = walk.topics().map(|topic| {
            let partitions =
                topic.partitions().map(|partition| (partition.index, partition.records));
            (topic.name, topic.topic_id, partitions.collect::<Vec<_>>())
        });
        let declared = declared.topic_data.iter().map(|topic| {
            let partitions = topic.partition_data.iter();
            let partitions = partitions.map(|partition| (partition.index, partition.records));
            (topic.name, topic.topic_id, partitions.collect())
        });
        assert!(walked.eq(declared));
    }
});

/// The header of whatever comes.
fn bounded_header(input: &[u8]) {
    let header =
        fuzz::bounded(input, 0, |input| RequestHeader::decode(&mut Reader::request(input)));
    if let Ok(header) = header {
        let mut again = Vec::new();
        header.encode(&mut again).expect("what was read can be written");
        assert_eq!(RequestHeader::decode(&mut Reader::request(&again)), Ok(header));
    }
}
