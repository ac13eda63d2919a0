//! The prefix tree of stacks.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use plimsoll_format::StackNode;

use super::ids::StackId;

/// Longest stack that is walked, twice as long as any that is recorded: nodes of a hostile capture may form a ring.
const MAX_DEPTH: usize = 1024;

/// One call of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A return address: look it up at address − 1.
    Address(u64),
    /// Outer frames beyond the depth limit were cut off.
    Truncated,
    /// Outer frames could not be unwound.
    Broken,
    /// The node is defined nowhere: its definition was in a part of the capture that is lost.
    Unknown,
}

/// All stacks of a capture. A stack is named by the node of its innermost call.
#[derive(Debug, Clone, Default)]
pub struct StackTable {
    nodes: HashMap<u32, (u32, u64), RandomState>,
    /// Nodes with the same parent and address are the same stack: the first one stands for all.
    first: HashMap<(u32, u64), u32, RandomState>,
}

impl StackTable {
    /// Adds a node. One that is defined already stays as it is.
    pub(crate) fn insert(&mut self, node: &StackNode) {
        if node.id == 0 {
            return;
        }
        let parent = self.same_as(StackId(node.parent)).0;
        self.nodes.entry(node.id).or_insert((parent, node.address));
        self.first.entry((parent, node.address)).or_insert(node.id);
    }

    /// The node that stands for this one and all that equal it.
    pub fn same_as(&self, stack: StackId) -> StackId {
        let key = self.nodes.get(&stack.0);
        StackId(key.and_then(|key| self.first.get(key)).copied().unwrap_or(stack.0))
    }

    /// The calls of a stack, innermost first. The empty stack (id 0) has none.
    pub fn frames(&self, stack: StackId) -> FrameIter<'_> {
        FrameIter { table: self, next: stack.0, left: MAX_DEPTH }
    }

    /// Parent and address of a node, `None` when it is not defined.
    pub fn node(&self, stack: StackId) -> Option<(StackId, Frame)> {
        self.nodes.get(&stack.0).map(|(parent, address)| (StackId(*parent), frame(*address)))
    }

    /// Ids of all nodes, in no order.
    pub fn ids(&self) -> impl Iterator<Item = StackId> + '_ {
        self.nodes.keys().copied().map(StackId)
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

fn frame(address: u64) -> Frame {
    match address {
        StackNode::TRUNCATED => Frame::Truncated,
        StackNode::BROKEN => Frame::Broken,
        address => Frame::Address(address),
    }
}

/// Iterates over a stack's calls; made by [`StackTable::frames`].
#[derive(Debug, Clone)]
pub struct FrameIter<'a> {
    table: &'a StackTable,
    next: u32,
    left: usize,
}

impl Iterator for FrameIter<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if self.next == 0 {
            return None;
        }
        if self.left == 0 {
            self.next = 0;
            return Some(Frame::Truncated);
        }
        self.left -= 1;
        let found = self.table.nodes.get(&self.next);
        self.next = found.map_or(0, |node| node.0);
        Some(found.map_or(Frame::Unknown, |node| frame(node.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(nodes: &[(u32, u32, u64)]) -> StackTable {
        let mut table = StackTable::default();
        nodes.iter().for_each(|(id, parent, address)| {
            table.insert(&StackNode { id: *id, parent: *parent, address: *address });
        });
        table
    }

    #[test]
    fn frames_come_innermost_first() {
        let table = table(&[(1, 0, StackNode::TRUNCATED), (2, 1, 0x20), (3, 2, 0x30)]);
        let frames: Vec<Frame> = table.frames(StackId(3)).collect();
        assert_eq!(frames, [Frame::Address(0x30), Frame::Address(0x20), Frame::Truncated]);
        assert_eq!(table.frames(StackId(0)).count(), 0);
        assert_eq!(table.frames(StackId(9)).collect::<Vec<_>>(), [Frame::Unknown]);
    }

    #[test]
    fn rings_and_lost_parents_end() {
        let table = table(&[(1, 2, 0x10), (2, 1, 0x20), (3, 77, 0x30)]);
        assert_eq!(table.frames(StackId(1)).count(), MAX_DEPTH + 1);
        assert_eq!(table.frames(StackId(3)).collect::<Vec<_>>(), [Frame::Address(0x30), Frame::Unknown]);
    }
}
