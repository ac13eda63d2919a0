//! The walk by unwind tables (`framehop`): works in ordinary release builds, about ten nanoseconds a frame once warm.

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, FrameAddress, Module, MustNotAllocateDuringUnwind, UnwindRegsNative,
    Unwinder as _, UnwinderNative,
};

use super::rules::{Rule, State};
use super::{Frames, Outcome, Registers};
use crate::modules::{LoadedModule, Section};

/// Unwind tables of all modules, and a cache of rules.
pub(super) struct Cfi {
    unwinder: UnwinderNative<Section, MustNotAllocateDuringUnwind>,
    cache: CacheNative<MustNotAllocateDuringUnwind>,
}

impl Cfi {
    pub(super) fn new(modules: &[LoadedModule]) -> Cfi {
        let mut cfi = Cfi { unwinder: UnwinderNative::new(), cache: CacheNative::new_in() };
        cfi.set_modules(modules);
        cfi
    }

    /// Replaces the list of modules. The cache notices by the unwinder's generation.
    pub(super) fn set_modules(&mut self, modules: &[LoadedModule]) {
        let mut unwinder = UnwinderNative::new();
        for module in modules {
            let (Some(header), Some(tables)) = (&module.eh_frame_hdr, &module.eh_frame) else { continue };
            let sections = ExplicitModuleSectionInfo {
                // Addresses below are as in memory, so the module's base is zero in both worlds.
                base_svma: module.start,
                eh_frame_hdr_svma: Some(header.start..header.start + header.bytes.len() as u64),
                eh_frame_hdr: Some(header.bytes.clone()),
                eh_frame_svma: Some(tables.start..tables.start + tables.bytes.len() as u64),
                eh_frame: Some(tables.bytes.clone()),
                ..Default::default()
            };
            unwinder.add_module(Module::new(module.path.clone(), module.start..module.end, module.start, sections));
        }
        self.unwinder = unwinder;
    }

    /// The rule for a return address. Reads nothing of the program's.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn learn(&mut self, address: u64) -> Rule {
        let Some(frame) = FrameAddress::from_return_address(address) else { return Rule::Root };
        Rule::learn(|state, read| {
            let mut registers = UnwindRegsNative::new(address, state.stack_pointer, state.frame_pointer);
            let mut read_stack = |address| Ok(read(address));
            let caller = self.unwinder.unwind_frame(frame, &mut registers, &mut self.cache, &mut read_stack);
            let caller = caller.map_err(|_| ())?;
            let (stack_pointer, frame_pointer) = (registers.sp(), registers.bp());
            Ok(caller.map(|address| State { address, stack_pointer, frame_pointer }))
        })
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn learn(&mut self, _address: u64) -> Rule {
        Rule::Unknown
    }

    pub(super) fn walk(&mut self, registers: Registers, stack_end: usize, frames: &mut Frames<'_>) -> Outcome {
        let stack_start = registers.stack_pointer as u64;
        let stack_end = stack_end as u64;
        let mut read_stack = |address: u64| {
            let inside = address >= stack_start && address.checked_add(8).is_some_and(|end| end <= stack_end);
            if !inside || !address.is_multiple_of(8) {
                return Err(());
            }
            // SAFETY: the word lies between the walk's stack pointer and the end of this thread's stack: mapped,
            // readable, aligned.
            Ok(unsafe { *(address as *const u64) })
        };
        let start = native(registers);
        let program_counter = registers.program_counter as u64;
        let mut walk = self.unwinder.iter_frames(program_counter, start, &mut self.cache, &mut read_stack);
        // The first frame is the program counter that we started from.
        let mut next = walk.next();
        loop {
            match next {
                Ok(Some(frame)) if frame.address() == program_counter => {}
                Ok(Some(frame)) if frames.push(frame.address()) => {}
                Ok(Some(_)) => return Outcome::Truncated,
                Ok(None) => return Outcome::Complete,
                Err(_) => return Outcome::Broken,
            }
            next = walk.next();
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn native(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(
        registers.program_counter as u64,
        registers.stack_pointer as u64,
        registers.frame_pointer as u64,
    )
}

#[cfg(target_arch = "aarch64")]
fn native(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(
        registers.link_register as u64,
        registers.stack_pointer as u64,
        registers.frame_pointer as u64,
    )
}
