//! Creates a topic, writes ten keyed records and reads them back.
//!
//! Start a broker with `corelog dev`, then:
//!
//! ```text
//! cargo run -p client --example quickstart                          # Kafka's protocol, 127.0.0.1:9092
//! cargo run -p client --example quickstart -- broker:9092
//! cargo run -p client --example quickstart -- --native 127.0.0.1:9192
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program to watch")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use client::{
    Admin, ClientError, Cluster, ClusterConfig, Compression, Consumer, ConsumerConfig, ErrorCode,
    NewTopic, Producer, ProducerConfig, Record, Seek,
};
use runtime::World;

const TOPIC: &str = "quickstart";
const RECORDS: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let config = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ClusterConfig::kafka("127.0.0.1:9092"),
        ["--native"] => ClusterConfig::native("127.0.0.1:9192"),
        ["--native", addresses] => ClusterConfig::native(addresses),
        [addresses] => ClusterConfig::kafka(addresses),
        _ => {
            eprintln!("usage: quickstart [--native] [HOST:PORT]");
            return ExitCode::FAILURE;
        }
    };
    // One shard on this thread. A program that already runs on a shard uses its own world instead.
    match client::block_on(|world| run(world, config)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("quickstart: this machine cannot run a shard: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(world: World, config: ClusterConfig) -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::connect(&world, config).await?;

    let admin = Admin::new(&cluster);
    match admin.create_topic(&NewTopic::named(TOPIC).partitions(3)).await {
        Ok(()) => println!("created topic {TOPIC}"),
        Err(ClientError::Refused { code: ErrorCode::TopicAlreadyExists, .. }) => {
            println!("topic {TOPIC} is there already");
        }
        Err(error) => return Err(error.into()),
    }

    // Idempotent and acks=all by default: when a receipt resolves, the record is on disk exactly once.
    let config = ProducerConfig { compression: Compression::Lz4, ..ProducerConfig::default() };
    let producer = Producer::new(&cluster, config)?;
    let mut receipts = Vec::new();
    for number in 0..RECORDS {
        let (key, value) = (format!("customer-{number}"), format!("order {number}"));
        receipts.push(producer.send(Record::to(TOPIC).key(&key).value(&value)).await?);
    }
    let mut starts = Vec::new();
    for receipt in receipts {
        let delivery = receipt.await?;
        let offset = delivery.offset.ok_or("the broker did not say where the record is")?;
        println!("wrote partition {} offset {offset}", delivery.partition);
        starts.push((delivery.partition, offset));
    }
    producer.close().await?;

    let consumer = Consumer::new(&cluster, ConsumerConfig::default());
    starts.sort_unstable();
    starts.dedup_by_key(|(partition, _)| *partition);
    for (partition, offset) in starts {
        consumer.assign(TOPIC, partition, Seek::Offset(offset)).await?;
    }
    let mut read = 0;
    while read < RECORDS {
        let fetched = consumer.poll(Duration::from_secs(10)).await?;
        let fetched = fetched.ok_or("the records did not come back within 10 s")?;
        for record in fetched.records() {
            let text = |bytes: Option<&[u8]>| {
                String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
            };
            let (key, value) = (text(record.key), text(record.value));
            println!(
                "read partition {} offset {}: {key} = {value}",
                record.partition, record.offset
            );
            read += 1;
        }
    }
    Ok(())
}
