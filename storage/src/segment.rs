//! A segment's files: how batches are found in them and how their bytes are proven.

pub(crate) mod index;
pub(crate) mod walk;

/// Which files a segment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) base: i64,
    /// How often compaction wrote it anew.
    pub(crate) generation: u32,
}

impl SegmentName {
    /// A segment as it was appended.
    pub(crate) const fn first(base: i64) -> Self {
        Self { base, generation: 0 }
    }

    /// `<base offset>`, or `<base offset>.<generation>` once it was compacted.
    pub(crate) fn stem(self) -> String {
        let stem = file_stem(self.base);
        if self.generation == 0 { stem } else { format!("{stem}.{}", self.generation) }
    }

    /// The segment whose files have this stem.
    pub(crate) fn parse(stem: &str) -> Option<Self> {
        let (base, generation) = match stem.split_once('.') {
            None => (stem, 0),
            Some((base, digits)) => (base, digits.parse().ok().filter(|it| *it > 0)?),
        };
        let name = Self { base: parse_stem(base)?, generation };
        (name.stem() == stem).then_some(name)
    }
}

/// `<base offset>` as Kafka names files: twenty digits.
pub(crate) fn file_stem(base: i64) -> String {
    format!("{base:020}")
}

/// The base offset of a segment file's stem, if it is one.
pub(crate) fn parse_stem(stem: &str) -> Option<i64> {
    let digits = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| stem.parse().ok()).flatten()
}
