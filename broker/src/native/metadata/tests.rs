//! Pages of a long list of topics.

use protocol::metadata::Record;
use protocol::metadata::record::PartitionRecord;
use protocol::{LeaderEpoch, PartitionIndex};

use super::*;

/// An image of topics, each a name and its number of partitions.
fn image(topics: &[(String, i32)]) -> Image {
    let mut image = Image::new();
    let broker = BrokerId::new(1).unwrap();
    for (number, (name, partitions)) in (1_u128..).zip(topics) {
        let topic = TopicId::new(number.to_be_bytes());
        image.apply(&Record::TopicCreated { topic, name: name.clone() }).unwrap();
        for index in 0..*partitions {
            let partition = PartitionRecord {
                topic,
                index: PartitionIndex::new(index).unwrap(),
                replicas: vec![broker],
                in_sync: vec![broker],
                leader: Some(broker),
                leader_epoch: LeaderEpoch::ZERO,
                partition_epoch: 0,
            };
            image.apply(&Record::Partition(partition)).unwrap();
        }
    }
    image
}

/// The names on each page.
fn pages(image: &Image, with_partitions: bool) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), "");
    loop {
        let (listed, next) = page(image, after, with_partitions);
        let names = listed.iter().map(|it| match it {
            Listed::Known(topic) => topic.name.to_string(),
            Listed::Missing(code, _) => panic!("{code}"),
        });
        pages.push(names.collect());
        match next {
            Some(next) => after = next,
            None => return pages,
        }
    }
}

#[test]
fn pages_hold_every_topic_once_and_in_order() {
    let topics: Vec<(String, i32)> = (0..4_500).map(|n| (format!("topic-{n:05}"), 1)).collect();
    let image = image(&topics);
    for with_partitions in [false, true] {
        let pages = pages(&image, with_partitions);
        let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
        assert_eq!(sizes, [PAGE_TOPICS_MAX, PAGE_TOPICS_MAX, 500]);
        let names: Vec<String> = pages.concat();
        assert!(names.iter().eq(topics.iter().map(|(name, _)| name)));
    }
    assert_eq!(pages(&Image::new(), true), [Vec::<String>::new()]);
}

#[test]
fn a_page_ends_by_its_bytes_but_has_one_topic_at_least() {
    // 24 bytes a partition: the first topic alone is more than a page, the next two fit one.
    let image = image(&[("a".into(), 50_000), ("b".into(), 20_000), ("c".into(), 20_000)]);
    assert_eq!(pages(&image, true), [vec!["a".to_owned()], vec!["b".into(), "c".into()]]);
    assert_eq!(pages(&image, false).len(), 1);
}
