//! One source-level call, as people read it.

use std::sync::Arc;

/// One source-level call of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Demangled function, `None` when it is not known.
    pub function: Option<Arc<str>>,
    /// Source file, as the compiler wrote it down.
    pub file: Option<Arc<str>>,
    /// Line in it.
    pub line: Option<u32>,
    /// File name of the executable or library.
    pub module: Option<Arc<str>>,
    /// Return address in memory; 0 for a marker.
    pub address: u64,
    /// Address in the module's file; equals `address` where the module is not known.
    pub offset: u64,
    /// The call was inlined into the next frame.
    pub inlined: bool,
}

/// What a lookup says of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SourceFrame {
    pub(super) function: Option<Arc<str>>,
    pub(super) file: Option<Arc<str>>,
    pub(super) line: Option<u32>,
}

impl Frame {
    /// A frame that stands for missing ones.
    pub fn marker(text: &str) -> Frame {
        Frame { function: Some(text.into()), ..Frame::unknown(0, None, 0) }
    }

    /// A frame of which only the address is known.
    pub(super) fn unknown(address: u64, module: Option<&Arc<str>>, offset: u64) -> Frame {
        Frame { function: None, file: None, line: None, module: module.cloned(), address, offset, inlined: false }
    }

    /// Whether this stands for missing frames.
    pub fn is_marker(&self) -> bool {
        self.address == 0
    }

    /// The function, or what is known instead: `module+0x1234`, or the bare address.
    pub fn name(&self) -> String {
        match (&self.function, &self.module) {
            (Some(function), _) => function.to_string(),
            (None, Some(module)) => format!("{module}+{:#x}", self.offset),
            (None, None) => format!("{:#x}", self.address),
        }
    }

    /// `file:line` as far as it is known.
    pub fn place(&self) -> Option<String> {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => Some(format!("{file}:{line}")),
            (Some(file), None) => Some(file.to_string()),
            (None, _) => None,
        }
    }
}

/// The frames of one return address: all but the last of `found` were inlined.
pub(super) fn from_source(found: Vec<SourceFrame>, module: &Arc<str>, address: u64, offset: u64) -> Vec<Frame> {
    let last = found.len().saturating_sub(1);
    let frame = |(at, source): (usize, SourceFrame)| Frame {
        function: source.function,
        file: source.file,
        line: source.line,
        module: Some(Arc::clone(module)),
        address,
        offset,
        inlined: at < last,
    };
    found.into_iter().enumerate().map(frame).collect()
}
