//! What a start found.

use std::fmt;

use protocol::ids::TopicPartition;

/// The rules of `docs/format.md` 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "docs/format.md 6 has the table")]
pub enum Rule {
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    R16,
    R17,
    R24,
}

impl Rule {
    /// All of them, in order.
    pub const ALL: [Self; 18] = [
        Self::R1,
        Self::R2,
        Self::R3,
        Self::R4,
        Self::R5,
        Self::R6,
        Self::R7,
        Self::R8,
        Self::R9,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
        Self::R16,
        Self::R17,
        Self::R24,
    ];
}

/// Offsets of a partition that are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRange {
    /// Whose.
    pub partition: TopicPartition,
    /// From this offset.
    pub first: i64,
    /// Up to this one, exclusive.
    pub next: i64,
}

/// What a start found and did.
#[derive(Debug, Clone, Default)]
pub struct RecoveryReport {
    /// The journal was empty: a new one was made.
    pub fresh: bool,
    /// The last run ended by [`crate::Store::close`].
    pub clean: bool,
    /// This run's number.
    pub incarnation: u32,
    /// Groups replayed.
    pub groups: u64,
    /// Logs there are.
    pub logs: u64,
    /// Groups beyond the end that were whole and void: their predecessor never was durable.
    pub void_groups: u32,
    /// Ring blocks that a group claims and that do not hold.
    pub damaged_blocks: u32,
    /// Offsets that are lost although they were durable.
    pub lost: Vec<DamagedRange>,
    /// Groups that were lost although they were durable; which logs they hit may be unknown.
    pub lost_groups: Option<u64>,
    /// How often each rule was applied, in the order of [`Rule::ALL`].
    pub rules: [u32; Rule::ALL.len()],
    /// Bytes of ring files looked at.
    pub scanned_bytes: u64,
    /// Milliseconds it took.
    pub took_ms: u64,
}

impl RecoveryReport {
    pub(crate) fn hit(&mut self, rule: Rule) {
        self.rules[rule as usize] += 1;
    }

    /// How often a rule was applied.
    pub const fn count(&self, rule: Rule) -> u32 {
        self.rules[rule as usize]
    }

    /// The rules as bits, the lowest for R1.
    pub(crate) fn rule_bits(&self) -> u32 {
        let bit = |(at, count): (usize, &u32)| u32::from(*count > 0) << at;
        self.rules.iter().enumerate().map(bit).sum()
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match (self.fresh, self.clean) {
            (true, _) => "new journal",
            (false, true) => "clean start",
            (false, false) => "unclean start",
        };
        write!(
            f,
            "{how}, run {}: {} logs, {} groups replayed, {} void, {} lost ranges, {} ms",
            self.incarnation,
            self.logs,
            self.groups,
            self.void_groups,
            self.lost.len(),
            self.took_ms
        )
    }
}
