//! Poisson sampling of bytes: how far it is to the next sampled byte, and what thinning keeps.
//!
//! Every byte allocated is marked independently with probability 1/interval, so gaps are exponential with that mean,
//! and a block of `size` bytes holds a mark with probability p = 1 − e^(−size/interval). The viewer weighs each
//! sample by 1/p. Source of the scheme: jemalloc's `PROFILING_INTERNALS.md`, tcmalloc's `sampling.md`.

/// Draws pseudo-random numbers; xorshift64*, good enough for gaps and cheap enough for a hook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator whose stream depends on every bit of `seed`.
    pub(crate) fn new(seed: u64) -> Random {
        // One round of splitmix64, so that seeds 1, 2, 3 … give unrelated streams; xorshift must not start at zero.
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Random((z ^ (z >> 31)) | 1)
    }

    /// State to continue from, for a generator that lives in an atomic.
    pub(crate) fn state(self) -> u64 {
        self.0
    }

    /// Continues from a saved state.
    pub(crate) fn from_state(state: u64) -> Random {
        Random(state | 1)
    }

    /// Uniform in (0, 1].
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        (bits + 1) as f64 / (1u64 << 53) as f64
    }

    /// Bytes up to and including the next sampled one, mean `interval`; at least 1.
    pub(crate) fn gap(&mut self, interval: u64) -> u64 {
        let gap = -(interval as f64) * self.uniform().ln();
        // The largest gap is 53·ln 2 ≈ 37 intervals; the conversion saturates anyway.
        (gap as u64).saturating_add(1)
    }
}

/// Probability that a block of `size` bytes is sampled.
pub(crate) fn probability(size: u64, interval: u64) -> f64 {
    -(-(size as f64) / interval as f64).exp_m1()
}

/// Probability that a live sample taken at interval `from` stays when the interval rises to `to`, so that the kept
/// samples are what sampling at `to` would have given.
pub(crate) fn keep_probability(size: u64, from: u64, to: u64) -> f64 {
    let before = probability(size, from);
    if before > 0.0 { (probability(size, to) / before).min(1.0) } else { from as f64 / to as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_the_stated_mean() {
        // Mean of n exponential gaps has a relative standard error of 1/sqrt(n): 0.22 % for 200,000; 5 sigma ≈ 1.1 %.
        let mut random = Random::new(1);
        let sum: u64 = (0..200_000).map(|_| random.gap(4096)).sum();
        let mean = sum as f64 / 200_000.0;
        assert!((mean / 4096.5 - 1.0).abs() < 0.011, "{mean}");
    }

    #[test]
    fn thinning_twice_is_thinning_once() {
        for size in [1, 100, 4096, 1 << 20] {
            let twice = keep_probability(size, 4096, 8192) * keep_probability(size, 8192, 16384);
            assert!((twice / keep_probability(size, 4096, 16384) - 1.0).abs() < 1e-9, "{size}");
        }
    }
}
