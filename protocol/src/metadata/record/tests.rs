//! Records survive their bytes, the bytes are fixed, and foreign bytes are refused in words.

use proptest::prelude::*;

use super::*;

/// Any record that has a legal form, whether or not it makes sense in a log.
pub(in crate::metadata) fn any_record() -> impl Strategy<Value = Record> {
    let name = "[a-z._-]{0,8}";
    prop_oneof![
        1 => (topic(), name).prop_map(|(topic, name)| Record::TopicCreated { topic, name }),
        3 => partition().prop_map(Record::Partition),
        1 => topic().prop_map(|topic| Record::TopicDeleted { topic }),
        2 => (resource(), name, ".{0,8}")
            .prop_map(|(resource, key, value)| Record::ConfigSet { resource, key, value }),
        1 => (resource(), name).prop_map(|(resource, key)| Record::ConfigCleared { resource, key }),
        1 => broker_record().prop_map(Record::BrokerRegistered),
        1 => (broker(), any::<i64>())
            .prop_map(|(broker, next)| Record::ProducerIdsAllocated { broker, next }),
        1 => (name, any::<i16>()).prop_map(|(name, level)| Record::FeatureLevel { name, level }),
    ]
}

fn topic() -> impl Strategy<Value = TopicId> {
    (1u8..6).prop_map(|last| TopicId::new([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]))
}

fn broker() -> impl Strategy<Value = BrokerId> {
    (0..4i32).prop_map(|id| BrokerId::new(id).unwrap())
}

fn partition() -> impl Strategy<Value = PartitionRecord> {
    let brokers = || prop::collection::vec(broker(), 0..4);
    let leader = prop::option::of(broker());
    (topic(), 0..4i32, brokers(), brokers(), leader, (0..4i32, 0..5i32)).prop_map(
        |(topic, index, replicas, in_sync, leader, (epoch, partition_epoch))| PartitionRecord {
            topic,
            index: PartitionIndex::new(index).unwrap(),
            replicas,
            in_sync,
            leader,
            leader_epoch: LeaderEpoch::new(epoch).unwrap(),
            partition_epoch,
        },
    )
}

fn resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        4 => topic().prop_map(Resource::Topic),
        1 => broker().prop_map(Resource::Broker),
        1 => Just(Resource::BrokerDefault),
        1 => "[a-z]{0,3}".prop_map(Resource::Group),
        1 => "[a-z]{0,3}".prop_map(Resource::ClientMetrics),
    ]
}

fn broker_record() -> impl Strategy<Value = BrokerRecord> {
    let endpoint = ("[A-Z]{0,5}", "[a-z.]{0,9}", any::<u16>())
        .prop_map(|(listener, host, port)| Endpoint { listener, host, port });
    let endpoints = prop::collection::vec(endpoint, 0..3);
    (broker(), any::<[u8; 16]>(), endpoints, prop::option::of("[a-z]{0,4}")).prop_map(
        |(broker, directory, endpoints, rack)| BrokerRecord { broker, directory, endpoints, rack },
    )
}

proptest! {
    #[test]
    fn a_record_survives_its_bytes(record in any_record()) {
        prop_assert_eq!(Record::decode(&record.to_bytes()), Ok(record));
    }

    #[test]
    fn every_cut_is_refused_and_so_is_every_addition(record in any_record(), extra in any::<u8>()) {
        let mut bytes = record.to_bytes();
        for cut in 0..bytes.len() {
            prop_assert!(matches!(Record::decode(&bytes[..cut]), Err(DecodeError::Truncated(_))));
        }
        bytes.push(extra);
        prop_assert_eq!(Record::decode(&bytes), Err(DecodeError::TrailingBytes(1)));
    }

    #[test]
    fn garbage_is_refused_or_read_exactly(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..10) {
        let mut bytes = bytes;
        for byte in bytes.iter_mut().take(2) {
            *byte = if *byte % 2 == 0 { kind } else { 0 };
        }
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(record in any_record(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = record.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Record::decode(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_first_release() {
    let record = Record::ConfigSet {
        resource: Resource::Topic(TopicId::new([7; 16])),
        key: "retention.ms".to_owned(),
        value: "-1".to_owned(),
    };
    let mut expected = vec![4, 0, 1];
    expected.extend([7; 16]);
    expected.extend(*b"\0\0\0\x0cretention.ms\0\0\0\x02-1");
    assert_eq!(record.to_bytes(), expected);
}

#[test]
fn what_a_newer_program_wrote_is_refused_and_named() {
    assert_eq!(Record::decode(&[9, 0]), Err(DecodeError::UnknownKind(9)));
    assert_eq!(Record::decode(&[0, 0]), Err(DecodeError::UnknownKind(0)));
    let newer = DecodeError::NewerVersion { kind: 8, version: 1, known: 0 };
    assert_eq!(Record::decode(&[8, 1, 0, 0]), Err(newer));
    assert!(newer.to_string().contains("version 1"));
}

#[test]
fn counts_are_compared_with_what_follows() {
    // A broker record that announces two thousand million endpoints.
    let mut bytes = vec![6, 0, 0, 0, 0, 1];
    bytes.extend([1; 16]);
    bytes.extend([0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(Record::decode(&bytes), Err(DecodeError::Truncated("endpoints")));
    assert_eq!(
        Record::decode(&vec![1; RECORD_BYTES_MAX + 1]),
        Err(DecodeError::TooLong(RECORD_BYTES_MAX + 1))
    );
}
