//! The second way in, for programs that already use the `tracking-allocator` crate: they keep its allocator and its
//! groups, and Plimsoll records what it reports. Groups arrive as tags.
//!
//! What this way cannot do, by how that crate works: it frees memory before it reports the free, so that another
//! thread may report the same address first (the viewer repairs the order and counts the repairs); it drops events
//! nested in its own; and it has no reallocation, so growth is an allocation and a free. Captures say that they were
//! made this way.
//!
//! ```no_run
//! use tracking_allocator::{AllocationGroupToken, AllocationRegistry, Allocator};
//!
//! #[global_allocator]
//! static ALLOC: Allocator<std::alloc::System> = Allocator::system();
//!
//! let _ = AllocationRegistry::set_global_tracker(plimsoll::tracking::Tracker::new());
//! AllocationRegistry::enable_tracking();
//! let _session = plimsoll::Session::from_env_or_idle();
//! let parser = AllocationGroupToken::register().expect("fewer groups than numbers");
//! plimsoll::tracking::name_group(&parser.id(), "parser");
//! ```

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tracking_allocator::{AllocationGroupId, AllocationTracker};

use crate::{hook, tag};

/// Groups with higher numbers count as unnamed.
const GROUPS: usize = 4096;

static INSTALLED: AtomicBool = AtomicBool::new(false);
/// Tag of each group, 0 while it has no name.
static TAGS: [AtomicU32; GROUPS] = [const { AtomicU32::new(0) }; GROUPS];

/// Reports what `tracking-allocator` sees to Plimsoll; pass it to `AllocationRegistry::set_global_tracker`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Tracker;

impl Tracker {
    /// A tracker. Do not install [`Allocator`](crate::Allocator) in the same program: a session refuses to start then.
    pub fn new() -> Tracker {
        INSTALLED.store(true, Ordering::Relaxed);
        Tracker
    }
}

/// Names a group; its allocations from here on carry the name as their tag.
pub fn name_group(group: &AllocationGroupId, name: &str) {
    if let Some(slot) = TAGS.get(group.as_usize().get()) {
        slot.store(tag::id(name), Ordering::Relaxed);
    }
}

pub(crate) fn is_installed() -> bool {
    INSTALLED.load(Ordering::Relaxed)
}

impl AllocationTracker for Tracker {
    fn allocated(&self, address: usize, object_size: usize, _wrapped_size: usize, group: AllocationGroupId) {
        let tag = TAGS.get(group.as_usize().get()).map_or(0, |tag| tag.load(Ordering::Relaxed));
        let before = tag::swap_if_known(tag);
        hook::allocated(address as *mut u8, object_size);
        tag::swap_if_known(before);
    }

    fn deallocated(
        &self,
        address: usize,
        object_size: usize,
        _wrapped_size: usize,
        _source: AllocationGroupId,
        _current: AllocationGroupId,
    ) {
        if hook::freeing(address as *mut u8, object_size) {
            // The reserve is below our own allocator only, which is not installed here.
            let _ = hook::free_due(address as *mut u8, object_size);
        }
    }
}
