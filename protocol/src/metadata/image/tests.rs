//! An image is a function of the records alone, and a snapshot builds it again.

use proptest::prelude::*;

use super::*;
use crate::metadata::record::Endpoint;
use crate::metadata::record::tests::any_record;

/// Those of `candidates` that can follow each other, and the image they build.
fn legal(candidates: &[Record]) -> (Vec<Record>, Image) {
    let mut image = Image::new();
    let mut log = Vec::new();
    for record in candidates {
        let before = image.clone();
        match image.apply(record) {
            Ok(()) => log.push(record.clone()),
            Err(_) => assert_eq!(image, before, "a refused record left a trace: {record:?}"),
        }
    }
    (log, image)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_snapshot_builds_the_same_image(candidates in prop::collection::vec(any_record(), 0..300)) {
        let (log, image) = legal(&candidates);
        prop_assert_eq!(image.version().get(), i64::try_from(log.len()).unwrap());
        let records = image.snapshot();
        let restored = Image::restore(image.version(), &records).unwrap();
        prop_assert_eq!(&restored, &image);
        prop_assert_eq!(restored.snapshot(), records);
        prop_assert_eq!(image.partition_count(), image.topics().map(|topic| topic.partitions.len()).sum::<usize>());
    }

    #[test]
    fn chunks_build_what_the_whole_builds(candidates in prop::collection::vec(any_record(), 0..300), size in 1usize..40) {
        let (log, image) = legal(&candidates);
        let mut chunked = Image::new();
        for chunk in log.chunks(size) {
            let mut next = chunked.clone();
            next.apply_all(chunk).unwrap();
            chunked = next;
        }
        prop_assert_eq!(chunked, image);
    }
}

fn id(n: u8) -> TopicId {
    TopicId::new([n; 16])
}

fn broker(id: i32) -> BrokerId {
    BrokerId::new(id).unwrap()
}

fn created(n: u8, name: &str) -> Record {
    Record::TopicCreated { topic: id(n), name: name.to_owned() }
}

fn placed(n: u8, index: i32, epoch: i32, partition_epoch: i32) -> PartitionRecord {
    PartitionRecord {
        topic: id(n),
        index: PartitionIndex::new(index).unwrap(),
        replicas: vec![broker(1), broker(2)],
        in_sync: vec![broker(1)],
        leader: Some(broker(1)),
        leader_epoch: LeaderEpoch::new(epoch).unwrap(),
        partition_epoch,
    }
}

fn partition(n: u8, index: i32, epoch: i32, partition_epoch: i32) -> Record {
    Record::Partition(placed(n, index, epoch, partition_epoch))
}

fn image(log: &[Record]) -> Image {
    Image::restore(Offset::ZERO, log).unwrap()
}

#[test]
fn a_topic_is_found_by_id_and_name_until_it_is_deleted() {
    let mut image = image(&[created(1, "one"), partition(1, 0, 0, 0), created(2, "two")]);
    assert_eq!(image.topic_by_name("one").unwrap().id, id(1));
    assert_eq!(image.topic(id(2)).unwrap().name.as_ref(), "two");
    assert_eq!(image.partition_count(), 1);

    image.apply(&Record::TopicDeleted { topic: id(1) }).unwrap();
    assert!(image.topic(id(1)).is_none() && image.topic_by_name("one").is_none());
    assert_eq!((image.topic_count(), image.partition_count()), (1, 0));

    image.apply(&created(3, "one")).unwrap();
    assert_eq!(image.topic_id("one"), Some(id(3)), "a name may be used again");
    let names: Vec<_> = image.topics().map(|topic| topic.name.as_ref()).collect();
    assert_eq!(names, ["one", "two"]);
    let rest: Vec<_> = image.topics_from(Bound::Excluded("one")).map(|topic| topic.id).collect();
    assert_eq!(rest, [id(2)]);
}

#[test]
fn records_that_contradict_the_image_are_refused() {
    let log = [created(1, "one"), partition(1, 0, 3, 5)];
    let twice = PartitionRecord { replicas: vec![broker(1); 2], ..placed(1, 0, 4, 6) };
    let nobody =
        PartitionRecord { replicas: vec![], in_sync: vec![], leader: None, ..placed(1, 0, 4, 6) };
    let stranger = PartitionRecord { leader: Some(broker(9)), ..placed(1, 0, 4, 6) };
    let silent = PartitionRecord { leader: None, ..placed(1, 0, 3, 6) };
    let (topic, index) = (id(1), PartitionIndex::new(0).unwrap());
    let cases = [
        (created(1, "x"), ApplyReason::TopicIdTaken(id(1))),
        (created(0, "x"), ApplyReason::TopicIdTaken(TopicId::ZERO)),
        (created(2, "one"), ApplyReason::TopicNameTaken("one".to_owned())),
        (Record::TopicDeleted { topic: id(2) }, ApplyReason::UnknownTopic(id(2))),
        (partition(2, 0, 0, 0), ApplyReason::UnknownTopic(id(2))),
        (partition(1, 0, 3, 5), ApplyReason::StaleEpoch { topic, index }),
        (partition(1, 0, 2, 6), ApplyReason::StaleEpoch { topic, index }),
        (Record::Partition(silent), ApplyReason::StaleEpoch { topic, index }),
        (Record::Partition(twice), ApplyReason::InvalidReplicas { topic, index }),
        (Record::Partition(nobody), ApplyReason::InvalidReplicas { topic, index }),
        (Record::Partition(stranger), ApplyReason::InvalidReplicas { topic, index }),
        (
            partition(1, 2, 0, 0),
            ApplyReason::PartitionGap { topic, index: PartitionIndex::new(2).unwrap(), count: 1 },
        ),
    ];
    for (record, reason) in cases {
        let mut after = image(&log);
        let error = after.apply(&record).unwrap_err();
        assert_eq!(error, ApplyError { version: Offset::ZERO, reason }, "{record:?}");
        assert_eq!(after, image(&log));
    }
}

