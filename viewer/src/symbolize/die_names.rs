//! The names that DWARF gives functions beside their linkage names: `push<u32, alloc::alloc::Global>`. In the older of
//! Rust's two manglings they alone say what a generic function was made for.

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use addr2line::{Context, LookupContinuation, LookupResult};
use gimli::{AttributeValue, Dwarf, EndianArcSlice, Reader, RunTimeEndian, UnitOffset, UnitRef};
use object::{Object, ObjectSection};

type Slice = EndianArcSlice<RunTimeEndian>;

/// More hops from a function to its name than any compiler makes.
const MAX_HOPS: usize = 8;
/// More frames at one address than any compiler inlines.
const MAX_INLINED: usize = 256;

/// The debug information of one file, for these names.
pub(super) struct DieNames(Context<Slice>);

impl std::fmt::Debug for DieNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DieNames")
    }
}

impl DieNames {
    /// Of a file; `None` when it has no debug information that can be read.
    pub(super) fn open(path: &Path) -> Option<DieNames> {
        let bytes = fs::read(path).ok()?;
        let file = object::File::parse(&*bytes).ok()?;
        let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let section = |id: gimli::SectionId| {
            let data = file.section_by_name(id.name()).and_then(|section| section.uncompressed_data().ok());
            Ok::<Slice, gimli::Error>(Slice::new(Arc::from(&*data.unwrap_or(Cow::Borrowed(&[]))), endian))
        };
        Context::from_dwarf(Dwarf::load(section).ok()?).ok().map(DieNames)
    }

    /// Names of the frames at an address of the file, innermost first.
    pub(super) fn at(&self, offset: u64) -> Vec<Option<Arc<str>>> {
        let mut names = Vec::new();
        let Some(unit) = without_loading(self.0.find_dwarf_and_unit(offset)).flatten() else { return names };
        let Some(Ok(mut frames)) = without_loading(self.0.find_frames(offset)) else { return names };
        while let Ok(Some(frame)) = frames.next() {
            names.push(frame.dw_die_offset.and_then(|die| name(unit, die)));
            if names.len() >= MAX_INLINED {
                break;
            }
        }
        names
    }
}

/// What a lookup gives when it needs no other file.
fn without_loading<L: LookupContinuation>(mut result: LookupResult<L>) -> Option<L::Output> {
    for _ in 0..MAX_HOPS {
        match result {
            LookupResult::Output(output) => return Some(output),
            LookupResult::Load { continuation, .. } => result = continuation.resume(None),
        }
    }
    None
}

/// `DW_AT_name` of a function, or of what it is an instance of.
fn name(unit: UnitRef<'_, Slice>, mut die: UnitOffset) -> Option<Arc<str>> {
    for _ in 0..MAX_HOPS {
        let entry = unit.entry(die).ok()?;
        if let Some(attribute) = entry.attr_value(gimli::DW_AT_name) {
            let name = unit.attr_string(attribute).ok()?;
            return Some(name.to_string_lossy().ok()?.into());
        }
        let origin = entry.attr_value(gimli::DW_AT_abstract_origin);
        match origin.or_else(|| entry.attr_value(gimli::DW_AT_specification))? {
            AttributeValue::UnitRef(offset) => die = offset,
            // Of another unit, as link-time optimisation leaves them.
            AttributeValue::DebugInfoRef(offset) => die = offset.to_unit_offset(&unit.header)?,
            _ => return None,
        }
    }
    None
}
