//! Unwind rules in a small form: how a frame's caller is found, learnt from framehop once for each return address.
//!
//! framehop answers from its own cache in some eight nanoseconds a frame, and that cache has 509 places. Rules here are
//! two words in a table of thousands that all threads share without locks, and a step is two loads and an addition.
//!
//! Learning asks framehop to unwind an invented frame three times, with registers and a stack that are made up so that
//! each result tells where it came from. What does not fit the forms of [`Rule`] is [`Rule::Unknown`], and such stacks
//! are left to framehop itself.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::arena::Arena;

/// Rules that the table of an exact session holds, and that of a sampled one: 1 MiB and 64 KiB.
pub(super) const EXACT_RULES: usize = 64 << 10;
pub(super) const SAMPLED_RULES: usize = 4 << 10;
/// Entries of one cache line, among which an address may be.
const WAYS: usize = 4;

/// Where a frame stands: its return address, and the registers as they are once it has been returned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    pub(super) address: u64,
    pub(super) stack_pointer: u64,
    pub(super) frame_pointer: u64,
}

/// How the caller of a frame is found. The return address always lies just below the caller's stack pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// There is none: the root.
    Root,
    /// The stack pointer advances by a constant; the frame pointer was saved at that many bytes above the stack
    /// pointer, or is what it was.
    StackPointer { advance: u32, saved: Option<u32> },
    /// The frame keeps a frame pointer, in the usual form.
    FramePointer,
    /// Anything else.
    Unknown,
}

impl Rule {
    const UNSAVED: u64 = 0xffff;

    fn encode(self) -> u64 {
        match self {
            Rule::Root => 1,
            Rule::FramePointer => 2,
            Rule::Unknown => 3,
            Rule::StackPointer { advance, saved } => {
                4 | u64::from(advance / 8) << 16 | saved.map_or(Rule::UNSAVED, |saved| u64::from(saved / 8)) << 32
            }
        }
    }

    #[inline(always)]
    fn decode(word: u64) -> Rule {
        match word & 7 {
            4 => {
                let saved = word >> 32 & Rule::UNSAVED;
                let saved = (saved != Rule::UNSAVED).then_some(saved as u32 * 8);
                Rule::StackPointer { advance: (word >> 16 & 0xffff) as u32 * 8, saved }
            }
            1 => Rule::Root,
            2 => Rule::FramePointer,
            _ => Rule::Unknown,
        }
    }

    /// Finds the rule by which `unwind` goes from a frame to its caller. `unwind` gets the frame's registers and a
    /// stack to read from, and gives the caller's, `None` at the root, or an error.
    pub(super) fn learn(mut unwind: impl FnMut(State, &dyn Fn(u64) -> u64) -> Result<Option<State>, ()>) -> Rule {
        // Far apart, so that a sum with an offset of one is never one of another; and each word of the invented stack
        // tells its own address.
        const STACK: u64 = 0x1000_0000;
        const FRAME: u64 = 0x2000_0000;
        const FAR: u64 = 0x0100_0000;
        const MARK: u64 = 0x5a00_0000_0000_0000;
        let word = |address: u64| address ^ MARK;
        let mut probe = |stack_pointer, frame_pointer| {
            let state = State { address: 0, stack_pointer, frame_pointer };
            let caller = unwind(state, &word)?;
            // The return address must be the word below the caller's stack pointer.
            let is_usual = |caller: &State| caller.address == word(caller.stack_pointer.wrapping_sub(8));
            if caller.as_ref().is_none_or(is_usual) { Ok(caller) } else { Err(()) }
        };
        let probes = (probe(STACK, FRAME), probe(STACK, FRAME + FAR), probe(STACK + FAR, FRAME));
        let (first, other_frame, other_stack) = match probes {
            (Ok(Some(first)), Ok(Some(second)), Ok(Some(third))) => (first, second, third),
            (Ok(None), Ok(None), Ok(None)) => return Rule::Root,
            _ => return Rule::Unknown,
        };
        let by_stack = State {
            stack_pointer: first.stack_pointer + FAR,
            frame_pointer: word(word(first.frame_pointer).wrapping_add(FAR)),
            ..first
        };
        let saved_at = |state: State| (state.stack_pointer, state.frame_pointer);
        let advance = first.stack_pointer.wrapping_sub(STACK);
        let is_word = |offset: u64| offset.is_multiple_of(8) && offset / 8 < Rule::UNSAVED;
        if advance >= 8 && is_word(advance) && other_frame.stack_pointer == first.stack_pointer {
            let advance = advance as u32;
            if other_stack.stack_pointer != first.stack_pointer + FAR {
                return Rule::Unknown;
            }
            let kept = (first.frame_pointer, other_frame.frame_pointer, other_stack.frame_pointer);
            if kept == (FRAME, FRAME + FAR, FRAME) {
                return Rule::StackPointer { advance, saved: None };
            }
            let saved = word(first.frame_pointer).wrapping_sub(STACK);
            let is_saved = other_frame.frame_pointer == first.frame_pointer && is_word(saved);
            if is_saved && saved < u64::from(advance) && saved_at(other_stack) == saved_at(by_stack) {
                return Rule::StackPointer { advance, saved: Some(saved as u32) };
            }
            return Rule::Unknown;
        }
        let usual = |caller: State, frame| caller.stack_pointer == frame + 16 && caller.frame_pointer == word(frame);
        let is_usual = usual(first, FRAME) && usual(other_frame, FRAME + FAR) && usual(other_stack, FRAME);
        if is_usual { Rule::FramePointer } else { Rule::Unknown }
    }
}

