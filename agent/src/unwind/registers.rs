//! The registers that a walk starts from.

/// Program counter, stack pointer and frame pointer (and on ARM the link register) at one place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    pub(crate) program_counter: usize,
    pub(crate) stack_pointer: usize,
    pub(crate) frame_pointer: usize,
    #[cfg(target_arch = "aarch64")]
    pub(crate) link_register: usize,
}

impl Registers {
    /// The registers of the function this is inlined into.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn here() -> Registers {
        let (program_counter, stack_pointer, frame_pointer): (usize, usize, usize);
        // SAFETY: the three instructions read registers and write none but their outputs.
        unsafe {
            core::arch::asm!(
                "lea {pc}, [rip]",
                "mov {sp}, rsp",
                "mov {fp}, rbp",
                pc = out(reg) program_counter,
                sp = out(reg) stack_pointer,
                fp = out(reg) frame_pointer,
                options(nomem, nostack, preserves_flags),
            );
        }
        Registers { program_counter, stack_pointer, frame_pointer }
    }

    /// The registers of the function this is inlined into.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub(crate) fn here() -> Registers {
        let (program_counter, stack_pointer, frame_pointer, link_register): (usize, usize, usize, usize);
        // SAFETY: the four instructions read registers and write none but their outputs.
        unsafe {
            core::arch::asm!(
                "adr {pc}, .",
                "mov {sp}, sp",
                "mov {fp}, x29",
                "mov {lr}, x30",
                pc = out(reg) program_counter,
                sp = out(reg) stack_pointer,
                fp = out(reg) frame_pointer,
                lr = out(reg) link_register,
                options(nomem, nostack, preserves_flags),
            );
        }
        Registers { program_counter, stack_pointer, frame_pointer, link_register }
    }
}

/// The stack pointer of the function this is inlined into.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let stack_pointer: usize;
    // SAFETY: the instruction reads a register and writes none but its output.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("mov {}, rsp", out(reg) stack_pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!("mov {}, sp", out(reg) stack_pointer, options(nomem, nostack, preserves_flags));
    }
    stack_pointer
}
