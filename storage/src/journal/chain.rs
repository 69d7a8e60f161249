//! Where the journal ends, and whether that is a torn tail or corruption: the one decision on
//! which everything acknowledged depends. A pure function of what was found (`docs/format.md` 3.5).

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::scan::{Found, RingScan};
use crate::journal::superblock::Anchor;

/// What is known before the ring is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) anchor: Anchor,
    /// Everything below was synced when the superblock was written.
    pub(crate) durable: u64,
    /// Bytes of a ring file.
    pub(crate) file_bytes: u64,
    /// The newest incarnation the superblock knows.
    pub(crate) incarnation: u32,
}

/// Groups that are missing although they were durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// How many groups of the chain come before it.
    pub(crate) after: usize,
    pub(crate) from: u64,
    /// Where the chain goes on, or where the last durable byte was.
    pub(crate) to: u64,
    /// How many groups are missing, if that is known.
    pub(crate) groups: Option<u64>,
    pub(crate) cause: Cause,
}

/// Why groups are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Their blocks do not hold (R4).
    Damaged,
    /// A valid group lies in the wrong place or a link does not fit (R5).
    Discontinuous,
    /// The device failed to read (R6).
    Unreadable,
}

/// How the journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing follows.
    Clean,
    /// Something that was never durable follows and is void (R3).
    Torn,
    /// Durable groups at the end are lost.
    Lost,
}

/// The groups that count, in order.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) groups: Vec<Found>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) ending: Ending,
    /// What the next group carries on from.
    pub(crate) end: Anchor,
    /// Everything below was synced: D.
    pub(crate) durable: u64,
    /// The newest incarnation seen anywhere.
    pub(crate) incarnation: u32,
    /// Valid groups beyond the end, which are void.
    pub(crate) void: u32,
    /// Beyond every valid group: where a journal with damage starts afresh.
    pub(crate) highest: u64,
}

/// Decides. `bad` are sequences of groups whose extents do not hold.
pub(crate) fn decide(start: &Start, scan: &RingScan, bad: &BTreeSet<u64>) -> Chain {
    let file_bytes = start.file_bytes;
    let mut by_sequence: BTreeMap<u64, Vec<Found>> = BTreeMap::new();
    let mut durable = start.durable;
    let mut incarnation = start.incarnation;
    let mut highest = start.anchor.position;
    for found in &scan.groups {
        durable = durable.max(found.header.durable_upto);
        incarnation = incarnation.max(found.header.incarnation);
        highest = highest.max(found.header.end());
        let end = found.header.end();
        if !(bad.contains(&found.header.sequence) && end > start.durable) {
            by_sequence.entry(found.header.sequence).or_default().push(*found);
        }
    }
    let mut chain = Chain {
        groups: Vec::new(),
        gaps: Vec::new(),
        ending: Ending::Clean,
        end: start.anchor,
        durable,
        incarnation,
        void: 0,
        highest,
    };
    let mut newest = 0;
    loop {
        while let Some(next) = linked(&by_sequence, &chain.end, newest, file_bytes) {
            newest = next.header.incarnation;
            chain.end = Anchor {
                position: next.header.end(),
                sequence: next.header.sequence + 1,
                prev_hash: next.header.hash,
            };
            chain.groups.push(next);
        }
        if chain.end.position >= durable {
            break;
        }
        let next = beyond_gap(&by_sequence, &chain.end, newest);
        chain.gaps.push(gap(scan, &chain, next.as_ref(), file_bytes));
        let Some(next) = next else {
            chain.ending = Ending::Lost;
            break;
        };
        // The gap's far side becomes the link: its predecessor's hash is what it says.
        chain.end = Anchor {
            position: next.header.position,
            sequence: next.header.sequence,
            prev_hash: next.header.prev_hash,
        };
    }
    let follows = |found: &&Found| found.header.sequence >= chain.end.sequence;
    chain.void = scan.groups.iter().filter(follows).count() as u32;
    if chain.ending == Ending::Clean && (chain.void > 0 || damaged_at_end(scan, &chain, file_bytes))
    {
        chain.ending = Ending::Torn;
    }
    chain
}

