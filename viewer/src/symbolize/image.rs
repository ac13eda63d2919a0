//! The symbols of one binary or debug file: DWARF where there is some, else the symbol table.

use std::path::Path;

use addr2line::Loader;

use super::demangle::demangle;
use super::frame::SourceFrame;

/// More frames at one address than any compiler inlines.
const MAX_INLINED: usize = 256;

/// Whether a name lacks its path: `alloc<std::alloc::System>` of `agent::alloc<…>`.
fn is_short(name: &str) -> bool {
    !name.starts_with('<') && !name.split('<').next().is_some_and(|start| start.contains("::"))
}

/// An opened binary.
pub(super) struct Image(Loader);

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Image")
    }
}

impl Image {
    /// Opens a binary.
    pub(super) fn open(path: &Path) -> Result<Image, String> {
        Loader::new(path).map(Image).map_err(|error| error.to_string())
    }

    /// Frames at an address of the file, innermost first; empty when nothing is known.
    pub(super) fn frames(&self, offset: u64) -> Vec<SourceFrame> {
        let mut frames = self.dwarf_frames(offset);
        let symbol = self.0.find_symbol(offset).map(demangle);
        match (frames.last_mut(), symbol) {
            (Some(outermost), Some(symbol)) => {
                // Short debug information has the last part of a name only; the symbol has all of it.
                if outermost.function.as_deref().is_none_or(is_short) {
                    outermost.function = Some(symbol.into());
                }
            }
            (None, Some(symbol)) => {
                frames.push(SourceFrame { function: Some(symbol.into()), ..SourceFrame::default() });
            }
            (_, None) => {}
        }
        frames.retain(|frame| frame.function.is_some() || frame.file.is_some());
        frames
    }

    /// What the DWARF says. Damaged DWARF says less, never something else.
    fn dwarf_frames(&self, offset: u64) -> Vec<SourceFrame> {
        let mut frames = Vec::new();
        let Ok(mut found) = self.0.find_frames(offset) else { return frames };
        while let Ok(Some(frame)) = found.next() {
            let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
            let location = frame.location.as_ref();
            frames.push(SourceFrame {
                function: name.map(|name| demangle(&name).into()),
                file: location.and_then(|location| location.file).map(Into::into),
                line: location.and_then(|location| location.line),
            });
            if frames.len() >= MAX_INLINED {
                break;
            }
        }
        frames
    }
}
