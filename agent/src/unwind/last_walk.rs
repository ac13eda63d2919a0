//! A thread's last walk, from which the next one takes the frames that are still there.
//!
//! From a frame outwards, the walk is a function of that frame's registers and of the words it reads on the way: the
//! return addresses, and the saved frame pointers that a later frame needs. So a known frame can be taken over, with
//! everything outside it, when the new walk arrives at the same registers and all those words are what they were. Both
//! are checked each time: nothing is assumed about what the program did meanwhile (returns, `longjmp`, panics,
//! coroutines).
//!
//! Checking a word takes less than a nanosecond; only frames that are new are walked and looked up in the tree.

use super::rules::{Rule, State};
use super::{MAX_FRAMES, Outcome};

/// A frame of the last walk.
#[derive(Debug, Clone, Copy)]
struct Known {
    state: State,
    node: u32,
    /// The node of its caller.
    parent: u32,
    /// Facts that the walk from here outwards rests on are those before this.
    facts: u16,
    /// The walk outwards depends on the frame pointer in `state`.
    needs_frame_pointer: bool,
    /// A walk began here: `node` is the caller's.
    is_start: bool,
    /// The tree was full somewhere on the way: `node` is an outer frame's.
    is_cut: bool,
}

/// A word of the stack that the walk has read.
#[derive(Debug, Clone, Copy)]
struct Fact {
    address: u64,
    value: u64,
}

/// A frame that is not known yet, and how its caller was found.
#[derive(Debug, Clone, Copy)]
struct Fresh {
    state: State,
    /// Where the caller's frame pointer was saved, 0 when nowhere.
    saved: u64,
    by_frame_pointer: bool,
}

/// Where a step from a frame led.
enum Step {
    Caller {
        state: State,
        saved: u64,
    },
    /// To the root, because of a zero in this place if there is one.
    Root {
        zero: u64,
    },
    Broken,
}

/// How a walk ended outside.
enum End {
    Known,
    Root { zero: u64 },
    Broken,
}

/// A stack in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) node: u32,
    pub(super) outcome: Outcome,
    /// The tree is full, so that inner frames are missing.
    pub(crate) is_cut: bool,
}

/// The thread's stack, and what is known of return addresses.
pub(super) trait Ground {
    /// The rule for a return address; `None` when nobody can tell now.
    fn rule(&mut self, address: u64) -> Option<Rule>;
    /// The word at a place between the walk's first stack pointer and [`Ground::end`].
    fn word(&self, address: u64) -> u64;
    /// The end of the stack.
    fn end(&self) -> u64;
    /// The tree's node for a frame called from `parent`, `None` when the tree is full.
    fn child(&self, parent: u32, address: u64) -> Option<u32>;
    /// The tree's node for stacks whose root was not reached.
    fn broken_root(&self) -> Option<u32>;
}

/// See the module's description. Zeros are a valid, empty one.
pub(super) struct LastWalk {
    /// The outermost frame first.
    known: [Known; MAX_FRAMES],
    len: usize,
    /// Generation of the module list, and the end of the stack, that all this belongs to.
    generation: u16,
    end: u64,
    /// The outermost known frame is not the thread's root.
    is_broken: bool,
    facts: [Fact; 2 * MAX_FRAMES],
    fresh: [Fresh; MAX_FRAMES],
}

impl LastWalk {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Finds the node of the stack that begins at `start`, whose own frame is left out. `None`, with everything
    /// forgotten, when the stack is too deep or has a frame without a simple rule.
    #[inline(always)]
    pub(super) fn find(&mut self, start: &State, generation: u16, ground: &mut impl Ground) -> Option<Found> {
        if let Some(found) = self.find_again(start, generation, ground) {
            return Some(found);
        }
        self.find_other(start, generation, ground)
    }

    /// The very stack of the last walk.
    #[inline(always)]
    fn find_again(&self, start: &State, generation: u16, ground: &impl Ground) -> Option<Found> {
        let top = self.last()?;
        let is_other = (top.state.stack_pointer ^ start.stack_pointer)
            | (top.state.address ^ start.address)
            | (self.end ^ ground.end())
            | u64::from(self.generation ^ generation);
        let is_start = top.is_start && (!top.needs_frame_pointer || top.state.frame_pointer == start.frame_pointer);
        if is_other != 0 || !is_start {
            return None;
        }
        let facts = self.facts.get(..usize::from(top.facts))?;
        let (eights, rest) = facts.as_chunks::<8>();
        let changes = |all: u64, fact: &Fact| all | (ground.word(fact.address) ^ fact.value);
        let mut changed = 0;
        for eight in eights {
            changed = eight.iter().fold(changed, changes);
        }
        (rest.iter().fold(changed, changes) == 0).then(|| self.top()).flatten()
    }

