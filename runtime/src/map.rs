//! Hash maps whose order is the same in every run, so that a seed can replay the day.

use foldhash::fast::FixedState;

/// A hash map with a fixed seed. Not for keys that strangers choose in bulk: use `BTreeMap` there.
#[expect(clippy::disallowed_types, reason = "the fixed state is what makes the order repeat")]
pub type Map<K, V> = std::collections::HashMap<K, V, FixedState>;

/// A hash set with a fixed seed. Not for keys that strangers choose in bulk: use `BTreeSet` there.
#[expect(clippy::disallowed_types, reason = "the fixed state is what makes the order repeat")]
pub type Set<K> = std::collections::HashSet<K, FixedState>;
