//! Indexes that are damaged, gone or another partition's are made again from their segments.

use super::*;

fn index_damage(rule: Rule, damage: impl FnOnce(&SimDisk)) {
    scene(with_indexes, damage, async |world| {
        let (store, _) = open(&world).await;
        assert_eq!(read_all(&store.log(partition(0)).unwrap()).await, (BATCHES, vec![]));
        assert_eq!(store.rules()[rule as usize], 1, "{:?}", store.rules());
        assert_eq!(read_all(&store.log(partition(1)).unwrap()).await, (BATCHES, vec![]));
    });
}

#[test]
fn r7_a_damaged_index_is_rebuilt() {
    index_damage(Rule::R7, |disk| disk.flip(index_file(0), 100, 1).unwrap());
}

#[test]
fn r7_a_missing_index_is_rebuilt() {
    index_damage(Rule::R7, |disk| disk.plant(index_file(0), &[]).unwrap());
}

#[test]
fn r8_an_index_that_lies_is_rebuilt() {
    index_damage(Rule::R8, |disk| swap_blocks(disk, index_file(0).to_str().unwrap(), 0, 1));
}

#[test]
fn r16_another_partitions_index_is_not_believed() {
    index_damage(Rule::R16, |disk| {
        let other = disk.peek(index_file(1)).unwrap();
        disk.plant(index_file(0), &other[..4096].repeat(4)).unwrap();
    });
}