    #[inline(never)]
    fn find_other(&mut self, start: &State, generation: u16, ground: &mut impl Ground) -> Option<Found> {
        if self.generation != generation || self.end != ground.end() {
            self.clear();
            (self.generation, self.end) = (generation, ground.end());
        }
        self.drop_dead(start.stack_pointer);
        self.drop_changed(ground);
        if self.ends_at(start, true) {
            return self.top();
        }
        self.find_anew(*start, ground)
    }

    #[inline(never)]
    fn find_anew(&mut self, start: State, ground: &mut impl Ground) -> Option<Found> {
        let walked = self.walk(start, ground);
        let found = walked.and_then(|(count, end)| self.take_over(count, end, ground));
        if found.is_none() {
            self.clear();
        }
        found
    }

    #[inline(always)]
    fn top(&self) -> Option<Found> {
        let outcome = if self.is_broken { Outcome::Broken } else { Outcome::Complete };
        self.last().map(|top| Found { node: top.node, outcome, is_cut: top.is_cut })
    }

    /// Frames below the stack pointer have returned.
    #[inline(always)]
    fn drop_dead(&mut self, stack_pointer: u64) {
        while self.last().is_some_and(|known| known.state.stack_pointer < stack_pointer) {
            self.len -= 1;
        }
    }

    /// Frames that rest on a word that is not what it was.
    #[inline(always)]
    fn drop_changed(&mut self, ground: &impl Ground) {
        let count = self.last().map_or(0, |known| usize::from(known.facts));
        let facts = self.facts.get(..count).unwrap_or_default();
        let holds = |fact: &Fact| ground.word(fact.address) == fact.value;
        // Four at a time without a branch in between, outermost first.
        let (fours, rest) = facts.as_chunks::<4>();
        let sound = fours.iter().take_while(|four| four.iter().fold(true, |all, fact| all & holds(fact))).count() * 4;
        if sound == fours.len() * 4 && rest.iter().all(holds) {
            return;
        }
        let tail = facts.get(sound..).unwrap_or_default();
        let sound = sound + tail.iter().take_while(|fact| holds(fact)).count();
        while self.last().is_some_and(|known| usize::from(known.facts) > sound) {
            self.len -= 1;
        }
    }

    #[inline(always)]
    fn last(&self) -> Option<&Known> {
        self.known.get(self.len.checked_sub(1)?)
    }

    /// Whether the innermost known frame is this one.
    #[inline(always)]
    fn ends_at(&self, state: &State, is_start: bool) -> bool {
        self.last().is_some_and(|known| {
            known.is_start == is_start
                && known.state.stack_pointer == state.stack_pointer
                && known.state.address == state.address
                && (known.state.frame_pointer == state.frame_pointer || !known.needs_frame_pointer)
        })
    }

    /// Walks from `start` to a known frame or the outer end. Gives the number of fresh frames and how it ended.
    #[inline(always)]
    fn walk(&mut self, start: State, ground: &mut impl Ground) -> Option<(usize, End)> {
        let mut state = start;
        for count in 0..MAX_FRAMES {
            self.drop_dead(state.stack_pointer);
            if self.ends_at(&state, count == 0) {
                return Some((count, End::Known));
            }
            let rule = ground.rule(state.address).filter(|rule| *rule != Rule::Unknown)?;
            let step = step(&state, rule, ground);
            let saved = if let Step::Caller { saved, .. } = step { saved } else { 0 };
            *self.fresh.get_mut(count)? = Fresh { state, saved, by_frame_pointer: rule == Rule::FramePointer };
            state = match step {
                Step::Caller { state, .. } => state,
                Step::Root { zero } => return Some((count + 1, End::Root { zero })),
                Step::Broken => return Some((count + 1, End::Broken)),
            };
        }
        None
    }

