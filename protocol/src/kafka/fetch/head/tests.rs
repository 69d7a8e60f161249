//! What the writer leaves out and the records together are the declared response, byte for byte.

use super::*;
use crate::kafka::Api;
use crate::kafka::fetch::FetchResponse;
use crate::sample::Sampler;

fn versions() -> impl Iterator<Item = Version> {
    Api::Fetch.served().map(|number| Api::Fetch.version(number).expect("a served version"))
}

/// Writes the response with its records outside, then puts the two together as a gathering send would.
fn gathered(response: &FetchResponse<'_>, version: Version) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = b"before".to_vec();
    let head = FetchHead {
        throttle_time_ms: response.throttle_time_ms,
        error_code: response.error_code,
        session_id: response.session_id,
        topic_count: response.responses.len(),
    };
    let mut cuts = Vec::new();
    let mut writer = FetchWriter::begin(&mut buffer, version, head)?;
    for topic in &response.responses {
        writer.topic(topic.topic, topic.topic_id, topic.partitions.len())?;
        for partition in &topic.partitions {
            let records = partition.records.unwrap_or_default();
            cuts.push((writer.partition(partition, records.len())?, records));
        }
    }
    let records_bytes = writer.end(&response.node_endpoints)?;
    assert_eq!(records_bytes, cuts.iter().map(|(_, records)| records.len()).sum::<usize>());

    let mut wire = Vec::new();
    let mut sent = b"before".len();
    for (cut, records) in cuts {
        wire.extend_from_slice(&buffer[sent..cut]);
        wire.extend_from_slice(records);
        sent = cut;
    }
    wire.extend_from_slice(&buffer[sent..]);
    assert_eq!(wire.len() + b"before".len(), buffer.len() + records_bytes);
    Ok(wire)
}

fn check(response: &FetchResponse<'_>, version: Version) {
    let mut declared = Vec::new();
    let expected = response.encode(&mut declared, version).map(|()| declared);
    assert_eq!(gathered(response, version), expected, "v{} {response:?}", version.number);
}

#[test]
fn head_and_records_are_the_declared_response() {
    for version in versions() {
        // Full, then with each part at its default, for the tag sections depend on it.
        let full = || FetchResponse::sample(&mut Sampler::new(true, false), version);
        check(&full(), version);
        let mut response = full();
        response.node_endpoints.clear();
        response.responses[0].partitions[0].current_leader = Default::default();
        response.responses[0].partitions[1].diverging_epoch = Default::default();
        response.responses[1].partitions[0].snapshot_id = Default::default();
        response.responses[1].partitions[1].aborted_transactions = None;
        check(&response, version);
        response.responses[1].partitions.clear();
        check(&response, version);
        response.responses.clear();
        check(&response, version);
        check(&FetchResponse::default(), version);
    }
}

#[test]
fn a_tag_section_longer_than_127_bytes_gets_a_longer_length() {
    let host = "h".repeat(5000);
    for count in [1, 3] {
        let endpoint = NodeEndpoint { node_id: 1, host: &host, port: 9092, rack: None };
        let response =
            FetchResponse { node_endpoints: vec![endpoint; count], ..Default::default() };
        check(&response, Api::Fetch.newest());
    }
}

#[test]
fn what_old_versions_cannot_say_is_an_error_in_both() {
    let version = Api::Fetch.version(4).expect("a served version");
    let with = |partition: PartitionData<'static>| FetchResponse {
        responses: vec![crate::kafka::fetch::FetchableTopicResponse {
            topic: "t",
            partitions: vec![PartitionData { records: Some(b""), ..partition }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let replica = with(PartitionData { preferred_read_replica: 3, ..Default::default() });
    let field = "preferred_read_replica";
    assert_eq!(gathered(&replica, version), Err(EncodeError::NotInVersion { field, version: 4 }));
    check(&replica, version);
    let epoch = crate::kafka::fetch::EpochEndOffset { epoch: 1, end_offset: 2 };
    check(&with(PartitionData { diverging_epoch: epoch, ..Default::default() }), version);
}

#[test]
fn another_number_than_announced_is_an_error() {
    let version = Api::Fetch.newest();
    let mut buffer = Vec::new();
    let head = FetchHead { topic_count: 1, ..Default::default() };
    let writer = FetchWriter::begin(&mut buffer, version, head).expect("a head");
    assert_eq!(writer.end(&[]), Err(EncodeError::Miscounted { announced: 1, written: 0 }));

    let mut writer = FetchWriter::begin(&mut buffer, version, head).expect("a head");
    writer.topic("", TopicId::ZERO, 1).expect("a topic");
    let partition = PartitionData::default();
    writer.partition(&partition, 0).expect("the one announced");
    let one_more = Err(EncodeError::Miscounted { announced: 0, written: 1 });
    assert_eq!(writer.partition(&partition, 0), one_more);

    let mut writer = FetchWriter::begin(&mut buffer, version, head).expect("a head");
    writer.topic("", TopicId::ZERO, 2).expect("a topic");
    writer.partition(&partition, 0).expect("one of two");
    assert_eq!(writer.end(&[]), Err(EncodeError::Miscounted { announced: 1, written: 0 }));
}
