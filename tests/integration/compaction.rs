//! Compacted topics: what they take, and what is left of them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::batch::builder::BatchBuilder;
use protocol::batch::compress::decompress;
use protocol::batch::records::Records;
use protocol::batch::{Compression, RawBatch};
use protocol::kafka::Api;
use protocol::kafka::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use tests::seeded::Seeded;
use tests::wire::Wire;

use crate::fixture::{Fixture, is_foreign, now_ms};
use crate::wire::{Client, Server};

/// Nothing here takes longer on a busy machine.
const SOON: Duration = Duration::from_secs(120);

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

/// A metric, added up over the shards.
fn metric(fixture: &Fixture, name: &str) -> f64 {
    let mut stream = TcpStream::connect(("127.0.0.1", fixture.plan.admin)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let values = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < SOON, "{what}: not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a topic should hold: of each key, the newest offset and value; `None` was deleted.
type Newest = BTreeMap<String, (i64, Option<String>)>;

/// Appends a batch of updates and deletions in any codec, and notes them.
fn update(wire: &mut Wire, newest: &mut Newest, seeded: &mut Seeded) {
    let codec = Compression::ALL[seeded.below(5) as usize];
    let mut batch = BatchBuilder::new(codec);
    let mut records = Vec::new();
    for _ in 0..200 {
        let key = format!("key-{}", seeded.below(500));
        let value = (seeded.below(10) > 0).then(|| format!("{:x}-", seeded.bits()).repeat(20));
        batch
            .append(Some(key.as_bytes()), value.as_deref().map(str::as_bytes), &[], now_ms())
            .unwrap();
        records.push((key, value));
    }
    let mut bytes = Vec::new();
    batch.build(&mut bytes).unwrap();
    let (error, base) = wire.produce("c", 0, &bytes).unwrap();
    assert_eq!(error, 0);
    newest.extend((base..).zip(records).map(|(offset, (key, value))| (key, (offset, value))));
}

/// Every record of the topic, up to its high watermark.
fn read_all(wire: &mut Wire) -> Vec<(i64, String, Option<String>)> {
    let mut found: Vec<(i64, String, Option<String>)> = Vec::new();
    let mut from = 0;
    loop {
        let (error, high_watermark, bytes) = wire.fetch("c", 0, from).unwrap();
        assert_eq!(error, 0);
        let mut rest = &bytes[..];
        while let Ok((batch, after)) = RawBatch::split_first(rest) {
            rest = after;
            let batch = batch.check().unwrap();
            let section = decompress(batch.compression(), batch.record_bytes(), 1 << 24).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            for record in Records::new(batch.header(), &section) {
                let record = record.unwrap();
                assert!(found.last().is_none_or(|last| last.0 < record.offset));
                found.push((record.offset, text(record.key.unwrap()), record.value.map(text)));
            }
            from = batch.base_offset().get() + i64::from(batch.offset_count());
        }
        if from >= high_watermark {
            return found;
        }
        assert!(!bytes.is_empty(), "reading stands still at {from} of {high_watermark}");
    }
}

/// The newest record of each key is there, at its offset; a deletion may be gone as a whole.
fn compare(found: &[(i64, String, Option<String>)], newest: &Newest) {
    let mut left = newest.clone();
    for (offset, key, value) in found {
        let (newest, wanted) = &newest[key];
        assert!(offset <= newest, "{key} at {offset}");
        if offset == newest {
            assert_eq!(value, wanted, "{key} at {offset}");
            left.remove(key);
        }
    }
    left.retain(|_, (_, value)| value.is_some());
    assert!(left.is_empty(), "keys are missing: {left:?}");
}

const COMPACTED: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "1048576"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "100"),
];

/// A stopped broker's directory is as the format says.
fn verify(fixture: &Fixture) {
    let program = tests::place::corelog().unwrap();
    let told =
        Command::new(program).args(["log", "verify"]).arg(&fixture.plan.dir).output().unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{text}{}", String::from_utf8_lossy(&told.stderr));
}

#[test]
fn the_newest_record_of_each_key_stays_through_kills() {
    if is_foreign() {
        return;
    }
    let config = "[defaults]\n\"log.cleaner.backoff.ms\" = 20\n";
    let mut fixture = Fixture::start_with("compaction", config);
    let mut wire = fixture.topic("c", &COMPACTED);
    let (mut newest, seeded) = (Newest::new(), &mut Seeded::new(5));
    let mut appended = 0;
    for round in 0..4 {
        for _ in 0..60 {
            update(&mut wire, &mut newest, seeded);
            appended += 200;
        }
        if round < 3 {
            // In the middle of a pass, as far as one can aim.
            let written = metric(&fixture, "corelog_compaction_written_bytes_total");
            wait_until("a pass writes", || {
                metric(&fixture, "corelog_compaction_written_bytes_total") > written
                    || metric(&fixture, "corelog_compaction_waiting_bytes") == 0.0
            });
            fixture.kill();
            verify(&fixture);
            fixture.launch();
            wire = fixture.connect();
        }
        compare(&read_all(&mut wire), &newest);
    }
    let passes = metric(&fixture, "corelog_compactions_total");
    wait_until("everything is compacted", || {
        metric(&fixture, "corelog_compactions_total") > 0.0
            && metric(&fixture, "corelog_compaction_waiting_bytes") == 0.0
    });
    let found = read_all(&mut wire);
    compare(&found, &newest);
    assert!(found.len() < appended / 2, "{} of {appended} records left", found.len());
    // The policy changes while the broker runs: what comes now is kept.
    let told = fixture.connect().create_topic("d", 1, &[("cleanup.policy", "compact,delete")]);
    assert_eq!(told.unwrap(), 0, "both at once, after {passes} passes");
    let dir = fixture.plan.dir.clone();
    fixture.kill();
    verify(&fixture);
    fixture.launch();
    compare(&read_all(&mut fixture.connect()), &newest);
    assert!(!dir.join(".lost").exists(), "nothing is set aside");
    fixture.finish();
}