    /// Makes the first `count` fresh frames known, outermost first, and gives the innermost one's node.
    #[inline(always)]
    fn take_over(&mut self, count: usize, end: End, ground: &impl Ground) -> Option<Found> {
        let mut outer = match (&end, self.last()) {
            (End::Known, Some(known)) => *known,
            _ => self.begin_anew(&end, ground),
        };
        for at in (0..count).rev() {
            let fresh = self.fresh.get(at)?;
            let (state, saved, by_frame_pointer) = (fresh.state, fresh.saved, fresh.by_frame_pointer);
            let mut facts = outer.facts;
            // The outermost frame of all has no caller.
            if outer.state.stack_pointer != 0 {
                self.add(&mut facts, outer.state.stack_pointer - 8, outer.state.address)?;
                if outer.needs_frame_pointer && saved != 0 {
                    self.add(&mut facts, saved, outer.state.frame_pointer)?;
                }
            }
            // The innermost frame is the agent's own.
            let is_start = at == 0;
            let (mut node, mut is_cut) = (outer.node, outer.is_cut);
            if !is_start && !is_cut {
                match self.child_before(node, state.address).or_else(|| ground.child(node, state.address)) {
                    Some(child) => node = child,
                    None => is_cut = true,
                }
            }
            let needs_frame_pointer = by_frame_pointer || (saved == 0 && outer.needs_frame_pointer);
            outer = Known { state, node, parent: outer.node, facts, needs_frame_pointer, is_start, is_cut };
            *self.known.get_mut(self.len)? = outer;
            self.len += 1;
        }
        self.top()
    }

    /// The node of a call from `parent`, if the frame that stood here before was the same: programs that come back call
    /// what they called before, and this is nearer than the tree.
    #[inline(always)]
    fn child_before(&self, parent: u32, address: u64) -> Option<u32> {
        let before = self.known.get(self.len)?;
        let is_same = before.parent == parent && before.state.address == address && !before.is_start && !before.is_cut;
        is_same.then_some(before.node)
    }

    /// Forgets all frames, and gives what stands for the caller of the outermost one.
    #[cold]
    fn begin_anew(&mut self, end: &End, ground: &impl Ground) -> Known {
        self.len = 0;
        self.is_broken = matches!(end, End::Broken);
        let node = if self.is_broken { ground.broken_root().unwrap_or(0) } else { 0 };
        let mut facts = 0;
        if let End::Root { zero } = *end
            && zero != 0
        {
            let _ = self.add(&mut facts, zero, 0);
        }
        let state = State::default();
        Known { state, node, parent: 0, facts, needs_frame_pointer: false, is_start: false, is_cut: false }
    }

    #[inline(always)]
    fn add(&mut self, facts: &mut u16, address: u64, value: u64) -> Option<()> {
        *self.facts.get_mut(usize::from(*facts))? = Fact { address, value };
        *facts += 1;
        Some(())
    }
}

/// Finds the caller of a frame.
#[inline(always)]
fn step(state: &State, rule: Rule, ground: &impl Ground) -> Step {
    let end = ground.end();
    let (stack_pointer, saved) = match rule {
        Rule::Root => return Step::Root { zero: 0 },
        Rule::Unknown => return Step::Broken,
        Rule::StackPointer { advance, saved } => {
            let saved = saved.map_or(0, |saved| state.stack_pointer + u64::from(saved));
            (state.stack_pointer + u64::from(advance), saved)
        }
        Rule::FramePointer if state.frame_pointer == 0 => return Step::Root { zero: 0 },
        Rule::FramePointer => (state.frame_pointer.wrapping_add(16), state.frame_pointer),
    };
    // `saved` lies below the caller's stack pointer in both forms, so it needs no check of its own.
    if stack_pointer <= state.stack_pointer || stack_pointer > end || !stack_pointer.is_multiple_of(8) {
        return Step::Broken;
    }
    if saved != 0 && saved < state.stack_pointer {
        return Step::Broken;
    }
    let address = ground.word(stack_pointer - 8);
    if address == 0 {
        return Step::Root { zero: stack_pointer - 8 };
    }
    let frame_pointer = if saved == 0 { state.frame_pointer } else { ground.word(saved) };
    Step::Caller { state: State { address, stack_pointer, frame_pointer }, saved }
}

#[cfg(test)]
#[path = "last_walk_test.rs"]
mod tests;
