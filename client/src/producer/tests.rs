use std::time::Duration;

use protocol::batch::compress::Compression;
use protocol::error_code::ErrorCode;
use protocol::kafka::Api;
use runtime::sim::{LinkFaults, NodeId, Sim};

use super::*;
use crate::config::Acks;
use crate::fake::{Fake, Fault};

/// Runs a story against one fake broker.
fn story<T>(seed: u64, tell: impl AsyncFnOnce(Fake, Cluster) -> T) -> T {
    let sim = Sim::new(seed);
    let far = sim.world(NodeId(1));
    let outcome = sim.run(|world| async move {
        let fake = Fake::new();
        fake.add_topic("t", 1);
        fake.start(&far).await;
        let cluster = Cluster::connect(&world, fake.config()).await.expect("the fake answers");
        tell(fake, cluster).await
    });
    outcome.expect("nothing hangs")
}

fn quick() -> ProducerConfig {
    ProducerConfig {
        linger: Duration::ZERO,
        retry_pause: Duration::from_millis(5),
        retry_pause_max: Duration::from_millis(50),
        delivery_timeout: Duration::from_secs(30),
        ..ProducerConfig::default()
    }
}

/// Sends values 0 to `count`, each in a batch of its own as far as the producer lets them.
async fn send_numbers(producer: &Producer, count: usize) -> Vec<Result<Delivery, SendError>> {
    let mut receipts = Vec::new();
    for number in 0..count {
        let value = number.to_string();
        receipts.push(producer.send(Record::to("t").partition(0).value(&value)).await.unwrap());
        producer.0.shared.machine.borrow_mut().flush();
        producer.0.shared.wake.notify_one();
        producer.0.shared.world().turn().await;
    }
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(receipt.await);
    }
    outcomes
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[test]
fn records_land_where_their_receipts_say() {
    story(1, async |fake, cluster| {
        let producer = Producer::new(&cluster, quick()).unwrap();
        let outcomes = send_numbers(&producer, 20).await;
        for (number, outcome) in (0..).zip(outcomes) {
            let delivery = outcome.unwrap();
            assert_eq!((delivery.partition, delivery.offset), (0, Some(number)));
        }
        assert_eq!(fake.values("t", 0), numbers(20));
        producer.close().await.unwrap();
    });
}

#[test]
fn every_fault_of_a_produce_leaves_each_record_once_and_in_order() {
    let faults = [
        Fault::Refuse(ErrorCode::NotLeaderOrFollower),
        Fault::Refuse(ErrorCode::NotEnoughReplicas),
        Fault::ServeAndRefuse(ErrorCode::RequestTimedOut),
        Fault::ServeAndRefuse(ErrorCode::NotEnoughReplicasAfterAppend),
        Fault::ServeAndClose,
        Fault::Close,
        Fault::Silence,
        Fault::Garbage,
        Fault::Delay(Duration::from_millis(300)),
    ];
    for fault in faults {
        for place in 0..4 {
            story(place, async |fake, cluster| {
                let mut plan = vec![Fault::None; usize::try_from(place).unwrap()];
                plan.push(fault);
                fake.plan_produces(plan);
                let producer = Producer::new(&cluster, quick()).unwrap();
                for outcome in send_numbers(&producer, 12).await {
                    outcome.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
                }
                assert_eq!(fake.values("t", 0), numbers(12), "{fault:?} at {place}");
                producer.close().await.unwrap();
            });
        }
    }
}

