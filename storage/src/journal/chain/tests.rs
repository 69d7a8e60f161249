//! Torn tail or corruption: the cases by name.

use super::*;
use crate::journal::group::GroupHeader;

const FILE: u64 = 16 * 4096;

/// A journal under construction, one block per group.
struct Ring {
    scan: RingScan,
    next: Anchor,
    incarnation: u32,
}

impl Ring {
    fn new() -> Self {
        let next = Anchor { position: 0, sequence: 1, prev_hash: 0 };
        Self { scan: RingScan::default(), next, incarnation: 1 }
    }

    /// Appends a group that knows `durable` to be synced.
    fn push(&mut self, durable: u64) -> Found {
        let position = self.next.position;
        let header = GroupHeader {
            position,
            sequence: self.next.sequence,
            incarnation: self.incarnation,
            slot: (position / FILE % 4) as u32,
            payload_bytes: 100,
            prev_hash: self.next.prev_hash,
            durable_upto: durable,
            previous_count: 0,
            entry_count: 0,
            wall_ms: 0,
            hash: (position + 1) * 1000 + u64::from(self.incarnation),
        };
        let found = Found { header, slot: header.slot, at: (position % FILE) as u32 };
        self.scan.groups.push(found);
        self.next = Anchor {
            position: header.end(),
            sequence: header.sequence + 1,
            prev_hash: header.hash,
        };
        found
    }

    fn lose(&mut self, sequence: u64) {
        self.scan.groups.retain(|found| found.header.sequence != sequence);
    }

    fn decide(&self) -> Chain {
        let start = Start {
            anchor: Anchor { position: 0, sequence: 1, prev_hash: 0 },
            durable: 0,
            file_bytes: FILE,
            incarnation: 0,
        };
        decide(&start, &self.scan, &BTreeSet::new())
    }

    fn sequences(&self) -> Vec<u64> {
        self.decide().groups.iter().map(|found| found.header.sequence).collect()
    }
}

#[test]
fn an_empty_ring_ends_where_it_starts() {
    let chain = Ring::new().decide();
    assert_eq!((chain.groups.len(), chain.ending), (0, Ending::Clean));
    assert_eq!(chain.end, Anchor { position: 0, sequence: 1, prev_hash: 0 });
}

#[test]
fn groups_in_a_row_all_count_and_cross_generations() {
    let mut ring = Ring::new();
    for n in 0..40 {
        ring.push(n * 4096);
    }
    let chain = ring.decide();
    assert_eq!((chain.groups.len(), chain.ending), (40, Ending::Clean));
    assert_eq!(chain.end, ring.next);
    assert_eq!(chain.durable, 39 * 4096);
}

#[test]
fn a_group_may_leave_the_rest_of_a_generation_unused() {
    let mut ring = Ring::new();
    ring.push(0);
    ring.next.position = FILE;
    ring.push(4096);
    assert_eq!(ring.sequences(), [1, 2]);
    // But not a whole generation.
    ring.next.position = 3 * FILE;
    ring.push(4096);
    assert_eq!(ring.sequences(), [1, 2]);
}

#[test]
fn a_hole_above_the_durable_mark_is_a_torn_tail() {
    // Three groups were in flight; the first of them did not make it, the others did.
    let mut ring = Ring::new();
    for durable in [0, 4096, 4096 * 2, 4096 * 2, 4096 * 2] {
        ring.push(durable);
    }
    ring.lose(3);
    let chain = ring.decide();
    assert_eq!(chain.groups.len(), 2);
    assert_eq!((chain.ending, chain.void), (Ending::Torn, 2));
    assert!(chain.gaps.is_empty());
}

#[test]
fn a_hole_below_the_durable_mark_is_corruption_and_the_rest_is_kept() {
    let mut ring = Ring::new();
    for n in 0..6 {
        ring.push(n * 4096);
    }
    ring.lose(3);
    let chain = ring.decide();
    assert_eq!(ring.sequences(), [1, 2, 4, 5, 6]);
    assert_eq!(chain.ending, Ending::Clean);
    let gap =
        Gap { after: 2, from: 2 * 4096, to: 3 * 4096, groups: Some(1), cause: Cause::Damaged };
    assert_eq!(chain.gaps, [gap]);
}

