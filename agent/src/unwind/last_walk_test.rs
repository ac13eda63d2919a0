//! A simulated program calls, returns, jumps and moves to other places of its stack; each walk from what is known must
//! find what a walk from nothing finds.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::*;

const WORDS: usize = 4096;
/// Address of the first word of the simulated stack.
const BASE: u64 = 0x7000_0000;

/// A simulated thread. Return address `a` is one in function `a / 16`, whose form follows from its number.
struct Program {
    words: Vec<u64>,
    /// Registers of each frame that is running, outermost first; the last is the present one.
    frames: Vec<State>,
    nodes: RefCell<HashMap<(u32, u64), u32>>,
    room_for_nodes: Cell<usize>,
    asked: Cell<u64>,
}

impl Program {
    fn new() -> Program {
        let end = BASE + 8 * WORDS as u64;
        let root = State { address: 16, stack_pointer: end - 64, frame_pointer: 0 };
        let program = Program {
            words: vec![0; WORDS],
            frames: vec![root],
            nodes: RefCell::default(),
            room_for_nodes: Cell::new(usize::MAX),
            asked: Cell::new(0),
        };
        // Function 1 is the root, with a zero where its return address would be.
        assert_eq!(program.rule_of(16), Some(Rule::StackPointer { advance: 64, saved: None }));
        program
    }

    fn rule_of(&self, address: u64) -> Option<Rule> {
        let function = address / 16;
        Some(match function {
            1 => Rule::StackPointer { advance: 64, saved: None },
            _ if function.is_multiple_of(4) => Rule::FramePointer,
            _ if function % 4 == 1 => Rule::StackPointer { advance: 48, saved: Some(16) },
            _ => Rule::StackPointer { advance: 16 + function as u32 % 3 * 8, saved: None },
        })
    }

    fn at(&mut self, address: u64) -> &mut u64 {
        &mut self.words[((address - BASE) / 8) as usize]
    }

    fn now(&self) -> State {
        *self.frames.last().expect("a frame")
    }

    /// Calls from the present function to `function`, which then is about to call on from its own `call` place.
    /// `random` fills what frames leave undefined, and the size of frames that vary.
    fn call(&mut self, return_to: u64, function: u64, place: u64, random: u64) -> bool {
        let caller = State { address: self.now().address / 16 * 16 + return_to, ..self.now() };
        let callee = function * 16 + place;
        let (rule, from) = (self.rule_of(callee).expect("a rule"), caller.stack_pointer);
        let (stack_pointer, frame_pointer) = match rule {
            // The body of such a function moves its stack pointer as it likes.
            Rule::FramePointer => (from - 16 - random % 5 * 8, from - 16),
            Rule::StackPointer { advance, saved: Some(_) } => (from - u64::from(advance), random),
            Rule::StackPointer { advance, saved: None } => (from - u64::from(advance), caller.frame_pointer),
            _ => unreachable!("no such function"),
        };
        if stack_pointer < BASE + 256 {
            return false;
        }
        if let Some(present) = self.frames.last_mut() {
            present.address = caller.address;
        }
        for address in (stack_pointer..from).step_by(8).filter(|_| random.is_multiple_of(3)) {
            *self.at(address) = random;
        }
        *self.at(from - 8) = caller.address;
        match rule {
            Rule::FramePointer => *self.at(from - 16) = caller.frame_pointer,
            Rule::StackPointer { saved: Some(saved), .. } => {
                *self.at(stack_pointer + u64::from(saved)) = caller.frame_pointer;
            }
            _ => {}
        }
        self.frames.push(State { address: callee, stack_pointer, frame_pointer });
        true
    }

    fn unwind_to(&mut self, depth: usize) {
        self.frames.truncate(depth.max(1));
    }

    /// The stack as the program itself knows it, as a node.
    fn truth(&self) -> u32 {
        let outer = self.frames.iter().rev().skip(1).rev();
        outer.fold(0, |node, frame| self.child(node, frame.address).expect("room"))
    }
}

impl Ground for &Program {
    fn rule(&mut self, address: u64) -> Option<Rule> {
        self.asked.set(self.asked.get() + 1);
        self.rule_of(address)
    }

    fn word(&self, address: u64) -> u64 {
        assert!(address >= self.now().stack_pointer && address < self.end(), "read outside the stack");
        self.words[((address - BASE) / 8) as usize]
    }

    fn end(&self) -> u64 {
        BASE + 8 * WORDS as u64
    }

    fn child(&self, parent: u32, address: u64) -> Option<u32> {
        let mut nodes = self.nodes.borrow_mut();
        let next = nodes.len() as u32 + 1;
        if nodes.len() >= self.room_for_nodes.get() && !nodes.contains_key(&(parent, address)) {
            return None;
        }
        Some(*nodes.entry((parent, address)).or_insert(next))
    }

    fn broken_root(&self) -> Option<u32> {
        self.child(0, u64::MAX)
    }
}

fn child_of(program: &Program) -> impl Fn(u32, u64) -> Option<u32> + '_ {
    move |parent, address| program.child(parent, address)
}

impl Program {
    fn child(&self, parent: u32, address: u64) -> Option<u32> {
        Ground::child(&self, parent, address)
    }
}

