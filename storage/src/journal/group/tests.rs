//! Group headers: what is written is read, what is damaged is not.

use super::*;

fn sealed(position: u64, payload: &[u8]) -> (GroupHeader, Vec<u8>) {
    let blocks = group_blocks(payload.len());
    let mut group = vec![0u8; (blocks * BLOCK_BYTES) as usize];
    group[GROUP_HEADER_BYTES..GROUP_HEADER_BYTES + payload.len()].copy_from_slice(payload);
    let mut header = GroupHeader {
        position,
        sequence: 7,
        incarnation: 3,
        slot: 2,
        payload_bytes: payload.len() as u32,
        prev_hash: 99,
        durable_upto: position,
        previous_count: 0,
        entry_count: 1,
        wall_ms: 1234,
        hash: 0,
    };
    header.seal(&[5; 16], &mut group);
    (header, group)
}

#[test]
fn what_is_sealed_is_found() {
    for size in [0, 1, 3967, 3968, 3969, 20_000] {
        let (header, group) = sealed(40_960, &vec![0xab; size]);
        assert_eq!(GroupHeader::parse(&[5; 16], &group), Ok(header), "{size}");
        assert_eq!(header.end(), 40_960 + group.len() as u64);
    }
}

#[test]
fn a_flipped_bit_anywhere_is_seen() {
    let (_, group) = sealed(4096, &[0xab; 5000]);
    for at in 0..GROUP_HEADER_BYTES + 5000 {
        let mut damaged = group.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(GroupHeader::parse(&[5; 16], &damaged).is_err(), "byte {at}");
    }
}

#[test]
fn a_zero_checksum_in_a_header_is_damage_not_the_end() {
    // Only a wholly zero header ends a log: one whose checksum field is zero is a damaged group.
    let (_, mut group) = sealed(4096, &[1; 100]);
    group[8..16].fill(0);
    assert_eq!(GroupHeader::parse(&[5; 16], &group), Err(NoGroup::Damaged));
    assert_eq!(GroupHeader::parse(&[5; 16], &[0; 4096]), Err(NoGroup::Zero));
}

#[test]
fn other_journals_and_truncated_files_hold_no_group() {
    let (_, group) = sealed(4096, &[1; 9000]);
    assert_eq!(GroupHeader::parse(&[6; 16], &group), Err(NoGroup::Other));
    assert_eq!(GroupHeader::parse(&[5; 16], &group[..4096]), Err(NoGroup::Damaged));
    assert_eq!(GroupHeader::parse(&[5; 16], &group[..60]), Err(NoGroup::Other));
}
