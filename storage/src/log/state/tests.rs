//! State that grows by batches, and quarantine arithmetic.

use proptest::prelude::*;
use protocol::ids::{PartitionIndex, TopicId};

use super::*;

fn state() -> LogState {
    let partition = TopicPartition {
        topic: TopicId::new([1; 16]),
        index: PartitionIndex::new(0).expect("zero is an index"),
    };
    LogState::new(1, partition, 0, 0)
}

proptest! {
    #[test]
    fn quarantine_is_the_union(ranges in prop::collection::vec((0i64..60, 1i64..9), 0..12)) {
        let mut it = state();
        for (start, length) in &ranges {
            it.quarantine(*start..start + length);
        }
        for offset in 0..80 {
            let lost = ranges.iter().any(|(start, length)| (*start..start + length).contains(&offset));
            prop_assert_eq!(it.quarantined_at(offset).is_some(), lost, "{}", offset);
        }
        prop_assert!(it.quarantined.is_sorted_by(|a, b| a.end < b.start));
    }

    #[test]
    fn region_checksums_do_not_depend_on_how_they_are_computed(
        records in prop::collection::vec(any::<u8>(), 1..9000),
        before in any::<u32>(),
    ) {
        let mut header = [7u8; HEADER_BYTES];
        let batch_crc = crc32c(&[&header[21..], &records[..]].concat());
        header[17..21].copy_from_slice(&batch_crc.to_be_bytes());
        let plain = crc32c_append(crc32c_append(before, &header), &records);
        prop_assert_eq!(crc_over_pieces(before, &header, &records, batch_crc), plain);
        let size = (HEADER_BYTES + records.len()) as u32;
        prop_assert_eq!(crc_from_header(before, &header, size, batch_crc), plain);
    }
}
