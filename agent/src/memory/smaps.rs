//! Reads `/proc/self/smaps` line by line and says what each mapping is for. Pure: text in, mappings out.

use plimsoll_format::MappingKind;

/// Where a heap of a glibc arena begins and ends: at a multiple of this.
const ARENA_HEAP: u64 = 64 << 20;
/// A mapping without access right below another is that one's guard when it is no larger.
const LARGEST_GUARD: u64 = 1 << 20;
/// What lies behind a guard is a stack when it is no larger: otherwise something else has grown together with it.
const LARGEST_STACK: u64 = 64 << 20;
/// What lies right behind the data of a module is that module's zeroed data when it is no larger.
const LARGEST_BSS: u64 = 16 << 20;

/// One mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Any access at all.
    accessible: bool,
    writable: bool,
    /// `major:minor` of the file's device.
    device: String,
    pub(super) name: String,
    pub(super) rss_bytes: u64,
    pub(super) anonymous_bytes: u64,
    pub(super) swap_bytes: u64,
}

impl Mapping {
    /// From a line like `7f00-7f01 rw-p 00000000 fe:00 123   /path`; `None` for any other.
    fn parse(line: &str) -> Option<Mapping> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        let device = fields.nth(1)?;
        let name = fields.nth(1).unwrap_or("").trim();
        Some(Mapping {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            accessible: !rights.starts_with("---"),
            writable: rights.get(1..2) == Some("w"),
            device: device.to_owned(),
            name: name.to_owned(),
            ..Mapping::default()
        })
    }

    /// Takes a line like `Rss:   8 kB`.
    fn measure(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else { return };
        let field = match name {
            "Rss" => &mut self.rss_bytes,
            "Anonymous" => &mut self.anonymous_bytes,
            "Swap" => &mut self.swap_bytes,
            _ => return,
        };
        let kib: u64 = value.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
        *field = kib.saturating_mul(1024);
    }

    fn size_bytes(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Address space that can be touched: guards and reserves cannot.
    pub(super) fn usable_bytes(&self) -> u64 {
        if self.accessible { self.size_bytes() } else { 0 }
    }

    fn is_right_before(&self, next: &Mapping) -> bool {
        self.end == next.start
    }
}

/// Takes lines, gives each mapping with what it is for as soon as its successor is known.
pub(super) struct Mappings<'a> {
    /// Devices of file systems that live in memory.
    memory_devices: &'a [String],
    before: Option<(Mapping, MappingKind)>,
    current: Option<Mapping>,
}

impl<'a> Mappings<'a> {
    pub(super) fn new(memory_devices: &'a [String]) -> Mappings<'a> {
        Mappings { memory_devices, before: None, current: None }
    }

    /// The next line, without its end. Calls `found` with the mapping before, when this line begins another one.
    pub(super) fn line(&mut self, line: &str, found: impl FnMut(&Mapping, MappingKind)) {
        let begins = line.starts_with(|first: char| first.is_ascii_digit() || first.is_ascii_lowercase());
        match (begins.then(|| Mapping::parse(line)).flatten(), &mut self.current) {
            (Some(next), _) => self.next(Some(next), found),
            (None, Some(current)) => current.measure(line),
            (None, None) => {}
        }
    }

    /// After the last line.
    pub(super) fn end(&mut self, found: impl FnMut(&Mapping, MappingKind)) {
        self.next(None, found);
    }

    fn next(&mut self, next: Option<Mapping>, mut found: impl FnMut(&Mapping, MappingKind)) {
        let done = std::mem::replace(&mut self.current, next);
        let Some(done) = done else { return };
        let kind = self.kind(&done);
        found(&done, kind);
        self.before = Some((done, kind));
    }

    /// What `mapping` is for; [`Mappings::current`] is its successor.
    fn kind(&self, mapping: &Mapping) -> MappingKind {
        let name = mapping.name.as_str();
        if name.is_empty() {
            return self.kind_without_name(mapping);
        }
        if let Some(name) = name.strip_prefix("[anon:") {
            // glibc names its mappings when it is asked to (glibc.mem.decorate_maps).
            return match name {
                name if name.contains("glibc: malloc arena") => MappingKind::Arena,
                name if name.contains("glibc: pthread stack") => MappingKind::Stack,
                name if name.contains("glibc: malloc") => MappingKind::Anonymous,
                _ => MappingKind::Named,
            };
        }
        let is_shared = ["/memfd:", "/SYSV", "/dev/zero", "/dev/shm/", "[anon_shmem:"];
        match name {
            "[heap]" => MappingKind::Heap,
            "[stack]" => MappingKind::Stack,
            _ if is_shared.iter().any(|prefix| name.starts_with(prefix)) => MappingKind::Shared,
            _ if name.starts_with('[') => MappingKind::Kernel,
            _ if self.memory_devices.contains(&mapping.device) => MappingKind::Shared,
            _ => MappingKind::File,
        }
    }

    fn kind_without_name(&self, mapping: &Mapping) -> MappingKind {
        let before = self.before.as_ref().filter(|(before, _)| before.is_right_before(mapping));
        if mapping.accessible && self.is_arena(mapping) {
            return MappingKind::Arena;
        }
        match before {
            // The end of an arena's heap that has not been used yet, and the guard of a stack, hold nothing.
            _ if !mapping.accessible => MappingKind::Anonymous,
            Some((data, MappingKind::File)) if data.writable && mapping.size_bytes() <= LARGEST_BSS => {
                MappingKind::File
            }
            Some((guard, _))
                if !guard.accessible
                    && guard.name.is_empty()
                    && guard.size_bytes() <= LARGEST_GUARD
                    && mapping.size_bytes() <= LARGEST_STACK =>
            {
                MappingKind::Stack
            }
            _ => MappingKind::Anonymous,
        }
    }

    /// The heaps of an arena begin at multiples of their size; what is not used yet, up to the next one, has no access.
    fn is_arena(&self, mapping: &Mapping) -> bool {
        let unused = self.current.as_ref().filter(|next| mapping.is_right_before(next) && !next.accessible);
        let end = unused.map_or(mapping.end, |unused| unused.end);
        mapping.start.is_multiple_of(ARENA_HEAP) && end.is_multiple_of(ARENA_HEAP) && end > mapping.start
    }
}

/// Devices of the file systems in `/proc/self/mountinfo` that live in memory.
pub(super) fn memory_devices(mountinfo: &str) -> Vec<String> {
    let device = |line: &str| {
        let (mount, kind) = line.split_once(" - ")?;
        let is_in_memory = ["tmpfs", "ramfs", "hugetlbfs"].contains(&kind.split(' ').next()?);
        is_in_memory.then(|| mount.split(' ').nth(2).map(padded)).flatten()
    };
    mountinfo.lines().filter_map(device).collect()
}

/// `0:24` in one list is `00:18` in the other: decimal here, hexadecimal with two digits there.
fn padded(device: &str) -> String {
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    let (major, minor) = device.split_once(':').unwrap_or_default();
    format!("{:02x}:{:02x}", number(major), number(minor))
}