fn empty() -> Box<LastWalk> {
    let zero = Known {
        state: State::default(),
        node: 0,
        parent: 0,
        facts: 0,
        needs_frame_pointer: false,
        is_start: false,
        is_cut: false,
    };
    let fresh = Fresh { state: State::default(), saved: 0, by_frame_pointer: false };
    Box::new(LastWalk {
        known: [zero; MAX_FRAMES],
        len: 0,
        generation: 0,
        end: 0,
        is_broken: false,
        facts: [Fact { address: 0, value: 0 }; 2 * MAX_FRAMES],
        fresh: [fresh; MAX_FRAMES],
    })
}

/// A small generator of numbers (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn every_walk_finds_the_true_stack_whatever_the_program_did() {
    for seed in 1..200 {
        let (mut program, mut walk, mut random) = (Program::new(), empty(), seed * 0x9E37_79B9);
        for _ in 0..400 {
            // Mostly calls and returns; at times a jump far out, as by `longjmp` or a panic.
            let draw = next(&mut random);
            match draw % 8 {
                0 => program.unwind_to(draw as usize / 8 % program.frames.len() + 1),
                1..=2 => program.unwind_to(program.frames.len() - 1),
                _ => {
                    let (function, place) = (2 + draw / 8 % 12, draw / 128 % 2);
                    program.call(draw / 256 % 2, function, place, next(&mut random) >> 20 << 3);
                }
            }
            let found = walk.find(&program.now(), 1, &mut &program).expect("found");
            assert_eq!((found.node, found.outcome), (program.truth(), Outcome::Complete), "seed {seed}");
        }
    }
}

#[test]
fn frames_that_are_still_there_are_not_walked_again() {
    let (mut program, mut walk) = (Program::new(), empty());
    (0..100).for_each(|_| assert!(program.call(0, 2, 0, 0)));
    walk.find(&program.now(), 1, &mut &program);
    program.asked.set(0);
    walk.find(&program.now(), 1, &mut &program);
    assert_eq!(program.asked.get(), 0, "the same stack");
    (0..3).for_each(|_| assert!(program.call(0, 3, 0, 0)));
    walk.find(&program.now(), 1, &mut &program);
    // Three new frames, and the one that called them from another place than before.
    assert!(program.asked.get() <= 4, "{}", program.asked.get());
    // Another generation of the module list voids all.
    program.asked.set(0);
    walk.find(&program.now(), 2, &mut &program);
    assert_eq!(program.asked.get(), 104);
}

#[test]
fn a_caller_that_changed_is_noticed_though_all_inner_frames_look_the_same() {
    let (mut program, mut walk) = (Program::new(), empty());
    for return_to in 0..2 {
        program.unwind_to(1);
        assert!(program.call(return_to, 2, 0, 0) && program.call(0, 3, 0, 0) && program.call(0, 5, 0, 0));
        let found = walk.find(&program.now(), 1, &mut &program).expect("found");
        assert_eq!(found.node, program.truth());
    }
    assert_eq!(program.nodes.borrow().len(), 6, "two stacks without a frame in common");
}

#[test]
fn broken_deep_and_cut_stacks_say_so() {
    let (mut program, mut walk) = (Program::new(), empty());
    assert!(program.call(0, 2, 0, 0) && program.call(0, 4, 0, 0));
    // A frame pointer that leads nowhere.
    program.frames.last_mut().expect("a frame").frame_pointer = 12_345;
    for _ in 0..2 {
        let found = walk.find(&program.now(), 1, &mut &program).expect("found");
        assert_eq!((found.node, found.outcome), (child_of(&program)(0, u64::MAX).expect("room"), Outcome::Broken));
    }
    // No room for more nodes: the frames inside are left out, each time.
    let mut program = Program::new();
    program.room_for_nodes.set(2);
    (0..5).for_each(|_| assert!(program.call(0, 2, 0, 0)));
    walk.clear();
    for _ in 0..2 {
        let found = walk.find(&program.now(), 1, &mut &program).expect("found");
        assert_eq!((found.is_cut, found.node), (true, 2));
    }
    // Deeper than the limit.
    let mut program = Program::new();
    (0..=MAX_FRAMES).for_each(|_| assert!(program.call(0, 2, 0, 0)));
    assert_eq!(walk.find(&program.now(), 1, &mut &program), None);
}

/// A frame of varying size lies where an older one lay, whose return address is still there: only the frame pointer
/// tells the two apart, be it in the register or saved by the frame inside.
#[test]
fn a_frame_pointer_that_changed_is_noticed_though_old_return_addresses_are_still_there() {
    for saves in [false, true] {
        let (mut program, mut walk) = (Program::new(), empty());
        let (inside, stack_pointer) = if saves { (5 * 16, BASE + 800) } else { (2 * 16, BASE + 832) };
        let caller = stack_pointer + if saves { 48 } else { 32 };
        assert_eq!(program.rule_of(2 * 16), Some(Rule::StackPointer { advance: 32, saved: None }));
        *program.at(caller - 8) = 4 * 16;
        // Two callers of function 4: return address 16 for one frame pointer, 17 for the other.
        let frames = [(caller + 32, 16), (caller + 64, 17)];
        for (frame, address) in frames {
            *program.at(frame + 8) = address;
        }
        for (frame, address) in frames {
            let register = if saves { 77 } else { frame };
            if saves {
                *program.at(stack_pointer + 16) = frame;
            }
            program.frames = vec![State { address: inside, stack_pointer, frame_pointer: register }];
            let found = walk.find(&program.now(), 1, &mut &program).expect("found");
            let expected = program.child(program.child(0, address).expect("room"), 4 * 16);
            assert_eq!(Some(found.node), expected, "saved: {saves}");
        }
    }
}
