//! A try-lock: whoever finds it taken does something else, and nobody in a hook ever waits for it.

use std::sync::atomic::{AtomicU32, Ordering};

/// Free while zero.
#[derive(Default)]
pub(super) struct Claim(AtomicU32);

impl Claim {
    /// Takes it if it is free; what its last holder wrote is seen then.
    pub(super) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
            && self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Gives it up. By its holder.
    pub(super) fn release(&self) {
        self.0.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let claim = Claim::default();
        assert!(claim.take() && !claim.take());
        claim.release();
        assert!(claim.take());
    }
}
