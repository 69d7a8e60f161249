//! Seeded bugs, to prove that the tests would see them. Compiled in by the feature `mutation` only
//! and chosen by the environment variable `CORELOG_MUTATION`, for example `m13`.

/// Whether seeded bug `number` is switched on.
#[cfg(feature = "mutation")]
pub(crate) fn on(number: u32) -> bool {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<u32>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("CORELOG_MUTATION").ok()?;
        name.trim_start_matches(['m', 'M']).parse().ok()
    });
    *chosen == Some(number)
}

/// Seeded bugs are not compiled in.
#[cfg(not(feature = "mutation"))]
pub(crate) const fn on(_number: u32) -> bool {
    false
}
