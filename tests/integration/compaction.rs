//! Compacted topics: what they take, and what is left of them.

use protocol::ErrorCode;
use protocol::batch::Compression;
use protocol::batch::builder::BatchBuilder;
use protocol::kafka::Api;
use protocol::kafka::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};

use crate::fixture::now_ms;
use crate::wire::{Client, Server};

/// What one partition's part of a produce answer says.
#[derive(Debug, PartialEq, Eq)]
struct Produced {
    error: ErrorCode,
    base_offset: i64,
    /// Places in the batch that are to blame, and why.
    records: Vec<(i32, String)>,
}

fn produce(client: &mut Client, version: i16, topic: &str, records: &[u8]) -> Produced {
    let partition = PartitionProduceData { index: 0, records: Some(records) };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic,
            partition_data: vec![partition],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let answer = client.ask(Api::Produce, version, &request);
    let body = answer.read::<ProduceResponse<'_>>();
    let told = &body.responses[0].partition_responses[0];
    let records = told
        .record_errors
        .iter()
        .map(|it| (it.batch_index, it.batch_index_error_message.unwrap_or_default().to_owned()));
    Produced { error: told.error_code, base_offset: told.base_offset, records: records.collect() }
}

/// A batch with these keys.
fn keyed(compression: Compression, keys: &[Option<&str>]) -> Vec<u8> {
    let mut batch = BatchBuilder::new(compression);
    for key in keys {
        let key = key.map(str::as_bytes);
        batch.append(key, Some(b"value"), &[], now_ms()).unwrap();
    }
    let mut bytes = Vec::new();
    batch.build(&mut bytes).unwrap();
    bytes
}

#[test]
fn records_without_a_key_are_refused_one_by_one() {
    let server = Server::start(&["--shards", "1", "--memory", "64MiB"]);
    let mut client = server.connect();
    assert_eq!(client.create("c", 1, &[("cleanup.policy", "compact")]), ErrorCode::None);
    assert_eq!(client.create("d", 1, &[("cleanup.policy", "delete")]), ErrorCode::None);
    let mut offset = 0;
    for codec in Compression::ALL {
        let mixed = keyed(codec, &[Some("a"), None, Some("b"), None]);
        // An empty key is a key.
        let whole = keyed(codec, &[Some("a"), Some("")]);
        for version in [3, 7, 8, 12] {
            if codec == Compression::Zstd && version < 7 {
                continue;
            }
            let refused = produce(&mut client, version, "c", &mixed);
            let why = "Compacted topic cannot accept message without key.".to_owned();
            let blamed = vec![(1, why.clone()), (3, why)];
            let expected = Produced {
                error: ErrorCode::InvalidRecord,
                base_offset: -1,
                records: if version >= 8 { blamed } else { Vec::new() },
            };
            if server.is_kafka() {
                // Its words name the partition.
                assert_eq!(refused.error, expected.error, "{codec:?} {version}");
                assert_eq!(refused.records.len(), expected.records.len(), "{codec:?} {version}");
            } else {
                assert_eq!(refused, expected, "{codec:?} {version}");
            }
            let taken = Produced { error: ErrorCode::None, base_offset: offset, records: vec![] };
            assert_eq!(produce(&mut client, version, "c", &whole), taken, "{codec:?} {version}");
            offset += 2;
            assert_eq!(produce(&mut client, version, "d", &mixed).error, ErrorCode::None);
        }
    }
}
