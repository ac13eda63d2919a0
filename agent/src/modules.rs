//! The executable and shared libraries that are mapped: where, which build, and their unwind tables.
//!
//! Read from the loader (`dl_iterate_phdr`), which holds its lock meanwhile: never call this from a hook, nor from the
//! writer while a hook may wait for it.

use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use crate::reserve::{self, WhenEmpty};

/// Unwind tables of a module that may be unloaded are copied, up to this size; beyond it the module has none.
const MAX_COPY: usize = 32 << 20;

/// Bytes of a module's unwind tables.
#[derive(Debug, Clone)]
pub(crate) enum Section {
    /// Mapped as long as the process lives.
    Mapped(&'static [u8]),
    /// Copied, because the module may go.
    Copied(Arc<Vec<u8>>),
}

impl Default for Section {
    fn default() -> Section {
        Section::Mapped(&[])
    }
}

impl std::ops::Deref for Section {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Section::Mapped(bytes) => bytes,
            Section::Copied(bytes) => bytes,
        }
    }
}

/// A section with its address in memory.
#[derive(Debug, Clone)]
pub(crate) struct PlacedSection {
    pub(crate) start: u64,
    pub(crate) bytes: Section,
}

/// A mapped module.
#[derive(Debug, Clone)]
pub(crate) struct LoadedModule {
    pub(crate) path: String,
    pub(crate) bias: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) build_id: Vec<u8>,
    pub(crate) eh_frame_hdr: Option<PlacedSection>,
    pub(crate) eh_frame: Option<PlacedSection>,
}

impl LoadedModule {
    /// Whether this is the same file at the same place.
    pub(crate) fn is_same(&self, other: &LoadedModule) -> bool {
        self.bias == other.bias
            && self.start == other.start
            && self.path == other.path
            && self.build_id == other.build_id
    }
}

/// All modules, the executable first.
pub(crate) fn loaded() -> Vec<LoadedModule> {
    let mut modules: Vec<LoadedModule> = Vec::new();
    // Whoever parked with the loader's lock would hang the program.
    reserve::when_empty(WhenEmpty::TakeHeldBack, || {
        // SAFETY: the callback gets the pointer to `modules` back, which outlives the call, and nothing else uses it.
        unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut modules).cast()) }
    });
    if let Some(executable) = modules.first_mut().filter(|module| module.path.is_empty()) {
        let path = std::fs::read_link("/proc/self/exe");
        executable.path = path.map_or_else(|_| String::new(), |path| path.to_string_lossy().into_owned());
    }
    modules
}

/// Number of loads and unloads the loader has counted; changes when modules come or go.
pub(crate) fn generation() -> (u64, u64) {
    unsafe extern "C" fn first(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
        // SAFETY: the loader passes a valid info, and `data` is the pair that the caller below waits for.
        unsafe { *data.cast::<(u64, u64)>() = ((*info).dlpi_adds, (*info).dlpi_subs) };
        1
    }
    let mut counts = (0u64, 0u64);
    // SAFETY: as in `loaded`.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut counts).cast()) };
    counts
}

unsafe extern "C" fn collect(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader passes a valid info whose program headers and name stay valid while it holds its lock, which
    // is until this returns; `data` is the Vec that `loaded` owns.
    let (modules, bias, headers, name) = unsafe {
        let info = &*info;
        let headers = match info.dlpi_phnum {
            0 => &[][..],
            count => std::slice::from_raw_parts(info.dlpi_phdr, usize::from(count)),
        };
        let name = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
        (&mut *data.cast::<Vec<LoadedModule>>(), info.dlpi_addr, headers, name)
    };
    let path = name.to_string_lossy().into_owned();
    let may_unload = !modules.is_empty() && !is_permanent(&path);
    if let Some(module) = describe(bias, headers, path, may_unload) {
        modules.push(module);
    }
    0
}

/// What no program unloads: libc and the loader, which the executable itself needs, and the kernel's own.
fn is_permanent(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    matches!(file, "libc.so.6" | "ld-linux-x86-64.so.2" | "ld-linux-aarch64.so.1" | "linux-vdso.so.1")
}

