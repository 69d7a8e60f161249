//! What a ring file's blocks are taken for.

use super::*;
use crate::journal::group::group_blocks;
use crate::limits::GROUP_HEADER_BYTES;

fn put(file: &mut [u8], at: usize, position: u64, slot: u32) {
    let mut header = GroupHeader {
        position,
        sequence: 1,
        incarnation: 1,
        slot,
        payload_bytes: 5000,
        prev_hash: 0,
        durable_upto: 0,
        previous_count: 0,
        entry_count: 0,
        wall_ms: 0,
        hash: 0,
    };
    let size = (group_blocks(5000) * BLOCK_BYTES) as usize;
    file[at..at + size].fill(0);
    file[at + GROUP_HEADER_BYTES..at + GROUP_HEADER_BYTES + 5000].fill(3);
    header.seal(&[5; 16], &mut file[at..at + size]);
}

#[test]
fn every_block_is_looked_at() {
    let mut file = vec![0u8; 16 * 4096];
    put(&mut file, 4096, 16 * 4096 + 4096, 2);
    put(&mut file, 5 * 4096, 5 * 4096, 2);
    // In the wrong place, and in the wrong file.
    put(&mut file, 8 * 4096, 9 * 4096, 2);
    put(&mut file, 11 * 4096, 11 * 4096, 1);
    // Damaged.
    put(&mut file, 13 * 4096, 13 * 4096, 2);
    file[14 * 4096] ^= 1;
    let mut scan = RingScan::default();
    scan.add(&[5; 16], 2, &file);
    assert_eq!(scan.groups.iter().map(|it| it.at).collect::<Vec<_>>(), [4096, 5 * 4096]);
    assert_eq!(scan.misplaced.iter().map(|it| it.at).collect::<Vec<_>>(), [8 * 4096, 11 * 4096]);
    assert_eq!(scan.damaged, [(2, 13 * 4096)]);
}
