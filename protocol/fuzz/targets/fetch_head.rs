//! Fetch responses written around their records are the declared ones, byte for byte.
#![no_main]

use fuzz::bounded;
use libfuzzer_sys::fuzz_target;
use protocol::kafka::Api;
use protocol::kafka::fetch::FetchResponse;
use protocol::kafka::fetch::head::{FetchHead, FetchWriter};
use protocol::reader::{ALLOCATED_BASE, Reader};
use protocol::wire::{EncodeError, Version, Wire};

/// Writes the response with its records outside, and joins the two.
fn gathered(response: &FetchResponse<'_>, version: Version) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = Vec::new();
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
    writer.end(&response.node_endpoints)?;
    let (mut wire, mut sent) = (Vec::new(), 0);
    for (cut, records) in cuts {
        wire.extend_from_slice(&buffer[sent..cut]);
        wire.extend_from_slice(records);
        sent = cut;
    }
    wire.extend_from_slice(&buffer[sent..]);
    Ok(wire)
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, body)) = input.split_first() else { return };
    let numbers: Vec<i16> = Api::Fetch.served().collect();
    let number = numbers[usize::from(choice) % numbers.len()];
    let version = Api::Fetch.version(number).expect("a served version");
    let decoded = bounded(body, ALLOCATED_BASE, |body| {
        FetchResponse::decode(&mut Reader::response(body), version)
    });
    let Ok(mut response) = decoded else { return };
    // The writer always sends a length: null records are empty ones to it.
    for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.records.get_or_insert_default();
    }
    let mut declared = Vec::new();
    response.encode(&mut declared, version).expect("what was read can be written");
    assert_eq!(gathered(&response, version), Ok(declared));
});