/// Rules by return address, shared by all threads. A line that is full forgets one of its rules.
pub(super) struct RuleTable {
    /// Pairs of a mark, which is the key mixed with the rule, and the rule: a pair torn by two writers fits no key.
    words: Arena<AtomicU64>,
    /// Shift that leaves as many bits of a hash as number a line.
    shift: u32,
}

impl RuleTable {
    /// An empty table for so many rules (a power of two), `None` when the system has no memory for it.
    pub(super) fn map(rules: usize) -> Option<RuleTable> {
        Some(RuleTable { words: Arena::map(rules * 2)?, shift: u64::BITS - (rules / WAYS).ilog2() })
    }

    /// The rule for `address`, if it was learnt in this generation of the module list.
    #[inline(always)]
    pub(super) fn get(&self, address: u64, generation: u16) -> Option<Rule> {
        let line = self.line(address)?;
        let key = key(address, generation);
        let rule_at = |way: usize| {
            let (mark, rule) = (line[way * 2].load(Ordering::Relaxed), line[way * 2 + 1].load(Ordering::Relaxed));
            (mark == key ^ mix(rule) && rule != 0).then(|| Rule::decode(rule))
        };
        // One way after the other, in as many instructions: the first one has it nearly always.
        rule_at(0).or_else(|| rule_at(1)).or_else(|| rule_at(2)).or_else(|| rule_at(3))
    }

    /// Adds a rule, in the place of another if need be.
    #[cold]
    pub(super) fn put(&self, address: u64, generation: u16, rule: Rule) {
        let Some(line) = self.line(address) else { return };
        let free = line.chunks_exact(2).find(|pair| pair[1].load(Ordering::Relaxed) == 0);
        // The lowest bits chose nothing else.
        let victim = || line.chunks_exact(2).nth((address >> 1) as usize % WAYS);
        let Some(pair) = free.or_else(victim) else { return };
        let rule = rule.encode();
        pair[0].store(key(address, generation) ^ mix(rule), Ordering::Relaxed);
        pair[1].store(rule, Ordering::Relaxed);
    }

    #[inline(always)]
    fn line(&self, address: u64) -> Option<&[AtomicU64; WAYS * 2]> {
        let line = address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        let (lines, _) = self.words.as_chunks::<{ WAYS * 2 }>();
        lines.get(line as usize)
    }

    /// Bytes touched at most.
    pub(super) fn touched_bytes(&self) -> u64 {
        (self.words.len() * 8) as u64
    }
}

#[inline(always)]
fn key(address: u64, generation: u16) -> u64 {
    address << 16 | u64::from(generation)
}

#[inline(always)]
fn mix(rule: u64) -> u64 {
    rule.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An unwinder made of a closure that gives stack pointer and frame pointer of the caller.
    fn learn(caller: impl Fn(State, &dyn Fn(u64) -> u64) -> (u64, u64)) -> Rule {
        Rule::learn(|state, read| {
            let (stack_pointer, frame_pointer) = caller(state, read);
            Ok(Some(State { address: read(stack_pointer - 8), stack_pointer, frame_pointer }))
        })
    }

    #[test]
    fn tells_the_forms_apart() {
        assert_eq!(Rule::learn(|_, _| Ok(None)), Rule::Root);
        assert_eq!(Rule::learn(|_, _| Err(())), Rule::Unknown);
        let plain = learn(|state, _| (state.stack_pointer + 40, state.frame_pointer));
        assert_eq!(plain, Rule::StackPointer { advance: 40, saved: None });
        let saving = learn(|state, read| (state.stack_pointer + 64, read(state.stack_pointer + 48)));
        assert_eq!(saving, Rule::StackPointer { advance: 64, saved: Some(48) });
        let usual = learn(|state, read| (state.frame_pointer + 16, read(state.frame_pointer)));
        assert_eq!(usual, Rule::FramePointer);
    }

    #[test]
    fn leaves_what_is_unusual_to_framehop() {
        // A stack pointer read from the stack; one that another register gives (a constant here); a frame pointer that
        // is saved beside the frame pointer; one that is invented; a frame beyond the form's range.
        assert_eq!(learn(|state, read| (read(state.frame_pointer - 8), 0)), Rule::Unknown);
        assert_eq!(learn(|state, _| (0x1000_0040, state.frame_pointer)), Rule::Unknown);
        assert_eq!(learn(|state, read| (state.stack_pointer + 16, read(state.frame_pointer))), Rule::Unknown);
        assert_eq!(learn(|state, _| (state.stack_pointer + 16, 7)), Rule::Unknown);
        assert_eq!(learn(|state, _| (state.stack_pointer + (1 << 20), state.frame_pointer)), Rule::Unknown);
        assert_eq!(learn(|state, _| (state.frame_pointer + 16, state.frame_pointer)), Rule::Unknown);
    }

    #[test]
    fn remembers_rules_of_one_generation() {
        let table = RuleTable::map(EXACT_RULES).expect("memory");
        let rule = |number: u64| Rule::StackPointer { advance: number as u32 * 8, saved: Some(16) };
        (1..1000).for_each(|number| table.put(0x5555_0000_0000 + number * 5, 3, rule(number)));
        let kept =
            (1..1000).filter(|number| table.get(0x5555_0000_0000 + number * 5, 3) == Some(rule(*number))).count();
        // 999 rules in 16,384 lines of four: a line with five is next to impossible.
        assert_eq!(kept, 999);
        assert_eq!(table.get(0x5555_0000_0005, 4), None);
        assert_eq!(table.get(0x5555_0000_0006, 3), None);
        for rule in [Rule::Root, Rule::FramePointer, Rule::Unknown, Rule::StackPointer { advance: 8, saved: None }] {
            assert_eq!(Rule::decode(rule.encode()), rule);
        }
    }
}
