use std::time::Duration;

use protocol::batch::compress::Compression;
use protocol::error_code::ErrorCode;
use protocol::kafka::Api;
use runtime::sim::{NodeId, Sim};

use super::*;
use crate::OutOfRange;
use crate::config::ProducerConfig;
use crate::fake::{Fake, Fault};
use crate::producer::Producer;
use crate::record::Record;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a story against a fake broker with one topic of two partitions and `count` records in each.
fn story<T>(count: usize, tell: impl AsyncFnOnce(Fake, Cluster) -> T) -> T {
    let sim = Sim::new(3);
    let far = sim.world(NodeId(1));
    let outcome = sim.run(|world| async move {
        let fake = Fake::new();
        fake.add_topic("t", 2);
        fake.start(&far).await;
        let cluster = Cluster::connect(&world, fake.config()).await.expect("the fake answers");
        produce(&cluster, 0..count).await;
        tell(fake, cluster).await
    });
    outcome.expect("nothing hangs")
}

/// Ten records a batch, compressed, the same to both partitions.
async fn produce(cluster: &Cluster, numbers: std::ops::Range<usize>) {
    let config = ProducerConfig { compression: Compression::Lz4, ..ProducerConfig::default() };
    let producer = Producer::new(cluster, config).unwrap();
    for number in numbers {
        for partition in 0..2 {
            let value = number.to_string();
            let record = Record::to("t").partition(partition).value(&value);
            drop(producer.send(record).await.unwrap());
        }
        if number % 10 == 9 {
            producer.flush().await;
        }
    }
    producer.close().await.unwrap();
}

/// Reads `count` records; answers offset and value of each by partition.
async fn read(consumer: &Consumer, count: usize) -> [Vec<(i64, String)>; 2] {
    let mut read: [Vec<(i64, String)>; 2] = Default::default();
    while read[0].len() + read[1].len() < count {
        let fetched = consumer.poll(PATIENCE).await.unwrap().expect("records are there");
        for record in fetched.records() {
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            read[usize::try_from(record.partition).unwrap()].push((record.offset, value));
        }
    }
    read
}

fn expected(offsets: std::ops::Range<i64>) -> Vec<(i64, String)> {
    offsets.map(|offset| (offset, offset.to_string())).collect()
}

#[test]
fn everything_is_read_once_and_in_order_from_where_it_was_sought() {
    let cases =
        [(Seek::Earliest, 0), (Seek::Offset(0), 0), (Seek::Offset(37), 37), (Seek::Offset(99), 99)];
    for (seek, from) in cases {
        story(100, async |_fake, cluster| {
            let consumer = Consumer::new(&cluster, ConsumerConfig::default());
            assert_eq!(consumer.assign_topic("t", seek).await, Ok(2));
            let count = usize::try_from(2 * (100 - from)).unwrap();
            let read = read(&consumer, count).await;
            assert_eq!(read, [expected(from..100), expected(from..100)], "{seek:?}");
            assert_eq!(consumer.position("t", 0), Some(100));
            assert_eq!(consumer.high_watermark("t", 1), Some(100));
            assert!(consumer.poll(Duration::from_secs(1)).await.unwrap().is_none());
        });
    }
}

#[test]
fn what_comes_later_is_read_when_it_comes() {
    for seek in [Seek::Latest, Seek::Timestamp(i64::MAX)] {
        story(20, async |_fake, cluster| {
            let consumer = Consumer::new(&cluster, ConsumerConfig::default());
            consumer.assign_topic("t", seek).await.unwrap();
            assert!(consumer.poll(Duration::from_secs(2)).await.unwrap().is_none());
            produce(&cluster, 20..30).await;
            assert_eq!(read(&consumer, 20).await, [expected(20..30), expected(20..30)]);
        });
    }
}

#[test]
fn small_limits_and_batches_that_are_cut_off_lose_nothing() {
    story(100, async |fake, cluster| {
        let config = ConsumerConfig {
            partition_bytes_max: 150,
            fetch_bytes_max: 300,
            buffered_bytes_max: 500,
            ..ConsumerConfig::default()
        };
        let consumer = Consumer::new(&cluster, config);
        consumer.assign_topic("t", Seek::Earliest).await.unwrap();
        assert_eq!(read(&consumer, 200).await, [expected(0..100), expected(0..100)]);
        assert!(fake.count(Api::Fetch) >= 10, "one batch of a partition at a time");
    });
}

