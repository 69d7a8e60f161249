//! What reading a produce request and writing a fetch response cost: `cargo run --release -p protocol --example codec_cost`.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement measures time and prints it"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use protocol::TopicId;
use protocol::kafka::fetch::PartitionData;
use protocol::kafka::fetch::head::{FetchHead, FetchWriter};
use protocol::kafka::produce::walk::ProduceWalk;
use protocol::kafka::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use protocol::kafka::{Api, Request, RequestHeader, ResponseFrame};
use protocol::reader::Reader;
use protocol::wire::{Version, Wire};

/// The best of many short runs, in nanoseconds for one call: what the code costs when nobody else runs.
fn best(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 1000;
    let best = (0..200).map(|_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed()
    });
    best.min().unwrap_or(Duration::MAX).as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// A produce request of so many partitions, 16 KiB of records in all.
fn frame(version: Version, partitions: usize) -> Vec<u8> {
    let records = vec![7; 16 * 1024 / partitions];
    let partition_data = (0..partitions)
        .map(|index| PartitionProduceData {
            index: i32::try_from(index).expect("few"),
            records: Some(&records),
        })
        .collect();
    let topic = TopicProduceData { name: "orders", partition_data, ..Default::default() };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    let header = RequestHeader {
        api: Api::Produce,
        version,
        correlation_id: 1,
        client_id: Some("producer-1"),
    };
    let mut frame = Vec::new();
    header.encode_frame(&mut frame, &request).expect("it can be said");
    frame.split_off(4)
}

fn main() {
    let version = Api::Produce.version(11).expect("a served version");
    let first = frame(version, 1);
    let header = best(|| {
        black_box(
            RequestHeader::decode(&mut Reader::request(black_box(&first))).expect("a header"),
        );
    });
    println!("request header: {header:.0} ns");
    for partitions in [1, 16, 128] {
        let frame = frame(version, partitions);
        let declared = best(|| {
            let mut from = Reader::request(black_box(&frame));
            let header = RequestHeader::decode(&mut from).expect("a header");
            black_box(ProduceRequest::decode(&mut from, header.version).expect("a request"));
        });
        let walked = best(|| {
            let mut from = Reader::request(black_box(&frame));
            let header = RequestHeader::decode(&mut from).expect("a header");
            let walk = ProduceWalk::new(&mut from, header.version).expect("a request");
            for topic in walk.topics() {
                for partition in topic.partitions() {
                    black_box(partition);
                }
            }
        });
        let checked = best(|| {
            let mut from = Reader::request(black_box(&frame));
            let header = RequestHeader::decode(&mut from).expect("a header");
            black_box(ProduceWalk::new(&mut from, header.version).expect("a request"));
        });
        println!(
            "produce v11, 16 KiB in {partitions:>3} partitions: declared {declared:>7.0} ns, walk {walked:>7.0} ns, of it {checked:>7.0} ns to find it whole"
        );
    }

    let mut into = Vec::new();
    let response = ProduceResponse {
        responses: vec![TopicProduceResponse {
            name: "orders",
            partition_responses: vec![PartitionProduceResponse::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let answered = best(|| {
        into.clear();
        ResponseFrame::write(&mut into, ProduceRequest::API, version, 1, black_box(&response))
            .expect("it can be said");
    });
    println!("produce v11 response, 1 partition: {answered:.0} ns");

    let version = Api::Fetch.newest();
    for partitions in [1usize, 128] {
        let headed = best(|| {
            into.clear();
            let frame = ResponseFrame::begin(&mut into, Api::Fetch, version, 1);
            let head = FetchHead { topic_count: 1, ..Default::default() };
            let mut writer = FetchWriter::begin(&mut into, version, head).expect("a head");
            writer.topic("", TopicId::new([1; 16]), partitions).expect("a topic");
            for index in 0..partitions {
                let partition_index = i32::try_from(index).expect("few");
                let partition = PartitionData { partition_index, ..Default::default() };
                black_box(writer.partition(&partition, 16 * 1024).expect("a partition"));
            }
            let records_bytes = writer.end(&[]).expect("as announced");
            frame.end(&mut into, records_bytes).expect("short enough");
        });
        println!("fetch v18 response head, {partitions:>3} partitions: {headed:.0} ns");
    }
}
