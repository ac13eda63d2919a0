//! Notices when memory comes near the cgroup's limit, so that the capture has a mark and everything that later blocks rely
//! on before the kernel may kill the process.

use plimsoll_format::Tick;

/// Percent of the limit from which on it is near, and below which it is far again.
const NEAR: u64 = 90;
const FAR: u64 = 80;

/// Whether the limit was near at the last tick.
#[derive(Default)]
pub(super) struct NearLimit(bool);

impl NearLimit {
    /// What is to be marked: when usage crosses the share upwards. Page cache that the kernel gives back first does not
    /// count.
    pub(super) fn crossed(&mut self, tick: &Tick) -> Option<String> {
        let cgroup = tick.cgroup?;
        let limit = cgroup.limit_bytes.filter(|limit| *limit > 0)?;
        let used = cgroup.usage_bytes.saturating_sub(cgroup.inactive_file_bytes).max(tick.process.rss_bytes);
        let percent = used.saturating_mul(100) / limit;
        let was_near = self.0;
        self.0 = percent >= if was_near { FAR } else { NEAR };
        (self.0 && !was_near).then(|| format!("memory at {percent} % of the cgroup's limit"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_format::{Cgroup, ProcessMemory};

    fn tick(usage_bytes: u64, inactive_file_bytes: u64, rss_bytes: u64) -> Tick {
        let cgroup = Cgroup { version: 2, limit_bytes: Some(1000), usage_bytes, inactive_file_bytes };
        Tick { cgroup: Some(cgroup), process: ProcessMemory { rss_bytes, ..Default::default() }, ..Default::default() }
    }

    #[test]
    fn coming_near_is_marked_once_until_it_was_far_again() {
        let mut near = NearLimit::default();
        let mut check =
            |tick: Tick, expected: Option<&str>| assert_eq!(near.crossed(&tick).as_deref(), expected, "{tick:?}");
        check(tick(500, 0, 400), None);
        check(tick(950, 700, 400), None);
        check(tick(910, 0, 400), Some("memory at 91 % of the cgroup's limit"));
        check(tick(990, 0, 400), None);
        check(tick(850, 0, 400), None);
        check(tick(910, 0, 400), None);
        check(tick(790, 0, 400), None);
        // The cgroup's own number lags behind.
        check(tick(100, 0, 930), Some("memory at 93 % of the cgroup's limit"));
        check(Tick::default(), None);
    }
}
