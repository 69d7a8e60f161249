//! Known bytes, round trips, and garbage.

use super::*;
use crate::sample::Sampler;

#[test]
fn an_offset_is_written_as_kafka_writes_it() {
    let mut key = Vec::new();
    let names = GroupKey::Offset { group: "g", topic: "orders", partition: 3 };
    names.encode(&mut key).expect("short names");
    // Kind 1, then the group, the topic and the partition, with plain lengths.
    assert_eq!(key, b"\x00\x01\x00\x01g\x00\x06orders\x00\x00\x00\x03");
    let mut value = Vec::new();
    let committed = OffsetCommitValue {
        offset: 258,
        leader_epoch: 7,
        metadata: "m",
        commit_timestamp: 1,
        ..OffsetCommitValue::default()
    };
    committed.write(&mut value).expect("short metadata");
    // Version 3, offset, leader epoch, metadata, time of the commit.
    assert_eq!(
        value,
        b"\x00\x03\0\0\0\0\0\0\x01\x02\0\0\0\x07\x00\x01m\0\0\0\0\0\0\0\x01".as_slice()
    );
}

#[test]
fn an_offset_that_is_to_be_forgotten_says_when() {
    let committed = OffsetCommitValue { expire_timestamp: 9, ..OffsetCommitValue::default() };
    let mut value = Vec::new();
    committed.write_in(committed.version(), &mut value).expect("no metadata");
    assert_eq!(value[..2], *b"\0\x01");
    assert_eq!(OffsetCommitValue::read(&value), Ok(committed));
    assert_eq!(OffsetCommitValue::default().version(), OffsetCommitValue::WRITTEN);
}

#[test]
fn a_group_is_written_as_kafka_writes_it() {
    let mut value = Vec::new();
    GroupMetadataValue {
        protocol_type: "sr",
        generation: 2,
        protocol: Some("v0"),
        leader: None,
        current_state_timestamp: 5,
        members: vec![MemberMetadata {
            member_id: "m",
            group_instance_id: None,
            client_id: "c",
            client_host: "/h",
            rebalance_timeout: 9,
            session_timeout: 8,
            subscription: b"S",
            assignment: b"",
        }],
    }
    .write(&mut value)
    .expect("short names");
    let expected: &[u8] = b"\x00\x03\x00\x02sr\0\0\0\x02\x00\x02v0\xff\xff\0\0\0\0\0\0\0\x05\
        \0\0\0\x01\x00\x01m\xff\xff\x00\x01c\x00\x02/h\0\0\0\x09\0\0\0\x08\0\0\0\x01S\0\0\0\0";
    assert_eq!(value, expected);
}

#[test]
fn every_kind_of_key_is_read_back() {
    let (group, member) = ("g", "m");
    let keys = [
        GroupKey::Offset { group, topic: "t", partition: 1 },
        GroupKey::Group { group },
        GroupKey::ConsumerGroup { group },
        GroupKey::PartitionMetadata { group },
        GroupKey::Member { group, member },
        GroupKey::Target { group },
        GroupKey::TargetMember { group, member },
        GroupKey::CurrentMember { group, member },
        GroupKey::RegularExpression { group, expression: "a.*" },
    ];
    for key in keys {
        let mut bytes = Vec::new();
        key.encode(&mut bytes).expect("short names");
        assert_eq!(GroupKey::decode(&bytes), Ok(key));
        assert_eq!(key.group(), Some("g"));
        for end in 0..bytes.len() {
            assert!(GroupKey::decode(&bytes[..end]).is_err(), "{key:?} cut at {end}");
        }
    }
    // An offset of the oldest kind says the same.
    assert_eq!(
        GroupKey::decode(b"\0\0\0\x01g\0\x01t\0\0\0\x01"),
        Ok(GroupKey::Offset { group, topic: "t", partition: 1 })
    );
    // A share group's record is somebody else's.
    assert_eq!(GroupKey::decode(b"\x00\x0b\x00\x01g"), Ok(GroupKey::Unknown(11)));
}

/// A value with every field at a value of its own, in each version, is read back; cut short it is refused.
fn check<T>()
where
    T: for<'a> GroupValue<'a> + PartialEq + std::fmt::Debug,
{
    check_as::<T>(|bytes| T::read(bytes));
}

fn check_as<T: GroupValue<'static> + PartialEq + std::fmt::Debug>(
    read: impl Fn(&'static [u8]) -> Result<T, DecodeError>,
) {
    for number in 0..=T::NEWEST {
        let version = Version { number, flexible: number >= T::FLEXIBLE_FROM };
        for sampler in [Sampler::new(true, false), Sampler::new(false, true)] {
            let mut sampler = sampler;
            let value = T::sample(&mut sampler, version);
            let mut bytes = number.to_be_bytes().to_vec();
            value.encode(&mut bytes, version).expect("a sample fits its version");
            let bytes: &'static [u8] = bytes.leak();
            assert_eq!(read(bytes), Ok(value), "version {number}");
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end]).is_err(), "version {number} cut at {end}");
            }
        }
    }
    let newer: &'static [u8] = (T::NEWEST + 1).to_be_bytes().to_vec().leak();
    assert!(read(newer).is_err(), "a version that is not known");
}

#[test]
fn every_value_is_read_back_in_every_version() {
    check_as(OffsetCommitValue::read);
    check_as(GroupMetadataValue::read);
    check_as(ConsumerGroupPartitionMetadataValue::read);
    check_as(ConsumerGroupMemberMetadataValue::read);
    check_as(ConsumerGroupRegularExpressionValue::read);
    check::<ConsumerGroupMetadataValue>();
    check::<ConsumerGroupTargetAssignmentMetadataValue>();
    check::<ConsumerGroupTargetAssignmentMemberValue>();
    check::<ConsumerGroupCurrentMemberAssignmentValue>();
}

#[test]
fn a_group_lives_where_javas_hash_puts_it() {
    // group │ Java's hashCode │ partition of 50
    let cases = [
        ("", 0),
        ("a", 97 % 50),
        ("test", 3_556_498 % 50),
        // Its hash is the smallest number of all, whose absolute value Kafka takes to be 0.
        ("polygenelubricants", 0),
        // A negative hash: -1 * 31^... worked out by hand for two letters outside ASCII and a surrogate pair.
        ("é", 233 % 50),
        ("😀", (55_357 * 31 + 56_832) % 50),
    ];
    for (group, expected) in cases {
        assert_eq!(home_of(group, 50), expected, "{group:?}");
    }
}

proptest::proptest! {
    #[test]
    fn garbage_never_panics(bytes: Vec<u8>) {
        let _read = GroupKey::decode(&bytes);
        let _read = OffsetCommitValue::read(&bytes);
        let _read = GroupMetadataValue::read(&bytes);
        let _read = ConsumerGroupMemberMetadataValue::read(&bytes);
        let _read = ConsumerGroupCurrentMemberAssignmentValue::read(&bytes);
    }
}
