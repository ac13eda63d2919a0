//! Symbols that `plimsoll pack` wrote into the capture.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use plimsoll_format::{SymbolizedFrame, Symbols};

use crate::model::ModuleId;

use super::frame::SourceFrame;

/// All packed symbols, by module and return address.
#[derive(Debug, Default)]
pub(super) struct Packed {
    strings: Vec<Vec<Arc<str>>>,
    /// Position in `strings`, then the frames.
    addresses: HashMap<(u32, u64), (usize, Vec<SymbolizedFrame>), RandomState>,
}

impl Packed {
    pub(super) fn new(records: &[Symbols]) -> Packed {
        let mut packed = Packed::default();
        for (position, record) in records.iter().enumerate() {
            packed.strings.push(record.strings.iter().map(|string| string.as_str().into()).collect());
            for symbolized in &record.addresses {
                let found = (position, symbolized.frames.clone());
                packed.addresses.insert((record.module, symbolized.address), found);
            }
        }
        packed
    }

    /// Frames of an address, innermost first; `None` when the capture does not name them.
    pub(super) fn frames(&self, module: ModuleId, address: u64) -> Option<Vec<SourceFrame>> {
        let (position, frames) = self.addresses.get(&(module.0, address))?;
        let strings = self.strings.get(*position)?;
        let string = |at: u32| usize::try_from(at).ok().and_then(|at| strings.get(at)).cloned();
        let source = |frame: &SymbolizedFrame| SourceFrame {
            function: string(frame.function),
            file: string(frame.file),
            line: (frame.line > 0).then_some(frame.line),
        };
        let frames: Vec<SourceFrame> = frames.iter().map(source).collect();
        (!frames.is_empty()).then_some(frames)
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_format::SymbolizedAddress;

    use super::*;

    #[test]
    fn strings_out_of_range_are_unknown() {
        let frame = |function, file, line| SymbolizedFrame { function, file, line };
        let frames = vec![frame(0, u32::MAX, 0), frame(7, 1, 12)];
        let record = Symbols {
            module: 3,
            strings: vec!["f".into(), "a.rs".into()],
            addresses: vec![SymbolizedAddress { address: 16, frames }],
        };
        let packed = Packed::new(&[record]);
        let found = packed.frames(ModuleId(3), 16).unwrap();
        assert_eq!(found[0], SourceFrame { function: Some("f".into()), file: None, line: None });
        assert_eq!(found[1], SourceFrame { function: None, file: Some("a.rs".into()), line: Some(12) });
        assert_eq!(packed.frames(ModuleId(4), 16), None);
        assert_eq!(packed.frames(ModuleId(3), 17), None);
    }
}
