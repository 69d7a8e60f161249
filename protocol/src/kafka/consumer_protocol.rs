//! What consumers of the classic protocol tell each other through their group, byte for byte as Kafka's clients write
//! it: what a member reads, and what the leader gives it.
//!
//! To a classic group both are opaque. A KIP-848 group that has members of both protocols speaks them itself.

use crate::reader::{DecodeError, Limits, Reader};
use crate::wire::{EncodeError, Version, Wire};

/// The newest version that is known. Later ones only add fields at the end, which are passed over.
const NEWEST: i16 = 3;

/// No version has compact lengths or tags.
const fn plain(number: i16) -> Version {
    Version { number, flexible: false }
}

crate::message! {
    /// What a member tells of itself.
    struct ConsumerProtocolSubscription<'a> {
        /// The topics it reads.
        topics: Vec<&'a str>, in 0.., capped Topics;
        /// What its assignor wants to remember.
        user_data: Option<&'a [u8]>, in 0..;
        /// What it holds, unless it gives everything up before it joins.
        owned_partitions: Vec<ConsumerProtocolPartitions<'a>>, in 1.., capped Topics, else ignored;
        /// The generation in which it got that.
        generation_id: i32 = -1, in 2.., else ignored;
        /// The rack it stands in.
        rack_id: Option<&'a str>, in 3.., else ignored;
    }

    /// What a member is given.
    struct ConsumerProtocolAssignment<'a> {
        /// The partitions.
        assigned_partitions: Vec<ConsumerProtocolPartitions<'a>>, in 0.., capped Topics;
        /// What its assignor wants to tell it.
        user_data: Option<&'a [u8]>, in 0..;
    }

    /// Partitions of one topic.
    struct ConsumerProtocolPartitions<'a> {
        /// The topic, by name.
        topic: &'a str, in 0..;
        /// The partitions.
        partitions: Vec<i32>, in 0.., capped Partitions;
    }
}

fn read<'a, T: Wire<'a>>(bytes: &'a [u8]) -> Result<(i16, T), DecodeError> {
    let mut from = Reader::new(bytes, Limits::REQUEST);
    let number = i16::decode(&mut from, plain(0))?;
    if number < 0 {
        return Err(DecodeError::BadLength(i64::from(number)));
    }
    let number = number.min(NEWEST);
    Ok((number, T::decode(&mut from, plain(number))?))
}

impl<'a> ConsumerProtocolSubscription<'a> {
    /// Reads what a member sent; gives the version, too, because it must be answered in that.
    ///
    /// # Errors
    /// It is cut off, or no subscription.
    pub fn read(bytes: &'a [u8]) -> Result<(i16, Self), DecodeError> {
        read(bytes)
    }

    /// Appends what a member tells of itself, in the version it speaks.
    ///
    /// # Errors
    /// A name or a list is longer than the format can say.
    pub fn write(&self, number: i16, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        number.encode(into, plain(0))?;
        self.encode(into, plain(number))
    }
}

impl<'a> ConsumerProtocolAssignment<'a> {
    /// Reads what a leader gave.
    ///
    /// # Errors
    /// It is cut off, or no assignment.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        read(bytes).map(|(_version, assignment)| assignment)
    }

    /// Appends what a member is given, in the version it speaks.
    ///
    /// # Errors
    /// A name or a list is longer than the format can say.
    pub fn write(&self, number: i16, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        number.encode(into, plain(0))?;
        self.encode(into, plain(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_read_as_clients_of_each_age_write_it() {
        let topics = b"\0\0\0\x02\0\x01b\0\x01a\xff\xff\xff\xff";
        let owned = b"\0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\x05\0\0\0\x07";
        let with = |version: u8, more: &[&[u8]]| {
            let mut bytes = vec![0, version];
            bytes.extend_from_slice(topics);
            bytes.extend(more.concat());
            bytes
        };
        let read = |bytes: &[u8]| {
            let (version, told) =
                ConsumerProtocolSubscription::read(bytes).expect("a subscription");
            assert_eq!(told.topics, ["b", "a"]);
            let owned: Vec<(String, Vec<i32>)> = told
                .owned_partitions
                .into_iter()
                .map(|one| (one.topic.to_owned(), one.partitions))
                .collect();
            (version, owned, told.generation_id, told.rack_id.map(str::to_owned))
        };
        let held = vec![("a".to_owned(), vec![5, 7])];
        assert_eq!(read(&with(0, &[])), (0, vec![], -1, None));
        assert_eq!(read(&with(1, &[owned])), (1, held.clone(), -1, None));
        assert_eq!(read(&with(2, &[owned, b"\0\0\0\x09"])), (2, held.clone(), 9, None));
        let mut written = Vec::new();
        ConsumerProtocolSubscription {
            topics: vec!["b", "a"],
            owned_partitions: vec![ConsumerProtocolPartitions {
                topic: "a",
                partitions: vec![5, 7],
            }],
            generation_id: 9,
            ..ConsumerProtocolSubscription::default()
        }
        .write(2, &mut written)
        .expect("short names");
        assert_eq!(written, with(2, &[owned, b"\0\0\0\x09"]));
        let newest: &[&[u8]] = &[owned, b"\0\0\0\x09", b"\0\x02r1"];
        let rack = Some("r1".to_owned());
        assert_eq!(read(&with(3, newest)), (3, held.clone(), 9, rack.clone()));
        // One of a later version, and all that is added in it.
        assert_eq!(read(&with(9, &[&newest.concat(), b"more"])), (3, held, 9, rack));
    }

    #[test]
    fn garbage_is_no_subscription() {
        let cut: &[&[u8]] =
            &[b"", b"\0", b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\x01\0\x05ab", b"\xff\xff\0\0\0\0"];
        for bad in cut {
            assert!(ConsumerProtocolSubscription::read(bad).is_err(), "{bad:?}");
            assert!(ConsumerProtocolAssignment::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_assignment_is_written_as_leaders_write_it() {
        let given = ConsumerProtocolAssignment {
            assigned_partitions: vec![ConsumerProtocolPartitions {
                topic: "a",
                partitions: vec![1, 2],
            }],
            user_data: None,
        };
        let mut bytes = Vec::new();
        given.write(1, &mut bytes).expect("short names");
        let expected = b"\0\x01\0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\x01\0\0\0\x02\xff\xff\xff\xff";
        assert_eq!(bytes, expected);
        assert_eq!(ConsumerProtocolAssignment::read(&bytes), Ok(given));
    }
}
