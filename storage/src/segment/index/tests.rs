//! Index pages: round trip, damage, strangers.

use super::*;

fn page() -> IndexPage {
    let entry = |n: u32| IndexEntry {
        relative: n * 10,
        position: n * 5000,
        max_timestamp: i64::from(n),
        crc: n,
        gap: 0,
    };
    IndexPage {
        identity: Identity { topic: [4; 16], partition: 2, base: 1000 },
        number: 3,
        entries: (0..INDEX_PAGE_ENTRIES as u32).map(entry).collect(),
        end_position: 1_000_000,
        end_offset: 5000,
        max_timestamp: 77,
    }
}

#[test]
fn a_page_is_read_as_written() {
    let page = page();
    assert_eq!(IndexPage::decode(&page.encode(), &page.identity, 3), Ok(page));
}

#[test]
fn damage_strangers_and_lies_are_told_apart() {
    let page = page();
    let identity = page.identity;
    for at in [0, 5, 9, 20, 100, 4095] {
        let mut bytes = page.encode();
        bytes[at] ^= 4;
        assert_eq!(IndexPage::decode(&bytes, &identity, 3), Err(BadIndex::Damaged), "{at}");
    }
    assert_eq!(IndexPage::decode(&[], &identity, 3), Err(BadIndex::Damaged));
    let other = Identity { partition: 3, ..identity };
    assert_eq!(IndexPage::decode(&page.encode(), &other, 3), Err(BadIndex::Foreign));
    assert_eq!(IndexPage::decode(&page.encode(), &identity, 4), Err(BadIndex::Wrong));
    let mut unordered = page.clone();
    unordered.entries.swap(3, 4);
    assert_eq!(IndexPage::decode(&unordered.encode(), &identity, 3), Err(BadIndex::Wrong));
    let beyond = IndexPage { end_position: 100, ..page };
    assert_eq!(IndexPage::decode(&beyond.encode(), &identity, 3), Err(BadIndex::Wrong));
}
