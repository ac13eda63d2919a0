//! One address that goes from thread to thread gives no false live block: the order of free and allocation survives.
//!
//! 10⁶ hand-overs here; `PLIMSOLL_HAND_OVERS=10000000` for the long run (results in `agent/docs/results.md`).

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::SeqCst};

use plimsoll_format::EventKind;
use support::read;

/// Gives every request of one size the same block, as often as it comes back.
struct OneBlock;

const SIZE: usize = 4242;

static TAKEN: AtomicBool = AtomicBool::new(false);
static BLOCK: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

// SAFETY: the one block is handed out only while `TAKEN` says that nobody has it; all else is the system's.
unsafe impl GlobalAlloc for OneBlock {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() != SIZE {
            // SAFETY: the caller's obligations.
            return unsafe { System.alloc(layout) };
        }
        while TAKEN.swap(true, SeqCst) {
            std::hint::spin_loop();
        }
        if BLOCK.load(SeqCst).is_null() {
            // SAFETY: the caller's obligations.
            BLOCK.store(unsafe { System.alloc(layout) }, SeqCst);
        }
        BLOCK.load(SeqCst)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() == SIZE {
            TAKEN.store(false, SeqCst);
        } else {
            // SAFETY: the caller's obligations.
            unsafe { System.dealloc(block, layout) };
        }
    }
}

#[global_allocator]
static ALLOC: plimsoll::Allocator<OneBlock> = plimsoll::Allocator::new(OneBlock);

#[test]
fn no_false_live_block() {
    let hand_overs = std::env::var("PLIMSOLL_HAND_OVERS").map_or(1_000_000, |text| text.parse().expect("a number"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let session = plimsoll::Session::builder().output(&path).exact().start().expect("a session");
    let left = AtomicU64::new(hand_overs);
    let layout = Layout::from_size_align(SIZE, 8).expect("a layout");
    // Both threads allocate and free the same block; the allocator under them makes each wait for the other's free.
    let take_and_give = || {
        while left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            // SAFETY: freed with the layout it was allocated with.
            unsafe {
                let block = ALLOC.alloc(layout);
                ALLOC.dealloc(block, layout);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(take_and_give);
        scope.spawn(take_and_give);
    });
    session.finish().expect("written");
    let capture = read(&path);
    let of_the_block = |kind| {
        let address = BLOCK.load(SeqCst) as u64;
        capture.events.iter().filter(|event| event.address == address && event.kind == kind).count() as u64
    };
    assert_eq!((of_the_block(EventKind::Alloc), of_the_block(EventKind::Free)), (hand_overs, hand_overs));
    assert!(capture.losses.is_empty());
    assert!(!capture.live().contains_key(&(BLOCK.load(SeqCst) as u64)));
}