fn describe(bias: u64, headers: &[libc::Elf64_Phdr], path: String, may_unload: bool) -> Option<LoadedModule> {
    let loads = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let address = |header: &libc::Elf64_Phdr| bias.wrapping_add(header.p_vaddr);
    let start = loads().map(address).min()?;
    let end = loads().map(|header| address(header).saturating_add(header.p_memsz)).max()?;
    let build_id = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_NOTE)
        // SAFETY: a PT_NOTE segment of a mapped module is mapped with it.
        .find_map(|header| build_id(unsafe { memory(address(header), header.p_memsz) }))
        .unwrap_or_default();
    let header = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME);
    let header = header.map(|header| (address(header), header.p_memsz));
    let tables = header.and_then(|(at, size)| {
        // SAFETY: PT_GNU_EH_FRAME lies within a loaded segment.
        let tables = eh_frame_address(unsafe { memory(at, size) }, at)?;
        // The length of .eh_frame is not recorded; it ends with a zero entry, at the latest with its segment.
        let segment = loads().find(|load| (address(load)..address(load) + load.p_filesz).contains(&tables))?;
        Some((tables, address(segment) + segment.p_filesz - tables))
    });
    Some(LoadedModule {
        eh_frame_hdr: header.and_then(|(at, size)| place(at, size, may_unload)),
        eh_frame: tables.and_then(|(at, size)| place(at, size, may_unload)),
        path,
        bias,
        start,
        end,
        build_id,
    })
}

/// A range of a mapped module as bytes.
///
/// # Safety
/// The range must be mapped and readable, and stay so while the result is used.
unsafe fn memory(start: u64, len: u64) -> &'static [u8] {
    // SAFETY: the caller's obligation.
    unsafe { std::slice::from_raw_parts(start as *const u8, len as usize) }
}

fn place(start: u64, len: u64, may_unload: bool) -> Option<PlacedSection> {
    // SAFETY: the range lies within a loaded segment; a module that may go is copied under the loader's lock, others
    // stay for the life of the process.
    let mapped = unsafe { memory(start, len) };
    let bytes = match may_unload {
        false => Section::Mapped(mapped),
        true if mapped.len() <= MAX_COPY => Section::Copied(copy(mapped)?),
        true => return None,
    };
    Some(PlacedSection { start, bytes })
}

/// A copy, unless there is no memory for it: then the module has no tables, which costs the inner part of some stacks.
fn copy(bytes: &[u8]) -> Option<Arc<Vec<u8>>> {
    let mut copied = Vec::new();
    reserve::when_empty(WhenEmpty::Refuse, || copied.try_reserve_exact(bytes.len())).ok()?;
    copied.extend_from_slice(bytes);
    Some(Arc::new(copied))
}

/// Address of .eh_frame as .eh_frame_hdr (at `at`) states it. Linkers write it relative to the field itself.
fn eh_frame_address(header: &[u8], at: u64) -> Option<u64> {
    const VERSION: u8 = 1;
    const RELATIVE_SIGNED_4: u8 = 0x1b;
    let &[VERSION, RELATIVE_SIGNED_4, _, _, a, b, c, d, ..] = header else { return None };
    let offset = i32::from_le_bytes([a, b, c, d]);
    Some((at + 4).wrapping_add_signed(i64::from(offset)))
}

/// The GNU build id in a note segment.
fn build_id(notes: &[u8]) -> Option<Vec<u8>> {
    const BUILD_ID: u32 = 3;
    let mut rest = notes;
    while let Some((head, body)) = rest.split_first_chunk::<12>() {
        let word = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let (name_len, len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let padded = |len: usize| len.next_multiple_of(4);
        let content = body.get(padded(name_len)..)?;
        if kind == BUILD_ID && body.get(..name_len) == Some(b"GNU\0") {
            return content.get(..len).map(<[u8]>::to_vec);
        }
        rest = content.get(padded(len)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_executable_its_build_id_and_tables() {
        let modules = loaded();
        let here = finds_the_executable_its_build_id_and_tables as fn() as usize as u64;
        let executable = modules.first().expect("an executable");
        assert!((executable.start..executable.end).contains(&here));
        assert_eq!(std::path::Path::new(&executable.path), std::env::current_exe().expect("a path"));
        assert_eq!(executable.build_id.len(), 20, "rustc's linker writes SHA-1 build ids");
        assert!(executable.eh_frame.is_some() && executable.eh_frame_hdr.is_some());
        assert!(modules.iter().any(|module| module.path.contains("libc.so")));
    }

    #[test]
    fn note_parsing_survives_nonsense() {
        assert_eq!(build_id(&[]), None);
        assert_eq!(build_id(&[0xff; 64]), None);
        let mut note = [4u32, 2, 3].map(u32::to_le_bytes).concat();
        note.extend_from_slice(b"GNU\0\xab\xcd\0\0");
        assert_eq!(build_id(&note), Some(vec![0xab, 0xcd]));
    }
}
