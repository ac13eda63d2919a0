//! Limits on what a scope may use, and what is said when it used more.

use std::fmt;

use super::Scope;
use super::sites::grouped;

/// Limits on what a [`Scope`] may use. [`assert_heap!`](crate::assert_heap) makes one; its limits are these methods.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    limits: Vec<Limit>,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    name: &'static str,
    most: u64,
    found: fn(&Scope) -> u64,
}

impl Budget {
    /// A budget without a limit.
    pub fn new() -> Budget {
        Budget::default()
    }

    /// At most so many allocations, reallocations among them.
    #[must_use]
    pub fn max_allocations(self, most: u64) -> Budget {
        self.with("allocations", most, |scope| scope.stats().allocations)
    }

    /// At most so many reallocations.
    #[must_use]
    pub fn max_reallocations(self, most: u64) -> Budget {
        self.with("reallocations", most, |scope| scope.stats().reallocations)
    }

    /// At most so many bytes allocated in all.
    #[must_use]
    pub fn max_bytes(self, most: u64) -> Budget {
        self.with("bytes", most, |scope| scope.stats().bytes)
    }

    /// At most so many bytes live at once.
    #[must_use]
    pub fn max_peak_live_bytes(self, most: u64) -> Budget {
        self.with("peak live bytes", most, |scope| scope.stats().peak_live_bytes)
    }

    /// At most so many bytes live when the budget is checked.
    #[must_use]
    pub fn max_live_bytes(self, most: u64) -> Budget {
        self.with("live bytes", most, |scope| scope.stats().live_bytes)
    }

    /// At most so many blocks live when the budget is checked.
    #[must_use]
    pub fn max_live_allocations(self, most: u64) -> Budget {
        self.with("live allocations", most, |scope| scope.stats().live_allocations)
    }

    fn with(mut self, name: &'static str, most: u64, found: fn(&Scope) -> u64) -> Budget {
        self.limits.push(Limit { name, most, found });
        self
    }

    /// Holds a scope against the limits.
    ///
    /// # Errors
    ///
    /// When it used more, or when that cannot be told, since events were missed.
    pub fn check(&self, scope: &Scope) -> Result<(), OverBudget> {
        // The error's text may allocate: what was counted is read first.
        let found: Vec<(Limit, u64)> = self.limits.iter().map(|limit| (*limit, (limit.found)(scope))).collect();
        if !scope.saw_all() {
            let why =
                "cannot tell what the scope used: a signal handler allocated or freed, or a thread was about to end";
            return Err(OverBudget { text: why.to_owned() });
        }
        if found.iter().all(|(limit, found)| *found <= limit.most) {
            return Ok(());
        }
        let mut text = "over the heap budget:\n".to_owned();
        for (Limit { name, most, .. }, found) in found {
            let mark = if found > most { "!" } else { " " };
            text.push_str(&format!("  {mark} {name:<17}{:>15} of {:>12}\n", grouped(found), grouped(most)));
        }
        text.push_str(&scope.report());
        Err(OverBudget { text })
    }
}

/// What a [`Scope`] used, against its [`Budget`], and the sites that used most of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverBudget {
    text: String,
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for OverBudget {}

/// Fails a test that uses more heap than it may: runs a block and panics with the sites that used most, or gives the
/// block's value.
///
/// Limits are methods of [`Budget`], in bytes or numbers: `max_allocations`, `max_reallocations`, `max_bytes`,
/// `max_peak_live_bytes`, `max_live_bytes`, `max_live_allocations`. What the block's value holds is live. Only the calling thread is counted;
/// with a [`Scope`] in front, that scope is held against the limits instead of a block.
///
/// ```
/// # #[global_allocator]
/// # static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();
/// let words = plimsoll::assert_heap!(max_allocations = 1, max_live_bytes = 64, {
///     let mut words: Vec<&str> = Vec::with_capacity(4);
///     words.extend("one two three".split(' '));
///     words
/// });
/// assert_eq!(words.len(), 3);
///
/// let scope = plimsoll::Scope::new();
/// std::thread::scope(|threads| {
///     for _ in 0..2 {
///         threads.spawn(|| scope.measure(|| drop(std::hint::black_box(vec![0u8; 50]))));
///     }
/// });
/// plimsoll::assert_heap!(scope, max_bytes = 100, max_live_bytes = 0);
/// ```
#[macro_export]
macro_rules! assert_heap {
    ($($limit:ident = $most:expr),+, $block:block) => {{
        let scope = $crate::Scope::new();
        let budget = $crate::Budget::new()$(.$limit($most))+;
        let value = {
            let _entered = scope.enter();
            $block
        };
        if let Err(over) = budget.check(&scope) {
            panic!("{over}");
        }
        value
    }};
    ($scope:expr, $($limit:ident = $most:expr),+ $(,)?) => {{
        if let Err(over) = $crate::Budget::new()$(.$limit($most))+.check(&$scope) {
            panic!("{over}");
        }
    }};
}
