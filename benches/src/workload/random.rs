//! Numbers that are the same in every run.

/// Xorshift, 64 bits.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Numbers of their own for every `seed`.
    pub(crate) fn new(seed: u64) -> Random {
        Random(88_172_645_463_325_252 ^ (seed << 32))
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A block size from 16 to 512 bytes.
    #[inline]
    pub(crate) fn size(&mut self) -> usize {
        16 + (self.next() >> 20) as usize % 497
    }
}

/// Takes `value` into `checksum`; the order counts.
#[inline]
pub(super) fn mix(checksum: u64, value: u64) -> u64 {
    (checksum.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
