//! Ids show and parse as Kafka's tools do.

use super::*;

#[test]
fn a_topic_id_is_shown_as_kafka_shows_it() {
    // The three well-known values of Kafka's Uuid: zero, one (reserved) and a pattern worked out by hand.
    let one = TopicId::new(1u128.to_be_bytes());
    let counting = TopicId::new(std::array::from_fn(|place| place as u8));
    for (id, text) in [
        (TopicId::ZERO, "AAAAAAAAAAAAAAAAAAAAAA"),
        (one, "AAAAAAAAAAAAAAAAAAAAAQ"),
        (counting, "AAECAwQFBgcICQoLDA0ODw"),
        (TopicId::new([0xff; 16]), "_____________________w"),
    ] {
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
    }
    assert!(TopicId::ZERO.is_zero());
    assert!(!one.is_zero());
}

#[test]
fn text_that_is_no_topic_id_is_refused() {
    let bad =
        ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAA+A", "AAAAAAAAAAAAAAAAAAAAAAA"];
    for text in bad {
        assert_eq!(text.parse::<TopicId>(), Err(InvalidTopicId), "{text}");
    }
}

#[test]
fn numbers_that_name_nothing_are_refused() {
    assert_eq!(PartitionIndex::new(-1), None);
    assert_eq!(PartitionIndex::new(7).map(PartitionIndex::get), Some(7));
    assert_eq!(BrokerId::new(-1), None);
    assert_eq!(BrokerId::new(BrokerId::END), None);
    assert_eq!(BrokerId::new(BrokerId::END - 1).map(BrokerId::get), Some((1 << 30) - 1));
    assert_eq!(ProducerId::new(ProducerId::NONE), None);
}

proptest::proptest! {
    #[test]
    fn every_topic_id_comes_back_from_its_text(bytes: [u8; 16]) {
        let id = TopicId::new(bytes);
        proptest::prop_assert_eq!(id.to_string().parse(), Ok(id));
    }
}
