//! Every wish is decided as Kafka 4.3.1 decides it, and the records say exactly that.

mod configs;
mod topics;

use proptest::prelude::*;

use super::*;
use crate::Offset;
use crate::metadata::record::{Endpoint, Resource};

fn broker(id: i32) -> BrokerId {
    BrokerId::new(id).unwrap()
}

fn registration(id: i32) -> BrokerRecord {
    let endpoint = Endpoint { listener: "PLAINTEXT".into(), host: "h".into(), port: 9092 };
    BrokerRecord { broker: broker(id), directory: [7; 16], endpoints: vec![endpoint], rack: None }
}

/// A controller and the image it decides on.
struct Cluster {
    rules: Controller,
    image: Image,
    seed: u64,
}

impl Cluster {
    fn of(brokers: i32) -> Self {
        let rules =
            Controller { broker: broker(1), at_start: ConfigMap::new(), partitions_max: 20_000 };
        let mut cluster = Self { rules, image: Image::new(), seed: 0 };
        for id in 1..=brokers {
            assert_eq!(cluster.run(Command::RegisterBroker(registration(id))), Reply::Noted);
        }
        cluster
    }

    /// Decides, commits and answers.
    fn run(&mut self, command: Command) -> Reply {
        self.seed += 1;
        let decision = self.rules.step(command, &self.image, self.seed);
        self.image.apply_all(&decision.records).unwrap();
        decision.reply
    }

    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, Refusal> {
        match self.run(Command::CreateTopics(vec![topic], Mode::Apply)) {
            Reply::CreateTopics(mut results) => results.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn grow(
        &mut self,
        topic: &str,
        count: i32,
        by_hand: Option<Vec<Vec<i32>>>,
    ) -> Result<(), Refusal> {
        let wish = AddPartitions { topic: topic.into(), count, assignments: by_hand };
        match self.run(Command::AddPartitions(vec![wish], Mode::Apply)) {
            Reply::AddPartitions(mut results) => results.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, topics: Vec<DeleteTopic>) -> Vec<Result<(TopicId, String), Refusal>> {
        match self.run(Command::DeleteTopics(topics)) {
            Reply::DeleteTopics(results) => results,
            other => panic!("{other:?}"),
        }
    }

    fn alter(
        &mut self,
        target: ConfigTarget,
        operations: &[(OperationKind, &str, Option<&str>)],
    ) -> Result<(), Refusal> {
        self.alter_as(target, operations, false)
    }

    fn alter_as(
        &mut self,
        target: ConfigTarget,
        operations: &[(OperationKind, &str, Option<&str>)],
        replace: bool,
    ) -> Result<(), Refusal> {
        let operation = |&(kind, key, value): &(OperationKind, &str, Option<&str>)| {
            ConfigOperation { key: key.into(), kind, value: value.map(Into::into) }
        };
        let operations = operations.iter().map(operation).collect();
        let wish = AlterConfigs { target, operations, replace };
        match self.run(Command::AlterConfigs(vec![wish], Mode::Apply)) {
            Reply::AlterConfigs(mut results) => results.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn own(&self, topic: &str, key: &str) -> Option<&str> {
        self.image.topic_by_name(topic)?.configs.get(key).map(String::as_str)
    }
}

fn named(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { name: name.into(), partitions, replication_factor, ..NewTopic::default() }
}

fn by_hand(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(index, brokers)| (*index, brokers.to_vec()));
    NewTopic { assignments: assignments.collect(), ..named(name, -1, -1) }
}

fn configured(name: &str, key: &str, value: Option<&str>) -> NewTopic {
    let configs = vec![(key.to_owned(), value.map(str::to_owned))];
    NewTopic { configs, ..named(name, 1, 1) }
}

fn topic(name: &str) -> ConfigTarget {
    ConfigTarget::Topic(name.into())
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> (ErrorCode, String) {
    let refusal = result.unwrap_err();
    (refusal.code, refusal.message)
}

#[test]
fn producer_ids_come_in_blocks_that_never_overlap() {
    let mut cluster = Cluster::of(2);
    let mut next = 0;
    for turn in 0..10 {
        let block = match cluster.run(Command::AllocateProducerIds(broker(1 + turn % 2))) {
            Reply::ProducerIds(block) => block.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(block, next..next + 1_000);
        next = block.end;
    }
    let image = Image::restore(Offset::ZERO, &cluster.image.snapshot()).unwrap();
    assert_eq!(image.next_producer_id(), next, "a restart begins with the next block");

    let last = Record::ProducerIdsAllocated { broker: broker(1), next: i64::MAX - 5 };
    cluster.image.apply(&last).unwrap();
    let Reply::ProducerIds(block) = cluster.run(Command::AllocateProducerIds(broker(1))) else {
        panic!()
    };
    assert_eq!(refused(block).0, ErrorCode::UnknownServerError);
}

#[test]
fn what_is_known_already_needs_no_record() {
    let mut cluster = Cluster::of(1);
    cluster.run(Command::SetFeature("metadata.version".into(), 30));
    let before = cluster.image.version();
    cluster.run(Command::SetFeature("metadata.version".into(), 30));
    cluster.run(Command::SetFeature("other".into(), 0));
    cluster.run(Command::RegisterBroker(registration(1)));
    assert_eq!(cluster.image.version(), before);
    cluster
        .run(Command::RegisterBroker(BrokerRecord { rack: Some("r".into()), ..registration(1) }));
    assert_eq!(cluster.image.version(), before.plus(1));
}

proptest! {
    #[test]
    fn the_same_wish_is_decided_the_same_way_and_its_records_apply(
        names in prop::collection::vec("[a-c._]{0,3}", 0..6),
        counts in prop::collection::vec((-2..5i32, -2..4i16), 6),
        seed in any::<u64>(),
    ) {
        let cluster = Cluster::of(2);
        let topics: Vec<_> = names.iter().zip(&counts).map(|(name, (count, factor))| named(name, *count, *factor)).collect();
        let decide = || cluster.rules.step(Command::CreateTopics(topics.clone(), Mode::Apply), &cluster.image, seed);
        let decision = decide();
        prop_assert_eq!(&decide(), &decision);
        let mut image = cluster.image.clone();
        image.apply_all(&decision.records).unwrap();
        let Reply::CreateTopics(results) = decision.reply else { panic!() };
        let created = results.iter().filter(|result| result.is_ok()).count();
        prop_assert_eq!(image.topic_count(), created);
    }
}
