//! The assignors: who shall hold which partitions. Pure functions of who reads what and who held what before.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{PartitionIndex, TopicId, TopicPartition};

use super::Partitions;

/// How often the whole of an uneven group is gone through; each time moves partitions nearer to balance.
const ROUNDS_MAX: usize = 16;

/// A way of sharing partitions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// Everybody the same number, as far as subscriptions allow, and as few changes as that needs.
    Uniform,
    /// Of each topic everybody a stretch, so that topics with as many partitions are shared out alike.
    Range,
}

impl Assignor {
    /// The assignor of this name.
    pub(crate) fn new(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }
}

/// A member, as far as the assignors need to know it.
pub(super) struct Wish<'a> {
    /// Its place in the order of members: its static name or else its id.
    pub(super) order: &'a str,
    /// The topics it reads, in order, all of which exist.
    pub(super) topics: Vec<TopicId>,
    /// What it was to hold so far.
    pub(super) holds: &'a Partitions,
}

/// What each member shall hold, in the order of `wishes`. `counts` has the partitions of every topic that is read.
pub(super) fn assign(
    assignor: Assignor,
    wishes: &[Wish<'_>],
    counts: &BTreeMap<TopicId, u32>,
) -> Vec<Partitions> {
    match assignor {
        Assignor::Uniform => uniform(wishes, counts),
        Assignor::Range => range(wishes, counts),
    }
}

fn partitions(topic: TopicId, count: u32) -> impl Iterator<Item = TopicPartition> {
    (0..i32::try_from(count).unwrap_or(i32::MAX))
        .filter_map(PartitionIndex::new)
        .map(move |index| TopicPartition { topic, index })
}

/// The members that read each topic.
fn readers(wishes: &[Wish<'_>]) -> BTreeMap<TopicId, Vec<usize>> {
    let mut readers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (member, wish) in wishes.iter().enumerate() {
        for topic in &wish.topics {
            readers.entry(*topic).or_default().push(member);
        }
    }
    readers
}

fn range(wishes: &[Wish<'_>], counts: &BTreeMap<TopicId, u32>) -> Vec<Partitions> {
    let mut shares = vec![Partitions::new(); wishes.len()];
    for (topic, mut members) in readers(wishes) {
        members.sort_by_key(|member| wishes[*member].order);
        let count = counts.get(&topic).copied().unwrap_or(0) as usize;
        let (each, more) = (count / members.len(), count % members.len());
        let mut of_topic = partitions(topic, u32::try_from(count).unwrap_or(u32::MAX));
        for (place, member) in members.into_iter().enumerate() {
            let size = each + usize::from(place < more);
            shares[member].extend(of_topic.by_ref().take(size));
        }
    }
    shares
}

/// Members whose work is being evened out, by how much they have.
struct Load {
    by_size: BTreeSet<(usize, usize)>,
}

impl Load {
    fn new(members: &[usize], shares: &[Partitions]) -> Self {
        Self { by_size: members.iter().map(|member| (shares[*member].len(), *member)).collect() }
    }

    fn least(&self) -> Option<(usize, usize)> {
        self.by_size.first().copied()
    }

    fn resize(&mut self, member: usize, before: usize, after: usize) {
        self.by_size.remove(&(before, member));
        self.by_size.insert((after, member));
    }
}

fn uniform(wishes: &[Wish<'_>], counts: &BTreeMap<TopicId, u32>) -> Vec<Partitions> {
    // Topics with the same readers are shared out together; those with the fewest readers first.
    let mut circles: BTreeMap<(usize, Vec<usize>), Vec<TopicId>> = BTreeMap::new();
    for (topic, members) in readers(wishes) {
        circles.entry((members.len(), members)).or_default().push(topic);
    }
    let mut shares = keep(wishes, counts);
    let taken: BTreeSet<TopicPartition> = shares.iter().flatten().copied().collect();
    for ((_, members), topics) in &circles {
        let mut load = Load::new(members, &shares);
        let all = topics
            .iter()
            .flat_map(|topic| partitions(*topic, counts.get(topic).copied().unwrap_or(0)));
        for partition in all.filter(|partition| !taken.contains(partition)) {
            let Some((size, member)) = load.least() else { break };
            shares[member].insert(partition);
            load.resize(member, size, size + 1);
        }
    }
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for ((_, members), topics) in &circles {
            moved |= even_out(members, topics, &mut shares);
        }
        if !moved {
            break;
        }
    }
    shares
}

/// What every member may keep: it still reads it, it still exists, and nobody before it keeps it.
fn keep(wishes: &[Wish<'_>], counts: &BTreeMap<TopicId, u32>) -> Vec<Partitions> {
    let mut taken = BTreeSet::new();
    let exists = |partition: &TopicPartition| {
        let count = counts.get(&partition.topic).copied().unwrap_or(0);
        u32::try_from(partition.index.get()).is_ok_and(|index| index < count)
    };
    wishes
        .iter()
        .map(|wish| {
            let kept = wish.holds.iter().filter(|partition| {
                wish.topics.binary_search(&partition.topic).is_ok()
                    && exists(partition)
                    && taken.insert(**partition)
            });
            kept.copied().collect()
        })
        .collect()
}

/// Moves partitions of these topics from those of their readers who have most to those who have least.
fn even_out(members: &[usize], topics: &[TopicId], shares: &mut [Partitions]) -> bool {
    let mut load = Load::new(members, shares);
    let mut givers = load.by_size.clone();
    let mut moved = false;
    while let Some((size, giver)) = givers.last().copied() {
        let Some((least, taker)) = load.least() else { break };
        if size <= least + 1 {
            break;
        }
        givers.remove(&(size, giver));
        let of_topics =
            |partition: &&TopicPartition| topics.binary_search(&partition.topic).is_ok();
        // Who has none of these topics can give none.
        let Some(partition) = shares[giver].iter().rfind(of_topics).copied() else { continue };
        shares[giver].remove(&partition);
        shares[taker].insert(partition);
        load.resize(giver, size, size - 1);
        load.resize(taker, least, least + 1);
        givers.insert((size - 1, giver));
        if givers.remove(&(least, taker)) {
            givers.insert((least + 1, taker));
        }
        moved = true;
    }
    moved
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn topic(number: u8) -> TopicId {
        TopicId::new([number; 16])
    }

    /// A group whose members `a`, `b`, ... read these topics; gives how many partitions each has and how many moved.
    struct Group {
        names: Vec<String>,
        read: Vec<Vec<TopicId>>,
        holds: Vec<Partitions>,
        counts: BTreeMap<TopicId, u32>,
    }

    impl Group {
        fn new(counts: &[(u8, u32)], read: &[&[u8]]) -> Self {
            let read: Vec<Vec<TopicId>> =
                read.iter().map(|all| all.iter().map(|one| topic(*one)).collect()).collect();
            Self {
                names: (0..read.len()).map(|number| format!("m{number:04}")).collect(),
                holds: vec![Partitions::new(); read.len()],
                counts: counts.iter().map(|(one, count)| (topic(*one), *count)).collect(),
                read,
            }
        }

        fn join(&mut self, read: &[u8]) {
            self.names.push(format!("m{:04}", self.names.len()));
            self.read.push(read.iter().map(|one| topic(*one)).collect());
            self.holds.push(Partitions::new());
        }

        fn leave(&mut self, member: usize) {
            self.names.remove(member);
            self.read.remove(member);
            self.holds.remove(member);
        }

        /// How many partitions changed hands among those that stay.
        fn assign(&mut self, assignor: Assignor) -> usize {
            let wishes: Vec<Wish<'_>> = self
                .names
                .iter()
                .zip(&self.read)
                .zip(&self.holds)
                .map(|((name, read), holds)| Wish { order: name, topics: read.clone(), holds })
                .collect();
            let shares = assign(assignor, &wishes, &self.counts);
            let all: Vec<TopicPartition> = shares.iter().flatten().copied().collect();
            let distinct: BTreeSet<_> = all.iter().copied().collect();
            assert_eq!(all.len(), distinct.len(), "a partition was given twice");
            for (share, read) in shares.iter().zip(&self.read) {
                assert!(share.iter().all(|one| read.contains(&one.topic)), "nobody asked for it");
            }
            let wanted: u32 = self
                .counts
                .iter()
                .filter(|(topic, _)| self.read.iter().any(|read| read.contains(topic)))
                .map(|(_, count)| *count)
                .sum();
            assert_eq!(all.len(), wanted as usize, "a partition was left over");
            let lost =
                self.holds.iter().zip(&shares).map(|(old, new)| old.difference(new).count()).sum();
            self.holds = shares;
            lost
        }

        fn sizes(&self) -> Vec<usize> {
            self.holds.iter().map(BTreeSet::len).collect()
        }
    }

    #[test]
    fn uniform_gives_everybody_the_same_and_moves_no_more_than_it_must() {
        let mut group = Group::new(&[(1, 7), (2, 5)], &[&[1, 2], &[1, 2], &[1, 2]]);
        assert_eq!(group.assign(Assignor::Uniform), 0);
        assert_eq!(group.sizes(), [4, 4, 4]);
        assert_eq!(group.assign(Assignor::Uniform), 0);
        group.join(&[1, 2]);
        assert_eq!(group.assign(Assignor::Uniform), 3);
        assert_eq!(group.sizes(), [3, 3, 3, 3]);
        group.join(&[1, 2]);
        assert_eq!(group.assign(Assignor::Uniform), 2);
        assert_eq!(group.sizes(), [3, 3, 2, 2, 2]);
        // What a member leaves goes to those who have least, and nobody loses anything.
        group.leave(2);
        assert_eq!(group.assign(Assignor::Uniform), 0);
        assert_eq!(group.sizes(), [3, 3, 3, 3]);
    }

    #[test]
    fn uniform_follows_topics_that_grow_and_go() {
        let mut group = Group::new(&[(1, 4), (2, 4)], &[&[1, 2], &[1, 2]]);
        group.assign(Assignor::Uniform);
        group.counts.insert(topic(1), 6);
        assert_eq!(group.assign(Assignor::Uniform), 0);
        assert_eq!(group.sizes(), [5, 5]);
        group.counts.remove(&topic(2));
        for read in &mut group.read {
            read.retain(|one| *one != topic(2));
        }
        assert_eq!(group.assign(Assignor::Uniform), 4);
        assert_eq!(group.sizes(), [3, 3]);
    }

    #[test]
    fn uniform_balances_members_that_read_different_topics() {
        // Only the second can take of 2, so the first takes more of 1.
        let mut group = Group::new(&[(1, 6), (2, 2)], &[&[1], &[1, 2]]);
        group.assign(Assignor::Uniform);
        assert_eq!(group.sizes(), [4, 4]);
        // One that reads nothing that exists gets nothing.
        group.join(&[]);
        assert_eq!(group.assign(Assignor::Uniform), 0);
        assert_eq!(group.sizes(), [4, 4, 0]);
        group.join(&[2]);
        group.assign(Assignor::Uniform);
        assert_eq!(group.sizes(), [3, 3, 0, 2]);
    }

    #[test]
    fn range_gives_stretches_and_the_first_get_the_rest() {
        let mut group = Group::new(&[(1, 5), (2, 5)], &[&[1, 2], &[1, 2]]);
        group.assign(Assignor::Range);
        let first: Vec<i32> = group.holds[0].iter().map(|one| one.index.get()).collect();
        let second: Vec<i32> = group.holds[1].iter().map(|one| one.index.get()).collect();
        assert_eq!((first, second), (vec![0, 1, 2, 0, 1, 2], vec![3, 4, 3, 4]));
        // More members than partitions.
        let mut group = Group::new(&[(1, 1)], &[&[1], &[1]]);
        group.assign(Assignor::Range);
        assert_eq!(group.sizes(), [1, 0]);
    }

    proptest::proptest! {
        #[test]
        fn whoever_reads_what_all_is_given_once_and_one_circle_is_even(
            counts in proptest::collection::vec(1u32..20, 1..5),
            members in 1usize..12,
            seed: u64,
        ) {
            let counts: Vec<(u8, u32)> = (0..).zip(counts).collect();
            let all: Vec<u8> = counts.iter().map(|(one, _)| *one).collect();
            let mut group = Group::new(&counts, &vec![all.as_slice(); members]);
            let even = |group: &Group| {
                let sizes = group.sizes();
                let (least, most) = (sizes.iter().min().copied(), sizes.iter().max().copied());
                most.zip(least).is_some_and(|(most, least)| most - least <= 1)
            };
            group.assign(Assignor::Uniform);
            assert!(even(&group), "{:?}", group.sizes());
            group.join(&all);
            let before: usize = group.sizes().iter().sum();
            let moved = group.assign(Assignor::Uniform);
            assert!(even(&group), "{:?}", group.sizes());
            // The newcomer's share is all that moves.
            assert!(moved <= before / (members + 1), "{moved} of {before} moved");
            // Now everybody reads something else.
            for (number, read) in group.read.iter_mut().enumerate() {
                read.retain(|one| (seed >> ((number * 5 + usize::from(one.get()[0])) % 64)) & 1 == 0);
            }
            group.assign(Assignor::Uniform);
            assert_eq!(group.assign(Assignor::Uniform), 0, "it does not come to rest");
            group.assign(Assignor::Range);
        }
    }
}
