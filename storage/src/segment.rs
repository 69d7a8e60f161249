//! A segment's files: how batches are found in them and how their bytes are proven.

pub(crate) mod index;
pub(crate) mod walk;

/// `<base offset>` as Kafka names files: twenty digits.
pub(crate) fn file_stem(base: i64) -> String {
    format!("{base:020}")
}

/// The base offset of a segment file's stem, if it is one.
pub(crate) fn parse_stem(stem: &str) -> Option<i64> {
    let digits = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| stem.parse().ok()).flatten()
}
