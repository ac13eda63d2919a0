//! The prefix tree of stacks: a node is its caller's node and one return address, so that equal stacks are one number.
//!
//! Hooks look up and add nodes without locks; the writer takes each new node once for the capture.
//!
//! When full: [`StackTable::child`] gives `None`, and the caller attributes to the outer frame it has reached.

use plimsoll_format::StackNode;

use crate::arena::{Arena, Zeroed};
use crate::shared_arena::Place;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Nodes of a sampled session. Its index takes 512 KiB when fully touched.
pub(crate) const SAMPLED_NODES: usize = 64 << 10;
/// Nodes of an exact session. Its index takes 16 MiB when fully touched.
pub(crate) const EXACT_NODES: usize = 2 << 20;

/// See the module's description.
pub(crate) struct StackTable {
    /// Return address and caller of node `id` at `id`; an address of 0 means not ready. Node 0 is the root.
    addresses: Arena<AtomicU64>,
    parents: Arena<AtomicU32>,
    /// Open addressing, at most half full: ids, 0 for empty.
    index: Arena<AtomicU32>,
    /// The newest nodes once more, in the arena: the capture may not have them yet.
    journal: Arena<JournalEntry>,
    next: AtomicU32,
}

/// A node as `format::arena` reads it.
#[repr(C)]
#[derive(Default)]
struct JournalEntry {
    address: AtomicU64,
    parent: AtomicU32,
    /// 0 while the others are being written.
    id: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<JournalEntry>() == plimsoll_format::JOURNAL_ENTRY_BYTES);

// SAFETY: integers only.
unsafe impl Zeroed for JournalEntry {}

impl JournalEntry {
    fn write(&self, node: StackNode) {
        self.id.store(0, Ordering::Release);
        self.address.store(node.address, Ordering::Release);
        self.parent.store(node.parent, Ordering::Release);
        self.id.store(node.id, Ordering::Release);
    }
}

impl StackTable {
    /// A table for `capacity` nodes (a power of two) with a journal of so many in the arena, `None` when the system has no
    /// memory for it.
    pub(crate) fn map(capacity: usize, journal: usize, place: &Place) -> Option<StackTable> {
        Some(StackTable {
            addresses: Arena::map(capacity)?,
            parents: Arena::map(capacity)?,
            index: Arena::map(capacity * 2)?,
            journal: place.map(|layout| layout.journal, journal)?,
            next: AtomicU32::new(1),
        })
    }

    /// The node for `address` called from `parent`; adds it when it is new. `None` when the table is full.
    #[inline]
    pub(crate) fn child(&self, parent: u32, address: u64) -> Option<u32> {
        let mask = self.index.len() - 1;
        let mut at = hash(parent, address) as usize & mask;
        loop {
            let entry = self.index.get(at)?;
            let id = entry.load(Ordering::Acquire);
            if id == 0 {
                match self.add(entry, parent, address)? {
                    Ok(added) => return Some(added),
                    // Somebody else took the entry; it may hold the very same node.
                    Err(taken) if self.is(taken, parent, address) => return Some(taken),
                    Err(_) => {}
                }
            } else if self.is(id, parent, address) {
                return Some(id);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn is(&self, id: u32, parent: u32, address: u64) -> bool {
        let at = id as usize;
        self.addresses.get(at).is_some_and(|known| known.load(Ordering::Relaxed) == address)
            && self.parents.get(at).is_some_and(|known| known.load(Ordering::Relaxed) == parent)
    }

    /// Fills the next node and publishes it in `entry`; `Some(Err(id))` when the entry was taken meanwhile (the node
    /// stays behind as a twin that nobody refers to), `None` when the table is full.
    #[cold]
    fn add(&self, entry: &AtomicU32, parent: u32, address: u64) -> Option<Result<u32, u32>> {
        if self.next.load(Ordering::Relaxed) as usize >= self.addresses.len() {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.parents.get(id as usize)?.store(parent, Ordering::Relaxed);
        self.addresses.get(id as usize)?.store(address, Ordering::Release);
        // Before anybody can find the node, and so before any event that has it.
        if let Some(at) = (id as usize).checked_rem(self.journal.len()) {
            self.journal.get(at)?.write(StackNode { id, parent, address });
        }
        match entry.compare_exchange(0, id, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(Ok(id)),
            Err(taken) => Some(Err(taken)),
        }
    }

    /// Nodes in use.
    pub(crate) fn len(&self) -> u32 {
        self.next.load(Ordering::Acquire).min(self.addresses.len() as u32) - 1
    }

    /// The node `id` when it is ready.
    pub(crate) fn node(&self, id: u32) -> Option<StackNode> {
        let address = self.addresses.get(id as usize)?.load(Ordering::Acquire);
        let parent = self.parents.get(id as usize)?.load(Ordering::Relaxed);
        (address != 0).then_some(StackNode { id, parent, address })
    }

    /// Bytes touched at most: the index is hashed all over, the nodes fill up in order.
    pub(crate) fn touched_bytes(&self) -> u64 {
        let nodes = u64::from(self.len());
        let journal = size_of_val::<[JournalEntry]>(&self.journal) as u64;
        nodes * 12 + (nodes * 4096).min(self.index.len() as u64 * 4) + journal
    }
}

#[inline]
fn hash(parent: u32, address: u64) -> u64 {
    let mixed = (address ^ u64::from(parent).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed >> 32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn equal_stacks_are_one_node_and_a_full_table_says_so() {
        // Room for ids 1 … 7.
        let table = StackTable::map(8, 4, &Place::Private(String::new())).expect("memory");
        let a = table.child(0, 0x10).expect("room");
        let b = table.child(a, 0x20).expect("room");
        assert_eq!(table.child(0, 0x10), Some(a));
        assert_eq!(table.child(a, 0x20), Some(b));
        assert_ne!(table.child(0, 0x20), Some(b));
        for address in 0x100..0x104 {
            assert!(table.child(b, address).is_some());
        }
        assert_eq!((table.len(), table.child(b, 0x200)), (7, None));
        assert_eq!(table.child(a, 0x20), Some(b), "known nodes are still found");
        assert_eq!(table.node(b), Some(StackNode { id: b, parent: a, address: 0x20 }));
    }

    #[test]
    fn threads_agree_on_nodes() {
        let table = StackTable::map(1 << 14, 64, &Place::Private(String::new())).expect("memory");
        let build = || {
            (0..2000u64).fold(Vec::new(), |mut ids, step| {
                let parent = if step % 7 == 0 { 0 } else { ids.last().copied().unwrap_or(0) };
                ids.push(table.child(parent, 0x1000 + step % 500).expect("room"));
                ids
            })
        };
        let results: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(build)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(results.iter().all(|ids| *ids == results[0]));
    }
}