#[test]
fn two_hundred_seeds_of_faults_and_resets_keep_idempotent_order() {
    for seed in 0..200 {
        let sim = Sim::new(seed);
        let far = sim.world(NodeId(1));
        let net = sim.net().clone();
        net.set_link(NodeId(0), NodeId(1), LinkFaults { reset: 0.01, ..LinkFaults::default() });
        net.set_link(NodeId(1), NodeId(0), LinkFaults { reset: 0.01, ..LinkFaults::default() });
        let outcome = sim.run(|world| async move {
            let fake = Fake::new();
            fake.add_topic("t", 3);
            fake.start(&far).await;
            fake.start(&far).await;
            let (dice, moved) = (far.clone(), fake.clone());
            fake.plan(move |api| {
                if api != Api::Produce {
                    return Fault::None;
                }
                let random = dice.random();
                if random.is_multiple_of(41) {
                    let leader = i32::from(random % 2 == 0);
                    moved.set_leader("t", (random % 3) as usize, leader);
                }
                match random % 20 {
                    0 => Fault::Refuse(ErrorCode::NotLeaderOrFollower),
                    1 => Fault::ServeAndRefuse(ErrorCode::RequestTimedOut),
                    2 => Fault::ServeAndClose,
                    3 => Fault::Close,
                    4 => Fault::Delay(Duration::from_millis(random % 400)),
                    5 if random % 60 == 5 => Fault::Silence,
                    _ => Fault::None,
                }
            });
            let cluster = connect(&world, &fake).await;
            let producer = Producer::new(&cluster, quick()).unwrap();
            let mut receipts = Vec::new();
            for number in 0..150u64 {
                let (partition, value) = ((number % 3) as i32, number.to_string());
                let record = Record::to("t").partition(partition).value(&value);
                receipts.push(producer.send(record).await.unwrap());
                if world.random().is_multiple_of(4) {
                    world.sleep(Duration::from_micros(world.random() % 3_000)).await;
                }
            }
            for receipt in receipts {
                receipt.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
            for partition in 0..3 {
                let expected: Vec<String> = (0..150u64)
                    .filter(|number| number % 3 == partition)
                    .map(|number| number.to_string())
                    .collect();
                let values = fake.values("t", usize::try_from(partition).unwrap());
                assert_eq!(values, expected, "seed {seed} partition {partition}");
            }
        });
        outcome.unwrap_or_else(|stuck| panic!("seed {seed}: {stuck}"));
    }
}

/// Connects through a network that may break the first attempts.
async fn connect(world: &World, fake: &Fake) -> Cluster {
    for _ in 0..50 {
        if let Ok(cluster) = Cluster::connect(world, fake.config()).await {
            return cluster;
        }
    }
    panic!("fifty attempts failed");
}

#[test]
fn a_leader_that_moves_is_followed() {
    story(5, async |fake, cluster| {
        let far = cluster.world().clone();
        fake.start(&far).await;
        let producer = Producer::new(&cluster, quick()).unwrap();
        assert!(send_numbers(&producer, 3).await.iter().all(Result::is_ok));
        fake.set_leader("t", 0, 1);
        assert!(send_numbers(&producer, 3).await.iter().all(Result::is_ok));
        assert_eq!(fake.values("t", 0), ["0", "1", "2", "0", "1", "2"]);
    });
}

#[test]
fn a_batch_the_topic_finds_too_large_arrives_in_pieces() {
    story(6, async |fake, cluster| {
        fake.0.batch_bytes_max.set(400);
        let config = ProducerConfig { linger: Duration::from_millis(50), ..quick() };
        let producer = Producer::new(&cluster, config).unwrap();
        let mut receipts = Vec::new();
        for number in 0..50 {
            let value = number.to_string();
            receipts.push(producer.send(Record::to("t").partition(0).value(&value)).await.unwrap());
        }
        for (number, receipt) in (0..).zip(receipts) {
            assert_eq!(receipt.await.unwrap().offset, Some(number));
        }
        assert_eq!(fake.values("t", 0), numbers(50));
    });
}

#[test]
fn a_refusal_reaches_the_records_it_concerns_and_no_others() {
    story(7, async |fake, cluster| {
        fake.plan_produces(vec![Fault::None, Fault::Refuse(ErrorCode::TopicAuthorizationFailed)]);
        let producer = Producer::new(&cluster, quick()).unwrap();
        let outcomes = send_numbers(&producer, 6).await;
        // Later records may have gathered in the batch that is refused.
        let (mut written, mut refused) = (Vec::new(), 0);
        for (number, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(_) => written.push(number.to_string()),
                Err(SendError::Refused { code: ErrorCode::TopicAuthorizationFailed, .. }) => {
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refused > 0 && written[0] == "0");
        assert_eq!(fake.values("t", 0), written);
    });
}

#[test]
fn a_broker_that_never_answers_is_given_up_in_time() {
    story(8, async |fake, cluster| {
        fake.plan(|api| if api == Api::Produce { Fault::Silence } else { Fault::None });
        let config = ProducerConfig { delivery_timeout: Duration::from_secs(5), ..quick() };
        let producer = Producer::new(&cluster, config).unwrap();
        let started = cluster.world().now();
        let receipt = producer.send(Record::to("t").value("x")).await.unwrap();
        assert_eq!(receipt.await, Err(SendError::Uncertain));
        let took = cluster.world().now().since(started);
        assert!(took < Duration::from_secs(10), "{took:?}");
        producer.close().await.unwrap();
    });
}

#[test]
fn send_waits_for_memory_and_try_send_does_not() {
    story(9, async |fake, cluster| {
        fake.plan(|api| match api {
            Api::Produce => Fault::Delay(Duration::from_millis(100)),
            _ => Fault::None,
        });
        let config = ProducerConfig { memory_bytes: 4_000, batch_bytes: 500, ..quick() };
        let producer = Producer::new(&cluster, config).unwrap();
        let value = [b'x'; 100];
        assert_eq!(producer.prepare("t").await, Ok(1));
        let mut accepted = 0;
        while let Ok(receipt) = producer.try_send(Record::to("t").value(&value)) {
            drop(receipt);
            accepted += 1;
            assert!(producer.pending_bytes() <= 4_000);
        }
        assert!(accepted > 10, "{accepted}");
        let before = cluster.world().now();
        drop(producer.send(Record::to("t").value(&value)).await.unwrap());
        assert!(cluster.world().now() > before, "it had to wait");
        producer.flush().await;
        assert_eq!((producer.pending_bytes(), fake.values("t", 0).len()), (0, accepted + 1));
    });
}

#[test]
fn flush_and_close_leave_nothing_behind() {
    story(10, async |fake, cluster| {
        let config = ProducerConfig { linger: Duration::from_secs(3_600), ..quick() };
        let producer = Producer::new(&cluster, config).unwrap();
        drop(producer.send(Record::to("t").value("0")).await.unwrap());
        producer.flush().await;
        assert_eq!(fake.values("t", 0), numbers(1));
        drop(producer.send(Record::to("t").value("1")).await.unwrap());
        let clone = producer.clone();
        producer.close().await.unwrap();
        assert_eq!(fake.values("t", 0), numbers(2));
        assert!(matches!(clone.send(Record::to("t").value("2")).await, Err(SendError::Closed)));
    });
}

#[test]
fn acks_zero_is_delivered_when_it_left() {
    story(11, async |fake, cluster| {
        let config = ProducerConfig { acks: Acks::None, ..quick() };
        let producer = Producer::new(&cluster, config).unwrap();
        let outcomes = send_numbers(&producer, 5).await;
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().offset.is_none()));
        cluster.world().sleep(Duration::from_millis(50)).await;
        assert_eq!(fake.values("t", 0), numbers(5));
        assert_eq!(fake.count(Api::InitProducerId), 0);
    });
}

