//! The newest intact copy wins; damage and other versions are told apart.

use super::*;

fn block(sequence: u64) -> Superblock {
    Superblock {
        journal: [7; 16],
        sequence,
        shard: 1,
        parent_crc: 5,
        file_bytes: 1 << 23,
        checkpoint: 4,
        replay: Anchor { position: 4096, sequence: 9, prev_hash: 77 },
        durable: 8192,
        incarnation: 3,
        directory: [8; 16],
        ring_files: 4,
        crc: 0,
    }
}

#[test]
fn the_newest_intact_copy_is_chosen() {
    let (mut old, mut new) = (block(5), block(6));
    let (old_page, new_page) = (old.encode(), new.encode());
    let mut file = [new_page.clone(), new_page, old_page.clone(), old_page].concat();
    assert_eq!(Superblock::choose(&file), Ok((new, 0)));
    file[100] ^= 1;
    assert_eq!(Superblock::choose(&file), Ok((new, 1)));
    file[4096 + 50] ^= 1;
    assert_eq!(Superblock::choose(&file), Ok((old, 2)));
    file[8192 + 50] ^= 1;
    file[12288 + 50] ^= 1;
    assert_eq!(Superblock::choose(&file), Err(BadPage::Damaged));
    assert_eq!(Superblock::choose(&file[..100]), Err(BadPage::Damaged));
}

#[test]
fn another_version_is_no_damage() {
    for version in [1u32, 3] {
        let mut page = block(1).encode();
        page[8..12].copy_from_slice(&version.to_le_bytes());
        page[12..16].fill(0);
        sign(&mut page);
        assert_eq!(Superblock::choose(&page), Err(BadPage::Version(version)));
    }
}

#[test]
fn a_ring_file_size_that_cannot_be_is_damage() {
    for size in [0, 4096, 3 << 20, 1 << 40] {
        let mut odd = Superblock { file_bytes: size, ..block(1) };
        let page = odd.encode();
        assert_eq!(Superblock::decode(&page), Err(BadPage::Damaged), "{size}");
    }
}
