//! The sorted map against the standard library's, and against its own clones.

use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Insert(u16, u32),
    Remove(u16),
    Change(u16, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0u16..600;
    let step = prop_oneof![
        4 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        2 => key.clone().prop_map(Step::Remove),
        1 => (key, any::<u32>()).prop_map(|(key, value)| Step::Change(key, value)),
    ];
    prop::collection::vec(step, 0..1_500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_as_a_btree_and_leaves_clones_alone(before in steps(), after in steps(), start in 0u16..600) {
        let (mut map, mut model) = (SortedMap::default(), BTreeMap::new());
        run(&before, &mut map, &mut model);
        let (kept, kept_model) = (map.clone(), model.clone());
        run(&after, &mut map, &mut model);

        prop_assert!(map.iter().eq(model.iter()));
        prop_assert!(kept.iter().eq(kept_model.iter()), "a clone saw later changes");
        prop_assert_eq!(map.len(), model.len());
        for start in [Bound::Included(&start), Bound::Excluded(&start), Bound::Unbounded] {
            prop_assert!(map.iter_from(start).eq(model.range((start, Bound::Unbounded))));
        }
        for key in 0..600 {
            prop_assert_eq!(map.get(&key), model.get(&key));
        }
    }
}

fn run(steps: &[Step], map: &mut SortedMap<u16, u32>, model: &mut BTreeMap<u16, u32>) {
    for step in steps {
        match *step {
            Step::Insert(key, value) => {
                assert_eq!(map.insert(key, value), model.insert(key, value));
            }
            Step::Remove(key) => {
                assert_eq!(map.remove(&key), model.remove(&key));
            }
            Step::Change(key, value) => {
                let (ours, theirs) = (map.get_mut(&key), model.get_mut(&key));
                assert_eq!(ours.is_some(), theirs.is_some());
                if let (Some(ours), Some(theirs)) = (ours, theirs) {
                    (*ours, *theirs) = (value, value);
                }
            }
        }
    }
}

#[test]
fn equality_ignores_how_entries_are_cut_into_chunks() {
    let (mut up, mut down) = (SortedMap::default(), SortedMap::default());
    for key in 0..1_000u32 {
        up.insert(key, ());
        down.insert(999 - key, ());
    }
    assert_ne!(up.chunks.len(), 1);
    assert_eq!(up, down);
    down.remove(&500);
    assert_ne!(up, down);
}