#[test]
fn keys_choose_partitions_and_a_missing_topic_is_created() {
    story(12, async |fake, cluster| {
        let config = ProducerConfig { compression: Compression::Zstd, ..quick() };
        let producer = Producer::new(&cluster, config).unwrap();
        let mut receipts = Vec::new();
        for key in ["a", "b", "c", "a"] {
            receipts.push(producer.send(Record::to("new").key(key).value(key)).await.unwrap());
        }
        for (receipt, key) in receipts.into_iter().zip(["a", "b", "c", "a"]) {
            let expected = partition_for_key(key.as_bytes(), 2);
            assert_eq!(receipt.await.unwrap().partition, expected);
        }
        assert_eq!(fake.values("new", 0).len() + fake.values("new", 1).len(), 4);
        let config = ProducerConfig { auto_create_topics: false, ..quick() };
        let strict = Producer::new(&cluster, config).unwrap();
        let refused = strict.send(Record::to("newer").value("x")).await.map(drop);
        assert_eq!(refused, Err(ClientError::NoSuchTopic("newer".to_owned()).into()));
        let beyond = producer.send(Record::to("new").partition(7).value("x")).await.map(drop);
        let missing = ClientError::NoSuchPartition { topic: "new".to_owned(), partition: 7 };
        assert_eq!(beyond, Err(missing.into()));
    });
}
