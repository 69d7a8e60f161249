//! SplitMix64: a small, fast, even stream of numbers from a seed. Not for secrets.

/// The next number; `state` moves on.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// An independent stream: its own state, so that drawing from one concern does not move another.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64, salt: u64) -> Self {
        let mut state = seed ^ salt.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        split_mix(&mut state);
        Self(state)
    }
    pub(crate) fn next(&mut self) -> u64 {
        split_mix(&mut self.0)
    }
    /// A number below `bound`, which must not be zero. The bias is below 2^-32 for our bounds.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64) < p
    }
}
