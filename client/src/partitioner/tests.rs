use super::*;

#[test]
fn murmur2_agrees_with_the_vectors_kafka_publishes() {
    let cases: &[(&[u8], i32)] = &[
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        (b"abc", 479_470_107),
    ];
    for (key, hash) in cases {
        assert_eq!(murmur2(key), *hash, "{}", String::from_utf8_lossy(key));
    }
}

#[test]
fn a_key_always_finds_a_partition_that_exists() {
    for count in [1usize, 2, 3, 7, 16, 1_000] {
        for key in 0u32..500 {
            let partition = partition_for_key(&key.to_le_bytes(), count);
            assert!((0..count as i32).contains(&partition), "{key} of {count}");
        }
    }
    assert_eq!(partition_for_key(b"k", 0), 0);
}

#[test]
fn records_without_a_key_stick_until_a_batch_is_full_and_then_move() {
    let mut sticky = Sticky::default();
    let usable = [0, 1, 2, 3];
    let mut draws = [2u64, 7, 5].into_iter();
    let mut next =
        || sticky.choose(&usable, 40, 100, || draws.next().expect("three draws suffice"));
    let chosen: Vec<i32> = (0..9).map(|_| next()).collect();
    assert_eq!(chosen, [2, 2, 2, 3, 3, 3, 1, 1, 1]);
}

#[test]
fn a_partition_that_lost_its_leader_is_left_at_once() {
    let mut sticky = Sticky::default();
    assert_eq!(sticky.choose(&[0, 1], 1, 100, || 1), 1);
    assert_eq!(sticky.choose(&[0], 1, 100, || 9), 0);
}
