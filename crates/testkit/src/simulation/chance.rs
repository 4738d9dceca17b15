//! Chance from a seed: the same seed, the same draws.

use std::sync::{Mutex, PoisonError};

/// `SplitMix64` behind a lock. What draws from it in the same order draws the same.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<u64>);

impl Chance {
    /// The chance of one part of the world: other parts draw from their own, so that a change in one does not
    /// move all of them.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        let chance = Self(Mutex::new(seed ^ part.wrapping_mul(0xD605_BBB5_8C8A_BC1D)));
        chance.draw();
        chance
    }

    /// 64 bits.
    pub(crate) fn draw(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 where `n` is 0.
    pub(crate) fn below(&self, n: u64) -> u64 {
        self.draw().checked_rem(n).unwrap_or(0)
    }

    /// A number between two, both included.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True so many times in a thousand.
    pub(crate) fn permille(&self, p: u64) -> bool {
        p > 0 && self.below(1000) < p
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&self, p: u64) -> bool {
        self.permille(p * 10)
    }

    /// An index into a list of this length.
    pub(crate) fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap())).unwrap()
    }

    /// One of these.
    pub(crate) fn pick<T: Clone>(&self, all: &[T]) -> T {
        all[self.index(all.len())].clone()
    }

    /// 16 bytes.
    pub(crate) fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.draw().to_be_bytes());
        bytes[8..].copy_from_slice(&self.draw().to_be_bytes());
        bytes
    }
}