#[test]
fn faults_that_pass_are_waited_out() {
    let faults = [
        Fault::Refuse(ErrorCode::NotLeaderOrFollower),
        Fault::Refuse(ErrorCode::OffsetNotAvailable),
        Fault::Close,
        Fault::ServeAndClose,
        Fault::Silence,
        Fault::Garbage,
    ];
    for fault in faults {
        for api in [Api::Fetch, Api::ListOffsets] {
            story(50, async |fake, cluster| {
                let mut left = 3;
                fake.plan(move |seen| {
                    if seen == api && left > 0 {
                        left -= 1;
                        return fault;
                    }
                    Fault::None
                });
                let consumer = Consumer::new(&cluster, ConsumerConfig::default());
                consumer.assign_topic("t", Seek::Earliest).await.unwrap();
                let read = read(&consumer, 100).await;
                assert_eq!(read, [expected(0..50), expected(0..50)], "{fault:?} {api}");
            });
        }
    }
}

#[test]
fn a_leader_that_moves_is_followed() {
    story(30, async |fake, cluster| {
        fake.start(cluster.world()).await;
        let consumer = Consumer::new(&cluster, ConsumerConfig::default());
        consumer.assign_topic("t", Seek::Earliest).await.unwrap();
        read(&consumer, 60).await;
        fake.set_leader("t", 0, 1);
        produce(&cluster, 30..40).await;
        assert_eq!(read(&consumer, 20).await, [expected(30..40), expected(30..40)]);
    });
}

#[test]
fn an_offset_out_of_range_follows_the_policy() {
    story(20, async |_fake, cluster| {
        let config = ConsumerConfig { out_of_range: OutOfRange::Fail, ..Default::default() };
        let consumer = Consumer::new(&cluster, config);
        consumer.assign("t", 0, Seek::Offset(500)).await.unwrap();
        let told = consumer.poll(PATIENCE).await.map(|_| ());
        let out = ConsumeError::OutOfRange { topic: "t".to_owned(), partition: 0, offset: 500 };
        assert_eq!(told, Err(out));
        consumer.seek("t", 0, Seek::Offset(18)).unwrap();
        assert_eq!(read(&consumer, 2).await[0], expected(18..20));
        let lenient = Consumer::new(&cluster, ConsumerConfig::default());
        lenient.assign("t", 0, Seek::Offset(500)).await.unwrap();
        assert_eq!(read(&lenient, 20).await[0], expected(0..20));
    });
}

#[test]
fn a_damaged_batch_is_reported_and_the_other_partition_is_read_on() {
    story(30, async |fake, cluster| {
        {
            let topics = fake.0.topics.borrow();
            let mut batches = topics["t"].partitions[0].batches.borrow_mut();
            let last = batches[1].bytes.len() - 1;
            batches[1].bytes[last] ^= 1;
        }
        let consumer = Consumer::new(&cluster, ConsumerConfig::default());
        consumer.assign_topic("t", Seek::Earliest).await.unwrap();
        let (mut others, mut damaged) = (0, false);
        while others < 30 || !damaged {
            match consumer.poll(PATIENCE).await {
                Ok(fetched) => others += fetched.expect("more is there").records().count(),
                Err(error) => {
                    assert!(matches!(error, ConsumeError::Damaged { partition: 0, .. }), "{error}");
                    damaged = true;
                }
            }
        }
    });
}

#[test]
fn what_cannot_be_assigned_is_said() {
    story(0, async |_fake, cluster| {
        let consumer = Consumer::new(&cluster, ConsumerConfig::default());
        assert_eq!(consumer.poll(PATIENCE).await.map(|_| ()), Err(ConsumeError::Unassigned));
        assert_eq!(consumer.seek("t", 0, Seek::Latest), Err(ConsumeError::Unassigned));
        let missing = ClientError::NoSuchTopic("nope".to_owned());
        assert_eq!(consumer.assign("nope", 0, Seek::Latest).await, Err(missing.into()));
        let beyond = ClientError::NoSuchPartition { topic: "t".to_owned(), partition: 2 };
        assert_eq!(consumer.assign("t", 2, Seek::Latest).await, Err(beyond.into()));
    });
}

#[test]
fn a_paused_partition_waits_and_goes_on() {
    story(20, async |_fake, cluster| {
        let consumer = Consumer::new(&cluster, ConsumerConfig::default());
        consumer.assign_topic("t", Seek::Earliest).await.unwrap();
        consumer.pause("t", 0).unwrap();
        let read_first = read(&consumer, 20).await;
        assert_eq!(read_first, [Vec::new(), expected(0..20)]);
        assert!(consumer.poll(Duration::from_secs(2)).await.unwrap().is_none());
        consumer.resume("t", 0).unwrap();
        assert_eq!(read(&consumer, 20).await[0], expected(0..20));
    });
}