/// The group that continues the chain at `end`: of two, that of the newer incarnation, which found
/// that the older one does not count and went on in the next ring file.
fn linked(
    by_sequence: &BTreeMap<u64, Vec<Found>>,
    end: &Anchor,
    newest: u32,
    file_bytes: u64,
) -> Option<Found> {
    let next_generation = end.position.next_multiple_of(file_bytes);
    let fits = |found: &&Found| {
        let header = &found.header;
        if crate::mutation::on(19) {
            // A link of one byte and no look at incarnations: a recycled ring's old groups pass.
            return header.prev_hash as u8 == end.prev_hash as u8 || header.position < end.position;
        }
        header.prev_hash == end.prev_hash
            && header.incarnation >= newest
            && (header.position == end.position || header.position == next_generation)
    };
    by_sequence
        .get(&end.sequence)?
        .iter()
        .filter(fits)
        .max_by_key(|found| found.header.incarnation)
        .copied()
}

/// The group where the chain goes on after a gap.
///
/// An abandoned tail of the same incarnation may lie there too: its groups count only if that
/// incarnation itself knew bytes beyond the gap to be durable.
fn beyond_gap(by_sequence: &BTreeMap<u64, Vec<Found>>, end: &Anchor, newest: u32) -> Option<Found> {
    if crate::mutation::on(13) {
        return None;
    }
    let later = || {
        by_sequence
            .range(end.sequence..)
            .flat_map(|(_, groups)| groups)
            .filter(|found| found.header.incarnation >= newest)
            .filter(|found| found.header.position >= end.position)
    };
    let mut durable_of: BTreeMap<u32, u64> = BTreeMap::new();
    for found in later() {
        let durable = durable_of.entry(found.header.incarnation).or_default();
        *durable = (*durable).max(found.header.durable_upto);
    }
    let lowest_of_newer = |incarnation: u32| {
        let newer = later().filter(|found| found.header.incarnation > incarnation);
        newer.map(|found| found.header.position).min()
    };
    later()
        .filter(|found| {
            let incarnation = found.header.incarnation;
            let proven = durable_of.get(&incarnation).is_some_and(|it| *it > end.position);
            let overtaken =
                lowest_of_newer(incarnation).is_some_and(|it| it <= found.header.position);
            proven && !overtaken
        })
        .min_by_key(|found| (found.header.sequence, u32::MAX - found.header.incarnation))
        .copied()
}

fn gap(scan: &RingScan, chain: &Chain, next: Option<&Found>, file_bytes: u64) -> Gap {
    let from = chain.end.position;
    let misplaced = scan.misplaced.iter().any(|found| found.header.sequence == chain.end.sequence);
    // The next group itself is there, but does not continue this chain.
    let broken = next.is_some_and(|next| next.header.sequence == chain.end.sequence);
    let cause = if misplaced || broken {
        Cause::Discontinuous
    } else if scan.unreadable > 0 && !damaged_at_end(scan, chain, file_bytes) {
        Cause::Unreadable
    } else {
        Cause::Damaged
    };
    Gap {
        after: chain.groups.len(),
        from,
        to: next.map_or(chain.durable, |next| next.header.position),
        groups: next.map(|next| next.header.sequence - chain.end.sequence),
        cause,
    }
}

/// Whether a block that may be the next group's first says it is one and is damaged.
fn damaged_at_end(scan: &RingScan, chain: &Chain, file_bytes: u64) -> bool {
    let at_end = (chain.end.position % file_bytes) as u32;
    let slot = chain.groups.last().map(|found| found.slot);
    scan.damaged.iter().any(|&(found_slot, at)| {
        let here = at == at_end && slot.is_none_or(|slot| slot == found_slot);
        // The first group of the next generation may lie in any file.
        here || at == 0 && slot.is_some_and(|slot| slot != found_slot) && at_end != 0
    })
}

#[cfg(test)]
mod tests;