#[test]
fn lost_groups_at_the_end_are_reported_when_the_superblock_knew_them() {
    let mut ring = Ring::new();
    ring.push(0);
    ring.push(4096);
    ring.lose(2);
    let start = Start {
        anchor: Anchor { position: 0, sequence: 1, prev_hash: 0 },
        durable: 2 * 4096,
        file_bytes: FILE,
        incarnation: 1,
    };
    let chain = decide(&start, &ring.scan, &BTreeSet::new());
    assert_eq!(chain.ending, Ending::Lost);
    assert_eq!((chain.gaps[0].from, chain.gaps[0].to), (4096, 2 * 4096));
}

#[test]
fn an_abandoned_tail_is_void_after_the_next_incarnation() {
    let mut ring = Ring::new();
    ring.push(0);
    let fork = ring.next;
    ring.push(4096);
    ring.push(4096);
    ring.push(4096);
    // Groups 2 torn; 3 and 4 whole. The broker comes back and writes at the fork.
    ring.scan.groups.retain(|found| found.header.sequence != 2);
    (ring.next, ring.incarnation) = (fork, 2);
    ring.push(4096);
    let chain = ring.decide();
    assert_eq!(chain.groups.len(), 2);
    assert_eq!(chain.groups[1].header.incarnation, 2);
    assert_eq!(chain.incarnation, 2);
    assert_eq!(chain.end, ring.next);
    // Even when the newer groups have reached the sequence of the abandoned ones.
    ring.push(2 * 4096);
    assert_eq!(ring.decide().groups.len(), 3);
    assert!(ring.decide().groups[1..].iter().all(|it| it.header.incarnation == 2));
}

#[test]
fn after_a_lost_opening_group_the_abandoned_tail_stays_void() {
    let mut ring = Ring::new();
    ring.push(0);
    let fork = ring.next;
    ring.push(4096);
    let abandoned = ring.push(4096);
    ring.scan.groups.retain(|found| found.header.sequence != 2);
    (ring.next, ring.incarnation) = (fork, 2);
    let opened = ring.push(4096);
    ring.push(2 * 4096);
    ring.push(3 * 4096);
    ring.scan.groups.retain(|found| found.header != opened.header);
    let chain = ring.decide();
    assert!(!chain.groups.contains(&abandoned));
    assert_eq!(ring.sequences(), [1, 3, 4]);
    assert_eq!(chain.gaps.len(), 1);
}

#[test]
fn a_group_with_a_broken_extent_above_the_mark_ends_the_chain() {
    let mut ring = Ring::new();
    ring.push(0);
    ring.push(4096);
    ring.push(4096);
    let start = Start {
        anchor: Anchor { position: 0, sequence: 1, prev_hash: 0 },
        durable: 0,
        file_bytes: FILE,
        incarnation: 0,
    };
    let chain = decide(&start, &ring.scan, &BTreeSet::from([2]));
    assert_eq!((chain.groups.len(), chain.ending), (1, Ending::Torn));
}

#[test]
fn a_link_that_does_not_fit_below_the_mark_is_a_discontinuity() {
    let mut ring = Ring::new();
    ring.push(0);
    ring.next.prev_hash ^= 1;
    ring.push(4096);
    ring.push(2 * 4096);
    let chain = ring.decide();
    assert_eq!(chain.gaps.len(), 1);
    assert_eq!(chain.gaps[0].cause, Cause::Discontinuous);
    assert_eq!(chain.groups.len(), 3);
}

#[test]
fn of_two_groups_that_continue_the_chain_the_newer_incarnation_counts() {
    // The extents of group 3 did not hold: the next start went on in the next generation.
    let mut ring = Ring::new();
    for durable in [0, 4096, 4096 * 2] {
        ring.push(durable);
    }
    let void = ring.scan.groups[2];
    ring.next =
        Anchor { position: FILE, sequence: void.header.sequence, prev_hash: void.header.prev_hash };
    ring.incarnation = 2;
    for durable in [4096 * 2, FILE + 4096] {
        ring.push(durable);
    }
    let chain = ring.decide();
    let incarnations: Vec<_> = chain.groups.iter().map(|it| it.header.incarnation).collect();
    assert_eq!(incarnations, [1, 1, 2, 2]);
    assert!(chain.gaps.is_empty());
}