#[test]
fn producer_ids_only_rise() {
    let block = |next| Record::ProducerIdsAllocated { broker: broker(1), next };
    let mut image = image(&[block(1_000)]);
    let back = ApplyReason::ProducerIdsGoBack { from: 1_000, to: 999 };
    assert_eq!(image.apply(&block(999)).unwrap_err().reason, back);
    image.apply(&block(2_000)).unwrap();
    assert_eq!(image.next_producer_id(), 2_000);
}

#[test]
fn configs_come_and_go_and_leave_with_their_topic() {
    let set = |resource: Resource, key: &str, value: &str| Record::ConfigSet {
        resource,
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let topic = Resource::Topic(id(1));
    let mut image = image(&[created(1, "one"), set(topic.clone(), "retention.ms", "1")]);
    image.apply(&set(Resource::BrokerDefault, "log.retention.ms", "2")).unwrap();
    assert_eq!(image.configs(&topic).unwrap()["retention.ms"], "1");
    assert_eq!(image.configured().collect::<Vec<_>>(), [&Resource::BrokerDefault]);

    let cleared =
        Record::ConfigCleared { resource: Resource::BrokerDefault, key: "log.retention.ms".into() };
    image.apply(&cleared).unwrap();
    assert_eq!(image.configs(&Resource::BrokerDefault), None);
    image.apply(&Record::TopicDeleted { topic: id(1) }).unwrap();
    assert_eq!(image.configs(&topic), None);
    assert!(image.apply(&set(topic, "a", "b")).is_err());
}

#[test]
fn features_and_brokers_are_kept() {
    let feature = |level| Record::FeatureLevel { name: "metadata.version".into(), level };
    let record = BrokerRecord {
        broker: broker(1),
        directory: [9; 16],
        endpoints: vec![Endpoint { listener: "PLAINTEXT".into(), host: "::1".into(), port: 9092 }],
        rack: Some("r1".into()),
    };
    let mut image = image(&[feature(30), Record::BrokerRegistered(record.clone())]);
    assert_eq!(image.feature("metadata.version"), Some(30));
    assert_eq!(image.broker(broker(1)), Some(&record));
    image.apply(&feature(0)).unwrap();
    assert_eq!(image.features().count(), 0);
}

#[test]
fn a_clone_does_not_see_what_comes_after() {
    let mut live = Image::new();
    for n in 1..=200u8 {
        live.apply(&created(n, &format!("topic-{n}"))).unwrap();
        live.apply(&partition(n, 0, 0, 0)).unwrap();
    }
    let held = live.clone();
    live.apply(&Record::TopicDeleted { topic: id(77) }).unwrap();
    live.apply(&partition(78, 0, 1, 1)).unwrap();
    assert!(held.topic(id(77)).is_some() && live.topic(id(77)).is_none());
    let epoch = |image: &Image| image.topic(id(78)).unwrap().partitions[0].leader_epoch.get();
    assert_eq!((epoch(&held), epoch(&live)), (0, 1));
}

#[test]
fn ten_thousand_partitions_take_a_few_megabytes() {
    let mut log = Vec::new();
    for n in 0..10_000u32 {
        let mut bytes = [1; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        let topic = TopicId::new(bytes);
        log.push(Record::TopicCreated { topic, name: format!("a-topic-of-ordinary-length-{n}") });
        log.push(Record::Partition(PartitionRecord { topic, ..placed(1, 0, 0, 0) }));
    }
    let image = image(&log);
    assert_eq!(image.partition_count(), 10_000);
    let topic = size_of::<Topic>() + 2 * size_of::<usize>();
    // Two boxed lists of at most two brokers, an entry in each map, the name once, with its counts.
    let per_topic = topic + size_of::<Partition>() + 2 * 16 + 24 + 32 + 32 + 16;
    assert!(per_topic * 10_000 < 5 << 20, "{per_topic} bytes for each topic of one partition");
    let snapshot: usize = image.snapshot().iter().map(|record| record.to_bytes().len()).sum();
    assert!(snapshot < 2 << 20, "{snapshot} bytes");
}
